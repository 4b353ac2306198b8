//! What an attempt came to: the one place that turns answers into outcomes.
//!
//! A GitHub dispatch is judged by what the answer says (read by the github crate):
//!
//! | answer of GitHub                                               | outcome        |
//! |----------------------------------------------------------------|----------------|
//! | dispatch taken                                                 | `accepted`     |
//! | 401; 403 about the token itself                                | `credential`   |
//! | 429; 403 that is a limit                                       | `rate_limited` |
//! | 403 about the repository                                       | `permission`   |
//! | 404                                                            | `not_found`    |
//! | 400, 405, 410, 413, 415, 422, other 4xx; another 2xx           | `invalid`      |
//! | 3xx                                                            | `redirected`   |
//! | 5xx, 408, 425                                                  | `server_error` |
//!
//! Every other target by its status; the first row that fits counts:
//!
//! | status               | outcome        |
//! |----------------------|----------------|
//! | in the success codes | `accepted`     |
//! | 401                  | `credential`   |
//! | 403                  | `permission`   |
//! | 404                  | `not_found`    |
//! | 408, 425             | `server_error` |
//! | 429                  | `rate_limited` |
//! | 3xx                  | `redirected`   |
//! | 5xx                  | `server_error` |
//! | anything else        | `invalid`      |
//!
//! And without an answer:
//!
//! | what happened                  | outcome          |
//! |--------------------------------|------------------|
//! | no answer in time              | `timeout`        |
//! | DNS, TCP, TLS failed           | `connect_error`  |
//! | broke off after the request    | `connect_error`  |
//! | a secret has no value          | `secret_missing` |
//! | the address policy forbids it  | `blocked`        |
//! | the template does not render   | `render_error`   |
//!
//! 408 (the target waited in vain for the request) and 425 (too early) count as
//! `server_error` although they are 4xx: both ask for the same request again. A 503 with
//! Retry-After from a target that is not GitHub stays `server_error`: it speaks of the server,
//! not of this sender's budget, so other deliveries of the lane need not wait.
//!
//! A redirect that may be followed (one 307 or 308 to the same origin) has been followed by
//! the sender before it asks here.

use std::time::Duration;

use crate::{Outcome, TargetKind};

/// What came back, or why nothing did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The target answered.
    Response {
        /// HTTP status.
        status: u16,
        /// What it means, if the target is a GitHub dispatch.
        github: Option<GithubAnswer>,
        /// The wait that the answer asks for; counts with a 429.
        retry_after: Option<Duration>,
    },
    /// No answer in time.
    Timeout {
        /// Whether the first byte of the request had been written.
        sent: bool,
    },
    /// DNS, TCP or TLS failed: the request was not sent.
    ConnectFailed,
    /// The connection broke after the first byte of the request was written.
    ResetAfterSend,
    /// The webhook names a secret that has no value; nothing was sent.
    SecretMissing,
    /// The address policy forbids the target; nothing was sent.
    Blocked,
    /// The template could not be rendered, or came out too large; nothing was sent.
    RenderFailed,
}

/// What GitHub's answer to a dispatch says, whatever status it came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GithubAnswer {
    /// The dispatch was recorded. It does not say that a workflow listens.
    Accepted,
    /// 401: the token is wrong, expired or revoked; GitHub does not say which.
    TokenRefused,
    /// 403 although the token may be genuine: it is not let in anywhere near this target.
    TokenForbidden(TokenForbidden),
    /// A primary or secondary limit.
    RateLimited {
        /// How long GitHub says to wait; `None` when it does not say.
        wait: Option<Duration>,
    },
    /// 403: the token is alive but may not do this to this repository.
    PermissionDenied,
    /// 404: no such repository, or hidden from the token; GitHub does not say which.
    NotFound,
    /// GitHub will never take this request.
    Invalid,
    /// 2xx that is not the answer to a dispatch.
    UnexpectedSuccess,
    /// 3xx: the repository was renamed or moved.
    Redirected,
    /// 5xx, or a request to send it again.
    ServerError,
}

