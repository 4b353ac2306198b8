//! A finding: which rule it is of, how much it matters, where, and what to do about it.

use std::fmt;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something that could not be looked at.
    Note,
    /// It may work, and is probably not meant.
    Warning,
    /// It will fail, or it gives a secret away.
    Error,
}

impl Severity {
    /// The word shown for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What a finding is about. The words are stable, for programs that read findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LintRule {
    /// A credential is written into the webhook.
    InlineSecret,
    /// A value is starred, so that nothing can be said of it.
    Hidden,
    /// A `${user.NAME}` without a stored secret.
    UnknownSecret,
    /// A placeholder that nothing will fill in.
    UnknownVariable,
    /// A known variable with a filter that is none.
    InvalidFilter,
    /// A value goes where it could break or extend what is around it.
    UnescapedValue,
    /// A `$` that stays in front of a value.
    LeftoverDollar,
    /// A password without a user name.
    PasswordAlone,
    /// A path or host at GitHub that is not its API's.
    GithubPath,
    /// A dispatch without a credential.
    NoCredential,
    /// A member that GitHub demands is not there.
    MissingMember,
    /// The URL can't be sent to.
    InvalidUrl,
    /// Neither the target nor what is sent is protected.
    Http,
    /// Not `POST`.
    Method,
    /// More than GitHub takes in `client_payload`.
    PayloadKeys,
    /// Longer than GitHub takes in `event_type`, or empty.
    EventType,
    /// Larger than GitHub takes.
    BodySize,
    /// A dispatch on an event that fires too often and lacks the version to verify.
    DispatchEvent,
}

impl LintRule {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InlineSecret => "inline_secret",
            Self::Hidden => "hidden",
            Self::UnknownSecret => "unknown_secret",
            Self::UnknownVariable => "unknown_variable",
            Self::InvalidFilter => "invalid_filter",
            Self::UnescapedValue => "unescaped_value",
            Self::LeftoverDollar => "leftover_dollar",
            Self::PasswordAlone => "password_alone",
            Self::GithubPath => "github_path",
            Self::NoCredential => "no_credential",
            Self::MissingMember => "missing_member",
            Self::InvalidUrl => "invalid_url",
            Self::Http => "http",
            Self::Method => "method",
            Self::PayloadKeys => "payload_keys",
            Self::EventType => "event_type",
            Self::BodySize => "body_size",
            Self::DispatchEvent => "dispatch_event",
        }
    }

    fn severity(self) -> Severity {
        match self {
            Self::Hidden => Severity::Note,
            Self::UnknownVariable
            | Self::UnescapedValue
            | Self::LeftoverDollar
            | Self::PasswordAlone
            | Self::Http
            | Self::Method
            | Self::DispatchEvent => Severity::Warning,
            Self::InlineSecret
            | Self::UnknownSecret
            | Self::InvalidFilter
            | Self::GithubPath
            | Self::NoCredential
            | Self::MissingMember
            | Self::InvalidUrl
            | Self::PayloadKeys
            | Self::EventType
            | Self::BodySize => Severity::Error,
        }
    }
}

/// One thing to know about a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub rule: LintRule,
    /// How much it matters.
    pub severity: Severity,
    /// Where in the webhook's document, as a JSON pointer.
    pub pointer: String,
    /// What is wrong, and why.
    pub what: String,
    /// What to do about it.
    pub fix: String,
}

impl Finding {
    pub(super) fn new(
        rule: LintRule,
        pointer: impl Into<String>,
        what: impl fmt::Display,
        fix: impl fmt::Display,
    ) -> Self {
        let (what, fix) = (what.to_string(), fix.to_string());
        Self { rule, severity: rule.severity(), pointer: pointer.into(), what, fix }
    }

    /// Place, fault and remedy in one line.
    pub fn sentence(&self) -> String {
        format!("{}: {}; {}", self.pointer, self.what, self.fix)
    }
}
