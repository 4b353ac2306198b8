//! Deliveries, their attempts, and acts on many of them.

use jiff::Timestamp;
use postrider_domain::{DeliveryId, DeliveryStatus, EventId, EventName, Outcome, WebhookUuid};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaType, Type};
use uuid::Uuid;

use crate::events::StoredEvent;
use crate::page::list;
use crate::query::query;
use crate::words;

/// Declares a document of a delivery: what it says of its attempts, and what it has besides.
macro_rules! delivery {
    (
        $(#[$said:meta])*
        pub struct $Delivery:ident {
            $(#[$of_attempts:meta])*
            attempts: $Attempts:ty,
            $($(#[$of_field:meta])* $field:ident: $Value:ty,)*
        }
    ) => {
        $(#[$said])*
        pub struct $Delivery {
            /// The delivery.
            #[schema(value_type = Uuid)]
            pub id: DeliveryId,
            /// The event that it came from.
            #[schema(value_type = Uuid)]
            pub event_id: EventId,
            /// What happened.
            #[schema(value_type = words::EventOrTestName)]
            pub event_name: EventName,
            /// Where the event happened.
            pub broker: String,
            /// The webhook that wanted the event.
            #[schema(value_type = String)]
            pub webhook_uuid: WebhookUuid,
            /// Name of the consumer.
            pub consumer: String,
            /// Name of the provider.
            pub provider: String,
            /// Where it stands.
            #[schema(value_type = words::DeliveryStatus)]
            pub status: DeliveryStatus,
            /// The lane in which it waits or was sent.
            pub lane: String,
            $(#[$of_attempts])*
            pub attempts: $Attempts,
            /// What the last attempt came to; null before the first.
            #[schema(required, value_type = Option<words::Outcome>)]
            pub last_outcome: Option<Outcome>,
            /// HTTP status of the last answer; null without one.
            #[schema(required)]
            pub last_status_code: Option<u16>,
            /// When it is due; null when it is final.
            #[schema(required)]
            pub next_attempt_at: Option<Timestamp>,
            /// When the event was accepted.
            pub created_at: Timestamp,
            /// When it last changed.
            pub updated_at: Timestamp,
            $($(#[$of_field])* pub $field: $Value,)*
        }
    };
}

delivery! {
    /// One event on its way to one webhook's target.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
    pub struct Delivery {
        /// Attempts made so far.
        attempts: u32,
    }
}

delivery! {
    /// A delivery with its event and its attempts.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
    pub struct DeliveryDetail {
        /// Attempts, oldest first. Of very many the middle ones may be gone.
        attempts: Vec<Attempt>,
        /// The event as kept.
        #[schema(value_type = StoredEvent)]
        event: Value,
    }
}

impl DeliveryDetail {
    /// A delivery with these.
    pub fn new(delivery: Delivery, attempts: Vec<Attempt>, event: Value) -> Self {
        let Delivery { id, event_id, event_name, broker, webhook_uuid, consumer, .. } = delivery;
        let Delivery { provider, status, lane, last_outcome, last_status_code, .. } = delivery;
        let Delivery { next_attempt_at, created_at, updated_at, .. } = delivery;
        Self {
            id,
            event_id,
            event_name,
            broker,
            webhook_uuid,
            consumer,
            provider,
            status,
            lane,
            attempts,
            last_outcome,
            last_status_code,
            next_attempt_at,
            created_at,
            updated_at,
            event,
        }
    }
}

list! {
    /// A page of deliveries, newest first. A call looks at 20,000 deliveries at most: a page may hold
    /// few, or none, and still have a next one.
    pub struct DeliveryList {
        /// The deliveries.
        deliveries: Delivery,
        /// How many there are, counted among the newest 10,000 that may match.
        total,
    }
}

/// Where a shown request comes from: it was kept when it was sent, or it is rendered again from the
/// event and the webhook as it was, which is how plain successes are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RequestOrigin {
    /// It was kept when it was sent.
    Stored,
    /// It was rendered for whoever looks.
    Rendered,
}

/// One attempt. Secrets are starred.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// Which of all attempts of the delivery, from 1. It only grows, also over limits, refused
    /// credentials and replays, which use up no place in the schedule.
    #[schema(minimum = 1)]
    pub number: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// What it came to.
    #[schema(value_type = words::Outcome)]
    pub outcome: Outcome,
    /// HTTP status of the answer; null without one.
    #[schema(required)]
    pub status_code: Option<u16>,
    /// GitHub's own id of the request.
    #[schema(required)]
    pub github_request_id: Option<String>,
    /// The target may have had it before, because an earlier attempt was not heard of again.
    pub possible_duplicate: bool,
    /// The target asked to be left alone for longer than 24 hours; that is what was waited.
    pub retry_after_capped: bool,
    /// What was sent: `method`, `url`, `headers`, `body`, and `body_bytes` when the body is cut.
    #[schema(required, schema_with = kept_request)]
    pub request: Value,
    /// Where `request` comes from; null without one.
    #[schema(required)]
    pub request_origin: Option<RequestOrigin>,
    /// How long the body was that was sent, where no text is kept.
    #[schema(required)]
    pub request_bytes: Option<u32>,
    /// Why a request that was sent can't be shown, or how what is shown differs from it.
    #[schema(required)]
    pub request_note: Option<String>,
    /// What came back.
    #[schema(required, schema_with = kept_response)]
    pub response: Value,
    /// The run that a workflow dispatch started; missing where the answer names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub run: Option<Run>,
}

/// A run of a workflow at GitHub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Run {
    /// GitHub's id of it.
    pub id: u64,
    /// Its page.
    pub url: String,
}

fn kept_request() -> Object {
    kept(
        "What was sent: `method`, `url`, `headers`, `body`, and `body_bytes` when the body is cut; \
         null when nothing was sent, or when what was sent can't be shown any more.",
    )
}

fn kept_response() -> Object {
    kept(
        "What came back: `status`, `headers`, `body`; `error` when nothing did; null when nothing \
         was sent. Of a plain success only status, telling headers and `body_bytes` are kept.",
    )
}

fn kept(description: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Object, Type::String, Type::Null]))
        .description(Some(description))
        .build()
}

query! {
    /// Which deliveries. What is missing or empty does not filter.
    pub struct DeliveryFilter {
        /// Deliveries of this status.
        status: String as words::DeliveryStatus,
        /// Deliveries of this webhook, by uuid.
        webhook: String,
        /// Events of this broker.
        broker: String,
        /// Name of the consumer.
        consumer: String,
        /// Name of the provider.
        provider: String,
        /// Version number of the consumer.
        version: String,
        /// Name of the event. Test executions are listed only under `test`.
        event: String as words::EventOrTestName,
        /// Deliveries of this event.
        event_id: String as Uuid,
        /// Name of the lane.
        lane: String,
        /// What this incident is about.
        incident: String as Uuid,
        /// Accepted at or after: RFC 3339, or back from now such as `2h`, `3d`.
        since: String,
        /// Accepted before: RFC 3339, or back from now.
        until: String,
    }
}

/// Which final deliveries are sent once more: ids, filters, or both. At least one is needed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayRequest {
    /// Ids of deliveries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<Uuid>, min_items = 1, max_items = 10000, required = false)]
    pub ids: Option<Vec<DeliveryId>>,
    /// Only tell what would be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub dry_run: Option<bool>,
    /// Also those that may have reached their target already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub forget_marks: Option<bool>,
    /// An id of the caller's own, a new UUID: the act can be gone on with by it even if no answer
    /// comes. Without one the answer names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub id: Option<Uuid>,
    /// Goes on with what an earlier call began, by its `id`; nothing else may be given then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub resume: Option<Uuid>,
    /// And of these.
    #[serde(flatten)]
    pub filter: DeliveryFilter,
}

/// Which waiting deliveries are discarded: ids, filters, or both. At least one is needed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscardRequest {
    /// Ids of deliveries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<Uuid>, min_items = 1, max_items = 10000, required = false)]
    pub ids: Option<Vec<DeliveryId>>,
    /// Only tell what would be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub dry_run: Option<bool>,
    /// An id of the caller's own, a new UUID: the act can be gone on with by it even if no answer
    /// comes. Without one the answer names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub id: Option<Uuid>,
    /// Goes on with what an earlier call began, by its `id`; nothing else may be given then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub resume: Option<Uuid>,
    /// And of these.
    #[serde(flatten)]
    pub filter: DeliveryFilter,
}

