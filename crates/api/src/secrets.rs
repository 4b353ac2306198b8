//! Secrets: names, never values.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The NAME of `${user.NAME}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
pub struct SecretName(pub String);

/// A secret without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecretInfo {
    /// The NAME of `${user.NAME}`.
    pub name: SecretName,
    /// Its uuid in PactFlow's API.
    pub uuid: String,
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

/// All secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecretList {
    /// The secrets.
    pub secrets: Vec<SecretInfo>,
}

/// A value. It never comes out again.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretValue {
    /// 1 to 65,536 bytes.
    #[schema(min_length = 1, max_length = 65536, write_only)]
    pub value: String,
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
