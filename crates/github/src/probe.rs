//! Asking whether a credential is alive without doing anything with it.
//!
//! `GET /rate_limit` needs a token that GitHub knows and nothing else, and is free of the
//! primary limit (GitHub docs: rate limits). It does not touch the repository, so it can't
//! tell that an organization shuts the token out ([`postrider_domain::TokenForbidden`]), nor
//! that a grant is missing: only a dispatch shows that.

use std::time::Duration;

use http::HeaderMap;
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

/// Where to ask about the credential of a dispatch: `/rate_limit` of the same origin, under
/// `/api/v3` if the dispatch is. `None` if the URL is no GitHub dispatch.
pub fn probe_url(dispatch_url: &Url) -> Option<Url> {
    if !TargetKind::of(dispatch_url).is_github() {
        return None;
    }
    let is_enterprise_server = dispatch_url.path().starts_with("/api/v3/");
    let mut url = dispatch_url.clone();
    url.set_path(if is_enterprise_server { "/api/v3/rate_limit" } else { "/rate_limit" });
    url.set_query(None);
    url.set_fragment(None);
    Some(url)
}

/// Reads the answer to a probe.
pub fn read_probe(status: u16, headers: &HeaderMap, body: &[u8]) -> ProbeReading {
    let message = Message::read(body);
    // Enterprise Server has limits off by default and says so only to those it knows.
    if status == 200 || status == 404 && message.says(&["rate limiting is not enabled"]) {
        return ProbeReading::Good;
    }
    match read(TargetKind::Other, status, headers, body, None) {
        GithubAnswer::TokenRefused | GithubAnswer::TokenForbidden(_) => ProbeReading::Refused,
        GithubAnswer::RateLimited { wait } => ProbeReading::Limited(wait),
        // Said to a token that GitHub knows; anything else with a 403 may come from a proxy.
        GithubAnswer::PermissionDenied if message.says(&["resource not accessible"]) => {
            ProbeReading::Good
        }
        GithubAnswer::PermissionDenied
        | GithubAnswer::Accepted
        | GithubAnswer::NotFound
        | GithubAnswer::Invalid
        | GithubAnswer::UnexpectedSuccess
        | GithubAnswer::Redirected
        | GithubAnswer::ServerError => ProbeReading::Unknown,
    }
}

#[cfg(test)]
mod tests;
