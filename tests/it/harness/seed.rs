//! The webhook that the product was made for, and events for it.

use postrider_domain::example_webhook;
use serde_json::{Value, json};

/// The event that the webhooks of tests want.
pub(crate) const EVENT_NAME: &str = "contract_requiring_verification_published";

/// The webhook that most start with: tells the repository `provider_repo` of the GitHub at `github`,
/// with the token `${user.<secret>}`. By the delivery's id in the payload the double recognises
/// duplicates.
pub(crate) fn webhook(github: &str, provider_repo: &str, provider: &str, secret: &str) -> Value {
    example_webhook(github, provider_repo, provider, secret)
}

/// A webhook without a credential, to the hook `name` of the double at `target`.
pub(crate) fn hook_webhook(target: &str, name: &str, provider: &str) -> Value {
    json!({
        "description": format!("Call hook {name}"),
        "provider": { "name": provider },
        "events": [{ "name": EVENT_NAME }],
        "request": {
            "method": "POST",
            "url": format!("{target}/hook/{name}"),
            "headers": { "Content-Type": "application/json" },
            "body": { "delivery_id": "${postrider.deliveryId}" }
        }
    })
}

/// The event of the consumer's `number`th version.
pub(crate) fn event(number: usize, provider: &str) -> Value {
    json!({
        "event_name": EVENT_NAME,
        "consumer": {
            "name": "checkout",
            "version_number": format!("1.0.{number}"),
            "branch": "main",
            "tags": ["main", "prod"]
        },
        "provider": {
            "name": provider,
            "version_number": "5f0c1d9",
            "branch": "main",
            "version_descriptions": ["latest from main branch"]
        },
        "pact_url": format!(
            "https://broker.example/pacts/provider/{provider}/consumer/checkout/{number}"
        )
    })
}
