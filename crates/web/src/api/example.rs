//! What the examples of the OpenAPI document have in common.

use serde_json::{Value, json};

pub(super) const TIME: &str = "2026-11-21T09:00:00Z";
pub(super) const UUID: &str = "01936f2e-7b1c-7cc0-9d5e-0a3f5b6c7d8e";
pub(super) const WEBHOOK: &str = "2LCteR1tS9v0HLxPmpkNaA";
pub(super) const LANE: &str = "github.example.org/githubToken";

/// A webhook as sent.
pub(crate) fn webhook() -> Value {
    json!({
        "description": "Notify billing when a consumer contract requires verification",
        "provider": {"name": "billing"},
        "events": [{"name": "contract_requiring_verification_published"}],
        "request": {
            "method": "POST",
            "url": "https://github.example.org/api/v3/repos/acme/billing/dispatches",
            "headers": {
                "Accept": "application/vnd.github+json",
                "Authorization": "Bearer ${user.githubToken}",
                "Content-Type": "application/json",
            },
            "body": {
                "event_type": "contract_requiring_verification_published",
                "client_payload": {
                    "pact_url": "${pactbroker.pactUrl}",
                    "sha": "${pactbroker.providerVersionNumber}",
                },
            },
        },
    })
}
