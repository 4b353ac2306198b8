//! What a webhook asks for beyond what a Pact Broker knows.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ArrayBuilder, Object, ObjectBuilder, Schema, SchemaType, Type};

/// Patterns of one kind.
fn patterns(description: &'static str) -> Schema {
    let pattern =
        ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(255));
    ArrayBuilder::new()
        .description(Some(description))
        .items(pattern)
        .min_items(Some(1))
        .max_items(Some(50))
        .into()
}

fn consumers() -> Schema {
    patterns("The consumer's name.")
}

fn providers() -> Schema {
    patterns("The provider's name.")
}

fn consumer_branches() -> Schema {
    patterns("The consumer version's branch.")
}

fn consumer_tags() -> Schema {
    patterns("The consumer version's tags, of which one suffices.")
}

fn provider_branches() -> Schema {
    patterns("The provider version's branch.")
}

/// Which events: all keys must match, of each one pattern; `*` stands for any run of characters,
/// `\*` and `\\` for themselves. A missing value matches only `*`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookWhen {
    /// The consumer's name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(schema_with = consumers, required = false)]
    pub consumers: Vec<String>,
    /// The provider's name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(schema_with = providers, required = false)]
    pub providers: Vec<String>,
    /// The consumer version's branch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(schema_with = consumer_branches, required = false)]
    pub consumer_branches: Vec<String>,
    /// The consumer version's tags, of which one suffices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(schema_with = consumer_tags, required = false)]
    pub consumer_tags: Vec<String>,
    /// The provider version's branch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(schema_with = provider_branches, required = false)]
    pub provider_branches: Vec<String>,
}

fn codes() -> Schema {
    let code =
        ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(200)).maximum(Some(399));
    ArrayBuilder::new().description(Some("Status codes.")).items(code).min_items(Some(1)).into()
}

/// What a success is, in place of the setting and of what the kind of target demands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(min_properties = 1)]
pub struct WebhookSuccess {
    /// Status codes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(schema_with = codes, required = false)]
    pub codes: Vec<u16>,
    /// Media type of the answer, `type/subtype` or `type/*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub content_type: Option<String>,
    /// What the first 64 KiB of the answer must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, min_length = 1, max_length = 1024)]
    pub body_contains: Option<String>,
    /// What they must not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, min_length = 1, max_length = 1024)]
    pub body_excludes: Option<String>,
}

/// Signs requests by Standard Webhooks 1.0.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookSigning {
    /// `${user.NAME}` of the secret that signs.
    #[schema(pattern = r"^\$\{user\.[A-Za-z0-9_-]{1,64}\}$")]
    pub secret: String,
    /// `${user.NAME}` of the one before, which signs too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = r"^\$\{user\.[A-Za-z0-9_-]{1,64}\}$")]
    pub previous: Option<String>,
}

fn timeout() -> Object {
    let description =
        "For connecting and for the whole request: 1 to 60 s, as `15s` or a number of seconds.";
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Integer, Type::Null]))
        .description(Some(description))
        .build()
}

/// What a webhook asks for beyond what a Pact Broker knows. Missing keeps what is stored, null
/// clears it, an object replaces it whole.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookRules {
    /// Which events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<WebhookWhen>,
    /// What a success is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<WebhookSuccess>,
    /// For connecting and for the whole request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = timeout, required = false)]
    pub timeout: Option<Value>,
    /// 1 to 20 waits of at most 24 h, as `10 60 600`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_schedule: Option<String>,
    /// Signs what is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing: Option<WebhookSigning>,
}