/// A lane's part of a replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReplayLane {
    /// Name of the lane.
    pub lane: String,
    /// Deliveries of it that are sent once more.
    pub deliveries: u64,
    /// How long the lane's limits make its backlog take, this replay included; null when the lane
    /// is unknown.
    #[schema(required)]
    pub drain_seconds: Option<u64>,
}

/// What a replay does, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReplayPlan {
    /// The act, to go on with by `resume`; null when nothing was to be done.
    #[schema(required)]
    pub id: Option<Uuid>,
    /// Nothing was done.
    pub dry_run: bool,
    /// Deliveries that this call sent once more, or would.
    pub deliveries: u64,
    /// Deliveries that the act has changed in all its calls.
    pub done: u64,
    /// Everything was looked at; else call again with `resume`.
    pub finished: bool,
    /// By lane.
    pub lanes: Vec<ReplayLane>,
    /// Deliveries left out because they are still under way.
    pub open: u64,
    /// Deliveries left out because their webhook is gone.
    pub without_webhook: u64,
}

/// What a discard does, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiscardPlan {
    /// The act, to go on with by `resume`; null when nothing was to be done.
    #[schema(required)]
    pub id: Option<Uuid>,
    /// Nothing was done.
    pub dry_run: bool,
    /// Deliveries that this call discarded, or would.
    pub deliveries: u64,
    /// Deliveries that the act has changed in all its calls.
    pub done: u64,
    /// Everything was looked at; else call again with `resume`.
    pub finished: bool,
    /// By lane.
    pub lanes: Vec<ReplayLane>,
    /// Deliveries left out because they do not wait.
    pub not_waiting: u64,
}
