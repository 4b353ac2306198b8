//! Webhooks, beyond what a Pact Broker's API says of them.

use postrider_domain::WebhookUuid;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::FieldError;

/// What would be said of a webhook's document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookCheck {
    /// Why it would be refused; empty when it would be taken.
    pub errors: Vec<FieldError>,
    /// What would be warned of.
    pub warnings: Vec<String>,
    /// The lane that it would be in; null when it would be refused.
    #[serde(default)]
    #[schema(required)]
    pub lane: Option<String>,
    /// The secrets that it names, also where the document has stars for what is stored.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// Members, such as `request.headers.authorization`, in which the document names other secrets
    /// than the stored webhook of its uuid.
    #[serde(default)]
    pub hidden_changes: Vec<String>,
}

/// A webhook that goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookReleased {
    /// Which.
    #[schema(value_type = String)]
    pub uuid: WebhookUuid,
    /// Whether it was held by itself.
    pub was_held: bool,
}
