//! What goes to standard output and standard error.

use std::fmt::Display;
use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets};
use postrider_domain::without_bidirectional_controls;
use serde::Serialize;
use serde_json::Value;

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// `-o table|json`, `--json`.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct OutputArgs {
    /// Output for people or for programs
    #[arg(
        short = 'o',
        long = "output",
        value_name = "FORMAT",
        value_enum,
        default_value = "table"
    )]
    output: Format,
    /// Same as `-o json`
    #[arg(long, conflicts_with = "output")]
    json: bool,
}

impl OutputArgs {
    /// What was asked for.
    pub fn format(self) -> Format {
        if self.json { Format::Json } else { self.output }
    }
}

/// Writes one line on standard error; an error there can't be told to anybody.
pub fn complain(line: &str) {
    writeln!(io::stderr().lock(), "{line}").ok();
}

/// Standard output. A reader that goes away (`| head`) ends the writing, not the command: its
/// exit code still says what happened.
#[derive(Debug, Default)]
pub struct Out {
    closed: bool,
}

impl Out {
    /// Writes a line.
    pub fn line(&mut self, line: impl Display) {
        if !self.closed {
            let mut stdout = io::stdout().lock();
            let written = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
            self.closed = written.is_err();
        }
    }

    /// Writes a JSON document.
    pub fn json(&mut self, document: &impl Serialize) {
        // What is written here was read, or made, as JSON.
        let value = serde_json::to_value(document).unwrap_or_default();
        self.line(format_args!("{value:#}"));
    }

    /// Writes a table, or `nothing` when it has no rows.
    pub fn table(&mut self, header: &[&str], rows: Vec<Vec<String>>, nothing: &str) {
        if rows.is_empty() {
            self.line(nothing);
            return;
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(header.iter().map(|name| name.to_uppercase()));
        for row in rows {
            table.add_row(row.iter().map(|cell| printable(cell)));
        }
        for line in table.lines() {
            self.line(line.trim_end());
        }
    }
}

/// Text from elsewhere without what would steer a terminal or turn a line around.
pub fn printable(text: &str) -> String {
    let text = without_bidirectional_controls(text);
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A value as a cell: nothing, and an empty text, as `-`.
pub(crate) fn cell_of(value: Option<impl Display>) -> String {
    let text = value.map(|value| value.to_string()).unwrap_or_default();
    if text.is_empty() { "-".to_owned() } else { text }
}

/// A member of a JSON object as a cell: text as it is, null as `-`.
pub(crate) fn cell(object: &Value, key: &str) -> String {
    match object.get(key) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Seconds as people say them: `45s`, `12m`, `3h 20m`, `2d 4h`.
pub(crate) fn seconds(total: f64) -> String {
    if !total.is_finite() || total < 0.0 {
        return "-".to_owned();
    }
    if total < 60.0 {
        return format!("{total:.0}s");
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked: finite and not negative; a cast saturates"
    )]
    let minutes = (total / 60.0) as u64;
    match (minutes / 1440, minutes / 60 % 24, minutes % 60) {
        (0, 0, m) => format!("{m}m"),
        (0, h, m) => format!("{h}h {m}m"),
        (d, h, _) => format!("{d}d {h}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_not_steered_by_data() {
        assert_eq!(printable("a\u{1b}[31mb\n"), "a\u{fffd}[31mb\u{fffd}");
    }

    #[test]
    fn seconds_read_well() {
        for (given, expected) in [
            (0.0, "0s"),
            (59.4, "59s"),
            (61.0, "1m"),
            (12_000.0, "3h 20m"),
            (187_200.0, "2d 4h"),
            (f64::NAN, "-"),
        ] {
            assert_eq!(seconds(given), expected);
        }
    }
}
