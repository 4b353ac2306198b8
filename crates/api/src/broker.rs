//! Documents of the webhook API as Pact Broker 2.120 and PactFlow have it.

mod comparison;
mod documents;
mod errors;
mod rules;
mod secrets;
mod test_delivery;
mod triggered;
mod webhooks;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use comparison::{Comparison, Difference, brief, compare, is_starred};
pub use documents::{InvalidDocuments, documents};
pub use errors::{
    BrokerError, BrokerFailure, BrokerProblem, BrokerValidationFault, BrokerValidationProblem,
    ErrorsByMember, FailureDetail, ValidationErrors,
};
pub use rules::{WebhookRules, WebhookSigning, WebhookSuccess, WebhookWhen};
pub use secrets::{BrokerSecret, BrokerSecretDocument, BrokerSecretList, BrokerSecrets};
pub use test_delivery::{
    Execution, ExecutionError, ExecutionLinks, ExecutionRequest, ExecutionResponse,
};
pub use triggered::{
    LoggedExecution, StatusLinks, StatusSummary, TriggeredStatus, TriggeredUuid, TriggeredWebhook,
    TriggeredWebhookLinks, TriggeredWebhookLogs, TriggeredWebhookLogsLinks, TriggeredWebhookOf,
    TriggeredWebhooks, WebhooksStatus,
};
pub use webhooks::{
    PacticipantSelector, ShownWebhookRequest, Webhook, WebhookCollection, WebhookCollectionLinks,
    WebhookDocument, WebhookEvent, WebhookLinks, WebhookRequest,
};

/// A HAL link.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Link {
    /// Where to.
    pub href: String,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub title: Option<String>,
    /// What it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub name: Option<String>,
    /// It is a URI template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub templated: Option<bool>,
}

/// The link of a list to itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SelfLink {
    /// Where it is.
    #[serde(rename = "self")]
    pub this: Link,
}

/// Links by relation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IndexLinks {
    /// The index.
    #[serde(rename = "self")]
    pub this: Link,
    /// All webhooks.
    #[serde(rename = "pb:webhooks")]
    pub webhooks: Link,
    /// One webhook.
    #[serde(rename = "pb:webhook")]
    pub webhook: Link,
    /// Where relations are explained.
    pub curies: Vec<Link>,
}

/// The index: where clients find webhooks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Index {
    /// Links by relation.
    #[serde(rename = "_links")]
    pub links: IndexLinks,
}
