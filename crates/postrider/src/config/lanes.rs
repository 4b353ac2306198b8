//! `[[lane]]` tables of the settings file.

use postrider_domain::{LaneRule, Rate};
use toml::{Table, Value};

use super::parse;
use super::problem::nearest;
use super::reader::Reader;
use super::value::{Raw, Wrong, raw_of};

const KEYS: [&str; 6] = ["match", "name", "rate", "burst", "concurrency", "per_hour"];
/// Larger numbers in a lane table are mistakes.
const MOST: u32 = 1_000_000;

/// Reads all of them; what is wrong with them is reported to the reader.
pub(crate) fn read(reader: &mut Reader<'_>) -> Vec<LaneRule> {
    let tables = reader.tables("lane");
    let mut rules = Vec::new();
    for (index, table) in tables.iter().enumerate() {
        let mut wrong = Vec::new();
        let rule = rule(table, &mut wrong);
        for (key, Wrong { what, fix }) in wrong {
            reader.file_key_problem(&format!("lane {}: {key}", index + 1), &what, &fix);
        }
        rules.extend(rule);
    }
    rules
}

fn rule(table: &Table, wrong: &mut Vec<(String, Wrong)>) -> Option<LaneRule> {
    refuse_unknown(table, wrong);
    let matches = matches(table, wrong);
    let name = field(table, "name", wrong, |raw| Ok(raw.text()));
    let rate: Option<Rate> = field(table, "rate", wrong, parse::rate);
    let burst = field(table, "burst", wrong, parse::number(1, MOST));
    let concurrency = field(table, "concurrency", wrong, parse::number(1, MOST));
    let per_hour = field(table, "per_hour", wrong, parse::number(1, MOST));
    wrong.is_empty().then_some(LaneRule { matches, name, rate, burst, concurrency, per_hour })
}

fn refuse_unknown(table: &Table, wrong: &mut Vec<(String, Wrong)>) {
    for key in table.keys().filter(|key| !KEYS.contains(&key.as_str())) {
        let fix = nearest(key, KEYS).map_or_else(
            || format!("use {}", KEYS.join(", ")),
            |near| format!("did you mean {near}?"),
        );
        wrong.push((key.clone(), Wrong::new("is not a setting of a lane", fix)));
    }
}

fn matches(table: &Table, wrong: &mut Vec<(String, Wrong)>) -> Vec<String> {
    let items = match table.get("match").map(raw_of) {
        Some(Some(raw)) => raw.items(),
        Some(None) | None => Vec::new(),
    };
    let usable = |item: &String| item.contains('/') || item == "*";
    if items.is_empty() || !items.iter().all(usable) {
        let what = "names no lanes";
        let fix = "write a list of HOST/CREDENTIAL, e.g. [\"api.github.com/githubToken\"]";
        wrong.push(("match".to_owned(), Wrong::new(what, fix)));
    }
    items
}

fn field<T>(
    table: &Table,
    key: &str,
    wrong: &mut Vec<(String, Wrong)>,
    parse: impl Fn(&Raw) -> Result<T, Wrong>,
) -> Option<T> {
    let value: &Value = table.get(key)?;
    let parsed = raw_of(value)
        .ok_or_else(|| Wrong::new("is a table", "write a text or a number"))
        .and_then(|raw| parse(&raw));
    parsed.map_err(|error| wrong.push((key.to_owned(), error))).ok()
}
