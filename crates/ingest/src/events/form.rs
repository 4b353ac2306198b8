//! The forms that a call's body can have, and its cutting into events.

use std::fmt;

use http::{HeaderMap, StatusCode, header};
use postrider_http_server::{Problem, media_type};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Events of one call.
const MAX_EVENTS: usize = 10_000;

/// What the body is, by its content type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// An object or an array of objects.
    Json,
    /// An object on each line.
    Lines,
    /// A CloudEvent, structured mode.
    Cloud,
    /// An array of CloudEvents.
    CloudBatch,
    /// A CloudEvent, binary mode: attributes in headers, the event is the body.
    CloudBinary,
}

/// The events of a call as text.
#[derive(Debug)]
pub(super) struct Pieces<'a> {
    /// Whether the call can hold several, so that the answer is an array.
    pub(super) many: bool,
    pub(super) pieces: Vec<Piece<'a>>,
}

/// One event as text.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    pub(super) text: &'a str,
    /// Its place in the body, where that holds several.
    pub(super) index: Option<usize>,
}

impl Piece<'_> {
    /// Its place in the body, as a JSON pointer.
    pub(super) fn pointer(&self) -> String {
        self.index.map(|index| format!("/{index}")).unwrap_or_default()
    }
}

impl Form {
    /// Reads the content type; 415 for all that is not taken.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let (essence, charset) = media_type(value.unwrap_or_default());
        if charset.is_some_and(|charset| !charset.eq_ignore_ascii_case("utf-8")) {
            return Err(unsupported("a charset other than utf-8"));
        }
        match essence.as_str() {
            "application/json" if headers.contains_key("ce-specversion") => Ok(Self::CloudBinary),
            "application/json" => Ok(Self::Json),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(Self::Lines),
            "application/cloudevents+json" => Ok(Self::Cloud),
            "application/cloudevents-batch+json" => Ok(Self::CloudBatch),
            "" => Err(unsupported("no Content-Type")),
            _ => Err(unsupported("this Content-Type")),
        }
    }

    /// Cuts the body.
    pub(super) fn split(self, text: &str) -> Result<Pieces<'_>, Problem> {
        let begins_array = text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('[');
        match self {
            Self::Json | Self::CloudBatch if begins_array => array(text),
            Self::CloudBatch => Err(Problem::bad("", "must be an array of CloudEvents")),
            Self::Lines => lines(text),
            Self::Json | Self::Cloud | Self::CloudBinary => {
                let piece = Piece { text, index: None };
                Ok(Pieces { many: false, pieces: vec![piece] })
            }
        }
    }
}

fn unsupported(what: &str) -> Problem {
    let detail = format!(
        "{what} is not supported: send application/json, application/x-ndjson, \
         application/cloudevents+json or application/cloudevents-batch+json in UTF-8"
    );
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
}

fn array(text: &str) -> Result<Pieces<'_>, Problem> {
    let items: Items<'_> = serde_json::from_str(text)
        .map_err(|error| Problem::bad("", format!("is not valid JSON: {error}")))?;
    pieces(items.0.into_iter().map(RawValue::get))
}

fn lines(text: &str) -> Result<Pieces<'_>, Problem> {
    let filled = text.split('\n').map(|line| line.trim_matches([' ', '\t', '\r']));
    pieces(filled.filter(|line| !line.is_empty()).take(MAX_EVENTS + 1))
}

fn pieces<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Pieces<'a>, Problem> {
    let pieces = texts.enumerate().map(|(index, text)| Piece { text, index: Some(index) });
    let pieces: Vec<Piece<'_>> = pieces.collect();
    if pieces.is_empty() {
        return Err(Problem::bad("", "holds no event: send at least one"));
    }
    if pieces.len() > MAX_EVENTS {
        let detail = format!("holds more than {MAX_EVENTS} events: send fewer in one call");
        return Err(Problem::bad("", detail).status(StatusCode::PAYLOAD_TOO_LARGE));
    }
    Ok(Pieces { many: true, pieces })
}

/// The items of an array, of which at most one more than allowed is kept.
struct Items<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Items<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ItemsVisitor)
    }
}

struct ItemsVisitor;

impl<'de> Visitor<'de> for ItemsVisitor {
    type Value = Items<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            if items.len() <= MAX_EVENTS {
                items.push(item);
            }
        }
        Ok(Items(items))
    }
}
