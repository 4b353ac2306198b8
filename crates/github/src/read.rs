//! Reading GitHub's answers.
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
use postrider_domain::{Answer, GithubAnswer, Target, TargetKind, TokenForbidden};
use serde_json::Value;

use crate::headers::{
    has_request_id, is_page, leads_to_sign_in, rate_remaining, retry_after, says_too_long, text,
    wait_for_reset,
};
use crate::message::Message;

/// What a target answered, ready to be classified. Read the GitHub way are all answers of
/// GitHub's hosts and of dispatches on any host, and others below `/repos/` that carry GitHub's
/// request id; the rest by status and Retry-After alone. `now` is our clock's time.
pub fn answer(
    target: Target,
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Answer {
    let github =
        is_answer_of_github(target, headers).then(|| read(target.kind, status, headers, body, now));
    let asked = match github {
        Some(GithubAnswer::RateLimited { wait }) => wait,
        Some(GithubAnswer::ServerError) => wait(headers, now),
        Some(_) | None => retry_after(headers, now),
    };
    Answer::Response {
        status,
        github,
        wait: asked,
        asks_to_sign_in: asks_to_sign_in(target, status, headers, body),
    }
}

/// Whether an answer is read the GitHub way.
pub fn is_answer_of_github(target: Target, headers: &HeaderMap) -> bool {
    target.is_github() || target.is_below_repos && has_request_id(headers)
}

/// Whether an answer asks for a longer wait than 24 hours, which is what is kept of it.
pub fn asks_too_long(target: Target, status: u16, headers: &HeaderMap, now: Timestamp) -> bool {
    let counts_reset =
        is_answer_of_github(target, headers) && matches!(status, 403 | 429 | 500..=599);
    says_too_long(headers, counts_reset, now)
}

/// Some targets answer a dead credential with a page for people instead of a 401.
fn asks_to_sign_in(target: Target, status: u16, headers: &HeaderMap, body: &[u8]) -> bool {
    target.has_credential
        && match status {
            203 => is_page(headers, body),
            300..=399 => leads_to_sign_in(headers),
            _ => false,
        }
}

/// Reads an answer of GitHub's. `now` stands in for the answer's Date header where that is
/// missing or far off.
pub fn read(
    kind: TargetKind,
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> GithubAnswer {
    match status {
        200..=299 if !kind.is_github() => GithubAnswer::Success,
        200..=299 if is_recorded(kind, status, body) => GithubAnswer::Accepted,
        200..=299 if is_page(headers, body) => GithubAnswer::Page,
        200..=299 => GithubAnswer::UnexpectedSuccess,
        300..=399 => GithubAnswer::Redirected,
        401 => GithubAnswer::TokenRefused,
        403 => read_forbidden(headers, &Message::read(body), now),
        404 => GithubAnswer::NotFound,
        429 => GithubAnswer::RateLimited { wait: wait(headers, now) },
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

fn read_forbidden(headers: &HeaderMap, message: &Message, now: Timestamp) -> GithubAnswer {
    if is_limit(headers, message) {
        GithubAnswer::RateLimited { wait: wait(headers, now) }
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
    } else if message.says(&["forbids access via", "oauth app access restrictions"]) {
        Some(TokenForbidden::KindForbidden)
    } else if sso || message.says(&["saml enforcement"]) {
        Some(TokenForbidden::SingleSignOn)
    } else if message.says(&["maximum number of login attempts"]) {
        Some(TokenForbidden::LoginAttempts)
    } else if message.says(&["ip allow list", "ip address is not permitted"]) {
        Some(TokenForbidden::AddressNotAllowed)
    } else if message.says(&["as an enterprise managed user"]) {
        Some(TokenForbidden::ManagedUser)
    } else if message.says(&["account was suspended", "been suspended", "is suspended"]) {
        Some(TokenForbidden::Suspended)
    } else {
        None
    }
}

/// Retry-After; else, with nothing remaining, until the reset; else GitHub did not say.
fn wait(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    retry_after(headers, now).or_else(|| wait_for_reset(headers, now))
}

#[cfg(test)]
mod tests;
