//! What an attempt, or a delivery without one, came to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The class of an answer, and the ends that a delivery can come to without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The target took it.
    Accepted,
    /// The target refused the credential itself.
    Credential,
    /// The webhook names a secret that has no value; nothing was sent.
    SecretMissing,
    /// The webhook names a secret whose value can't stand where it is put; nothing was sent.
    SecretUnusable,
    /// The target asked to be left alone for a while.
    RateLimited,
    /// 5xx.
    ServerError,
    /// No answer in time.
    Timeout,
    /// No connection, or it broke: DNS, TCP, TLS, reset.
    ConnectError,
    /// The request was taken, but the answer is no HTTP that could be read, status included.
    Unreadable,
    /// 404: the target does not exist, or is hidden from this credential.
    NotFound,
    /// The credential is alive but may not do this.
    Permission,
    /// The target will never take this request.
    Invalid,
    /// The target answered with a redirect that is not followed.
    Redirected,
    /// Settings forbid the target: its address, or its scheme, method or host; nothing was sent.
    Blocked,
    /// The template could not be rendered, or came out too large; nothing was sent.
    RenderError,
    /// A worker claimed it and was not heard of again; it may have been sent.
    Lost,
    /// Its claims were lost time and again: it is set aside so that it can't take workers down.
    Poison,
    /// Its webhook was deleted while it waited.
    WebhookDeleted,
    /// Its webhook was disabled while it waited.
    WebhookDisabled,
    /// A test that could not be sent while somebody waited for it; nothing was sent.
    Withdrawn,
}

/// The text is no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown outcome {0:?}")]
pub struct UnknownOutcome(pub String);

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 20] = [
        Self::Accepted,
        Self::Credential,
        Self::SecretMissing,
        Self::SecretUnusable,
        Self::RateLimited,
        Self::ServerError,
        Self::Timeout,
        Self::ConnectError,
        Self::Unreadable,
        Self::NotFound,
        Self::Permission,
        Self::Invalid,
        Self::Redirected,
        Self::Blocked,
        Self::RenderError,
        Self::Lost,
        Self::Poison,
        Self::WebhookDeleted,
        Self::WebhookDisabled,
        Self::Withdrawn,
    ];

    /// Its name in rows, JSON, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Credential => "credential",
            Self::SecretMissing => "secret_missing",
            Self::SecretUnusable => "secret_unusable",
            Self::RateLimited => "rate_limited",
            Self::ServerError => "server_error",
            Self::Timeout => "timeout",
            Self::ConnectError => "connect_error",
            Self::Unreadable => "unreadable",
            Self::NotFound => "not_found",
            Self::Permission => "permission",
            Self::Invalid => "invalid",
            Self::Redirected => "redirected",
            Self::Blocked => "blocked",
            Self::RenderError => "render_error",
            Self::Lost => "lost",
            Self::Poison => "poison",
            Self::WebhookDeleted => "webhook_deleted",
            Self::WebhookDisabled => "webhook_disabled",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Whether it is an answer of the target that speaks of no limit.
    pub fn is_free_of_limits(self) -> bool {
        match self {
            Self::Accepted
            | Self::Credential
            | Self::ServerError
            | Self::NotFound
            | Self::Permission
            | Self::Invalid
            | Self::Redirected => true,
            Self::SecretMissing
            | Self::SecretUnusable
            | Self::RateLimited
            | Self::Timeout
            | Self::ConnectError
            | Self::Unreadable
            | Self::Blocked
            | Self::RenderError
            | Self::Lost
            | Self::Poison
            | Self::WebhookDeleted
            | Self::WebhookDisabled
            | Self::Withdrawn => false,
        }
    }

    /// Whether the delivery waits for a credential that is taken, however long that takes, and never
    /// fails for it.
    pub fn waits_for_a_credential(self) -> bool {
        matches!(self, Self::Credential | Self::SecretMissing | Self::SecretUnusable)
    }

    /// Whether a target that answers like this took the credential: it judged the request, not
    /// who sent it. A limit or a redirect may be told before the credential is looked at.
    pub fn shows_a_live_credential(self) -> bool {
        match self {
            Self::Accepted
            | Self::ServerError
            | Self::NotFound
            | Self::Permission
            | Self::Invalid => true,
            Self::Credential
            | Self::SecretMissing
            | Self::SecretUnusable
            | Self::RateLimited
            | Self::Timeout
            | Self::ConnectError
            | Self::Unreadable
            | Self::Redirected
            | Self::Blocked
            | Self::RenderError
            | Self::Lost
            | Self::Poison
            | Self::WebhookDeleted
            | Self::WebhookDisabled
            | Self::Withdrawn => false,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Outcome {
    type Err = UnknownOutcome;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == text)
            .ok_or_else(|| UnknownOutcome(text.to_owned()))
    }
}
