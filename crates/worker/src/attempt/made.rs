//! An attempt as it was made, before it is judged, and what is told of it.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use postrider_domain::{Answer, Target};
use postrider_render::{Redactor, RenderedRequest, describe_request, describe_response};
use postrider_store::KeptRequest;

use crate::traced;

/// An attempt as it was made, before it is judged.
pub(super) struct Made<'a> {
    pub(super) answer: Answer,
    /// Where it went; `None`: nowhere.
    pub(super) target: Option<Target>,
    /// The secret without which nothing was sent.
    pub(super) lacks: Option<String>,
    /// The answer asked for a longer wait than any is kept.
    pub(super) asks_too_long: bool,
    pub(super) started_at: Timestamp,
    pub(super) duration: Duration,
    pub(super) status_code: Option<u16>,
    pub(super) github_request_id: Option<String>,
    /// What can be told of it.
    pub(super) story: Story<'a>,
    /// The request, for its span.
    pub(super) span: Option<traced::Target>,
}

/// What can be told of an attempt. Texts are made of it once it is clear which are kept.
pub(super) enum Story<'a> {
    /// Nothing was sent, for this reason.
    Unsent(String),
    /// Something was sent, and this was the answer.
    Answered { request: &'a RenderedRequest, status: StatusCode, headers: HeaderMap, body: Bytes },
    /// Something was sent and not answered, for this reason.
    Unanswered { request: &'a RenderedRequest, why: String },
}

impl Story<'_> {
    /// Whether a request was made, whatever became of it.
    pub(super) fn is_sent(&self) -> bool {
        match self {
            Self::Unsent(_) => false,
            Self::Answered { .. } | Self::Unanswered { .. } => true,
        }
    }

    /// Request and answer in full, redacted: evidence.
    pub(super) fn texts(&self, redactor: &Redactor) -> (KeptRequest, String) {
        match self {
            Self::Unsent(why) => (KeptRequest::Nothing, error_json(why)),
            Self::Answered { request, status, headers, body } => (
                KeptRequest::Text(describe_request(request, redactor)),
                describe_response(*status, headers, body, redactor),
            ),
            Self::Unanswered { request, why } => {
                (KeptRequest::Text(describe_request(request, redactor)), error_json(why))
            }
        }
    }
}

/// The answer of an attempt that got none, with the reason.
pub(super) fn error_json(why: &str) -> String {
    serde_json::json!({ "error": why }).to_string()
}
