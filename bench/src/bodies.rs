//! What is sent: an event as a broker's relay tells it, and the request that comes of it.

/// The event of which all webhooks here want to hear.
pub(crate) const EVENT: &str = "contract_requiring_verification_published";

/// An event for a provider.
pub(crate) fn event(number: u32, provider: &str) -> String {
    let pact = pact_url(number);
    format!(
        r#"{{"event_name":"{EVENT}","consumer":{{"name":"checkout","version_number":"1.0.{number}","branch":"main","tags":["main","dev"]}},"provider":{{"name":"{provider}","version_number":"5f0c1d9a","branch":"main"}},"pact_url":"{pact}"}}"#
    )
}

/// Many of them in one call.
pub(crate) fn events(
    numbers: impl Iterator<Item = u32>,
    provider: impl Fn(u32) -> String,
) -> String {
    let events: Vec<String> = numbers.map(|number| event(number, &provider(number))).collect();
    format!("[{}]", events.join(","))
}

/// The request that postrider makes of such an event, about 600 bytes; the bare pipeline stores it
/// ready-made.
pub(crate) fn dispatch(number: u32) -> String {
    let pact = pact_url(number);
    format!(
        r#"{{"event_type":"{EVENT}","client_payload":{{"pact_url":"{pact}","sha":"5f0c1d9a","branch":"main","consumer_name":"checkout","consumer_version_number":"1.0.{number}","consumer_version_tags":"main, dev","consumer_version_branch":"main","delivery_id":"00000000-0000-0000-0000-000000000000"}}}}"#
    )
}

fn pact_url(number: u32) -> String {
    format!(
        "https://broker.example/pacts/provider/billing/consumer/checkout/pact-version/1.0.{number}/metadata/Y3ZuPTEmY3Z0JTVCJTVEPWE"
    )
}
