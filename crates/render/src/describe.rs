//! Requests and answers as they are kept with an attempt: short, and without secrets.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::Value;
use serde_json::value::RawValue;
use url::{Position, Url};

use crate::encode::{self, Encoding};
use crate::headers::is_secret_name;
use crate::{Redactor, RenderedRequest};

/// How much of a body is kept, in bytes.
pub const MAX_SHOWN_BYTES: usize = 8 * 1024;

/// How much of a URL or of a header's value is kept, in bytes.
const MAX_SHOWN_VALUE: usize = 2 * 1024;

/// How many headers are kept.
const MAX_SHOWN_HEADERS: usize = 64;

/// What stands for a header's value that is secret by the header's name (Pact Broker 2.120).
const HIDDEN: &str = "\"**********\"";

/// Names a date, though its own name has "token" in it; GitHub sends it so that people notice.
const TOKEN_EXPIRATION: &str = "github-authentication-token-expiration";

/// Bytes set aside for what is not the body.
const ROOM_FOR_HEADERS: usize = 512;

/// Headers of an answer that tell something about this one request, its limits or its future.
const TELLING: [&str; 11] = [
    "content-location",
    "deprecation",
    "link",
    "location",
    "retry-after",
    "sunset",
    "warning",
    "x-accepted-oauth-scopes",
    "x-oauth-scopes",
    "x-vercel-id",
    TOKEN_EXPIRATION,
];

/// Beginnings of the names of others.
const TELLING_PREFIXES: [&str; 3] = ["ratelimit", "x-ratelimit", "x-rate-limit"];

/// Ends of the names of others.
const TELLING_SUFFIXES: [&str; 5] =
    ["request-id", "requestid", "correlation-id", "trace-id", "-ray"];

/// Headers of answers that are credentials, or lead to some.
const HIDDEN_IN_ANSWERS: [&str; 2] = ["set-cookie", "x-github-sso"];

/// The request as one JSON object `{"method","url","headers","body"}`. Values of headers that
/// are named like authorization or token are ten stars, secrets anywhere else eight; the body
/// is cut after [`MAX_SHOWN_BYTES`], and `body_bytes` then says how long it is.
pub fn describe_request(request: &RenderedRequest, redactor: &Redactor) -> String {
    let body = request.body.as_deref().unwrap_or_default();
    let mut out = Writer::new(redactor, body.len());
    out.raw("{\"method\":");
    out.text(request.method.as_str().as_bytes(), MAX_SHOWN_VALUE);
    out.raw(",\"url\":");
    out.url(&request.url);
    let hidden = |name: &HeaderName| is_secret_name(name.as_str()) || redactor.hides(name.as_str());
    out.headers(&request.headers, hidden);
    match &request.body {
        None => out.raw(",\"body\":null"),
        Some(body) if request.body_is_json => out.body(body, Form::Json),
        Some(body) => out.body(body, Form::Unknown),
    }
    out.raw("}");
    out.text
}

/// The answer as one JSON object `{"status","headers","body"}`, like [`describe_request`].
/// An empty body is `null`. Nothing in it can be refused by a store that takes JSON.
pub fn describe_response(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    redactor: &Redactor,
) -> String {
    let mut out = Writer::new(redactor, body.len());
    out.status(status);
    out.headers(headers, |name| hidden_in_answer(name) || redactor.hides(name.as_str()));
    if body.is_empty() {
        out.raw(",\"body\":null");
    } else {
        out.body(body, Form::Unknown);
    }
    out.raw("}");
    out.text
}

/// What is kept of an answer that took the request: of its headers those that say something
/// (request ids, limits, warnings), of its body the size. `None` when that is nothing beside the
/// status and GitHub's request id, which are kept anyway.
pub fn describe_acceptance(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    redactor: &Redactor,
) -> Option<String> {
    let mut telling = headers.keys().filter(|name| says_something(name.as_str())).peekable();
    if body.is_empty() && telling.peek().is_none() {
        return None;
    }
    let mut out = Writer::new(redactor, 0);
    out.status(status);
    let hidden = |name: &HeaderName| hidden_in_answer(name) || redactor.hides(name.as_str());
    out.named_headers(headers, telling, hidden);
    out.raw(",\"body\":null");
    if !body.is_empty() {
        out.body_bytes(body.len());
    }
    out.raw("}");
    Some(out.text)
}

fn hidden_in_answer(name: &HeaderName) -> bool {
    HIDDEN_IN_ANSWERS.contains(&name.as_str())
        || (is_secret_name(name.as_str()) && name.as_str() != TOKEN_EXPIRATION)
}

/// Whether a header tells something about this one request, its limits or its future.
fn says_something(name: &str) -> bool {
    TELLING.contains(&name)
        || TELLING_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || TELLING_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

/// What is known of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// It was made as JSON.
    Json,
    /// Nothing.
    Unknown,
}

/// JSON as it is written; secrets become stars on the way.
struct Writer<'a> {
    redactor: &'a Redactor,
    text: String,
}

