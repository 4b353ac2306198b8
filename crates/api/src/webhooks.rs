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
