//! Events that were taken in, in lists and one by one.

use jiff::Timestamp;
use postrider_domain::{EventId, EventName, EventSource, MergedBecause, WebhookUuid};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::StoredEvent;
use crate::deliveries::Delivery;
use crate::page::list;
use crate::query::query;
use crate::words;

/// An event that was taken in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventSummary {
    /// The event.
    #[schema(value_type = Uuid)]
    pub id: EventId,
    /// What happened.
    #[schema(value_type = words::EventOrTestName)]
    pub event_name: EventName,
    /// Where it happened.
    pub broker: String,
    /// Name of the consumer.
    pub consumer: String,
    /// Version of the consumer; empty when the event did not say.
    pub consumer_version: String,
    /// Name of the provider.
    pub provider: String,
    /// Version of the provider; empty when the event did not say.
    pub provider_version: String,
    /// How it came in; null for events that an older version took in.
    #[schema(required, value_type = Option<words::EventSource>)]
    pub source: Option<EventSource>,
    /// When it was taken in.
    pub received_at: Timestamp,
    /// How many webhooks wanted it.
    pub deliveries: u32,
}

/// An event with what it led to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventDetail {
    /// The event.
    #[schema(value_type = Uuid)]
    pub id: EventId,
    /// How it came in; null for events that an older version took in.
    #[schema(required, value_type = Option<words::EventSource>)]
    pub source: Option<EventSource>,
    /// When it was taken in.
    pub received_at: Timestamp,
    /// The event as kept.
    #[schema(value_type = StoredEvent)]
    pub event: Value,
    /// What it led to, newest first.
    pub deliveries: Vec<Delivery>,
    /// Only where it led to nothing: the webhooks as they are now, those that come closest first,
    /// 50 at most.
    pub unwanted_by: Vec<UnwantedBy>,
    /// How many webhooks there are.
    pub webhooks: u64,
    /// Calls of a broker that were merged with it, because they told of the same publication; null
    /// when none was.
    #[serde(default)]
    #[schema(required)]
    pub merged: Option<MergedCalls>,
}

/// Calls of a broker that led to no event of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MergedCalls {
    /// How many.
    #[schema(minimum = 1)]
    pub calls: u64,
    /// When the last one came.
    pub last_at: Timestamp,
    /// Why that one was merged.
    #[schema(value_type = words::MergedBecause)]
    pub because: MergedBecause,
}

/// A webhook that an event did not lead to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnwantedBy {
    /// The webhook.
    #[schema(value_type = String)]
    pub webhook_uuid: WebhookUuid,
    /// What it is called.
    pub description: String,
    /// Which key of its document does not fit which value of the event. Null: it would want the
    /// event now, because it was made or changed since.
    #[schema(required)]
    pub reason: Option<String>,
}

list! {
    /// A page of events, newest first. A call looks at 10,000 events at most: a page may hold few, or
    /// none, and still have a next one.
    pub struct EventList {
        /// The events.
        events: EventSummary,
        /// How many there are, counted among the newest 10,000 that may match.
        total,
    }
}

query! {
    /// Which events. What is missing or empty does not filter.
    pub struct EventFilter {
        /// Events of this broker.
        broker: String,
        /// Name of the consumer.
        consumer: String,
        /// Name of the provider.
        provider: String,
        /// Version of the consumer.
        version: String,
        /// Name of the event. Tests of webhooks are listed only under `test`.
        event: String as words::EventOrTestName,
        /// `true`: only those that no webhook wanted.
        unmatched: bool,
        /// Taken in at or after: RFC 3339, or back from now such as `2h`, `3d`.
        since: String,
        /// Taken in before: RFC 3339, or back from now.
        until: String,
    }
}
