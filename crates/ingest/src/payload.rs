//! The wire form of an event. Where there may be a fault it is converted by hand: every fault is
//! found, named by a JSON pointer and told with its fix.

mod plain;

pub(crate) use plain::read_plain;

use http::StatusCode;
use jiff::Timestamp;
use postrider_api::FieldError;
use postrider_domain::{Event, EventName, Pacticipant};
use postrider_http_server::Problem;
use postrider_http_server::json::{kind, pointer_step};
use serde_json::{Map, Value};

/// Longest name of a pacticipant or broker, and longest idempotency key, in bytes.
pub(crate) const MAX_NAME: usize = 255;

/// Most tags, labels or descriptions of one side: more are a fault of the sender, and each takes
/// many times its text.
pub(crate) const MAX_LIST: usize = 1_000;

/// The broker of an event that names none.
pub(crate) const DEFAULT_BROKER: &str = "default";

/// What an envelope (a CloudEvent) says of the event in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Hints {
    /// The name by the envelope's `type`.
    pub(crate) event_name: Option<EventName>,
    /// When the envelope says it happened.
    pub(crate) occurred_at: Option<Timestamp>,
}

/// An event as sent, with the sender's own key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) event: Event,
    pub(crate) id: Option<String>,
}

/// Reads one event. `at` is the JSON pointer of `value` in the request's body.
pub(crate) fn read_event(value: &Value, at: &str, hints: &Hints) -> Result<Sent, Problem> {
    let Value::Object(object) = value else {
        return Err(Problem::bad(at, format!("must be an object, not {}", kind(value))));
    };
    let mut reader = Reader { at, errors: Vec::new() };
    let name = reader.event_name(object, hints);
    let broker = reader.text(object, "", "broker", MAX_NAME);
    let event = Event {
        event_name: name.unwrap_or(EventName::ContractPublished),
        occurred_at: reader.instant(object, "occurred_at").or(hints.occurred_at),
        broker: if broker.is_empty() { DEFAULT_BROKER.to_owned() } else { broker },
        consumer: reader.side(object, "consumer"),
        provider: reader.provider(object),
        pact_url: reader.text(object, "", "pact_url", usize::MAX),
        verification_result_url: reader.text(object, "", "verification_result_url", usize::MAX),
        verification_success: reader.flag(object, "verification_success"),
        build_url: reader.text(object, "", "build_url", usize::MAX),
        currently_deployed_provider_version_number: reader.text(
            object,
            "",
            "currently_deployed_provider_version_number",
            usize::MAX,
        ),
    };
    let id = reader.key(object, "id");
    if reader.errors.is_empty() && name.is_none() {
        let given = object.get("event_name").and_then(Value::as_str).unwrap_or_default();
        return Err(unknown_name(&format!("{at}/event_name"), given));
    }
    reader.finish(Sent { event, id })
}

/// Whether a text can be an idempotency key; the message is for a person.
pub(crate) fn check_key(key: &str) -> Result<(), String> {
    if key.is_empty() {
        Err("must not be empty: leave it out or give it a value".to_owned())
    } else if key.len() > MAX_NAME {
        Err(format!("is {} bytes long: at most {MAX_NAME} are allowed", key.len()))
    } else if key.chars().any(char::is_control) {
        Err("must hold printable characters only".to_owned())
    } else {
        Ok(())
    }
}

struct Reader<'a> {
    at: &'a str,
    errors: Vec<FieldError>,
}

