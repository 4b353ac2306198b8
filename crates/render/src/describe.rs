//! Requests and answers as they are kept with an attempt: short, and without secrets.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;
use url::{Position, Url};

use crate::headers::is_secret_name;
use crate::{Redactor, RenderedRequest};

/// How much of a body is kept, in bytes.
pub const MAX_SHOWN_BYTES: usize = 8 * 1024;

/// How much of a URL or of a header's value is kept, in bytes.
const MAX_SHOWN_VALUE: usize = 2 * 1024;

/// How many headers are kept.
const MAX_SHOWN_HEADERS: usize = 64;

/// What stands for a header's value that is secret by the header's name (Pact Broker 2.120).
const HIDDEN: &str = "**********";

/// Names a date, though its own name has "token" in it; GitHub sends it so that people notice.
const TOKEN_EXPIRATION: &str = "github-authentication-token-expiration";

/// Headers of answers that are credentials, or lead to some.
const HIDDEN_IN_ANSWERS: [&str; 2] = ["set-cookie", "x-github-sso"];

/// Names and values.
type ShownHeaders<'a> = Vec<(&'a str, String)>;

#[derive(Serialize)]
struct ShownRequest<'a> {
    method: &'a str,
    url: String,
    #[serde(serialize_with = "as_object")]
    headers: ShownHeaders<'a>,
    #[serde(flatten)]
    body: ShownBody,
}

#[derive(Serialize)]
struct ShownResponse<'a> {
    status: u16,
    #[serde(serialize_with = "as_object")]
    headers: ShownHeaders<'a>,
    #[serde(flatten)]
    body: ShownBody,
}

#[derive(Serialize)]
struct ShownBody {
    body: Option<BodyText>,
    /// The whole size, when only a part is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_bytes: Option<usize>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum BodyText {
    Json(Box<RawValue>),
    Text(String),
}

/// The request as one JSON object `{"method","url","headers","body"}`. Values of headers that
/// are named like authorization or token are ten stars, secrets anywhere else eight; the body
/// is cut after [`MAX_SHOWN_BYTES`], and `body_bytes` then says how long it is.
pub fn describe_request(request: &RenderedRequest, redactor: &Redactor) -> String {
    let shown = ShownRequest {
        method: request.method.as_str(),
        url: shown_url(&request.url, redactor),
        headers: shown_headers(&request.headers, redactor, |name| is_secret_name(name.as_str())),
        body: request.body.as_deref().map_or_else(ShownBody::none, |b| ShownBody::of(b, redactor)),
    };
    to_json(&shown)
}

/// The answer as one JSON object `{"status","headers","body"}`, like [`describe_request`].
/// An empty body is `null`. Nothing in it can be refused by a store that takes JSON.
pub fn describe_response(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    redactor: &Redactor,
) -> String {
    let shown = ShownResponse {
        status: status.as_u16(),
        headers: shown_headers(headers, redactor, hidden_in_answer),
        body: if body.is_empty() { ShownBody::none() } else { ShownBody::of(body, redactor) },
    };
    to_json(&shown)
}

/// Rendering leaves no user info in a URL, but whoever changed it since may have.
fn shown_url(url: &Url, redactor: &Redactor) -> String {
    let origin = &url[..Position::BeforeUsername];
    let rest = &url[Position::BeforeHost..];
    let text = [origin, rest].concat();
    shown_text(text.as_bytes(), redactor, MAX_SHOWN_VALUE)
}

fn hidden_in_answer(name: &HeaderName) -> bool {
    HIDDEN_IN_ANSWERS.contains(&name.as_str())
        || (is_secret_name(name.as_str()) && name.as_str() != TOKEN_EXPIRATION)
}

fn shown_headers<'a>(
    headers: &'a HeaderMap,
    redactor: &Redactor,
    hidden: impl Fn(&HeaderName) -> bool,
) -> ShownHeaders<'a> {
    let shown = |name: &HeaderName| {
        if hidden(name) {
            return HIDDEN.to_owned();
        }
        let values: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
        shown_text(&values.join(&b", "[..]), redactor, MAX_SHOWN_VALUE)
    };
    headers.keys().take(MAX_SHOWN_HEADERS).map(|name| (name.as_str(), shown(name))).collect()
}

fn as_object<S: Serializer>(headers: &ShownHeaders<'_>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(headers.iter().map(|(name, value)| (name, value)))
}

impl ShownBody {
    fn none() -> Self {
        Self { body: None, body_bytes: None }
    }

    fn of(body: &[u8], redactor: &Redactor) -> Self {
        let cut = body.len() > MAX_SHOWN_BYTES;
        let text = shown_text(body, redactor, MAX_SHOWN_BYTES);
        Self { body: Some(BodyText::of(text)), body_bytes: cut.then_some(body.len()) }
    }
}

impl BodyText {
    /// JSON is shown as JSON. Only what holds escapes or line breaks has to be read for that:
    /// half a surrogate pair or `\u0000` is JSON to some readers and none to others.
    fn of(text: String) -> Self {
        let json = if text.contains("\\u") || text.contains('\n') {
            let value = serde_json::from_str::<Value>(&text).ok();
            let compact = value.map(|value| value.to_string());
            compact.filter(|compact| !compact.contains("\\u0000"))
        } else {
            Some(text.clone())
        };
        match json.and_then(|json| RawValue::from_string(json).ok()) {
            Some(raw) => Self::Json(raw),
            None => Self::Text(text),
        }
    }
}

/// Redacted, cut and readable: what is no UTF-8 becomes U+FFFD, and so does U+0000, which
/// `PostgreSQL` can't keep.
fn shown_text(bytes: &[u8], redactor: &Redactor, limit: usize) -> String {
    let redacted = redactor.redact_head(bytes, limit);
    let text = String::from_utf8_lossy(&redacted);
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text.into_owned() }
}

fn to_json(shown: &impl Serialize) -> String {
    // Strings and numbers only, which always serialise.
    serde_json::to_string(shown).unwrap_or_else(|_| "null".to_owned())
}
