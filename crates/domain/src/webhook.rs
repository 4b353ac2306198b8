//! Who wants an event, and the request to send for it.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{EventName, Extensions, WebhookUuid};

/// A webhook as created by its owner. Values that may be secrets are in clear here; `Debug`
/// never prints them, and the store seals them at rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Public identifier.
    pub uuid: WebhookUuid,
    /// Free text; `None` or blank means that `<METHOD> <host>` is shown.
    pub description: Option<String>,
    /// Whose contracts; `None` is any consumer.
    pub consumer: Option<Selector>,
    /// Whose contracts; `None` is any provider.
    pub provider: Option<Selector>,
    /// A disabled webhook matches nothing, and what waits for it is discarded.
    pub enabled: bool,
    /// Never empty, no duplicates.
    pub events: Vec<EventName>,
    /// What to send.
    pub request: RequestTemplate,
    /// PactFlow's team, whose secrets alone it may use; without one, secrets without a team.
    pub team_uuid: Option<String>,
    /// What it asks for beyond what a Pact Broker knows.
    pub extensions: Extensions,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed; equal to `created_at` when never.
    pub updated_at: Timestamp,
}

/// Whether a webhook takes part. Deleted webhooks stay in the store until nothing refers to
/// them, so that what waits for them is discarded with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WebhookState {
    /// Matches events, its deliveries are sent.
    Enabled,
    /// Matches nothing, its waiting deliveries are discarded.
    Disabled,
    /// Gone for its owner.
    Deleted,
}

impl WebhookState {
    /// The word stored for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Deleted => "deleted",
        }
    }
}

/// Which pacticipants a webhook is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selector {
    /// The one of this name, case-sensitive.
    Name(String),
    /// All that carry this label.
    Label(String),
}

/// The request as written by the webhook's owner, placeholders and all.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestTemplate {
    /// HTTP method, as sent by the owner; upper-cased for use.
    pub method: String,
    /// URL; may hold placeholders anywhere but in the host.
    pub url: String,
    /// Names in lower case, in the order given; values may hold placeholders.
    pub headers: Vec<(String, String)>,
    /// What to send as the body; `None` sends none.
    pub body: Option<Body>,
    /// How placeholders in the body are filled in.
    pub body_mode: BodyMode,
    /// Basic authentication; used when not empty.
    pub username: Option<String>,
    /// Basic authentication.
    pub password: Option<String>,
}

/// Prints names and shapes only: URL, header values, body and credentials may be secrets.
impl fmt::Debug for RequestTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header_names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("RequestTemplate")
            .field("method", &self.method)
            .field("header_names", &header_names)
            .field("has_body", &self.body.is_some())
            .field("body_mode", &self.body_mode)
            .finish_non_exhaustive()
    }
}

/// A webhook's body.
#[derive(Clone, PartialEq, Eq)]
pub enum Body {
    /// Anything that was JSON in the webhook's document, except a string.
    Json(Value),
    /// A string: sent as it is once its placeholders are filled in.
    Text(String),
}

/// How a body's placeholders are filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyMode {
    /// As JSON values, so that a value can never break or extend the document.
    #[default]
    Json,
    /// Spliced into the text without escaping, as Pact Broker 2.120 does.
    Raw,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debugging_shows_shapes_and_no_values() {
        let request = RequestTemplate {
            method: "POST".to_owned(),
            url: "https://h.example/secret-url".to_owned(),
            headers: vec![("authorization".to_owned(), "secret-header".to_owned())],
            body: None,
            body_mode: BodyMode::Json,
            username: Some("secret-user".to_owned()),
            password: Some("secret-password".to_owned()),
        };
        let shown = format!("{request:?}");
        assert!(!shown.contains("secret"), "{shown}");
        for part in ["POST", "authorization", "has_body: false", "Json"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }
}