impl Reader<'_> {
    fn fault(&mut self, path: &str, detail: impl Into<String>) {
        let pointer = format!("{}{path}", self.at);
        self.errors.push(FieldError { pointer, detail: detail.into() });
    }

    fn wrong_type(&mut self, path: &str, wanted: &str, found: &Value) {
        self.fault(path, format!("must be {wanted}, not {}", kind(found)));
    }

    fn finish<T>(self, read: T) -> Result<T, Problem> {
        if self.errors.is_empty() { Ok(read) } else { Err(Problem::fields(self.errors)) }
    }

    /// A text; missing and null are empty.
    fn text(
        &mut self,
        object: &Map<String, Value>,
        parent: &str,
        key: &str,
        longest: usize,
    ) -> String {
        match object.get(key) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) if text.len() > longest => {
                let found = text.len();
                let path = format!("{parent}{}", pointer_step(key));
                self.fault(&path, format!("is {found} bytes long: at most {longest} are allowed"));
                String::new()
            }
            Some(Value::String(text)) => text.clone(),
            Some(other) => {
                self.wrong_type(&format!("{parent}{}", pointer_step(key)), "a string", other);
                String::new()
            }
        }
    }

    /// A list of texts; missing and null are empty.
    fn texts(&mut self, object: &Map<String, Value>, parent: &str, key: &str) -> Vec<String> {
        let path = format!("{parent}/{key}");
        let items = match object.get(key) {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Array(items)) => items,
            Some(other) => {
                self.wrong_type(&path, "an array of strings", other);
                return Vec::new();
            }
        };
        if items.len() > MAX_LIST {
            let found = items.len();
            self.fault(&path, format!("has {found} items: at most {MAX_LIST} are allowed"));
            return Vec::new();
        }
        let mut texts = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            match item {
                Value::String(text) => texts.push(text.clone()),
                other => self.wrong_type(&format!("{path}/{i}"), "a string", other),
            }
        }
        texts
    }

    fn flag(&mut self, object: &Map<String, Value>, key: &str) -> Option<bool> {
        match object.get(key) {
            None | Some(Value::Null) => None,
            Some(Value::Bool(flag)) => Some(*flag),
            Some(other) => {
                self.wrong_type(&pointer_step(key), "true, false or null", other);
                None
            }
        }
    }

    fn instant(&mut self, object: &Map<String, Value>, key: &str) -> Option<Timestamp> {
        let text = self.text(object, "", key, usize::MAX);
        if text.is_empty() {
            return None;
        }
        let instant = text.parse().ok();
        if instant.is_none() {
            self.fault(
                &pointer_step(key),
                "must be a time as in RFC 3339, e.g. 2026-11-21T09:00:00Z",
            );
        }
        instant
    }

    fn key(&mut self, object: &Map<String, Value>, key: &str) -> Option<String> {
        match object.get(key) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => {
                if let Err(fault) = check_key(text) {
                    self.fault(&pointer_step(key), fault);
                }
                Some(text.clone())
            }
            Some(other) => {
                self.wrong_type(&pointer_step(key), "a string", other);
                None
            }
        }
    }

    /// The event's name; `None` when it is missing (a fault was noted) or unknown (none was).
    fn event_name(&mut self, object: &Map<String, Value>, hints: &Hints) -> Option<EventName> {
        let given = self.text(object, "", "event_name", usize::MAX);
        let is_absent =
            matches!(object.get("event_name"), None | Some(Value::Null | Value::String(_)));
        match hints.event_name {
            None if given.is_empty() && is_absent => {
                self.fault("/event_name", format!("is required: one of {}", all_names()));
                None
            }
            None => given.parse().ok(),
            Some(hinted) => {
                if !given.is_empty() && given != hinted.as_str() {
                    self.fault("/event_name", "differs from the type of the CloudEvent around it");
                }
                Some(hinted)
            }
        }
    }

    fn provider(&mut self, object: &Map<String, Value>) -> Pacticipant {
        let mut provider = self.side(object, "provider");
        if let Some(Value::Object(side)) = object.get("provider") {
            provider.version_descriptions = self.texts(side, "/provider", "version_descriptions");
        }
        provider
    }

    fn side(&mut self, object: &Map<String, Value>, key: &str) -> Pacticipant {
        let parent = pointer_step(key);
        match object.get(key) {
            Some(Value::Object(side)) => self.pacticipant(side, &parent),
            None => {
                self.fault(&parent, "is required: an object with a name");
                Pacticipant::default()
            }
            Some(other) => {
                self.wrong_type(&parent, "an object with a name", other);
                Pacticipant::default()
            }
        }
    }

    fn pacticipant(&mut self, side: &Map<String, Value>, parent: &str) -> Pacticipant {
        if matches!(side.get("name"), None | Some(Value::Null)) {
            self.fault(&format!("{parent}/name"), "is required: the pacticipant's name");
        } else if side.get("name").and_then(Value::as_str) == Some("") {
            self.fault(&format!("{parent}/name"), "must not be empty");
        }
        Pacticipant {
            name: self.text(side, parent, "name", MAX_NAME),
            version_number: self.text(side, parent, "version_number", usize::MAX),
            branch: self.text(side, parent, "branch", usize::MAX),
            tags: self.texts(side, parent, "tags"),
            labels: self.texts(side, parent, "labels"),
            version_descriptions: Vec::new(),
        }
    }
}

/// 422 for a name that is none of the six.
pub(crate) fn unknown_name(pointer: &str, given: &str) -> Problem {
    let near = postrider_domain::suggestions::hint(given, EventName::ALL.map(EventName::as_str));
    let detail = format!("is no known event name: use one of {}{near}", all_names());
    Problem::bad(pointer, detail).status(StatusCode::UNPROCESSABLE_ENTITY)
}

/// The names of the six events, for messages.
pub(crate) fn all_names() -> String {
    EventName::ALL.map(EventName::as_str).join(", ")
}

#[cfg(test)]
mod tests;
