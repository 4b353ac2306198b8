//! Deliveries as a Pact Broker shows what it triggered.

use postrider_domain::{DeliveryId, EventName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Link;
use crate::words;

/// Where a delivery stands, in the broker's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TriggeredStatus {
    /// It was not attempted yet.
    NotRun,
    /// It was attempted, and is under way.
    Retrying,
    /// Its target took it.
    Success,
    /// It was given up.
    Failure,
}

/// Links by relation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TriggeredWebhookLinks {
    /// Its attempts.
    #[serde(rename = "pb:logs")]
    pub pb_logs: Link,
    /// The same, by its old relation.
    pub logs: Link,
    /// Its webhook.
    #[serde(rename = "pb:webhook")]
    pub webhook: Link,
}

/// A delivery as Pact Broker shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TriggeredWebhook {
    /// The webhook's description.
    pub name: String,
    /// Where it stands.
    pub status: TriggeredStatus,
    /// Attempts made.
    pub attempts_made: usize,
    /// Attempts that may follow.
    pub attempts_remaining: usize,
    /// Always `resource_creation`.
    #[schema(pattern = "^resource_creation$")]
    pub trigger_type: String,
    /// What happened.
    #[schema(value_type = words::EventOrTestName)]
    pub event_name: EventName,
    /// When the event was accepted.
    #[schema(format = DateTime)]
    pub triggered_at: String,
    /// Links by relation.
    #[serde(rename = "_links")]
    pub links: TriggeredWebhookLinks,
}

/// How many stand how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusSummary {
    /// Taken by their targets.
    pub successful: usize,
    /// Given up.
    pub failed: usize,
    /// Attempted, and under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub retrying: Option<usize>,
    /// Not attempted yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub not_run: Option<usize>,
}

/// The deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TriggeredWebhooks {
    /// The deliveries.
    pub triggered_webhooks: Vec<TriggeredWebhook>,
}

/// Links by relation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatusLinks {
    /// Where it is.
    #[serde(rename = "self")]
    pub this: Link,
    /// Logs of what failed.
    #[serde(rename = "pb:error-logs")]
    pub error_logs: Vec<Link>,
    /// The pair's webhooks.
    #[serde(rename = "pb:pact-webhooks")]
    pub pact_webhooks: Link,
    /// The pact.
    #[serde(rename = "pb:pact-version", default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub pact_version: Option<Link>,
    /// The consumer.
    #[serde(rename = "pb:consumer")]
    pub consumer: Link,
    /// The provider.
    #[serde(rename = "pb:provider")]
    pub provider: Link,
}

/// Of each webhook of a pair and each event the newest delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhooksStatus {
    /// How many stand how.
    pub summary: StatusSummary,
    /// The deliveries.
    #[serde(rename = "_embedded")]
    pub embedded: TriggeredWebhooks,
    /// Links by relation.
    #[serde(rename = "_links")]
    pub links: StatusLinks,
}

/// An attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoggedExecution {
    /// The target took it.
    pub success: bool,
    /// Line by line.
    pub logs: String,
    /// When it ended.
    #[schema(format = DateTime)]
    pub created_at: String,
}

/// The delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TriggeredUuid {
    /// Its id.
    #[schema(value_type = Uuid)]
    pub uuid: DeliveryId,
}

/// The delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TriggeredWebhookOf {
    /// The delivery.
    pub triggered_webhook: TriggeredUuid,
}

/// Links by relation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TriggeredWebhookLogsLinks {
    /// Where it is.
    #[serde(rename = "self")]
    pub this: Link,
    /// Its webhook, while there is one.
    #[serde(rename = "pb:webhook", default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub webhook: Option<Link>,
}

/// A delivery's attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TriggeredWebhookLogs {
    /// What happened.
    #[schema(value_type = words::EventOrTestName)]
    pub event_name: EventName,
    /// Name of the consumer.
    pub consumer_name: String,
    /// Name of the provider.
    pub provider_name: String,
    /// The attempts.
    pub executions: Vec<LoggedExecution>,
    /// The delivery.
    #[serde(rename = "_embedded")]
    pub embedded: TriggeredWebhookOf,
    /// Links by relation.
    #[serde(rename = "_links")]
    pub links: TriggeredWebhookLogsLinks,
}
