//! What goes to standard output and standard error.

mod table;
mod terminal;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, Write};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

pub use table::printable;
pub(crate) use table::{cut, seconds, short};
pub use terminal::Style;
use terminal::Terminal;

/// Which of both kinds of output a command makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// `-o table|wide|name|yaml|json`, `--json`.
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
    output: Style,
    /// Same as `-o json`
    #[arg(long, conflicts_with = "output")]
    json: bool,
}

impl OutputArgs {
    /// What was asked for.
    pub fn format(self) -> Format {
        match self.output {
            _ if self.json => Format::Json,
            Style::Json | Style::Yaml => Format::Json,
            Style::Table | Style::Wide | Style::Name => Format::Table,
        }
    }
}

/// Writes one line on standard error; an error there can't be told to anybody.
pub fn complain(line: &str) {
    writeln!(io::stderr().lock(), "{line}").ok();
}

/// Standard output. A reader that goes away (`| head`) ends the writing, not the command: its
/// exit code still says what happened. Anything else that keeps a line from being written is told
/// at the end ([`Out::fault`]).
#[derive(Debug, Default)]
pub struct Out {
    style: Style,
    terminal: Option<Terminal>,
    closed: bool,
    fault: Option<io::Error>,
}

impl Out {
    /// Written in this way, cut to the terminal if it is one.
    pub fn new(style: Style, env: &BTreeMap<String, String>) -> Self {
        Self { style, terminal: Terminal::of_stdout(env), ..Self::default() }
    }

    /// Why something could not be written.
    pub fn fault(&self) -> Option<&io::Error> {
        self.fault.as_ref()
    }

    /// Whether somebody still reads.
    pub(crate) fn is_open(&self) -> bool {
        !self.closed
    }

    /// How wide it is where somebody looks at it, and not a program.
    pub(crate) fn columns(&self) -> Option<usize> {
        self.terminal.map(|terminal| usize::from(terminal.width))
    }

    /// Writes a line.
    pub fn line(&mut self, line: impl Display) {
        if !self.closed {
            let mut stdout = io::stdout().lock();
            let written = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
            if let Err(error) = written {
                self.closed = true;
                self.fault = Some(error).filter(|error| error.kind() != io::ErrorKind::BrokenPipe);
            }
        }
    }

    /// Writes a document, as YAML where that was asked for.
    pub fn json(&mut self, document: &impl Serialize) {
        // What is written here was read, or made, as JSON.
        let value = serde_json::to_value(document).unwrap_or_default();
        if self.style == Style::Yaml
            && let Ok(yaml) = serde_norway::to_string(&value)
        {
            self.line(yaml.trim_end());
        } else {
            self.line(format_args!("{value:#}"));
        }
    }

    /// Writes a table, or `nothing` when it has no rows. On a terminal it is as wide as that,
    /// cells that do not fit are cut, and instants are told from now.
    pub fn table(&mut self, header: &[&str], rows: Vec<Vec<String>>, nothing: &str) {
        if self.style == Style::Name {
            let place = naming(header);
            for name in rows.iter().filter_map(|row| row.get(place)) {
                self.line(printable(name));
            }
            return;
        }
        if rows.is_empty() {
            self.line(nothing);
            return;
        }
        let terminal = self.terminal.as_ref().filter(|_| self.style == Style::Table);
        let lines = table::lines(header, rows, terminal, Timestamp::now());
        for line in lines {
            self.line(line);
        }
    }

    /// Says that a list goes on, after a table.
    pub(crate) fn more(&mut self, shown: usize, next: Option<&str>) {
        if let (Some(next), true) = (next, self.style != Style::Name) {
            self.line(format_args!("{shown} shown, more: --cursor {next}"));
        }
    }

    /// Says that a list is longer than what was shown of it, after a table.
    pub(crate) fn cut(&mut self, shown: usize, all: usize) {
        if shown < all && self.style != Style::Name {
            self.line(format_args!("{shown} of {all} shown, more: --limit {all}"));
        }
    }
}

/// The column by which rows are named: the first of id, uuid and name, else the first of all.
fn naming(header: &[&str]) -> usize {
    let found = ["id", "uuid", "name", "lane"]
        .iter()
        .find_map(|name| header.iter().position(|column| column == name));
    found.unwrap_or(0)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_named_by_what_other_commands_take() {
        assert_eq!(naming(&["status", "id", "name"]), 1);
        assert_eq!(naming(&["at", "who"]), 0);
    }
}
