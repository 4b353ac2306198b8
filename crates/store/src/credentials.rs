//! What is known of credentials, probes of them, and the value that is to follow.

use std::time::Duration;

use jiff::Timestamp;
use postrider_domain::{ProbeVerdict, RepositoryAccess, WebhookUuid, WhichValue};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::{SecretInfo, StoredWebhook};

/// What answers said of a secret's value since it was written last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CredentialNews {
    /// The secret's name.
    pub name: String,
    /// What GitHub's answers say of the token; `None` when none came from there.
    pub github: Option<GithubFacts>,
    /// How long ago something was accepted with it.
    pub succeeded: Option<Duration>,
    /// How long ago it was refused.
    pub refused: Option<Duration>,
}

/// What GitHub says of a token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GithubFacts {
    /// The login behind it; `None` leaves what is known.
    pub owner: Option<String>,
    /// Its scopes; `None` where it has none.
    pub scopes: Option<Vec<String>>,
    /// When it ends; `None`: it does not.
    pub expires_at: Option<Timestamp>,
}

/// A secret with what is known of it.
#[derive(Debug, Clone)]
pub struct CredentialRow {
    /// The secret.
    pub secret: SecretInfo,
    /// The login behind it.
    pub owner: Option<String>,
    /// Its scopes; `None` where it has none, or nobody said so.
    pub scopes: Option<Vec<String>>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When something was last accepted with it.
    pub last_success_at: Option<Timestamp>,
    /// When it was last refused.
    pub last_refusal_at: Option<Timestamp>,
    /// GitHub answered to it.
    pub is_github: bool,
    /// Since when a value is there that is to follow it.
    pub pending_at: Option<Timestamp>,
    /// Since when the value before it is not used; it is kept until it is seen refused.
    pub previous_at: Option<Timestamp>,
}

/// What setting a pending value came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PendingPut {
    /// It is there, since then.
    Pending(Timestamp),
    /// It is the value in use: nothing is to follow.
    Current,
    /// The secret is a GitHub App, whose tokens are renewed by themselves.
    GithubApp,
    /// There is no such secret.
    NotFound,
}

/// What a switch came to.
#[derive(Debug, Clone)]
pub enum Switched {
    /// The pending value is in use.
    Done {
        /// The secret as it is now.
        secret: SecretInfo,
        /// Names of the lanes that opened.
        opened: Vec<String>,
    },
    /// There is no pending value.
    NothingPending,
    /// The secret is a GitHub App, whose tokens are renewed by themselves.
    GithubApp,
    /// The pending value was not found good by a probe: what the last one of it found.
    NotProbed(Option<ProbeVerdict>),
    /// There is no such secret.
    NotFound,
}

/// What asking for a probe came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeAsked {
    /// It is to be made: its number, which counts the probes of this value.
    No(i64),
    /// There is no such value.
    NoValue,
    /// The secret is a GitHub App, whose tokens are renewed by themselves.
    GithubApp,
}

/// How a probe stands.
#[derive(Debug, Clone)]
pub struct ProbeRow {
    /// Counts the probes of this value of the secret.
    pub no: i64,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// When it was over.
    pub finished_at: Option<Timestamp>,
    /// What it found.
    pub verdict: Option<ProbeVerdict>,
    /// What it found in detail.
    pub found: Option<ProbeFindings>,
}

/// What a probe found in detail; no secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeFindings {
    /// The login behind the value, where GitHub says so.
    pub owner: Option<String>,
    /// Its scopes; `None` where it has none.
    pub scopes: Option<Vec<String>>,
    /// When it ends; `None`: it does not.
    pub expires_at: Option<Timestamp>,
    /// The repositories that were asked for.
    pub repositories: Vec<ProbedRepository>,
    /// Webhooks that use the secret and can't be tried by a read, and why.
    pub not_probed: Vec<(WebhookUuid, String)>,
}

/// A repository as a value sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbedRepository {
    /// What was read, secrets starred.
    pub url: String,
    /// What the answer says.
    pub access: RepositoryAccess,
    /// The answer's status; `None` without one.
    pub status_code: Option<u16>,
    /// Webhooks that dispatch to it.
    pub webhooks: Vec<WebhookUuid>,
}

/// A probe to make.
#[derive(Debug)]
pub struct ProbeTask {
    /// The secret.
    pub name: String,
    /// Which of its values.
    pub which: WhichValue,
    /// Counts the probes.
    pub no: i64,
    /// Whether repositories are asked for, or only whose it is.
    pub is_whole: bool,
    /// The value.
    pub value: SecretString,
    /// Enabled webhooks that use the secret.
    pub webhooks: Vec<StoredWebhook>,
}
