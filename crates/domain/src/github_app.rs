//! A GitHub App as the source of a secret's value: for each request that needs it an installation
//! token stands in the value's place.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::placeholder::replace_all;
use crate::{HostPatterns, is_loopback};

/// GitHub's own API.
const GITHUB_API: &str = "https://api.github.com";

/// Longest id of an app, and longest name of an account.
const LONGEST_NAME: usize = 100;

/// An app without its private key. Its text form is how it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GithubApp {
    /// The app's id, in digits, or its client id.
    pub app_id: String,
    /// The installation whose tokens are used; `None`: the owner's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installation_id: Option<u64>,
    /// The organization or user that installed the app; without it and the id, the owner of the
    /// repository that a request is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Each repository gets a token of its own, good for it alone.
    pub per_repository: bool,
    /// Where GitHub's API is, without a slash at the end.
    pub api_url: String,
}

/// Something is wrong with an app's description.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{member} {why}")]
pub struct InvalidGithubApp {
    /// Which member.
    pub member: &'static str,
    /// What is wrong with it, and how it has to be.
    pub why: String,
}

impl GithubApp {
    /// An app as somebody describes it; `api_url` is GitHub's own without one.
    ///
    /// # Errors
    /// The first member that can't be right.
    pub fn new(
        app_id: &str,
        installation_id: Option<u64>,
        owner: Option<&str>,
        per_repository: bool,
        api_url: Option<&str>,
    ) -> Result<Self, InvalidGithubApp> {
        let invalid = |member, why: &str| InvalidGithubApp { member, why: why.to_owned() };
        if !is_name(app_id, |b| b == b'.' || b == b'_') {
            return Err(invalid("app_id", "is no id of a GitHub App: use its id or client id"));
        }
        if owner.is_some_and(|owner| !is_name(owner, |b| b == b'_')) {
            return Err(invalid("owner", "is no organization or user of GitHub"));
        }
        if owner.is_some() && installation_id.is_some() {
            return Err(invalid("owner", "cannot be given with installation_id: use one of both"));
        }
        if installation_id == Some(0) {
            return Err(invalid("installation_id", "must be 1 or more"));
        }
        let api_url = api_url.unwrap_or(GITHUB_API).trim_end_matches('/');
        let why = "is no address of an API: use one such as https://github.example.com/api/v3";
        let url = Url::parse(api_url).map_err(|_| invalid("api_url", why))?;
        let is_bare = url.query().is_none() && url.fragment().is_none();
        let has_info = !url.username().is_empty() || url.password().is_some();
        if !matches!(url.scheme(), "http" | "https") || !is_bare || has_info || url.host().is_none()
        {
            return Err(invalid("api_url", why));
        }
        Ok(Self {
            app_id: app_id.to_owned(),
            installation_id,
            owner: owner.map(str::to_owned),
            per_repository,
            api_url: api_url.to_owned(),
        })
    }
}

/// Letters, digits and hyphens, and what else is allowed.
fn is_name(text: &str, also: impl Fn(u8) -> bool) -> bool {
    (1..=LONGEST_NAME).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || also(b))
}

/// Where tokens of apps, and what mints them, may be sent: hosts of GitHub, over https; without it
/// only to this machine, where a double may stand, if deliveries may use the scheme.
#[derive(Debug, Clone, Copy)]
pub struct AppTargets<'a> {
    /// Hosts that are GitHub's.
    pub github_hosts: &'a HostPatterns,
    /// Schemes that deliveries may use, in any case.
    pub schemes: &'a [String],
}

impl AppTargets<'_> {
    /// Judges a URL, which may be a template with placeholders anywhere but in its host.
    ///
    /// # Errors
    /// Why a token may not go there.
    pub fn check(&self, template: &str) -> Result<(), String> {
        let url = Url::parse(&replace_all(template, "a"))
            .map_err(|_| "its tokens need a valid URL".to_owned())?;
        let scheme = url.scheme();
        let is_allowed = || self.schemes.iter().any(|s| s.eq_ignore_ascii_case(scheme));
        if scheme != "https" && !(is_loopback(&url) && is_allowed()) {
            return Err("its tokens are sent over https only".to_owned());
        }
        let host = url.host_str().unwrap_or_default();
        let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        if self.github_hosts.matches(&authority) {
            return Ok(());
        }
        let hosts = self.github_hosts;
        Err(format!("its tokens are sent to hosts of POSTRIDER_GITHUB_HOSTS ({hosts}) only"))
    }
}

#[cfg(test)]
mod tests;
