//! GitHub's checks of a dispatch's content, in GitHub's order as far as it is known.

use serde_json::{Map, Value};

/// Longest `event_type` in characters (GitHub `OpenAPI`).
const EVENT_TYPE_MAX: usize = 100;
/// Most top-level keys of `client_payload` (GitHub `OpenAPI`).
const PAYLOAD_KEYS_MAX: usize = 10;
/// Most inputs of a workflow (GitHub docs: events that trigger workflows).
const INPUTS_MAX: usize = 25;
/// Largest body in bytes (GitHub docs: 65,535 characters of payload).
const BODY_MAX: usize = 65_535;

/// Why GitHub refuses a dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    BadJson,
    NotAnObject,
    /// The key is missing or empty.
    NotSupplied(&'static str),
    /// The key's value is not of this type.
    WrongType(&'static str, &'static str),
    TooLong(usize),
    TooManyKeys {
        allowed: usize,
        supplied: usize,
    },
    TooLarge,
}

impl Refusal {
    /// Recorded answer that this refusal is modelled on.
    pub(crate) fn case(self) -> &'static str {
        match self {
            Self::BadJson => "bad-json-400",
            Self::NotAnObject => "not-an-object-400",
            Self::NotSupplied(_) | Self::WrongType(..) | Self::TooLong(_) => {
                "missing-event-type-422"
            }
            Self::TooManyKeys { .. } => "too-many-properties-422",
            Self::TooLarge => "payload-too-large-422",
        }
    }

    /// Message in place of the recorded one, where that one names its own request's numbers.
    pub(crate) fn message(self) -> Option<String> {
        match self {
            Self::BadJson | Self::NotAnObject | Self::TooLarge => None,
            Self::NotSupplied(key) => {
                Some(format!("Invalid request.\n\n\"{key}\" wasn't supplied."))
            }
            Self::WrongType(key, wanted) => Some(format!(
                "Invalid request.\n\nFor 'properties/{key}', the value is not {wanted}."
            )),
            Self::TooLong(length) => Some(format!(
                "Invalid request.\n\nOnly {EVENT_TYPE_MAX} characters are allowed; {length} were \
                 supplied."
            )),
            Self::TooManyKeys { allowed, supplied } => Some(format!(
                "Invalid request.\n\nNo more than {allowed} properties are allowed; {supplied} \
                 were supplied."
            )),
        }
    }
}

/// A request's content: `json` is `None` if the body is no JSON.
#[derive(Clone, Copy)]
pub(crate) struct Content<'a> {
    pub(crate) media_type: Option<&'a str>,
    pub(crate) length: usize,
    pub(crate) json: Option<&'a Value>,
}

impl<'a> Content<'a> {
    fn object(self) -> Result<&'a Map<String, Value>, Refusal> {
        if !self.media_type.is_some_and(is_json) {
            return Err(Refusal::BadJson);
        }
        let json = self.json.ok_or(Refusal::BadJson)?;
        json.as_object().ok_or(Refusal::NotAnObject)
    }
}

/// Checks a `repository_dispatch`.
pub(crate) fn repository_dispatch(content: Content<'_>) -> Result<(), Refusal> {
    let object = content.object()?;
    let event_type = text(object, "event_type")?;
    let length = event_type.chars().count();
    if length > EVENT_TYPE_MAX {
        return Err(Refusal::TooLong(length));
    }
    count_keys(object, "client_payload", PAYLOAD_KEYS_MAX)?;
    check_length(content.length)
}

/// Checks a `workflow_dispatch`.
pub(crate) fn workflow_dispatch(content: Content<'_>) -> Result<(), Refusal> {
    let object = content.object()?;
    text(object, "ref")?;
    count_keys(object, "inputs", INPUTS_MAX)?;
    check_length(content.length)
}

fn text<'a>(object: &'a Map<String, Value>, key: &'static str) -> Result<&'a str, Refusal> {
    match object.get(key) {
        None | Some(Value::Null) => Err(Refusal::NotSupplied(key)),
        Some(Value::String(text)) if text.is_empty() => Err(Refusal::NotSupplied(key)),
        Some(Value::String(text)) => Ok(text),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(Refusal::WrongType(key, "a string"))
        }
    }
}

fn count_keys(
    object: &Map<String, Value>,
    key: &'static str,
    allowed: usize,
) -> Result<(), Refusal> {
    match object.get(key) {
        None => Ok(()),
        Some(Value::Object(inner)) if inner.len() <= allowed => Ok(()),
        Some(Value::Object(inner)) => Err(Refusal::TooManyKeys { allowed, supplied: inner.len() }),
        Some(
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_),
        ) => Err(Refusal::WrongType(key, "an object")),
    }
}

fn check_length(length: usize) -> Result<(), Refusal> {
    if length > BODY_MAX {
        return Err(Refusal::TooLarge);
    }
    Ok(())
}

/// `application/json` or a `+json` type, parameters aside.
fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}

#[cfg(test)]
mod tests;
