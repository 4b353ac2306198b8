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
    /// Percent-encoding of RFC 3986, where a space becomes `%20`.
    Url,
    /// The inside of a JSON string.
    Json,
}

pub(crate) fn push(out: &mut String, value: &str, encoding: Encoding) {
    match encoding {
        Encoding::Raw => out.push_str(value),
        Encoding::Form => push_form(out, value),
        Encoding::Url => out.extend(utf8_percent_encode(value, FORM)),
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
    let mut shown = 0;
    for (at, byte) in value.bytes().enumerate() {
        if needs_escape(byte) {
            out.push_str(value.get(shown..at).unwrap_or_default());
            push_escaped(out, byte);
            shown = at + 1;
        }
    }
    out.push_str(value.get(shown..).unwrap_or_default());
}

/// None of these is a part of a longer character.
fn needs_escape(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

fn push_escaped(out: &mut String, byte: u8) {
    match byte {
        b'"' => out.push_str("\\\""),
        b'\\' => out.push_str("\\\\"),
        b'\n' => out.push_str("\\n"),
        b'\r' => out.push_str("\\r"),
        b'\t' => out.push_str("\\t"),
        other => {
            // Writing to a String cannot fail.
            let _infallible = write!(out, "\\u{other:04x}");
        }
    }
}
