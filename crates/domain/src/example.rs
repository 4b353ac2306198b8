//! The webhook that most teams start with: a `repository_dispatch` at the provider's repository.

use serde_json::{Value, json};

/// What it is called after: the event that it wants and the `event_type` that it sends.
const EVENT: &str = "contract_requiring_verification_published";

/// The document of a webhook that tells `repository` (`owner/name`) of the GitHub API at `github`
/// that a contract of `provider` requires verification, with the token of the secret `secret`.
pub fn example_webhook(github: &str, repository: &str, provider: &str, secret: &str) -> Value {
    json!({
        "description":
            format!("Notify {repository} when a consumer contract requires verification"),
        "provider": { "name": provider },
        "events": [{ "name": EVENT }],
        "request": {
            "method": "POST",
            "url": format!("{github}/repos/{repository}/dispatches"),
            "headers": {
                "Accept": "application/vnd.github+json",
                "Authorization": format!("Bearer ${{user.{secret}}}"),
                "Content-Type": "application/json",
                "User-Agent": "PactFlow",
                "X-GitHub-Api-Version": "2022-11-28"
            },
            "body": example_body()
        }
    })
}

/// The body of its request: what a workflow needs to check the contract out and to verify it. By
/// the delivery's id its run is told from others (GitHub docs: create a repository dispatch event;
/// at most ten keys).
pub fn example_body() -> Value {
    json!({
        "event_type": EVENT,
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
    })
}
