//! Secrets as at PactFlow.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::SelfLink;
use crate::SecretName;

/// A secret as PactFlow's clients send it. On PUT what is missing is kept.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BrokerSecretDocument {
    /// The NAME of `${user.NAME}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = SecretName, required = false)]
    pub name: Option<String>,
    /// 1 to 65,536 bytes; stars keep the stored one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 65536, write_only, nullable = false)]
    pub value: Option<String>,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The team whose webhooks may use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team_uuid: Option<String>,
}

impl std::fmt::Debug for BrokerSecretDocument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BrokerSecretDocument")
    }
}

/// A secret as PactFlow shows it: without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BrokerSecret {
    /// The secret.
    pub uuid: String,
    /// The NAME of `${user.NAME}`.
    pub name: SecretName,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub description: Option<String>,
    /// The team whose webhooks may use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub team_uuid: Option<String>,
    /// When it was created.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it last changed.
    #[schema(format = DateTime)]
    pub updated_at: String,
    /// Links by relation.
    #[serde(rename = "_links")]
    pub links: SelfLink,
}

/// The secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BrokerSecrets {
    /// The secrets.
    pub secrets: Vec<BrokerSecret>,
}

/// All secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BrokerSecretList {
    /// The secrets.
    #[serde(rename = "_embedded")]
    pub embedded: BrokerSecrets,
    /// Links by relation.
    #[serde(rename = "_links")]
    pub links: SelfLink,
}
