//! The request on its way, and what its reply makes of the attempt.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use postrider_domain::Answer;
use postrider_http_client::{Reply, Request, Within};
use postrider_render::{Redactor, RenderedRequest};

use super::Context;
use super::made::{Made, Story};
use super::prepare::{Ready, Sendable};
use crate::traced::Traced;

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
