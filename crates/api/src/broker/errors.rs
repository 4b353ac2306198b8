//! Errors in the broker's shapes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An error in one text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BrokerError {
    /// What is wrong.
    pub error: String,
}

/// Messages by member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorsByMember {
    /// Dotted member names with messages.
    pub errors: BTreeMap<String, Vec<String>>,
}

/// What is wrong with the body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum ValidationErrors {
    /// By member.
    ByMember(ErrorsByMember),
    /// In one text.
    Text(BrokerError),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailureDetail {
    /// For people.
    pub message: String,
    /// By which the log has it.
    pub reference: String,
}

/// An error inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BrokerFailure {
    /// What happened.
    pub error: FailureDetail,
}

/// An error, for clients that accept problem documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BrokerProblem {
    /// The kind in words.
    pub title: String,
    /// The kind as a URL.
    #[serde(rename = "type")]
    pub kind: String,
    /// What is wrong.
    pub detail: String,
    /// The HTTP status; 500 for what can't be read at all (Pact Broker 2.120).
    pub status: u16,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BrokerValidationFault {
    /// The kind as a URL.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// What is wrong.
    pub detail: String,
    /// JSON pointer into the body.
    pub pointer: String,
}

/// Validation errors, for clients that accept problem documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BrokerValidationProblem {
    /// `Validation errors`.
    #[schema(pattern = "^Validation errors$")]
    pub title: String,
    /// The kind as a URL.
    #[serde(rename = "type")]
    pub kind: String,
    /// 400, or 422 for a value that nothing could carry.
    #[schema(minimum = 400, maximum = 422)]
    pub status: u16,
    /// Always `/`.
    pub instance: String,
    /// What is wrong place by place.
    pub errors: Vec<BrokerValidationFault>,
}
