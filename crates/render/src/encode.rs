//! How a value is written into the text around it.

use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What `CGI.escape` of Ruby keeps, which is what a Pact Broker writes into URLs.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The encoding that a place in a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// As it is: header values, raw bodies.
    Raw,
    /// Form encoding, in path and query alike: space becomes `+`, `/` becomes `%2F`.
    Form,
    /// The inside of a JSON string.
    Json,
}

pub(crate) fn push(out: &mut String, value: &str, encoding: Encoding) {
    match encoding {
        Encoding::Raw => out.push_str(value),
        Encoding::Form => push_form(out, value),
        Encoding::Json => push_json(out, value),
    }
}

fn push_form(out: &mut String, value: &str) {
    for (index, word) in value.split(' ').enumerate() {
        if index > 0 {
            out.push('+');
        }
        out.extend(utf8_percent_encode(word, FORM));
    }
}

fn push_json(out: &mut String, value: &str) {
    for run in value.split_inclusive(needs_escape) {
        let mut chars = run.chars();
        match chars.next_back().filter(|last| needs_escape(*last)) {
            Some(last) => {
                out.push_str(chars.as_str());
                push_escaped(out, last);
            }
            None => out.push_str(run),
        }
    }
}

fn needs_escape(c: char) -> bool {
    c < ' ' || c == '"' || c == '\\'
}

fn push_escaped(out: &mut String, c: char) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        other => {
            // Writing to a String cannot fail.
            let _infallible = write!(out, "\\u{:04x}", u32::from(other));
        }
    }
}
