//! Events that were taken in, in lists and one by one.

use jiff::Timestamp;
use postrider_domain::{EventId, EventName, EventSource, MergedBecause, WebhookUuid};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::StoredEvent;
use crate::deliveries::Delivery;
use crate::page::{NextPage, Page};
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

/// A page of events, newest first. A call looks at 10,000 events at most: a page may hold few, or
/// none, and still have a next one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventList {
    /// The events.
    pub events: Vec<EventSummary>,
    /// Where the next page begins.
    #[schema(required)]
    pub next: NextPage,
    /// How many there are, counted among the newest 10,000 that may match.
    #[schema(minimum = 0)]
    pub total: u64,
    /// There are no more than `total`.
    pub total_is_exact: bool,
}

impl Page for EventList {
    type Row = EventSummary;

    fn into_parts(self) -> (Vec<EventSummary>, NextPage) {
        (self.events, self.next)
    }
}

/// Which events. What is missing or empty does not filter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventFilter {
    /// Events of this broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(nullable = false)]
    pub broker: Option<String>,
    /// Name of the consumer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(nullable = false)]
    pub consumer: Option<String>,
    /// Name of the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(nullable = false)]
    pub provider: Option<String>,
    /// Version of the consumer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(nullable = false)]
    pub version: Option<String>,
    /// Name of the event. Tests of webhooks are listed only under `test`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = words::EventOrTestName, required = false)]
    pub event: Option<String>,
    /// `true`: only those that no webhook wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(nullable = false)]
    pub unmatched: Option<bool>,
    /// Taken in at or after: RFC 3339, or back from now such as `2h`, `3d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(nullable = false)]
    pub since: Option<String>,
    /// Taken in before: RFC 3339, or back from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(nullable = false)]
    pub until: Option<String>,
}
