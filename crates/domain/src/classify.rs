//! What an attempt came to: the one place that turns answers into outcomes.
//!
//! First of all, where a credential went with the request: a 203 with a page, or a redirect to
//! a page to sign in at, is `credential`, on weak evidence (Azure DevOps answers so).
//!
//! GitHub is judged by what the answer says (read by the github crate):
//!
//! | answer of GitHub                                               | outcome        |
//! |----------------------------------------------------------------|----------------|
//! | dispatch taken                                                 | `accepted`     |
//! | 401; 403 about the token, its owner or where it is used from   | `credential`   |
//! | 429; 403 that is a limit                                       | `rate_limited` |
//! | 403 about the repository                                       | `permission`   |
//! | 404                                                            | `not_found`    |
//! | 400, 405, 410, 411, 413, 415, 422, other 4xx; another 2xx      | `invalid`      |
//! | 3xx                                                            | `redirected`   |
//! | 5xx, 408, 425; a page in place of a dispatch's 204             | `server_error` |
//! | 2xx to anything but a dispatch                                 | by the success codes |
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
//! | what happened                            | outcome          |
//! |------------------------------------------|------------------|
//! | no answer in time                        | `timeout`        |
//! | DNS, TCP, TLS failed                     | `connect_error`  |
//! | broke off after the request              | `connect_error`  |
//! | an answer that can't be read as HTTP     | by its status    |
//! | the same, and its status neither         | `unreadable`     |
//! | a secret has no value                    | `secret_missing` |
//! | a secret's value can't stand there       | `secret_unusable` |
//! | settings forbid it                       | `blocked`        |
//! | the template does not render             | `render_error`   |
//!
//! 408 (the target waited in vain for the request) and 425 (too early) count as
//! `server_error` although they are 4xx: both ask for the same request again. A 503 with
//! Retry-After stays `server_error`: it speaks of the server, not of this sender's budget, so
//! this delivery waits and other deliveries of the lane need not.
//!
//! A redirect that may be followed (one 307 or 308 to the same origin) has been followed by
//! the sender before it asks here.

use std::time::Duration;

use crate::{FailedRule, Outcome, SuccessRule, TargetKind};

/// What came back, or why nothing did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The target answered.
    Response {
        /// HTTP status.
        status: u16,
        /// What it means, if it is read the GitHub way.
        github: Option<GithubAnswer>,
        /// The wait that it asks for; zero when that is over already. Counts where something
        /// follows.
        wait: Option<Duration>,
        /// A credential went with the request, and it is a page to sign in at, or leads to one.
        asks_to_sign_in: bool,
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
    /// The request was taken, but the answer can't be read as HTTP.
    Unreadable {
        /// The status of its first line, if that much can be read.
        status: Option<u16>,
    },
    /// The webhook names a secret that has no value; nothing was sent.
    SecretMissing,
    /// The webhook names a secret whose value can't stand where it is put; nothing was sent.
    SecretUnusable,
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
    /// 2xx to something that is no dispatch: the success codes judge it.
    Success,
    /// 2xx that is not the answer to a dispatch.
    UnexpectedSuccess,
    /// 2xx with a page in place of the answer to a dispatch: something on the way answered.
    Page,
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
    /// The organization forbids this kind of token, e.g. classic ones, or that of an OAuth app
    /// that it did not let in.
    KindForbidden,
    /// The token's owner is managed by an enterprise, and may not reach beyond it.
    ManagedUser,
    /// The token was not authorized for the organization's single sign-on.
    SingleSignOn,
    /// Too many refused log-ins of late: even good credentials are refused for a while.
    LoginAttempts,
    /// The organization lets requests in from some addresses only, and not from ours.
    AddressNotAllowed,
    /// The token's owner, or the app's installation, is suspended.
    Suspended,
}

/// An attempt's outcome and what it implies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Classified {
    /// The class.
    pub outcome: Outcome,
    /// Whether the target may have acted although it was not accepted (rule UNCERTAIN): a
    /// time-out or a break after the first byte was written, 502, 504.
    pub uncertain: bool,
    /// How long the target said to wait, where something follows: the lane with
    /// [`Outcome::RateLimited`], the next probe with [`Outcome::Credential`], else this delivery.
    /// Zero when that is over already.
    pub wait: Option<Duration>,
    /// With [`Outcome::Credential`]: a hint and no word about the credential itself.
    pub is_weak: bool,
}

