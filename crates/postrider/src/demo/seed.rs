//! The webhook that the product was made for, and events for it.

use serde_json::{Value, json};

/// The seed webhook: tells a provider's repository that a contract requires verification.
pub(crate) fn webhook(github: &str, repository: &str, provider: &str) -> Value {
    json!({
        "description":
            format!("Notify {repository} when a consumer contract requires verification"),
        "provider": { "name": provider },
        "events": [{ "name": "contract_requiring_verification_published" }],
        "request": {
            "method": "POST",
            "url": format!("{github}/repos/{repository}/dispatches"),
            "headers": {
                "Accept": "application/vnd.github+json",
                "Authorization": "Bearer ${user.githubToken}",
                "Content-Type": "application/json",
                "User-Agent": "PactFlow",
                "X-GitHub-Api-Version": "2022-11-28"
            },
            "body": {
                "event_type": "contract_requiring_verification_published",
                "client_payload": {
                    "pact_url": "${pactbroker.pactUrl}",
                    "sha": "${pactbroker.providerVersionNumber}",
                    "branch": "${pactbroker.providerVersionBranch}",
                    "consumer_name": "${pactbroker.consumerName}",
                    "consumer_version_number": "${pactbroker.consumerVersionNumber}",
                    "consumer_version_tags": "${pactbroker.consumerVersionTags}",
                    "consumer_version_branch": "${pactbroker.consumerVersionBranch}"
                }
            }
        }
    })
}

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
