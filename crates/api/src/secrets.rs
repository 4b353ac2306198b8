//! Secrets: names, never values.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::page::list;

/// The NAME of `${user.NAME}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
pub struct SecretName(pub String);

/// What a secret stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecretKind {
    /// A value that somebody set.
    Value,
    /// Installation tokens of a GitHub App.
    GithubApp,
}

impl SecretKind {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::GithubApp => "github_app",
        }
    }
}

/// A GitHub App without its private key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GithubAppInfo {
    /// The app's id or client id.
    pub app_id: String,
    /// The installation whose tokens are used; missing when it is the owner's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1)]
    pub installation_id: Option<u64>,
    /// Whose installation; missing when it is that of the repository's owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub owner: Option<String>,
    /// Each repository has a token of its own.
    pub per_repository: bool,
    /// Where GitHub's API is.
    pub api_url: String,
}

/// A secret without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecretInfo {
    /// The NAME of `${user.NAME}`.
    pub name: SecretName,
    /// Its uuid in PactFlow's API.
    pub uuid: String,
    /// What it stands for.
    pub kind: SecretKind,
    /// The app; missing when it is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub github_app: Option<GithubAppInfo>,
    /// What it is.
    #[schema(required)]
    pub description: Option<String>,
    /// The team whose webhooks may use it.
    #[schema(required)]
    pub team_uuid: Option<String>,
    /// Grows with each value.
    #[schema(minimum = 0)]
    pub rev: i64,
    /// When it was first set.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

list! {
    /// A page of secrets, by name.
    pub struct SecretList {
        /// The secrets.
        secrets: SecretInfo,
        /// How many there are.
        total,
    }
}

/// A value, or the app whose tokens are the value: one of both. It never comes out again.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretValue {
    /// 1 to 65,536 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 65536, write_only, nullable = false)]
    pub value: Option<String>,
    /// The app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub github_app: Option<GithubAppSecret>,
}

/// A GitHub App with its private key.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GithubAppSecret {
    /// The app's id or client id.
    #[schema(pattern = "^[A-Za-z0-9._-]{1,100}$")]
    pub app_id: String,
    /// The PEM file that GitHub gave.
    #[schema(min_length = 1, max_length = 65536, write_only)]
    pub private_key: String,
    /// The installation whose tokens are used; without it the owner's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1)]
    pub installation_id: Option<u64>,
    /// The organization or user that installed the app; without it, and without an installation,
    /// the owner of the repository that a request is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub owner: Option<String>,
    /// Each repository gets a token of its own.
    #[serde(default)]
    #[schema(required = false)]
    pub per_repository: bool,
    /// Where GitHub's API is; without it, GitHub's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub api_url: Option<String>,
}

impl std::fmt::Debug for GithubAppSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GithubAppSecret")
    }
}

impl std::fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretValue")
    }
}

/// A value was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecretSet {
    /// The NAME of `${user.NAME}`.
    pub name: SecretName,
    /// The value's revision.
    #[schema(minimum = 0)]
    pub rev: i64,
    /// Lanes that were held for the old value and are open now.
    pub lanes_opened: Vec<String>,
    /// What is odd about the value; missing when nothing is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}
