//! The text of one line, in each format. Written field by field into one buffer: there is a line
//! for each delivery.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Write};
use std::mem;
use std::sync::Arc;

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use super::redact::{self, Guard};

/// Causes of an error that are written; an error may name itself as its source.
const MAX_CAUSES: usize = 16;

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One flat JSON object a line: `timestamp` (RFC 3339, UTC, milliseconds), `level`
    /// (`ERROR` to `TRACE`), `target`, `message`, and the event's own fields.
    Json,
    /// For people.
    Text,
}

/// The fields of an event; texts are without secrets.
pub(crate) struct Fields {
    format: LogFormat,
    /// The same for all fields.
    guard: Option<Arc<Guard>>,
    message: String,
    /// Set by events of the crate `log`, whose own target says nothing.
    target: Option<String>,
    /// What follows the message in the line, with its separators.
    rest: String,
    /// Where a value is printed before it is written.
    printed: String,
}

pub(crate) fn of_event(format: LogFormat, at: Timestamp, event: &Event<'_>) -> String {
    let metadata = event.metadata();
    let mut fields = Fields::new(format);
    event.record(&mut fields);
    fields.line(at, *metadata.level(), metadata.target())
}

/// A line of a message and one number.
pub(crate) fn of_count(
    format: LogFormat,
    at: Timestamp,
    message: &str,
    field: &str,
    count: u64,
) -> String {
    let mut fields = Fields::new(format);
    message.clone_into(&mut fields.message);
    fields.add_plain(field, count);
    fields.line(at, Level::WARN, "postrider_telemetry")
}

impl Fields {
    fn new(format: LogFormat) -> Self {
        Self {
            format,
            guard: redact::guard(),
            message: String::new(),
            target: None,
            rest: String::with_capacity(1_024),
            printed: String::new(),
        }
    }

    /// The line with its end.
    fn line(self, at: Timestamp, level: Level, target: &str) -> String {
        let target = self.target.as_deref().unwrap_or(target);
        let mut line = String::with_capacity(self.rest.len() + self.message.len() + 128);
        let written = match self.format {
            LogFormat::Json => write!(
                line,
                r#"{{"timestamp":"{at:.3}","level":"{level}","target":{},"message":{}{}}}"#,
                Quoted(target),
                Quoted(&self.message),
                self.rest
            ),
            LogFormat::Text => write!(
                line,
                "{at:.3} {level:>5} {target}: {}{}",
                one_line(&self.message),
                self.rest
            ),
        };
        // Writing to a String only fails when a value's own Display does; none here does.
        if written.is_err() {
            line.clear();
        }
        line.push('\n');
        line
    }

    fn add_text(&mut self, name: &str, text: &str) {
        let text = match &self.guard {
            None => Cow::Borrowed(text),
            Some(guard) => guard.redact(text),
        };
        match name {
            "message" => self.message = text.into_owned(),
            "log.target" => self.target = Some(text.into_owned()),
            name if name.starts_with("log.") => {}
            name => add_field(&mut self.rest, self.format, name, Quoted(&text)),
        }
    }

    /// Adds a value that is written as it is.
    fn add_plain(&mut self, name: &str, value: impl fmt::Display) {
        add_field(&mut self.rest, self.format, name, value);
    }
}

fn add_field(rest: &mut String, format: LogFormat, name: &str, value: impl fmt::Display) {
    // These say something else at the top level.
    let reserved = ["timestamp", "level", "target"].contains(&name);
    let prefix = if reserved { "field." } else { "" };
    let written = match format {
        LogFormat::Json => write!(rest, r#","{prefix}{name}":{value}"#),
        LogFormat::Text => write!(rest, " {prefix}{name}={value}"),
    };
    // Writing to a String only fails when the value's own Display does.
    if written.is_err() {
        rest.clear();
    }
}

/// The text as JSON writes it.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = self.0.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\');
        if is_plain {
            f.write_char('"')?;
            f.write_str(self.0)?;
            f.write_char('"')
        } else {
            f.write_str(&serde_json::to_string(self.0).map_err(|_| fmt::Error)?)
        }
    }
}

/// A message can't pretend to be two lines, nor colour the terminal.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut printed = mem::take(&mut self.printed);
        printed.clear();
        // What a value printed before its own Debug failed is better than nothing.
        write!(printed, "{value:?}").ok();
        self.add_text(field.name(), &printed);
        self.printed = printed;
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add_text(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add_plain(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add_plain(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if !field.name().starts_with("log.") {
            self.add_plain(field.name(), value);
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no number for infinity.
        if value.is_finite() {
            self.add_plain(field.name(), value);
        } else {
            self.add_plain(field.name(), "null");
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let causes = std::iter::successors(value.source(), |&cause| cause.source());
        for cause in causes.take(MAX_CAUSES) {
            text.push_str(": ");
            text.push_str(&cause.to_string());
        }
        self.add_text(field.name(), &text);
    }
}
