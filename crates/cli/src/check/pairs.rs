//! The pairs file: `consumer,provider[,max-age]`.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use csv::{ReaderBuilder, StringRecord, Trim};
use postrider_broker::Pair;
use postrider_config::read_text;
use postrider_domain::parse_duration;

use super::judge::Question;
use crate::Failure;

/// An age on the command line or in a line of the file.
pub(super) fn max_age(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(age) if age.is_zero() => Err("nothing is ever that recent: write e.g. 24h".to_owned()),
        Ok(age) => Ok(age),
        Err(error) => Err(error.to_string()),
    }
}

/// Reads a pairs file of at most 1 MiB.
pub(super) fn read(path: &Path, default: Duration) -> Result<Vec<Question>, Failure> {
    let text = read_text(path).map_err(|error| {
        Failure::usage(format!("cannot read {}: {error}", path.display()))
            .fix("name a readable pairs file")
    })?;
    parse(&text, default).map_err(|what| {
        Failure::usage(format!("{}: {what}", path.display())).fix(
            "write CONSUMER,PROVIDER or CONSUMER,PROVIDER,MAX-AGE, names with commas in quotes",
        )
    })
}

/// The questions of a pairs file, in its order. Each line is a record of its own, so that what
/// is wrong can be named by its line.
pub(super) fn parse(text: &str, default: Duration) -> Result<Vec<Question>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut questions = Vec::new();
    let mut seen: HashMap<Pair, usize> = HashMap::new();
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let record = record(text).map_err(|error| format!("line {line} is no CSV: {error}"))?;
        if questions.is_empty() && is_header(&record) {
            continue;
        }
        let question = question(&record, default).map_err(|what| format!("line {line} {what}"))?;
        if let Some(earlier) = seen.insert(question.pair.clone(), line) {
            return Err(format!("line {line} repeats the pair of line {earlier}"));
        }
        questions.push(question);
    }
    Ok(questions)
}

fn record(line: &str) -> Result<StringRecord, csv::Error> {
    let mut reader =
        ReaderBuilder::new().has_headers(false).trim(Trim::All).from_reader(line.as_bytes());
    let mut record = StringRecord::new();
    reader.read_record(&mut record)?;
    Ok(record)
}

fn is_header(record: &StringRecord) -> bool {
    let is = |index: usize, name: &str| {
        record.get(index).is_some_and(|field| field.eq_ignore_ascii_case(name))
    };
    is(0, "consumer") && is(1, "provider")
}

fn question(record: &StringRecord, default: Duration) -> Result<Question, String> {
    let (consumer, provider, age) = match record.iter().collect::<Vec<_>>()[..] {
        [consumer, provider] => (consumer, provider, ""),
        [consumer, provider, age] => (consumer, provider, age),
        _ => return Err(format!("has {} fields instead of 2 or 3", record.len())),
    };
    if consumer.is_empty() || provider.is_empty() {
        return Err("names no consumer or no provider".to_owned());
    }
    if [consumer, provider, age].iter().any(|field| field.starts_with('"')) {
        return Err("has a space before a quote: write a,\"b, c\"".to_owned());
    }
    let max_age = if age.is_empty() { Ok(default) } else { max_age(age) };
    let max_age = max_age.map_err(|what| format!("has a wrong max-age: {what}"))?;
    let pair = Pair { consumer: consumer.to_owned(), provider: provider.to_owned() };
    Ok(Question { pair, max_age })
}