impl<'a> Writer<'a> {
    fn new(redactor: &'a Redactor, body_bytes: usize) -> Self {
        let room = ROOM_FOR_HEADERS + body_bytes.min(MAX_SHOWN_BYTES);
        Self { redactor, text: String::with_capacity(room) }
    }

    /// JSON of ours.
    fn raw(&mut self, json: &str) {
        self.text.push_str(json);
    }

    fn status(&mut self, status: StatusCode) {
        self.raw("{\"status\":");
        self.raw(status.as_str());
    }

    fn body_bytes(&mut self, bytes: usize) {
        self.raw(",\"body_bytes\":");
        self.raw(&bytes.to_string());
    }

    /// A string: redacted, cut and readable.
    fn text(&mut self, bytes: &[u8], limit: usize) {
        self.text.push('"');
        for piece in self.redactor.pieces(bytes, limit) {
            push_readable(&mut self.text, piece.bytes());
        }
        self.text.push('"');
    }

    /// Rendering leaves no user info in a URL, but whoever changed it since may have.
    fn url(&mut self, url: &Url) {
        let bare = if url.username().is_empty() && url.password().is_none() {
            Cow::Borrowed(url.as_str())
        } else {
            let bare = [&url[..Position::BeforeUsername], &url[Position::BeforeHost..]].concat();
            Cow::Owned(bare)
        };
        let shown = self.redactor.without_hidden(&bare).map_or(bare, Cow::Owned);
        self.text(shown.as_bytes(), MAX_SHOWN_VALUE);
    }

    fn headers(&mut self, headers: &HeaderMap, hidden: impl Fn(&HeaderName) -> bool) {
        self.named_headers(headers, headers.keys(), hidden);
    }

    fn named_headers<'h>(
        &mut self,
        headers: &HeaderMap,
        names: impl Iterator<Item = &'h HeaderName>,
        hidden: impl Fn(&HeaderName) -> bool,
    ) {
        self.raw(",\"headers\":{");
        for (index, name) in names.take(MAX_SHOWN_HEADERS).enumerate() {
            if index > 0 {
                self.raw(",");
            }
            self.raw("\"");
            // Names hold nothing that would have to be escaped.
            self.raw(name.as_str());
            self.raw("\":");
            if hidden(name) {
                self.raw(HIDDEN);
            } else {
                self.header_value(headers, name);
            }
        }
        self.raw("}");
    }

    fn header_value(&mut self, headers: &HeaderMap, name: &HeaderName) {
        let mut values = headers.get_all(name).iter().map(HeaderValue::as_bytes);
        match (values.next(), values.next()) {
            (Some(only), None) => self.text(only, MAX_SHOWN_VALUE),
            (None, _) => self.raw("\"\""),
            (Some(first), Some(second)) => {
                let all: Vec<&[u8]> = [first, second].into_iter().chain(values).collect();
                self.text(&all.join(&b", "[..]), MAX_SHOWN_VALUE);
            }
        }
    }

    /// JSON is shown as JSON, anything else as text; with the whole size, when only a part is
    /// shown.
    fn body(&mut self, body: &[u8], form: Form) {
        self.raw(",\"body\":");
        match self.redactor.redact_head(body, MAX_SHOWN_BYTES) {
            Cow::Borrowed(shown) => {
                let is_json = form == Form::Json && shown.len() == body.len();
                self.json_or_text(shown, if is_json { Form::Json } else { Form::Unknown });
            }
            // Stars may have come in where no string is.
            Cow::Owned(starred) => self.json_or_text(&starred, Form::Unknown),
        }
        if body.len() > MAX_SHOWN_BYTES {
            self.body_bytes(body.len());
        }
    }

    fn json_or_text(&mut self, shown: &[u8], form: Form) {
        let text = std::str::from_utf8(shown).ok();
        if let Some(json) = text.and_then(|text| as_json(text, form)) {
            self.raw(&json);
        } else {
            self.text.push('"');
            push_readable(&mut self.text, shown);
            self.text.push('"');
        }
    }
}

/// The text as JSON of one line, if any store would take it. Only what holds escapes or line
/// breaks has to be read for that: half a surrogate pair or `\u0000` is JSON to some readers and
/// none to others.
fn as_json(text: &str, form: Form) -> Option<Cow<'_, str>> {
    if text.contains("\\u") || text.contains('\n') {
        let value = serde_json::from_str::<Value>(text).ok()?;
        let compact = value.to_string();
        return (!compact.contains("\\u0000")).then_some(Cow::Owned(compact));
    }
    match form {
        Form::Json => Some(Cow::Borrowed(text)),
        Form::Unknown => {
            serde_json::from_str::<&RawValue>(text).ok().map(|raw| Cow::Borrowed(raw.get()))
        }
    }
}

/// The inside of a JSON string. What is no UTF-8 becomes U+FFFD, and so does U+0000, which
/// `PostgreSQL` can't keep.
fn push_readable(out: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        for (index, run) in chunk.valid().split('\0').enumerate() {
            if index > 0 {
                out.push(char::REPLACEMENT_CHARACTER);
            }
            encode::push(out, run, Encoding::Json);
        }
        if !chunk.invalid().is_empty() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }
}
