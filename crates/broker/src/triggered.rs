//! What the broker's own webhooks were triggered with.

use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;

use crate::client::{Broker, path};
use crate::error::BrokerError;
use crate::listing::Pair;

/// A call that a webhook of the broker was to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Triggered {
    /// The broker's name of the event.
    pub event: String,
    /// When it happened.
    pub at: Timestamp,
    /// Uuid of the webhook; `None` when it was deleted since.
    pub webhook: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireTriggered {
    #[serde(default)]
    event_name: Option<String>,
    triggered_at: Timestamp,
    #[serde(default, rename = "_links")]
    links: WireLinks,
}

#[derive(Deserialize, Default)]
struct WireLinks {
    #[serde(rename = "pb:webhook")]
    webhook: Option<WireLink>,
}

#[derive(Deserialize)]
struct WireLink {
    href: String,
}

impl Broker {
    /// What the broker's webhooks were triggered with by a contract
    /// (`GET …/version/V/triggered-webhooks`); nothing when the contract is gone.
    pub async fn triggered(
        &self,
        pair: &Pair,
        version: &str,
    ) -> Result<Vec<Triggered>, BrokerError> {
        let (provider, consumer) = (pair.provider.as_str(), pair.consumer.as_str());
        let pact = path(&["pacts", "provider", provider, "consumer", consumer, "version", version]);
        let link = format!("{pact}/triggered-webhooks");
        let Some(document) = self.there::<Value>(&link).await? else { return Ok(Vec::new()) };
        let found: Vec<WireTriggered> = self.embedded(&document, "triggeredWebhooks")?;
        let triggered = |found: WireTriggered| Triggered {
            event: found.event_name.unwrap_or_default(),
            at: found.triggered_at,
            webhook: found.links.webhook.and_then(|link| uuid(&link.href)),
        };
        Ok(found.into_iter().map(triggered).collect())
    }

    /// Uuids of the broker's webhooks whose requests go to a path that ends like this
    /// (`GET /webhooks`, then each of `most` at most).
    pub async fn webhooks_to(&self, path: &str, most: usize) -> Result<Vec<String>, BrokerError> {
        let document = self.ok(self.get_json("/webhooks").await?)?;
        let links = document.pointer("/_links/pb:webhooks").and_then(Value::as_array);
        let hrefs = links.into_iter().flatten().filter_map(|link| link.get("href")?.as_str());
        let mut found = Vec::new();
        for href in hrefs.take(most) {
            let Some(webhook) = self.there::<Value>(href).await? else { continue };
            let url = webhook.pointer("/request/url").and_then(Value::as_str).unwrap_or_default();
            let target = url.split('?').next().unwrap_or(url).trim_end_matches('/');
            if target.ends_with(path) {
                found.extend(uuid(href));
            }
        }
        Ok(found)
    }
}

/// The last segment of a webhook's URL.
fn uuid(href: &str) -> Option<String> {
    let (_, segment) = href.rsplit_once("/webhooks/")?;
    let segment = segment.split(['/', '?']).next()?;
    percent_decode_str(segment).decode_utf8().ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_known_by_its_link() {
        assert_eq!(uuid("http://b/pact/webhooks/a-1").as_deref(), Some("a-1"));
        assert_eq!(uuid("http://b/webhooks/a-1/execute?x=1").as_deref(), Some("a-1"));
        assert_eq!(uuid("http://b/pacts"), None);
    }
}
