//! Reading events: every form that people have them in, as a list of JSON texts.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde_json::value::RawValue;
use serde_json::{Deserializer, Value};
use uuid::Uuid;

use crate::Failure;

/// All of the input is parsed before anything is sent, so that a broken file sends nothing.
const MAX_INPUT: u64 = 256 * 1024 * 1024;
/// Events in one call.
const MAX_CHUNK: usize = 500;
/// Bytes in one call; the intake takes 8 MiB.
const MAX_CHUNK_BYTES: usize = 4 * 1024 * 1024;

/// The two kinds of events, which don't mix in one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// postrider's own form.
    Plain,
    /// A structured CloudEvent.
    Cloud,
}

/// An event as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) kind: Kind,
    pub(super) json: String,
}

/// Reads and parses the input; no event at all is an error.
pub(super) fn read(path: &Path) -> Result<Vec<Event>, Failure> {
    let text = read_text(path)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    let events = parse(&text).map_err(|error| {
        Failure::usage(format!("the input is no JSON: {error}"))
            .fix("give JSON, an array, JSON lines or CloudEvents; nothing was sent")
    })?;
    if events.is_empty() {
        return Err(Failure::usage("the input holds no event"));
    }
    Ok(events)
}

fn read_text(path: &Path) -> io::Result<String> {
    let source: Box<dyn Read> =
        if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
    let mut text = String::new();
    source.take(MAX_INPUT + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_INPUT {
        return Err(io::Error::other("it is larger than 256 MiB: split it"));
    }
    // Windows shells put a byte order mark first.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

pub(super) fn parse(text: &str) -> serde_json::Result<Vec<Event>> {
    let mut events = Vec::new();
    for value in Deserializer::from_str(text).into_iter::<&RawValue>() {
        let value = value?.get();
        if value.starts_with('[') {
            let items: Vec<&RawValue> = serde_json::from_str(value)?;
            events.extend(items.into_iter().map(|item| event(item.get())));
        } else {
            events.push(event(value));
        }
    }
    Ok(events)
}

/// The event as it was written, with an idempotency key if it has none.
fn event(json: &str) -> Event {
    let Ok(Value::Object(members)) = serde_json::from_str(json) else {
        return Event { kind: Kind::Plain, json: json.to_owned() };
    };
    if members.contains_key("specversion") {
        return Event { kind: Kind::Cloud, json: json.to_owned() };
    }
    let json = match json.trim_start().strip_prefix('{') {
        Some(rest) if !members.contains_key("id") => {
            let comma = if members.is_empty() { "" } else { "," };
            format!("{{\"id\":\"{}\"{comma}{rest}", Uuid::now_v7())
        }
        Some(_) | None => json.to_owned(),
    };
    Event { kind: Kind::Plain, json }
}

/// Calls' worth of events, in order.
pub(super) fn chunks(events: &[Event]) -> impl Iterator<Item = &[Event]> {
    let mut rest = events;
    std::iter::from_fn(move || {
        let kind = rest.first()?.kind;
        let mut bytes = 0;
        let fits = |event: &&Event| {
            bytes += event.json.len();
            event.kind == kind && bytes <= MAX_CHUNK_BYTES
        };
        // A single event that is too large is for the intake to refuse.
        let count = rest.iter().take(MAX_CHUNK).take_while(fits).count().max(1);
        let (chunk, others) = rest.split_at(count);
        rest = others;
        Some(chunk)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jsons(text: &str) -> Vec<String> {
        parse(text).unwrap().into_iter().map(|event| event.json).collect()
    }

    #[test]
    fn all_forms_are_read() {
        let one = r#"{"id":"a","x":1}"#;
        let two = r#"{"id":"b"}"#;
        for text in [
            format!("[{one},{two}]"),
            format!("{one}\n{two}\n"),
            format!("{one}{two}"),
            format!("[{one}]\n[{two}]"),
        ] {
            assert_eq!(jsons(&text), [one, two], "{text}");
        }
        assert!(parse("{\"id\":\"a\"}\n{\"id\":").is_err());
        assert!(parse(" \n").unwrap().is_empty());
    }

    #[test]
    fn a_missing_key_is_added_and_nothing_else_changes() {
        let added = jsons(r#"{ "n": 1.50 }"#).remove(0);
        let value: Value = serde_json::from_str(&added).unwrap();
        assert!(value["id"].as_str().unwrap().parse::<Uuid>().is_ok());
        assert!(added.ends_with(r#", "n": 1.50 }"#), "{added}");
        let empty: Value = serde_json::from_str(&jsons("{}").remove(0)).unwrap();
        assert_eq!(empty.as_object().unwrap().len(), 1);
        assert_eq!(jsons("[1]"), ["1"]);
    }

    #[test]
    fn chunks_are_bounded_and_of_one_kind() {
        let plain = |bytes: usize| Event { kind: Kind::Plain, json: "x".repeat(bytes) };
        let cloud = Event { kind: Kind::Cloud, json: String::new() };
        let sizes = |events: &[Event]| chunks(events).map(<[Event]>::len).collect::<Vec<_>>();
        assert_eq!(sizes(&vec![plain(1); 1201]), [500, 500, 201]);
        assert_eq!(sizes(&[plain(1), cloud.clone(), cloud, plain(1)]), [1, 2, 1]);
        let large = MAX_CHUNK_BYTES - 1;
        assert_eq!(
            sizes(&[plain(large), plain(2), plain(MAX_CHUNK_BYTES + 1), plain(1)]),
            [1, 1, 1, 1]
        );
        assert_eq!(sizes(&[]), [0_usize; 0]);
    }
}
