//! CloudEvents 1.0, JSON event format and HTTP protocol binding.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use postrider_domain::EventName;
use postrider_http_server::Problem;
use postrider_http_server::json::{self, kind};
use serde_json::{Map, Value};

use crate::payload::{Hints, Sent, check_key, read_event, unknown_name};

/// The attributes that matter here.
struct Attributes {
    key: String,
    hints: Hints,
}

/// Reads a CloudEvent in structured mode, and its idempotency key.
pub(super) fn structured(value: &Value, at: &str) -> Result<(Sent, Option<String>), Problem> {
    let Value::Object(object) = value else {
        return Err(Problem::bad(at, format!("must be a CloudEvent, not {}", kind(value))));
    };
    let attributes = attributes(
        &|name| match object.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(format!("must be a string, not {}", kind(other))),
        },
        &|name| format!("{at}/{name}"),
    )?;
    let (data, pointer) = data(object, at)?;
    let sent = read_event(&data, &pointer, &attributes.hints)?;
    Ok((sent, Some(attributes.key)))
}

/// Reads a CloudEvent in binary mode, and its idempotency key.
pub(super) fn binary(headers: &HeaderMap, body: &Value) -> Result<(Sent, Option<String>), Problem> {
    let attributes = attributes(&|name| header_attribute(headers, name), &|_| String::new())
        .map_err(|problem| named_header(problem, headers))?;
    let sent = read_event(body, "", &attributes.hints)?;
    Ok((sent, Some(attributes.key)))
}

type Get<'a> = dyn Fn(&str) -> Result<Option<String>, String> + 'a;

fn attributes(get: &Get<'_>, pointer: &dyn Fn(&str) -> String) -> Result<Attributes, Problem> {
    let required = |name: &str| {
        let fault = |detail: String| Problem::bad(pointer(name), format!("({name}) {detail}"));
        let text = get(name).map_err(fault)?;
        text.filter(|text| !text.is_empty())
            .ok_or_else(|| fault(format!("is required: the CloudEvent's {name}")))
    };
    let version = required("specversion")?;
    if version != "1.0" {
        return Err(Problem::bad(pointer("specversion"), "(specversion) must be 1.0"));
    }
    let (id, source, kind) = (required("id")?, required("source")?, required("type")?);
    for (name, text) in [("id", &id), ("source", &source)] {
        check_key(text)
            .map_err(|fault| Problem::bad(pointer(name), format!("({name}) {fault}")))?;
    }
    let name = kind.rsplit('.').next().unwrap_or_default();
    let event_name: EventName = name.parse().map_err(|_| unknown_name(&pointer("type"), name))?;
    let occurred_at = time(get, pointer)?;
    let hints = Hints { event_name: Some(event_name), occurred_at };
    Ok(Attributes { key: format!("ce:{source}\n{id}"), hints })
}

fn time(get: &Get<'_>, pointer: &dyn Fn(&str) -> String) -> Result<Option<Timestamp>, Problem> {
    let fault = |detail: String| Problem::bad(pointer("time"), format!("(time) {detail}"));
    let Some(text) = get("time").map_err(fault)?.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let parsed = text.parse();
    parsed.map(Some).map_err(|_| fault("must be a time as in RFC 3339".to_owned()))
}

/// The event in `data`, or in `data_base64`, and its pointer.
fn data(object: &Map<String, Value>, at: &str) -> Result<(Value, String), Problem> {
    if let Some(data) = object.get("data") {
        return Ok((data.clone(), format!("{at}/data")));
    }
    let pointer = format!("{at}/data_base64");
    match object.get("data_base64") {
        None => Err(Problem::bad(format!("{at}/data"), "is required: the event")),
        Some(Value::String(text)) => {
            let fault = || Problem::bad(&pointer, "must be base64 of an event in JSON");
            let bytes = STANDARD.decode(text).map_err(|_| fault())?;
            let text = String::from_utf8(bytes).map_err(|_| fault())?;
            let value = json::parse(&text)
                .map_err(|error| Problem::bad(&pointer, format!("decoded, it {error}")))?;
            Ok((value, pointer))
        }
        Some(other) => Err(Problem::bad(pointer, format!("must be a string, not {}", kind(other)))),
    }
}

/// Header values are percent-encoded (HTTP protocol binding, section 3.1.3.2).
fn header_attribute(headers: &HeaderMap, name: &str) -> Result<Option<String>, String> {
    let Some(value) = headers.get(format!("ce-{name}")) else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_| "must be percent-encoded ASCII".to_owned())?;
    let decoded = percent_decode_str(text.trim_matches('"')).decode_utf8();
    decoded
        .map(|text| Some(text.into_owned()))
        .map_err(|_| "must be percent-encoded UTF-8".to_owned())
}

/// In binary mode the faulty attribute is a header: the text says so, the pointer can't.
fn named_header(mut problem: Problem, _headers: &HeaderMap) -> Problem {
    for error in &mut problem.errors {
        let detail = error.detail.strip_prefix('(').and_then(|rest| rest.split_once(") "));
        let header = match detail {
            Some((name, detail)) => format!("the header ce-{name} {detail}"),
            None => format!("the header ce-type {}", error.detail),
        };
        error.detail.clone_from(&header);
        problem.detail = header;
    }
    problem
}
