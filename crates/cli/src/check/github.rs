//! What a GitHub workflow sees: annotations, the step's summary and its outputs.
//!
//! Names come from the broker, and a line that begins with `::` is a command to the runner. So
//! nothing is printed here but annotations, with everything in them escaped, and a fixed line.

use std::fs::OpenOptions;
use std::io::{self, Write};

use super::judge::Finding;
use super::report::{COLUMNS, Report};
use crate::broker::Env;
use crate::{Failure, Out, complain};

/// Annotations of one kind that GitHub shows of a step.
const MAX_ANNOTATIONS: usize = 10;
/// A step's summary may have so many bytes; a larger one is not shown at all.
const MAX_SUMMARY: usize = 1024 * 1024;

/// Prints annotations, and appends to the files that the runner names.
pub(super) fn tell(report: &Report, env: &Env, out: &mut Out) {
    let (fresh, not): (Vec<&Finding>, Vec<&Finding>) =
        report.worst_first().into_iter().partition(|finding| finding.is_fresh());
    let errors = not.iter().map(|finding| finding.sentence());
    annotations("error", "Contract not verified", errors.collect(), out);
    let notices = fresh.iter().map(|finding| finding.sentence());
    annotations("notice", "Contract verified", notices.collect(), out);
    out.line(report.total());

    append(env, "GITHUB_STEP_SUMMARY", |room| summary(report, room.min(MAX_SUMMARY)));
    let result = report.worst_first().first().map_or("", |finding| finding.answer.name());
    let outputs = format!(
        "result={result}\nexit-code={}\nchecked={}\nfresh={}\n",
        report.exit().code(),
        report.findings.len(),
        report.fresh(),
    );
    append(env, "GITHUB_OUTPUT", |_| outputs);
}

/// Prints why there is no report; the failure itself follows on standard error.
pub(super) fn tell_failure(failure: &Failure, env: &Env, out: &mut Out) {
    annotations("error", "Contract not verified", vec![failure.message.clone()], out);
    let outputs =
        format!("result=not_checked\nexit-code={}\nchecked=0\nfresh=0\n", failure.exit.code());
    append(env, "GITHUB_OUTPUT", |_| outputs);
}

/// At most ten; the last one then says how many more there are.
fn annotations(kind: &str, title: &str, mut messages: Vec<String>, out: &mut Out) {
    let total = messages.len();
    if total > MAX_ANNOTATIONS {
        messages.truncate(MAX_ANNOTATIONS - 1);
        messages.push(format!("and {} more: see the summary", total - messages.len()));
    }
    for message in messages {
        out.line(annotation(kind, title, &message));
    }
}

/// A command to the runner (GitHub docs: workflow commands).
pub(super) fn annotation(kind: &str, title: &str, message: &str) -> String {
    let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    format!("::{kind} title={}::{}", property(title), data(message))
}

/// A table in Markdown, worst pairs first, of at most so many bytes.
pub(super) fn summary(report: &Report, room: usize) -> String {
    let mut text = format!("### Contract verification\n\n{}\n\n", report.total());
    text.push_str(&row(&COLUMNS.map(str::to_owned)));
    text.push_str(&row(&COLUMNS.map(|_| "---".to_owned())));
    let findings = report.worst_first();
    for (index, finding) in findings.iter().enumerate() {
        let line = row(&finding.cells().iter().map(|cell| escaped(cell)).collect::<Vec<_>>());
        let rest = format!("\n… and {} more.\n", findings.len() - index);
        if text.len() + line.len() + rest.len() > room {
            text.push_str(&rest);
            break;
        }
        text.push_str(&line);
    }
    if text.len() > room { String::new() } else { text }
}

fn row(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// Text that is neither Markdown nor HTML.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '~' | '#' | '!' => escaped.extend(['\\', c]),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Appends to the file that the variable names; the text is made for the room that is left of
/// a summary. That the file can't be written does not change what was found.
fn append(env: &Env, variable: &str, text: impl FnOnce(usize) -> String) {
    let Some(path) = env.get(variable).filter(|path| !path.is_empty()) else {
        return;
    };
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).create(true).open(path)?;
        let used = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        file.write_all(text(MAX_SUMMARY.saturating_sub(used)).as_bytes())
    };
    if let Err(error) = write() {
        complain(&format!("warning: cannot append to {variable}: {error}"));
    }
}
