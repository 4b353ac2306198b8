//! Reading GitHub's answer to a dispatch.
//!
//! The order of the checks is the point (GitHub docs: rate limits, troubleshooting; and the
//! clients octokit, go-github, octocrab, which each get one of them wrong):
//!
//! 1. 401 before anything else: it can carry `x-ratelimit-remaining: 0`, the quota of
//!    anonymous callers.
//! 2. 429, and 403 with Retry-After, with nothing remaining, or with a text about a limit: a
//!    secondary limit may come as a 403 that only its body gives away.
//! 3. 403 about the token itself, which no other repository would answer differently.
//! 4. Any other 403 is about the repository.

use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;
use postrider_domain::{Answer, GithubAnswer, TargetKind, TokenForbidden};
use serde_json::Value;

use crate::headers::{rate_remaining, retry_after, text, wait_asked_for, wait_for_reset};
use crate::message::Message;

/// What a target answered, ready to be classified: read the GitHub way if the target is a
/// GitHub dispatch, else by status and Retry-After alone.
pub fn answer(kind: TargetKind, status: u16, headers: &HeaderMap, body: &[u8]) -> Answer {
    let github = kind.is_github().then(|| read(kind, status, headers, body, None));
    Answer::Response { status, github, retry_after: retry_after(headers) }
}

/// Reads GitHub's answer to a dispatch. `now_hint` stands in for the answer's Date header when
/// it has none; GitHub always sends one.
pub fn read(
    kind: TargetKind,
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    now_hint: Option<Timestamp>,
) -> GithubAnswer {
    match status {
        200..=299 if is_recorded(kind, status, body) => GithubAnswer::Accepted,
        200..=299 => GithubAnswer::UnexpectedSuccess,
        300..=399 => GithubAnswer::Redirected,
        401 => GithubAnswer::TokenRefused,
        403 => read_forbidden(headers, &Message::read(body), now_hint),
        404 => GithubAnswer::NotFound,
        429 => GithubAnswer::RateLimited { wait: wait(headers, now_hint) },
        408 | 425 | 500..=599 => GithubAnswer::ServerError,
        _ => GithubAnswer::Invalid,
    }
}

/// 204; for a workflow dispatch also 200 with the run that was started (API version
/// 2026-03-10, or on request).
fn is_recorded(kind: TargetKind, status: u16, body: &[u8]) -> bool {
    match (kind, status) {
        (_, 204) => true,
        (TargetKind::WorkflowDispatch, 200) => serde_json::from_slice::<Value>(body)
            .is_ok_and(|run| run.get("workflow_run_id").is_some_and(Value::is_u64)),
        (TargetKind::RepositoryDispatch | TargetKind::WorkflowDispatch | TargetKind::Other, _) => {
            false
        }
    }
}

fn read_forbidden(
    headers: &HeaderMap,
    message: &Message,
    now_hint: Option<Timestamp>,
) -> GithubAnswer {
    if is_limit(headers, message) {
        GithubAnswer::RateLimited { wait: wait(headers, now_hint) }
    } else if let Some(why) = token_forbidden(headers, message) {
        GithubAnswer::TokenForbidden(why)
    } else if message.says(&["administrative rules"]) {
        // The API's front door: no User-Agent. The token was not looked at.
        GithubAnswer::Invalid
    } else {
        GithubAnswer::PermissionDenied
    }
}

fn is_limit(headers: &HeaderMap, message: &Message) -> bool {
    headers.contains_key(http::header::RETRY_AFTER)
        || rate_remaining(headers) == Some(0)
        || message.says(&["secondary rate", "rate limit exceeded", "abuse detection"])
        || message.points_to(&["secondary-rate-limits", "abuse-rate-limits"])
}

fn token_forbidden(headers: &HeaderMap, message: &Message) -> Option<TokenForbidden> {
    let sso = text(headers, "x-github-sso").is_some_and(|value| value.starts_with("required"));
    if message.says(&["lifetime is greater than"]) {
        Some(TokenForbidden::LifetimePolicy)
    } else if message.says(&["forbids access via"]) {
        Some(TokenForbidden::KindForbidden)
    } else if sso || message.says(&["saml enforcement"]) {
        Some(TokenForbidden::SingleSignOn)
    } else if message.says(&["maximum number of login attempts"]) {
        Some(TokenForbidden::LoginAttempts)
    } else {
        None
    }
}

/// Retry-After; else, with nothing remaining, until the reset; else GitHub did not say.
fn wait(headers: &HeaderMap, now_hint: Option<Timestamp>) -> Option<Duration> {
    wait_asked_for(headers, now_hint).or_else(|| wait_for_reset(headers, now_hint))
}

#[cfg(test)]
mod tests;
