//! Filters: `${pactbroker.NAME|FILTER}` escapes a value for a place that the template's owner
//! knows better than the renderer, such as XML or JSON inside a JSON string.

use std::borrow::Cow;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::encode::{self, Encoding};

/// What JSON would take, but not HTML and older JavaScript.
const ESCAPED_BEYOND_JSON: [char; 3] = ['<', '\u{2028}', '\u{2029}'];

/// How a value is written before its place's own encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Filter {
    /// The content of a JSON string without its quotes; `<`, U+2028 and U+2029 too, so that it
    /// may stand in HTML and in scripts.
    Json,
    /// Text and attribute values of XML 1.0; what it forbids becomes U+FFFD.
    Xml,
    /// `application/x-www-form-urlencoded`, with `+` for a space.
    Form,
    /// Percent-encoding of RFC 3986, with `%20` for a space.
    Url,
    /// RFC 4648 with padding, of the UTF-8 bytes.
    Base64,
}

impl Filter {
    pub(crate) const ALL: [Self; 5] = [Self::Json, Self::Xml, Self::Form, Self::Url, Self::Base64];

    /// As it is written behind the `|`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Xml => "xml",
            Self::Form => "form",
            Self::Url => "url",
            Self::Base64 => "base64",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|filter| filter.as_str() == name)
    }

    /// The value as the filter writes it, never shorter than it was.
    pub(crate) fn apply(self, value: Cow<'_, str>) -> Cow<'_, str> {
        let mut out = String::with_capacity(value.len());
        match self {
            Self::Json => push_json(&mut out, &value),
            Self::Xml => value.chars().for_each(|c| push_xml(&mut out, c)),
            Self::Form => encode::push(&mut out, &value, Encoding::Form),
            Self::Url => encode::push(&mut out, &value, Encoding::Url),
            Self::Base64 => STANDARD.encode_string(value.as_bytes(), &mut out),
        }
        if out == *value { value } else { Cow::Owned(out) }
    }

    /// The encoding of a URL's value once the filter was applied: `form` and `url` are encodings
    /// of their own.
    pub(crate) fn then(self, place: Encoding) -> Encoding {
        match (self, place) {
            (Self::Form | Self::Url, Encoding::Form) => Encoding::Raw,
            (_, place) => place,
        }
    }
}

fn push_json(out: &mut String, value: &str) {
    for piece in value.split_inclusive(ESCAPED_BEYOND_JSON) {
        let end = piece.chars().next_back().filter(|c| ESCAPED_BEYOND_JSON.contains(c));
        let plain = end.and_then(|end| piece.strip_suffix(end)).unwrap_or(piece);
        encode::push(out, plain, Encoding::Json);
        // Writing to a String cannot fail.
        let _infallible = end.map(|end| write!(out, "\\u{:04x}", u32::from(end)));
    }
}

fn push_xml(out: &mut String, c: char) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&#39;"),
        // XML 1.0, production 2 (Char).
        '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'.. => {
            out.push(c);
        }
        _ => out.push(char::REPLACEMENT_CHARACTER),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(filter: &str, value: &str) -> String {
        Filter::from_name(filter).unwrap().apply(value.into()).into_owned()
    }

    #[test]
    fn each_filter_writes_as_its_standard_says() {
        for (filter, value, expected) in [
            (
                "json",
                "a\"b\\c\n\u{1}\u{0}<\u{2028}\u{2029}>/\u{e9}",
                "a\\\"b\\\\c\\n\\u0001\\u0000\\u003c\\u2028\\u2029>/\u{e9}",
            ),
            ("json", "<<", "\\u003c\\u003c"),
            ("xml", "a&b<c>d\"e'f", "a&amp;b&lt;c&gt;d&quot;e&#39;f"),
            (
                "xml",
                "\t\n\r\u{0}\u{1f}\u{fffe}\u{ffff}\u{7f}\u{1f600}",
                "\t\n\r\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{7f}\u{1f600}",
            ),
            ("form", "a b/\u{e4}~*+", "a+b%2F%C3%A4~%2A%2B"),
            ("url", "a b/\u{e4}~*+-._", "a%20b%2F%C3%A4~%2A%2B-._"),
            ("base64", "a?>", "YT8+"),
            ("base64", "\u{e4}", "w6Q="),
            ("base64", "", ""),
        ] {
            assert_eq!(apply(filter, value), expected, "{filter} of {value:?}");
        }
    }

    #[test]
    fn names_are_exact() {
        for name in ["", "JSON", "json ", "html", "json|json", "Url"] {
            assert_eq!(Filter::from_name(name), None, "{name}");
        }
    }
}
