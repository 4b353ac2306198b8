//! What came back, and what an error document says.

use std::time::Duration;

use bytes::Bytes;
use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, StatusCode};
use jiff::Timestamp;
use serde_json::Value;

/// Of an error's text this much is quoted.
const QUOTED_MAX: usize = 300;

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The document; null when there is none or it is no JSON.
    pub body: Value,
    /// The bytes that came; logs of webhooks are text.
    pub bytes: Bytes,
}

impl Answer {
    pub(crate) fn new(status: StatusCode, headers: HeaderMap, bytes: Bytes) -> Self {
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Self { status, headers, body, bytes }
    }

    /// What the document says went wrong, on one line of at most 300 characters; else the
    /// status' own words.
    pub fn said(&self) -> String {
        let text = error_text(&self.body).unwrap_or_else(|| {
            self.status.canonical_reason().unwrap_or("no reason given").to_lowercase()
        });
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        line.chars().take(QUOTED_MAX).collect()
    }

    /// `Retry-After`.
    pub fn retry_after(&self) -> Option<Duration> {
        retry_after(&self.headers)
    }
}

/// `Retry-After` as seconds or as a date, the latter against the answer's own clock.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let header = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let value = header(RETRY_AFTER)?;
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok();
    let until: Timestamp = date(value)?;
    Duration::try_from(until.duration_since(date(header(DATE)?)?)).ok()
}

/// What an error document says, in any of the shapes that a Pact Broker, PactFlow or postrider
/// use: problem documents, `{"error": "text"}`, `{"error": {"message"}}`, `{"errors": …}`.
pub fn error_text(body: &Value) -> Option<String> {
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let nested = body.pointer("/error/message").and_then(Value::as_str);
    let said = text("detail").or_else(|| text("error")).or(nested).or_else(|| text("title"));
    let listed = error_list(body.get("errors"));
    // Some documents say the one error twice.
    let is_said = said.is_some_and(|said| listed == [said]);
    match (said, listed.is_empty()) {
        (said, true) => said.map(str::to_owned),
        (Some(said), false) if is_said => Some(said.to_owned()),
        (Some(said), false) => Some(format!("{said}: {}", listed.join("; "))),
        (None, false) => Some(listed.join("; ")),
    }
}

/// The single errors of a document's `errors`: `{"request.url": ["is missing"]}` and
/// `["Pacticipant X not found"]` of a broker, `[{"pointer", "detail"}]` of a problem document.
pub fn error_list(errors: Option<&Value>) -> Vec<String> {
    match errors {
        Some(Value::Object(by_key)) => by_key
            .iter()
            .flat_map(|(key, messages)| {
                let messages = messages.as_array().map(Vec::as_slice).unwrap_or_default();
                messages
                    .iter()
                    .map(move |message| format!("{key} {}", message.as_str().unwrap_or_default()))
            })
            .collect(),
        Some(Value::Array(items)) => items.iter().map(error_item).collect(),
        _ => Vec::new(),
    }
}

fn error_item(item: &Value) -> String {
    let text = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default();
    match item {
        Value::String(text) => text.clone(),
        _ => format!("{} {}", text("pointer"), text("detail")).trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn errors_of_every_shape_are_read() {
        for (body, expected) in [
            (json!({"title": "Bad", "detail": "no"}), Some("no")),
            (json!({"error": "not on this server"}), Some("not on this server")),
            (json!({"error": {"message": "oops", "reference": "x"}}), Some("oops")),
            (json!({"errors": {"request.url": ["is missing"]}}), Some("request.url is missing")),
            (json!({"errors": ["Pacticipant X not found"]}), Some("Pacticipant X not found")),
            (
                json!({"title": "Validation errors", "errors": [{"pointer": "/a", "detail": "b"}]}),
                Some("Validation errors: /a b"),
            ),
            (json!(null), None),
        ] {
            assert_eq!(error_text(&body).as_deref(), expected, "{body}");
        }
        let long = json!({"error": "x\n".repeat(5000)}).to_string();
        let answer = Answer::new(StatusCode::BAD_REQUEST, HeaderMap::new(), long.into());
        assert_eq!(answer.said().len(), QUOTED_MAX);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let headers = |value: &str| {
            let date = (DATE, "Sun, 22 Nov 2026 00:27:14 GMT".parse().unwrap());
            HeaderMap::from_iter([date, (RETRY_AFTER, value.parse().unwrap())])
        };
        assert_eq!(retry_after(&headers(" 7 ")), Some(Duration::from_secs(7)));
        let date = "Sun, 22 Nov 2026 00:28:14 GMT";
        assert_eq!(retry_after(&headers(date)), Some(Duration::from_mins(1)));
        assert_eq!(retry_after(&headers("Sun, 22 Nov 2026 00:26:14 GMT")), None);
        assert_eq!(retry_after(&headers("soon")), None);
    }
}
