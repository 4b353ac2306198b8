//! What a credential's owner should know: when it ends, what it may do, whose it is.

use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::extensions::Pattern;

/// What kind of credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// A token that GitHub's API is called with.
    Token,
    /// A GitHub App, whose tokens are made and renewed as they are needed.
    GithubApp,
    /// Anything else.
    Other,
}

impl CredentialKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Token, Self::GithubApp, Self::Other];

    /// Its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::GithubApp => "github_app",
            Self::Other => "other",
        }
    }
}

/// Which value of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhichValue {
    /// The one that is used.
    Current,
    /// The one that is to follow it.
    Pending,
    /// The one that was used before.
    Previous,
}

impl WhichValue {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Current, Self::Pending, Self::Previous];

    /// Its name in rows and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Pending => "pending",
            Self::Previous => "previous",
        }
    }
}

/// What a probe of a credential found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeVerdict {
    /// It is taken, and may write to every repository that was asked for.
    Ok,
    /// It is taken, but not everywhere or not for writing.
    Insufficient,
    /// It is refused.
    Refused,
    /// A limit was met.
    Limited,
    /// Something could not be asked.
    Unknown,
    /// There was nothing to ask for: no webhook at GitHub uses it.
    Nothing,
}

impl ProbeVerdict {
    /// All verdicts.
    pub const ALL: [Self; 6] =
        [Self::Ok, Self::Insufficient, Self::Refused, Self::Limited, Self::Unknown, Self::Nothing];

    /// Its name in rows and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Insufficient => "insufficient",
            Self::Refused => "refused",
            Self::Limited => "limited",
            Self::Unknown => "unknown",
            Self::Nothing => "nothing",
        }
    }

    /// What it means, as the end of a sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "it is taken and may write to every repository",
            Self::Insufficient => "it is taken, but does not suffice everywhere",
            Self::Refused => "it is refused",
            Self::Limited => "a rate limit was met: nothing is known",
            Self::Unknown => "not everything could be asked",
            Self::Nothing => "no webhook at GitHub uses it: there was nothing to try",
        }
    }
}

/// What a new token of GitHub is best called: the kind, and the day on which it was made.
pub fn suggested_token_name(today: Timestamp) -> String {
    format!("pactflow-webhook-{}", today.strftime("%Y-%m-%d"))
}

/// The text is no such word.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown word about a credential")]
pub struct UnknownCredentialWord;

impl FromStr for WhichValue {
    type Err = UnknownCredentialWord;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|which| which.as_str() == text).ok_or(UnknownCredentialWord)
    }
}

impl FromStr for ProbeVerdict {
    type Err = UnknownCredentialWord;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|verdict| verdict.as_str() == text).ok_or(UnknownCredentialWord)
    }
}

/// What is known of a credential.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CredentialFacts {
    /// Whether it is written into a webhook instead of being a secret.
    pub is_inline: bool,
    /// The login behind it, where GitHub said so.
    pub owner: Option<String>,
    /// What it may do, where GitHub said so; `None` for tokens without scopes.
    pub scopes: Option<Vec<String>>,
    /// When it ends; `None` when it does not, or nobody said so.
    pub expires_at: Option<Timestamp>,
    /// When something was last accepted with it, or else when it was set.
    pub last_used_at: Option<Timestamp>,
}

/// Something about a credential that somebody should do something about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialWarning {
    /// It has ended.
    Expired,
    /// It ends within so many days: 1, 7, 14 or 30.
    Expires(u32),
    /// It lacks the scope that a dispatch needs.
    ScopeMissing,
    /// It may do much more than send dispatches, by these scopes.
    ScopeTooWide(Vec<String>),
    /// It belongs to somebody who is none of the expected machine users.
    Owner(String),
    /// Nothing was accepted with it for so many days.
    Unused(u32),
    /// It is written into a webhook.
    Inline,
}

/// Days before its end at which a credential is warned of.
const EXPIRY_DAYS: [u32; 4] = [1, 7, 14, 30];
/// Days after which a credential counts as unused: GitHub revokes a personal access token that
/// was not used for a year (GitHub docs: token expiration and revocation).
const UNUSED_DAYS: u32 = 300;
/// Scopes that a dispatch is taken with (GitHub docs: create a repository dispatch event).
const SUFFICIENT: [&str; 2] = ["repo", "public_repo"];
/// Beginnings of scopes with which a stolen token does more harm than dispatches.
const TOO_WIDE: [&str; 8] = [
    "admin:",
    "delete_repo",
    "delete:packages",
    "manage_",
    "site_admin",
    "user",
    "write:org",
    "workflow",
];

