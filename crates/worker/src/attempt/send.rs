//! The request on its way, and the attempt it makes.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use postrider_domain::{Answer, Target};
use postrider_http_client::{Reply, Request, Within};
use postrider_render::{Redactor, RenderedRequest, describe_request, describe_response};
use postrider_store::KeptRequest;

use super::prepare::{Ready, Sendable};
use super::{Context, HeldClaim};
use crate::traced::{self, Traced};

/// Rule SEND_CHECK: the answer must be able to arrive within the claim.
pub(super) fn too_late(held: &HeldClaim) -> bool {
    time_left(held).is_zero()
}

/// For how long the request may still leave.
pub(super) fn time_left(held: &HeldClaim) -> Duration {
    let claim = &held.claim;
    claim.length.saturating_sub(claim.timeout).saturating_sub(held.asked_at.elapsed())
}

/// Makes the request; connecting and all of it take at most `timeout`. Answers of the statuses
/// `last` are not followed.
pub(crate) async fn send(
    context: &Context,
    request: &RenderedRequest,
    timeout: Duration,
    last: &[u16],
) -> Reply {
    let request = Request {
        method: &request.method,
        url: &request.url,
        headers: &request.headers,
        body: request.body.as_deref().map(Bytes::copy_from_slice),
    };
    let within = Within { connect: timeout, total: timeout };
    context.client.send_until(&request, within, last).await
}

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

pub(super) struct Started {
    at: Timestamp,
    instant: tokio::time::Instant,
}

impl Started {
    pub(super) fn now() -> Self {
        Self { at: Timestamp::now(), instant: tokio::time::Instant::now() }
    }

    pub(super) fn made<'a>(
        self,
        reply: Reply,
        sendable: &'a Sendable,
        ready: &Ready,
        traced: &Traced,
    ) -> Made<'a> {
        let duration = self.instant.elapsed();
        let redactor = &ready.unsealed.redactor;
        let (request, target) = (&sendable.request, sendable.target);
        let mut asks_too_long = false;
        let unanswered = |why: &str| Story::Unanswered { request, why: why.to_owned() };
        let (mut status_code, mut github_request_id) = (None, None);
        let (answer, story) = match reply {
            Reply::Answered { status, headers, body } => {
                status_code = Some(status.as_u16());
                github_request_id = request_id(&headers, redactor);
                let (code, now) = (status.as_u16(), Timestamp::now());
                asks_too_long = postrider_github::asks_too_long(target, code, &headers, now);
                let answer = postrider_github::answer(target, code, &headers, &body, now);
                (answer, Story::Answered { request, status, headers, body })
            }
            Reply::TimedOut { sent } => (Answer::Timeout { sent }, unanswered("no answer in time")),
            Reply::ConnectFailed(why) => {
                (Answer::ConnectFailed, unanswered(&redactor.redact(&why)))
            }
            Reply::Broken(why) => (Answer::ResetAfterSend, unanswered(&redactor.redact(&why))),
            Reply::Blocked(why) => (Answer::Blocked, unanswered(&why)),
            Reply::Unreadable { status, why } => {
                status_code = status.map(|status| status.as_u16());
                (Answer::Unreadable { status: status_code }, unanswered(&redactor.redact(&why)))
            }
            Reply::LocalTrouble(trouble) => (Answer::ConnectFailed, unanswered(trouble.as_str())),
        };
        Made {
            answer,
            target: Some(target),
            lacks: None,
            asks_too_long,
            started_at: self.at,
            duration,
            status_code,
            github_request_id,
            story,
            span: traced.target(request, redactor),
        }
    }
}

/// The answer's id, without what the target may have put there of the request.
fn request_id(headers: &HeaderMap, redactor: &Redactor) -> Option<String> {
    const NAME: &str = "x-github-request-id";
    let told = headers.get(NAME)?.to_str().ok()?;
    let mut clean = HeaderMap::new();
    clean.insert(NAME, redactor.redact(told).parse().ok()?);
    postrider_github::request_id(&clean)
}

pub(super) fn error_json(why: &str) -> String {
    serde_json::json!({ "error": why }).to_string()
}
