//! Events for the webhook of the demo.

use serde_json::{Value, json};

/// The event of the consumer's `number`th version.
pub(crate) fn event(number: u32, provider: &str) -> Value {
    json!({
        "event_name": "contract_requiring_verification_published",
        "consumer": {
            "name": "checkout",
            "version_number": format!("1.0.{number}"),
            "branch": "main",
            "tags": ["main"]
        },
        "provider": {
            "name": provider,
            "version_number": "5f0c1d9",
            "branch": "main",
            "version_descriptions": ["latest from main branch"]
        },
        "pact_url": format!("https://broker.example/pacts/provider/{provider}/consumer/checkout/{number}")
    })
}
