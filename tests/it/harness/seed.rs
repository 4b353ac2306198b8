//! The webhook that the product was made for, and events for it.

use serde_json::{Value, json};

/// The event that the webhooks of tests want.
pub(crate) const EVENT_NAME: &str = "contract_requiring_verification_published";

/// The seed webhook: tells the repository `provider_repo` of the GitHub at `github`, with the
/// token `${user.<secret>}`. Beyond the seed the payload carries the delivery's id, by which the
/// double recognises duplicates.
pub(crate) fn webhook(github: &str, provider_repo: &str, provider: &str, secret: &str) -> Value {
    json!({
        "description": format!(
            "Notify {provider_repo} when a consumer contract requires verification"
        ),
        "provider": { "name": provider },
        "events": [{ "name": EVENT_NAME }],
        "request": {
            "method": "POST",
            "url": format!("{github}/repos/{provider_repo}/dispatches"),
            "headers": {
                "Accept": "application/vnd.github+json",
                "Authorization": format!("Bearer ${{user.{secret}}}"),
                "Content-Type": "application/json",
                "User-Agent": "PactFlow",
                "X-GitHub-Api-Version": "2022-11-28"
            },
            "body": {
                "event_type": EVENT_NAME,
                "client_payload": {
                    "pact_url": "${pactbroker.pactUrl}",
                    "sha": "${pactbroker.providerVersionNumber}",
                    "branch": "${pactbroker.providerVersionBranch}",
                    "consumer_name": "${pactbroker.consumerName}",
                    "consumer_version_number": "${pactbroker.consumerVersionNumber}",
                    "consumer_version_tags": "${pactbroker.consumerVersionTags}",
                    "consumer_version_branch": "${pactbroker.consumerVersionBranch}",
                    "delivery_id": "${postrider.deliveryId}"
                }
            }
        }
    })
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
