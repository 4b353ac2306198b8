//! The body of a call: a JSON object, and its members.

use axum::body::Body;
use http::{HeaderMap, StatusCode, header};
use postrider_http_server::body::{self, Limits};
use postrider_http_server::json::{self, JsonFault, kind};
use postrider_http_server::{Problem, media_type};
use serde_json::{Map, Value};

use crate::app::App;

/// Bytes of a request to the operations API: a secret of 64 KiB, every byte of it escaped.
const MAX_BODY: usize = 512 * 1024;

/// The body as a JSON object with no other members than `known`.
pub(super) async fn read_object(
    app: &App,
    headers: &HeaderMap,
    body: Body,
    known: &[&str],
) -> Result<Map<String, Value>, Problem> {
    let object = read_any_object(app, headers, body).await?;
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(object),
        Some(unknown) => {
            let near = postrider_domain::suggestions::hint(unknown, known.iter().copied());
            let pointer = json::pointer_step(unknown);
            Err(Problem::bad(pointer, format!("is no known member{near}")))
        }
    }
}

/// The body as a JSON object.
pub(super) async fn read_any_object(
    app: &App,
    headers: &HeaderMap,
    body: Body,
) -> Result<Map<String, Value>, Problem> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if media_type(given.unwrap_or_default()).0 != "application/json" {
        let detail = "send Content-Type: application/json";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let mut permit = app.memory().enter()?;
    let limits = Limits { bytes: MAX_BODY, time: app.config.request_timeout };
    let bytes = body::read(headers, body, app.memory(), &mut permit, limits).await?;
    let text = String::from_utf8(bytes).map_err(|_| Problem::bad("", "is not valid UTF-8"))?;
    let value = json::parse(&text).map_err(|fault| match &fault {
        JsonFault::TooDeep(_) => Problem::bad("", fault.to_string()),
        // The parser's own words may quote a value, which may be a secret.
        JsonFault::Syntax(error) => {
            let (line, column) = (error.line(), error.column());
            Problem::bad("", format!("is not valid JSON at line {line} column {column}"))
        }
        JsonFault::Nul { pointer } => Problem::bad(pointer.as_str(), fault.to_string()),
    })?;
    match value {
        Value::Object(object) => Ok(object),
        other => Err(Problem::bad("", format!("must be an object, not {}", kind(&other)))),
    }
}

/// A member that has to be a string.
pub(super) fn required_text<'a>(
    object: &'a Map<String, Value>,
    key: &str,
) -> Result<&'a str, Problem> {
    let pointer = json::pointer_step(key);
    match object.get(key) {
        None => Err(Problem::bad(pointer, "is required: a string")),
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(Problem::bad(pointer, format!("must be a string, not {}", kind(other)))),
    }
}

/// A text that may be missing or null.
pub(super) fn optional_text<'a>(
    object: &'a Map<String, Value>,
    key: &str,
) -> Result<Option<&'a str>, Problem> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(_) => required_text(object, key).map(Some),
    }
}

/// A member that is `false` when missing.
pub(super) fn flag(object: &Map<String, Value>, key: &str) -> Result<bool, Problem> {
    match object.get(key) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(other) => {
            let detail = format!("must be true or false, not {}", kind(other));
            Err(Problem::bad(json::pointer_step(key), detail))
        }
    }
}
