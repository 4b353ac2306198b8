//! Events, and what became of them.

mod kept;

pub use kept::{EventDetail, EventFilter, EventList, EventSummary, MergedCalls, UnwantedBy};

use jiff::Timestamp;
use postrider_domain::{DeliveryId, EventId, WebhookUuid};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    AnyOfBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type,
};
use utoipa::{PartialSchema as _, ToSchema};

use crate::problem::Problem;
use crate::words;

/// Declares the document of one side of a contract, and what it has besides.
macro_rules! pacticipant {
    (
        $(#[$said:meta])*
        pub struct $Side:ident {
            $($(#[$of_field:meta])* $field:ident: $Value:ty,)*
        }
    ) => {
        $(#[$said])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        pub struct $Side {
            /// Name of the pacticipant, at most 255 bytes.
            #[schema(min_length = 1, max_length = 255)]
            pub name: String,
            /// Version of the pacticipant.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub version_number: Option<String>,
            /// Branch of the version.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub branch: Option<String>,
            /// Tags of the version.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub tags: Option<Vec<String>>,
            /// Labels of the pacticipant.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub labels: Option<Vec<String>>,
            $(
                $(#[$of_field])*
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $field: Option<$Value>,
            )*
        }
    };
}

pacticipant! {
    /// The consumer. Unknown members are ignored; missing ones render as the empty string.
    pub struct Consumer {}
}

pacticipant! {
    /// The provider. Unknown members are ignored; missing ones render as the empty string.
    pub struct Provider {
        /// What Pact Broker says of the provider version that has to verify.
        version_descriptions: Vec<String>,
    }
}

/// An event. Unknown members are ignored. U+0000 is refused anywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Idempotency key, printable, at most 255 bytes; the header Idempotency-Key wins.
    #[schema(min_length = 1, max_length = 255)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What happened.
    #[schema(value_type = words::EventName)]
    pub event_name: String,
    /// When it happened, RFC 3339; empty counts as missing.
    #[schema(schema_with = time_or_empty, required = false)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<String>,
    /// Name of the broker that it happened at; `default` when missing or empty. At most 255 bytes.
    #[schema(max_length = 255)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker: Option<String>,
    /// The consumer.
    pub consumer: Consumer,
    /// The provider.
    pub provider: Provider,
    /// Where the pact can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pact_url: Option<String>,
    /// Where the verification result can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification_result_url: Option<String>,
    /// Whether the verification succeeded; null when there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification_success: Option<bool>,
    /// The build that published the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_url: Option<String>,
    /// The provider version that is deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currently_deployed_provider_version_number: Option<String>,
}

fn time_or_empty() -> Schema {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    AnyOfBuilder::new()
        .description(Some("When it happened, RFC 3339; empty counts as missing."))
        .item(text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))))
        .item(text().enum_values(Some([""])))
        .item(ObjectBuilder::new().schema_type(Type::Null))
        .into()
}

/// An event whose name may be missing.
fn nameless_event() -> RefOr<Schema> {
    let mut schema = Event::schema();
    if let RefOr::T(Schema::Object(event)) = &mut schema {
        event.required.retain(|name| name != "event_name");
        event.description = Some("The event; its name may be left to `type`.".to_owned());
    }
    schema
}

fn base64_text() -> Schema {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("The event as base64 of JSON, instead of `data`."))
        .content_encoding("base64")
        .into()
}

/// A CloudEvent 1.0 in structured mode. `source` and `id` are its idempotency key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CloudEvent {
    /// `1.0`.
    #[schema(pattern = r"^1\.0$")]
    pub specversion: String,
    /// Unique within the source.
    #[schema(min_length = 1, max_length = 255)]
    pub id: String,
    /// Who says so.
    #[schema(min_length = 1, max_length = 255)]
    pub source: String,
    /// The event name, optionally after a dotted prefix.
    #[serde(rename = "type")]
    #[schema(min_length = 1)]
    pub kind: String,
    /// When it happened, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// The event; its name may be left to `type`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = nameless_event, required = false)]
    pub data: Option<Value>,
    /// The event as base64 of JSON, instead of `data`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = base64_text, required = false)]
    pub data_base64: Option<String>,
}

/// The event as kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StoredEvent {
    /// What happened.
    #[schema(value_type = words::EventOrTestName)]
    pub event_name: String,
    /// When it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<Timestamp>,
    /// Where it happened.
    pub broker: String,
    /// The consumer.
    pub consumer: Consumer,
    /// The provider.
    pub provider: Provider,
    /// Where the pact can be read.
    #[serde(default)]
    pub pact_url: String,
    /// Where the verification result can be read.
    #[serde(default)]
    pub verification_result_url: String,
    /// Whether the verification succeeded.
    #[serde(default)]
    pub verification_success: Option<bool>,
    /// The build that published the version.
    #[serde(default)]
    pub build_url: String,
    /// The provider version that is deployed.
    #[serde(default)]
    pub currently_deployed_provider_version_number: String,
}

/// A delivery that an event led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AcceptedDelivery {
    /// The delivery.
    #[schema(value_type = Uuid)]
    pub id: DeliveryId,
    /// The webhook that wants the event.
    #[schema(value_type = String)]
    pub webhook_uuid: WebhookUuid,
}

/// An accepted event. It is on disk: from here on its deliveries are made whatever crashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AcceptedEvent {
    /// The event as kept.
    #[schema(value_type = Uuid)]
    pub event_id: EventId,
    /// One for each webhook that wants the event; empty when none does.
    pub deliveries: Vec<AcceptedDelivery>,
    /// The same event was accepted before: these are its ids, and nothing is sent again.
    pub duplicate: bool,
}

/// An accepted event of a broker; without an event, and its id null, for `test`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RelayedEvent {
    /// The event as kept; null for `test`.
    #[schema(required, value_type = Option<Uuid>)]
    pub event_id: Option<EventId>,
    /// One for each webhook that wants the event; empty when none does.
    pub deliveries: Vec<AcceptedDelivery>,
    /// The same event was accepted before: these are its ids, and nothing is sent again.
    pub duplicate: bool,
}

/// One event of several was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AcceptedResult {
    /// 202.
    #[schema(minimum = 202, maximum = 202)]
    pub status: u16,
    /// The event as kept.
    #[schema(value_type = Uuid)]
    pub event_id: EventId,
    /// One for each webhook that wants the event; empty when none does.
    pub deliveries: Vec<AcceptedDelivery>,
    /// The same event was accepted before: these are its ids, and nothing is sent again.
    pub duplicate: bool,
}

/// What became of one event of several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum EventResult {
    /// It was accepted.
    Accepted(AcceptedResult),
    /// It was refused.
    Refused(Problem),
}
