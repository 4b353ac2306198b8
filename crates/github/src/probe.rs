//! Asking whether a credential is alive without doing anything with it.
//!
//! By a read of the repository that the request is about: it tells, as `GET /rate_limit` can't,
//! that an organization shuts the token out ([`postrider_domain::TokenForbidden`]). That a grant is
//! missing it does not tell: only a dispatch shows that. Where there is no repository it is
//! `GET /rate_limit`, which needs a token that GitHub knows and nothing else.

use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;
use postrider_domain::{GithubAnswer, TargetKind};
use url::Url;

use crate::message::Message;
use crate::read::read;

/// What a probe says about the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeReading {
    /// The token is alive.
    Good,
    /// The token is refused.
    Refused,
    /// A limit was met; nothing is known about the token. How long GitHub says to wait.
    Limited(Option<Duration>),
    /// Nothing is known about the token.
    Unknown,
}

/// Where to ask about the credential of a request: its repository, else `/rate_limit` of the same
/// origin, under `/api/v3` if the request is.
pub fn probe_url(request: &Url) -> Url {
    let segments: Vec<&str> = request.path_segments().into_iter().flatten().collect();
    let (root, path) = match segments.as_slice() {
        ["api", "v3", path @ ..] => ("/api/v3", path),
        path => ("", path),
    };
    let path = match path {
        ["repos", owner, repo, ..] if !owner.is_empty() && !repo.is_empty() => {
            format!("{root}/repos/{owner}/{repo}")
        }
        _ => format!("{root}/rate_limit"),
    };
    let mut url = request.clone();
    url.set_path(&path);
    url.set_query(None);
    url.set_fragment(None);
    url
}

/// Reads the answer to a probe; `now` is our clock's time.
pub fn read_probe(status: u16, headers: &HeaderMap, body: &[u8], now: Timestamp) -> ProbeReading {
    let message = Message::read(body);
    // Enterprise Server has limits off by default and says so only to those it knows.
    if status == 200 || status == 404 && message.says(&["rate limiting is not enabled"]) {
        return ProbeReading::Good;
    }
    match read(TargetKind::Other, status, headers, body, now) {
        GithubAnswer::TokenRefused | GithubAnswer::TokenForbidden(_) => ProbeReading::Refused,
        GithubAnswer::RateLimited { wait } => ProbeReading::Limited(wait),
        // Said to a token that GitHub knows; anything else with a 403 may come from a proxy.
        GithubAnswer::PermissionDenied if message.says(&["resource not accessible"]) => {
            ProbeReading::Good
        }
        // So is this: without a token that it knows GitHub says 401 first.
        GithubAnswer::NotFound | GithubAnswer::Redirected => ProbeReading::Good,
        GithubAnswer::PermissionDenied
        | GithubAnswer::Accepted
        | GithubAnswer::Invalid
        | GithubAnswer::Success
        | GithubAnswer::UnexpectedSuccess
        | GithubAnswer::Page
        | GithubAnswer::ServerError => ProbeReading::Unknown,
    }
}

#[cfg(test)]
mod tests;