impl CredentialWarning {
    /// Its name in JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Expires(_) => "expires",
            Self::ScopeMissing => "scope_missing",
            Self::ScopeTooWide(_) => "scope_too_wide",
            Self::Owner(_) => "owner",
            Self::Unused(_) => "unused",
            Self::Inline => "inline",
        }
    }

    /// All names.
    pub const CODES: [&'static str; 7] =
        ["expired", "expires", "scope_missing", "scope_too_wide", "owner", "unused", "inline"];

    /// One sentence for a person.
    pub fn sentence(&self) -> String {
        match self {
            Self::Expired => "it has expired: put another in its place".to_owned(),
            Self::Expires(1) => "it expires within a day: put another in its place".to_owned(),
            Self::Expires(days) => {
                format!("it expires within {days} days: put another in its place")
            }
            Self::ScopeMissing => {
                "it lacks the scope repo, without which GitHub takes no dispatch".to_owned()
            }
            Self::ScopeTooWide(scopes) => format!(
                "it may do more than dispatches need, by {}: make one with the scope repo alone",
                scopes.join(", ")
            ),
            Self::Owner(owner) => format!(
                "it belongs to {owner}, who is none of POSTRIDER_MACHINE_USERS: it ends when that \
                 person leaves"
            ),
            Self::Unused(days) => format!(
                "nothing was accepted with it for {days} days: GitHub revokes what is not used for \
                 a year"
            ),
            Self::Inline => {
                "it is written into a webhook: make it a secret and use ${user.NAME}".to_owned()
            }
        }
    }
}

/// What is to be said of a credential now. `machine_users` are patterns of expected owners, in
/// lower case; none: any owner is.
pub fn credential_warnings(
    facts: &CredentialFacts,
    machine_users: &[Pattern],
    now: Timestamp,
) -> Vec<CredentialWarning> {
    let is_expected = |owner: &&String| {
        let owner = owner.to_lowercase();
        machine_users.is_empty() || machine_users.iter().any(|pattern| pattern.matches(&owner))
    };
    let mut warnings: Vec<CredentialWarning> =
        facts.expires_at.and_then(|at| credential_expiry(at, now)).into_iter().collect();
    warnings.extend(facts.scopes.iter().flat_map(|scopes| about_scopes(scopes)));
    let stranger = facts.owner.as_ref().filter(|owner| !is_expected(owner));
    warnings.extend(stranger.cloned().map(CredentialWarning::Owner));
    warnings.extend(facts.last_used_at.and_then(|at| unused(at, now)));
    warnings.extend(facts.is_inline.then_some(CredentialWarning::Inline));
    warnings
}

/// Whether a credential has ended, or ends within the days that are warned of.
pub fn credential_expiry(at: Timestamp, now: Timestamp) -> Option<CredentialWarning> {
    if at <= now {
        return Some(CredentialWarning::Expired);
    }
    let left = at.duration_since(now);
    let days = EXPIRY_DAYS
        .into_iter()
        .find(|days| left <= SignedDuration::from_hours(24 * i64::from(*days)));
    days.map(CredentialWarning::Expires)
}

fn unused(since: Timestamp, now: Timestamp) -> Option<CredentialWarning> {
    let days = u32::try_from(now.duration_since(since).as_hours() / 24).unwrap_or_default();
    (days >= UNUSED_DAYS).then_some(CredentialWarning::Unused(days))
}

fn about_scopes(scopes: &[String]) -> Vec<CredentialWarning> {
    let suffices = scopes.iter().any(|scope| SUFFICIENT.contains(&scope.as_str()));
    let is_too_wide = |scope: &&String| {
        !scope.starts_with("user:") && TOO_WIDE.iter().any(|wide| scope.starts_with(wide))
    };
    let wide: Vec<String> = scopes.iter().filter(is_too_wide).cloned().collect();
    let mut warnings = Vec::new();
    if !suffices {
        warnings.push(CredentialWarning::ScopeMissing);
    }
    if !wide.is_empty() {
        warnings.push(CredentialWarning::ScopeTooWide(wide));
    }
    warnings
}

#[cfg(test)]
mod tests;
