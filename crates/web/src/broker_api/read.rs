//! Reading a webhook document, with the broker's words for what can't be read.

use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use postrider_http_server::body::{self, Limits};
use postrider_http_server::json::{self, JsonFault, MAX_DEPTH};
use postrider_http_server::media_type;
use serde_json::{Error, Value};

use crate::app::App;
use crate::broker_api::response::Failure;

/// Bytes of a document.
const MAX_DOCUMENT: usize = 1024 * 1024;

/// Whether the request says that its body is JSON; parameters such as a charset don't matter.
pub(super) fn is_json(parts: &Parts) -> bool {
    let value = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    media_type(value.unwrap_or_default()).0 == "application/json"
}

/// The body as JSON. What is neither JSON nor said to be is of an unsupported type.
pub(super) async fn document(app: &App, parts: &Parts, body: Body) -> Result<Value, Failure> {
    let mut permit = app.memory().enter()?;
    let limits = Limits { bytes: MAX_DOCUMENT, time: app.config.request_timeout };
    let bytes = body::read(&parts.headers, body, app.memory(), &mut permit, limits).await?;
    let parsed = parse(&bytes);
    if is_json(parts) { parsed } else { parsed.map_err(|_| Failure::UnsupportedType) }
}

pub(super) fn parse(bytes: &[u8]) -> Result<Value, Failure> {
    let text = std::str::from_utf8(bytes).map_err(|error| not_utf8(bytes, error.valid_up_to()))?;
    json::parse(text).map_err(|fault| match fault {
        JsonFault::TooDeep(depth) => Failure::Unreadable(format!(
            "JSON::NestingError - nesting of {depth} is too deep: at most {MAX_DEPTH} levels"
        )),
        JsonFault::Syntax(error) => Failure::Unreadable(syntax(&error)),
        JsonFault::Nul { pointer } => Failure::invalid(
            &pointer.trim_start_matches('/').replace('/', "."),
            "cannot contain the character U+0000".to_owned(),
        ),
    })
}

/// How much of the text before the fault is shown, in characters.
const FRAGMENT: usize = 100;

fn not_utf8(bytes: &[u8], valid: usize) -> Failure {
    let valid = String::from_utf8_lossy(bytes.get(..valid).unwrap_or_default());
    let count = valid.chars().count();
    let fragment: String = valid.chars().skip(count.saturating_sub(FRAGMENT)).collect();
    Failure::Unreadable(format!(
        "Request body has a non UTF-8 character at char {} and cannot be parsed as JSON. \
         Fragment preceding invalid character is: '{fragment}'",
        count + 1
    ))
}

fn syntax(error: &Error) -> String {
    if error.is_eof() {
        let (line, column) = (error.line().max(1), error.column() + 1);
        format!("JSON::ParserError - unexpected end of input at line {line} column {column}")
    } else {
        format!("JSON::ParserError - {error}")
    }
}

/// Scalars and arrays are no documents.
pub(super) fn must_be_object(value: &Value) -> Result<(), Failure> {
    if value.is_object() {
        return Ok(());
    }
    let found = ruby_class(value);
    let detail = format!("Expected JSON Object in request body but found {found}");
    Err(Failure::Unreadable(format!("RuntimeError - {detail}")))
}

/// The broker names what it found by Ruby's class.
fn ruby_class(value: &Value) -> &'static str {
    match value {
        Value::Null => "NilClass",
        Value::Bool(true) => "TrueClass",
        Value::Bool(false) => "FalseClass",
        Value::Number(number) if number.is_f64() => "Float",
        Value::Number(_) => "Integer",
        Value::String(_) => "String",
        Value::Array(_) => "Array",
        Value::Object(_) => "Hash",
    }
}
