//! What comes of a test.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Link;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExecutionError {
    /// For people.
    pub message: String,
}

/// What was sent, redacted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ExecutionRequest {
    /// Header names with their values, redacted.
    pub headers: BTreeMap<String, String>,
    /// Any JSON, or text.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    #[schema(required = false)]
    pub body: Value,
    /// Path and query.
    pub url: String,
}

/// What the target answered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ExecutionResponse {
    /// HTTP status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub status: Option<u16>,
    /// Header names with their values, redacted.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Any JSON, or text.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    #[schema(required = false)]
    pub body: Value,
}

/// Links by relation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExecutionLinks {
    /// The webhook, if it is saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub webhook: Option<Link>,
    /// The same test again.
    #[serde(rename = "try-again")]
    pub try_again: Link,
}

/// What came of a test, whatever that is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Execution {
    /// Why there is no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<ExecutionError>,
    /// What was sent, redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub request: Option<ExecutionRequest>,
    /// What the target answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub response: Option<ExecutionResponse>,
    /// Line by line.
    pub logs: String,
    /// The target took it.
    pub success: bool,
    /// Links by relation.
    #[serde(rename = "_links")]
    pub links: ExecutionLinks,
}
