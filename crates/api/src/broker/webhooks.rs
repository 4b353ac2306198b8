//! Webhooks as a Pact Broker has them.

use std::collections::BTreeMap;

use postrider_domain::{BodyMode, EventName, WebhookUuid};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa::openapi::schema::{AnyOfBuilder, Object, ObjectBuilder, Schema, SchemaType, Type};

use super::{Link, WebhookRules};
use crate::words;

/// A pacticipant by name or all with a label; not both.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PacticipantSelector {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// An event that a webhook wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookEvent {
    /// What happened.
    #[schema(value_type = words::EventName)]
    pub name: EventName,
}

fn given_headers() -> Schema {
    let text = SchemaType::from_iter([Type::String, Type::Null]);
    let headers = ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("Header names with their values; null leaves one out."))
        .additional_properties(Some(Schema::from(ObjectBuilder::new().schema_type(text).build())));
    AnyOfBuilder::new().item(headers).item(ObjectBuilder::new().schema_type(Type::Null)).into()
}

fn given_body_mode() -> Object {
    let description = "`raw` splices values as they are, as Pact Broker does; `json`, the default, \
                       keeps the document whole.";
    ObjectBuilder::new()
        .schema_type(SchemaType::AnyValue)
        .description(Some(description))
        .enum_values(Some([Value::from("json"), Value::from("raw"), Value::Null]))
        .build()
}

/// The request to send. `${pactbroker.*}`, `${user.NAME}` and `${postrider.deliveryId}` are filled
/// in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookRequest {
    /// As allowed by the settings; POST by default.
    pub method: String,
    /// Absolute, of an allowed scheme and host.
    pub url: String,
    /// Header names with their values; null leaves one out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = given_headers, required = false)]
    pub headers: Option<Map<String, Value>>,
    /// Any JSON, or text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// How values get into the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = given_body_mode, required = false)]
    pub body_mode: Option<BodyMode>,
    /// For Basic authentication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// For Basic authentication; stars, or null, keep the stored one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// The request, redacted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownWebhookRequest {
    /// Its method.
    pub method: String,
    /// Its URL.
    pub url: String,
    /// Header names with their values, redacted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false)]
    pub headers: BTreeMap<String, String>,
    /// Any JSON, or text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// For Basic authentication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub username: Option<String>,
    /// Stars, unless the value comes from the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub password: Option<String>,
    /// `raw`, if values are spliced as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, pattern = "^raw$", required = false)]
    pub body_mode: Option<BodyMode>,
}

/// A webhook as sent. Unknown members are ignored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookDocument {
    /// Not used on creation by POST.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[A-Za-z0-9_-]{16,255}$")]
    pub uuid: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whose contracts; all when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer: Option<PacticipantSelector>,
    /// Whose contracts; all when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<PacticipantSelector>,
    /// Whether events are delivered; true when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub enabled: Option<bool>,
    /// Which events; the default when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_items = 1)]
    pub events: Option<Vec<WebhookEvent>>,
    /// The request to send.
    pub request: WebhookRequest,
    /// PactFlow's team, whose secrets it may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team_uuid: Option<String>,
    /// Rules of its own; kept when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postrider: Option<WebhookRules>,
}

/// Links by relation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookLinks {
    /// The webhook.
    #[serde(rename = "self")]
    pub this: Link,
    /// Tests it.
    #[serde(rename = "pb:execute")]
    pub execute: Link,
    /// The consumer.
    #[serde(rename = "pb:consumer", default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub consumer: Option<Link>,
    /// The consumers with its label.
    #[serde(rename = "pb:consumers", default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub consumers: Option<Link>,
    /// The provider.
    #[serde(rename = "pb:provider", default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub provider: Option<Link>,
    /// The providers with its label.
    #[serde(rename = "pb:providers", default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub providers: Option<Link>,
    /// The pair's webhooks.
    #[serde(rename = "pb:pact-webhooks", default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub pact_webhooks: Option<Link>,
    /// All webhooks.
    #[serde(rename = "pb:webhooks")]
    pub webhooks: Link,
}

/// A webhook as shown: redacted, members without a value left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// The webhook.
    #[schema(value_type = String)]
    pub uuid: WebhookUuid,
    /// Its description, else method and host.
    pub description: String,
    /// Whose contracts; all when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub consumer: Option<PacticipantSelector>,
    /// Whose contracts; all when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub provider: Option<PacticipantSelector>,
    /// Whether events are delivered.
    pub enabled: bool,
    /// The request, redacted.
    pub request: ShownWebhookRequest,
    /// Which events.
    pub events: Vec<WebhookEvent>,
    /// PactFlow's team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub team_uuid: Option<String>,
    /// Rules of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub postrider: Option<WebhookRules>,
    /// When it was last replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    pub updated_at: Option<String>,
    /// When it was created.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// What is odd about it; only in answers to writes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub warnings: Vec<String>,
    /// Links by relation.
    #[serde(rename = "_links")]
    pub links: WebhookLinks,
}

/// Links by relation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookCollectionLinks {
    /// Where it is.
    #[serde(rename = "self")]
    pub this: Link,
    /// Creates one.
    #[serde(rename = "pb:create")]
    pub create: Link,
    /// The webhooks.
    #[serde(rename = "pb:webhooks")]
    pub webhooks: Vec<Link>,
    /// Where relations are explained.
    pub curies: Vec<Link>,
}

/// Links to webhooks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookCollection {
    /// Links by relation.
    #[serde(rename = "_links")]
    pub links: WebhookCollectionLinks,
}
