//! Credentials: what is known of them, never their values.

use jiff::Timestamp;
use postrider_domain::{CredentialKind, ProbeVerdict, RepositoryAccess, WebhookUuid, WhichValue};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::page::list;
use crate::query::query;
use crate::secrets::SecretName;
use crate::words;

/// A credential with what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Credential {
    /// The secret's name; of one that is written into a webhook, its place in the lane's name.
    pub name: String,
    /// What kind of credential it is.
    #[schema(value_type = words::CredentialKind)]
    pub kind: CredentialKind,
    /// Who sends it.
    pub used_by: CredentialUsers,
    /// The login behind it, where GitHub said so.
    #[schema(required)]
    pub owner: Option<String>,
    /// Its scopes; null where it has none, or nobody said so.
    #[schema(required)]
    pub scopes: Option<Vec<String>>,
    /// When it ends; null where it does not, or nobody said so.
    #[schema(required)]
    pub expires_at: Option<Timestamp>,
    /// When something was last accepted with it; a minute late at most.
    #[schema(required)]
    pub last_success_at: Option<Timestamp>,
    /// When it was last refused.
    #[schema(required)]
    pub last_refusal_at: Option<Timestamp>,
    /// The value that is to follow it, if there is one.
    #[schema(required)]
    pub pending: Option<PendingValue>,
    /// What somebody should do something about.
    pub warnings: Vec<CredentialWarning>,
}

/// Who uses a credential.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CredentialUsers {
    /// Uuids of webhooks, disabled ones too.
    #[schema(value_type = Vec<String>)]
    pub webhooks: Vec<WebhookUuid>,
    /// Names of their lanes.
    pub lanes: Vec<String>,
}

/// A value that is to follow the one in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PendingValue {
    /// Since when it is there.
    pub since: Timestamp,
}

/// Something about a credential that somebody should do something about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CredentialWarning {
    /// What it is about.
    #[schema(value_type = words::CredentialWarningCode)]
    pub code: String,
    /// One sentence for a person.
    pub detail: String,
}

list! {
    /// A page of credentials, by name.
    pub struct CredentialList {
        /// The credentials.
        credentials: Credential,
        /// How many there are.
        total,
    }
}

/// A value that is to follow the one in use. It never comes out again.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FollowingValue {
    /// 1 to 65,536 bytes.
    #[schema(min_length = 1, max_length = 65536, write_only)]
    pub value: String,
}

impl std::fmt::Debug for FollowingValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FollowingValue")
    }
}

/// A value was set beside the one in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PendingSet {
    /// The NAME of `${user.NAME}`.
    pub name: SecretName,
    /// Since when it is there; null when it is the value in use, so that nothing is to follow.
    #[schema(required)]
    pub pending_since: Option<Timestamp>,
    /// What is odd about the value; missing when nothing is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Which value of a secret is to be tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProbeRequest {
    /// `current` when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = words::WhichValue, required = false)]
    pub which: Option<WhichValue>,
}

query! {
    /// Which value's probe.
    pub struct ProbeQuery {
        /// `current` when missing.
        which: WhichValue as words::WhichValue,
    }
}

/// How a probe of a secret's value stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecretProbe {
    /// The NAME of `${user.NAME}`.
    pub name: SecretName,
    /// Which of its values.
    #[schema(value_type = words::WhichValue)]
    pub which: WhichValue,
    /// Counts the probes of this value; null when there was none.
    #[schema(required, minimum = 1)]
    pub no: Option<i64>,
    /// When it was asked for.
    #[schema(required)]
    pub asked_at: Option<Timestamp>,
    /// When a worker had made it.
    #[schema(required)]
    pub finished_at: Option<Timestamp>,
    /// What it found.
    #[schema(value_type = Option<words::ProbeVerdict>, required)]
    pub verdict: Option<ProbeVerdict>,
    /// What it found in detail.
    #[schema(required)]
    pub found: Option<ProbeFindings>,
}

/// What a probe found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProbeFindings {
    /// The login behind the value, where GitHub says so.
    #[schema(required)]
    pub owner: Option<String>,
    /// Its scopes; null where it has none.
    #[schema(required)]
    pub scopes: Option<Vec<String>>,
    /// When it ends; null where it does not.
    #[schema(required)]
    pub expires_at: Option<Timestamp>,
    /// The repositories that were asked for.
    pub repositories: Vec<ProbedRepository>,
    /// Webhooks that use the secret and can't be tried by a read.
    pub not_probed: Vec<NotProbed>,
}

/// A repository as a value sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProbedRepository {
    /// What was read.
    pub url: String,
    /// What the answer says.
    #[schema(value_type = words::RepositoryAccess)]
    pub access: RepositoryAccess,
    /// The answer's status; null without one.
    #[schema(required)]
    pub status_code: Option<u16>,
    /// Webhooks that dispatch to it.
    #[schema(value_type = Vec<String>)]
    pub webhooks: Vec<WebhookUuid>,
}

/// A webhook that can't be tried by a read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotProbed {
    /// Which.
    #[schema(value_type = String)]
    pub webhook_uuid: WebhookUuid,
    /// Why.
    pub why: String,
}

/// To put the pending value in the place of the one in use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SwitchRequest {
    /// Why, for the audit log; at most 200 characters, no secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200, nullable = false)]
    pub reason: Option<String>,
    /// Also when no probe found the pending value good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, default = false)]
    pub force: Option<bool>,
}