/// Why a token is not let in (GitHub docs: managing personal access tokens, SAML single
/// sign-on, authenticating to the REST API).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenForbidden {
    /// The organization allows only tokens that live shorter.
    LifetimePolicy,
    /// The organization forbids this kind of token, e.g. classic ones.
    KindForbidden,
    /// The token was not authorized for the organization's single sign-on.
    SingleSignOn,
    /// Too many refused log-ins of late: even good credentials are refused for a while.
    LoginAttempts,
}

/// An attempt's outcome and what it implies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Classified {
    /// The class.
    pub outcome: Outcome,
    /// Whether the target may have acted although it was not accepted (rule UNCERTAIN): a
    /// time-out or a break after the first byte was written, 502, 504.
    pub uncertain: bool,
    /// With [`Outcome::RateLimited`]: how long the target said to wait.
    pub pause: Option<Duration>,
}

/// Classifies an answer; the tables are at the top of this file. `success_codes` are those of
/// targets that are not GitHub's.
pub fn classify(kind: TargetKind, answer: &Answer, success_codes: &[u16]) -> Classified {
    match *answer {
        Answer::Response { status, github, retry_after } => {
            let (outcome, pause) = match (kind.is_github(), github) {
                (true, Some(github)) => by_meaning(github),
                (true, None) => by_status(status, github_success_codes(kind), retry_after),
                (false, _) => by_status(status, success_codes, retry_after),
            };
            let uncertain = outcome == Outcome::ServerError && matches!(status, 502 | 504);
            Classified { outcome, uncertain, pause }
        }
        Answer::Timeout { sent } => without_answer(Outcome::Timeout, sent),
        Answer::ConnectFailed => without_answer(Outcome::ConnectError, false),
        Answer::ResetAfterSend => without_answer(Outcome::ConnectError, true),
        Answer::SecretMissing => without_answer(Outcome::SecretMissing, false),
        Answer::Blocked => without_answer(Outcome::Blocked, false),
        Answer::RenderFailed => without_answer(Outcome::RenderError, false),
    }
}

fn without_answer(outcome: Outcome, uncertain: bool) -> Classified {
    Classified { outcome, uncertain, pause: None }
}

fn by_meaning(answer: GithubAnswer) -> (Outcome, Option<Duration>) {
    match answer {
        GithubAnswer::Accepted => (Outcome::Accepted, None),
        GithubAnswer::TokenRefused | GithubAnswer::TokenForbidden(_) => (Outcome::Credential, None),
        GithubAnswer::RateLimited { wait } => (Outcome::RateLimited, wait),
        GithubAnswer::PermissionDenied => (Outcome::Permission, None),
        GithubAnswer::NotFound => (Outcome::NotFound, None),
        GithubAnswer::Invalid | GithubAnswer::UnexpectedSuccess => (Outcome::Invalid, None),
        GithubAnswer::Redirected => (Outcome::Redirected, None),
        GithubAnswer::ServerError => (Outcome::ServerError, None),
    }
}

/// For a GitHub answer that nobody has read: without its body a 200 proves nothing.
fn github_success_codes(kind: TargetKind) -> &'static [u16] {
    match kind {
        TargetKind::RepositoryDispatch | TargetKind::WorkflowDispatch => &[204],
        TargetKind::Other => &[],
    }
}

fn by_status(
    status: u16,
    success_codes: &[u16],
    retry_after: Option<Duration>,
) -> (Outcome, Option<Duration>) {
    let outcome = match status {
        accepted if success_codes.contains(&accepted) => Outcome::Accepted,
        401 => Outcome::Credential,
        403 => Outcome::Permission,
        404 => Outcome::NotFound,
        408 | 425 | 500..=599 => Outcome::ServerError,
        429 => return (Outcome::RateLimited, retry_after),
        300..=399 => Outcome::Redirected,
        _ => Outcome::Invalid,
    };
    (outcome, None)
}

#[cfg(test)]
mod tests;
