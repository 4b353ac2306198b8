//! Attempts as they are kept.
//!
//! The text of a request is evidence, so it is kept of everything that was not plainly accepted.
//! What was, nearly all, keeps what it takes to render the request again.

use std::time::Duration;

use jiff::Timestamp;
use postrider_domain::{LastOutcome, Outcome};

/// An attempt as kept.
#[derive(Debug, Clone)]
pub struct AttemptRow {
    /// Which of all attempts of the delivery, from 1; only grows.
    pub number: u32,
    /// When it started, by the worker's clock (shown only, never compared).
    pub started_at: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// What it came to.
    pub outcome: Outcome,
    /// HTTP status, if there was an answer.
    pub status_code: Option<u16>,
    /// GitHub's `X-GitHub-Request-Id`.
    pub github_request_id: Option<String>,
    /// An earlier attempt may have arrived already.
    pub possible_duplicate: bool,
    /// The target asked for a longer wait than any is kept: 24 hours.
    pub retry_after_capped: bool,
    /// The request.
    pub request: KeptRequest,
    /// The answer as JSON, redacted and cut; or the error. Empty when there is nothing to say of
    /// it beside status and request id.
    pub response: String,
}

impl AttemptRow {
    /// What lists show of it.
    pub(crate) fn last(&self) -> LastOutcome {
        LastOutcome { outcome: self.outcome, status_code: self.status_code }
    }

    /// As it is shown: with the answer that a plain success got, of which only status and request
    /// id are kept.
    pub(crate) fn shown(self) -> Self {
        let is_bare = self.response.is_empty() && self.request.rendition().is_some();
        let bare = self.status_code.filter(|_| is_bare);
        let response = bare.map(|status| bare_response(status, self.github_request_id.as_deref()));
        Self { response: response.unwrap_or(self.response), ..self }
    }
}

/// What is kept of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeptRequest {
    /// Nothing: none was sent.
    Nothing,
    /// JSON, redacted: evidence of what was sent.
    Text(String),
    /// What it takes to render it again.
    Rendition(Rendition),
}

impl KeptRequest {
    /// The text, or none.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Nothing | Self::Rendition(_) => "",
        }
    }

    /// What it takes to render it again, if no text is kept.
    pub(crate) fn rendition(&self) -> Option<&Rendition> {
        match self {
            Self::Rendition(rendition) => Some(rendition),
            Self::Nothing | Self::Text(_) => None,
        }
    }
}

/// What it takes to render an accepted request again, with the delivery's event and trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rendition {
    /// The webhook's revision.
    pub webhook_rev: i64,
    /// The request's span: the target got it in `traceparent`.
    pub span_id: [u8; 8],
    /// The renderer's version.
    pub renderer: u32,
    /// How long the body was.
    pub body_bytes: u32,
}

/// What a row says of an attempt's request.
pub(crate) struct RequestColumns {
    pub(crate) text: String,
    pub(crate) webhook_rev: Option<i64>,
    pub(crate) span_id: Option<i64>,
    pub(crate) renderer: Option<i64>,
    pub(crate) bytes: Option<i64>,
}

impl RequestColumns {
    /// Rows that older versions wrote have a text or nothing.
    pub(crate) fn kept(self) -> KeptRequest {
        if !self.text.is_empty() {
            return KeptRequest::Text(self.text);
        }
        let (Some(webhook_rev), Some(span_id)) = (self.webhook_rev, self.span_id) else {
            return KeptRequest::Nothing;
        };
        let count = |count: Option<i64>| count.and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
        KeptRequest::Rendition(Rendition {
            webhook_rev,
            span_id: span_id.to_be_bytes(),
            renderer: count(self.renderer),
            body_bytes: count(self.bytes),
        })
    }
}

/// The answer of an attempt of which nothing is kept but its status and request id.
fn bare_response(status_code: u16, github_request_id: Option<&str>) -> String {
    let headers = github_request_id.map(|id| ("x-github-request-id", id));
    let headers: serde_json::Map<_, _> =
        headers.into_iter().map(|(name, id)| (name.to_owned(), id.into())).collect();
    serde_json::json!({"status": status_code, "headers": headers, "body": null}).to_string()
}