/// Classifies an answer; the tables are at the top of this file. `success_codes` are those of
/// everything but GitHub's dispatches.
pub fn classify(kind: TargetKind, answer: &Answer, success_codes: &[u16]) -> Classified {
    match *answer {
        Answer::Response { asks_to_sign_in: true, wait, .. } => {
            Classified { is_weak: true, wait, ..without_answer(Outcome::Credential, false) }
        }
        Answer::Response { status, github, wait, asks_to_sign_in: false } => {
            let outcome = match (kind.is_github(), github) {
                (_, Some(github)) => by_meaning(github, status, success_codes),
                (true, None) => by_status(status, github_success_codes(kind)),
                (false, None) => by_status(status, success_codes),
            };
            let uncertain = outcome == Outcome::ServerError && matches!(status, 502 | 504);
            let wait = wait.filter(|_| may_be_told_to_wait(outcome));
            Classified { outcome, uncertain, wait, is_weak: false }
        }
        Answer::Unreadable { status: Some(status) } => {
            let alone =
                Answer::Response { status, github: None, wait: None, asks_to_sign_in: false };
            classify(kind, &alone, success_codes)
        }
        Answer::Unreadable { status: None } => without_answer(Outcome::Unreadable, true),
        Answer::Timeout { sent } => without_answer(Outcome::Timeout, sent),
        Answer::ConnectFailed => without_answer(Outcome::ConnectError, false),
        Answer::ResetAfterSend => without_answer(Outcome::ConnectError, true),
        Answer::SecretMissing => without_answer(Outcome::SecretMissing, false),
        Answer::SecretUnusable => without_answer(Outcome::SecretUnusable, false),
        Answer::Blocked => without_answer(Outcome::Blocked, false),
        Answer::RenderFailed => without_answer(Outcome::RenderError, false),
    }
}

/// What an answer comes to by a webhook's own rule, and the part of it that was failed. Limits
/// and refused credentials keep their class; then the rule's codes count, then its other parts.
pub fn by_own_rule(
    classified: Classified,
    rule: &SuccessRule,
    status: u16,
    content_type: Option<&str>,
    body: &[u8],
) -> (Classified, Option<FailedRule>) {
    let outcome = match (classified.outcome, &rule.codes) {
        (kept @ (Outcome::Credential | Outcome::RateLimited), _) => kept,
        (_, Some(codes)) if codes.contains(&status) => Outcome::Accepted,
        (_, Some(_)) if (200..=299).contains(&status) => Outcome::Invalid,
        (_, Some(_)) if (300..=399).contains(&status) => Outcome::Redirected,
        (other, _) => other,
    };
    let failed = if outcome == Outcome::Accepted { rule.failed(content_type, body) } else { None };
    match failed {
        // It was taken, only not as its owner wants it: the next attempt may be a second one.
        Some(_) => (without_answer(Outcome::ServerError, true), failed),
        None => (Classified { outcome, ..classified }, None),
    }
}

fn without_answer(outcome: Outcome, uncertain: bool) -> Classified {
    Classified { outcome, uncertain, wait: None, is_weak: false }
}

/// Whether something follows an answer of this class that can wait as long as it says.
fn may_be_told_to_wait(outcome: Outcome) -> bool {
    match outcome {
        Outcome::RateLimited
        | Outcome::Credential
        | Outcome::ServerError
        | Outcome::NotFound
        | Outcome::Permission => true,
        Outcome::Accepted
        | Outcome::SecretMissing
        | Outcome::SecretUnusable
        | Outcome::Timeout
        | Outcome::ConnectError
        | Outcome::Unreadable
        | Outcome::Invalid
        | Outcome::Redirected
        | Outcome::Blocked
        | Outcome::RenderError
        | Outcome::Lost
        | Outcome::Poison
        | Outcome::WebhookDeleted
        | Outcome::WebhookDisabled
        | Outcome::Withdrawn => false,
    }
}

fn by_meaning(answer: GithubAnswer, status: u16, success_codes: &[u16]) -> Outcome {
    match answer {
        GithubAnswer::Accepted => Outcome::Accepted,
        GithubAnswer::Success => by_status(status, success_codes),
        GithubAnswer::TokenRefused | GithubAnswer::TokenForbidden(_) => Outcome::Credential,
        GithubAnswer::RateLimited { .. } => Outcome::RateLimited,
        GithubAnswer::PermissionDenied => Outcome::Permission,
        GithubAnswer::NotFound => Outcome::NotFound,
        GithubAnswer::Invalid | GithubAnswer::UnexpectedSuccess => Outcome::Invalid,
        GithubAnswer::Redirected => Outcome::Redirected,
        GithubAnswer::ServerError | GithubAnswer::Page => Outcome::ServerError,
    }
}

/// For a GitHub answer that nobody has read: without its body a 200 proves nothing.
fn github_success_codes(kind: TargetKind) -> &'static [u16] {
    match kind {
        TargetKind::RepositoryDispatch | TargetKind::WorkflowDispatch => &[204],
        TargetKind::Other => &[],
    }
}

fn by_status(status: u16, success_codes: &[u16]) -> Outcome {
    match status {
        accepted if success_codes.contains(&accepted) => Outcome::Accepted,
        401 => Outcome::Credential,
        403 => Outcome::Permission,
        404 => Outcome::NotFound,
        408 | 425 | 500..=599 => Outcome::ServerError,
        429 => Outcome::RateLimited,
        300..=399 => Outcome::Redirected,
        _ => Outcome::Invalid,
    }
}

#[cfg(test)]
mod tests;
