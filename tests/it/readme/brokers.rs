//! The brokers that the README and the manuals speak of.

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use postrider_testkit::broker::{ScriptedBroker, row};
use regex::{Captures, Regex};
use serde_json::{Value, json};

use super::{BROKER, PUBLIC};
use crate::webhook_broker::{Behaviour, WebhookBroker};

/// A broker that knows the README's pair, verified lately; it has another webhook already.
pub(super) struct Brokers {
    pub(super) webhooks: WebhookBroker,
    pub(super) matrix: ScriptedBroker,
}

impl Brokers {
    pub(super) async fn start() -> Result<Self> {
        let theirs = json!({
            "uuid": "theirs-0123456789", "description": "theirs", "enabled": true,
            "events": [{ "name": "contract_published" }],
            "request": { "method": "POST", "url": "https://example.org/hook", "body": {} },
        });
        let behaviour = Behaviour { webhooks: vec![theirs], ..Behaviour::default() };
        let matrix = ScriptedBroker::start().await?;
        let at = Timestamp::now() - SignedDuration::from_hours(1);
        matrix.set("checkout", "billing", &[row("1.4.2", at, Some((true, at)))]);
        Ok(Self { webhooks: WebhookBroker::start(behaviour).await?, matrix })
    }

    /// The arguments of a command with the address of the stand-in that plays its part.
    pub(super) fn args(&self, command: &str) -> Vec<String> {
        let reads = command.contains("--broker-base-url");
        let url = if reads { self.matrix.url() } else { self.webhooks.url() };
        command.split_whitespace().skip(1).map(|word| word.replace(BROKER, url)).collect()
    }

    /// The call that the broker makes of the registered relay, with the event's values.
    pub(super) fn relayed(&self, event: &Value) -> Result<String> {
        let webhooks = self.webhooks.webhooks();
        let relay = webhooks.iter().find(|webhook| webhook["uuid"] != "theirs-0123456789");
        let url = relay.context("a relay")?["request"]["url"].as_str().context("its URL")?;
        let value = |name: &str| match name {
            "eventName" => event["event_name"].clone(),
            "consumerName" => event["consumer"]["name"].clone(),
            "consumerVersionNumber" => event["consumer"]["version_number"].clone(),
            "providerName" => event["provider"]["name"].clone(),
            "providerVersionNumber" => event["provider"]["version_number"].clone(),
            "pactUrl" => event["pact_url"].clone(),
            _ => Value::Null,
        };
        let variable = Regex::new(r"\$\{pactbroker\.([A-Za-z]+)\}")?;
        let rendered = variable.replace_all(url, |found: &Captures<'_>| {
            let text = value(&found[1]).as_str().unwrap_or_default().to_owned();
            url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>()
        });
        rendered.strip_prefix(PUBLIC).map(str::to_owned).context("the public URL")
    }
}
