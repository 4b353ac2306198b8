//! What a broker does to tell of a publication: its webhooks that come to a postrider, and the calls
//! that it means to make.

use futures_util::future::try_join_all;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::client::{Broker, path};
use crate::error::BrokerError;
use crate::listing::Pair;

/// Path of the intake for relays.
const INTAKE: [&str; 2] = ["hooks", "broker"];
/// The variable that tells a relay from other webhooks that happen to have such a path.
const EVENT_NAME: &str = "eventName";
/// Webhooks that are read one by one: a collection only links to them.
const MOST: usize = 200;
/// So many at a time.
const PARALLEL: usize = 4;

/// A broker's webhook that relays to a postrider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayWebhook {
    /// Its uuid at the broker.
    pub uuid: String,
    /// Whether it is switched on.
    pub enabled: bool,
    /// What it is for.
    pub events: Vec<String>,
    /// Where it goes.
    pub url: Url,
}

/// A call that a broker means to make, or made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggeredCall {
    /// Of which event; empty where the broker does not say.
    pub event: String,
    /// When it was put on the list.
    pub at: Timestamp,
    /// What became of it: `not_run`, `retrying`, `success`, `failure` (Pact Broker 2.120).
    pub status: String,
    /// The webhook's uuid; `None` when the broker does not say.
    pub webhook: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireCall {
    #[serde(default)]
    event_name: Option<String>,
    triggered_at: Timestamp,
    #[serde(default)]
    status: String,
    #[serde(default, rename = "_links")]
    links: WireCallLinks,
}

#[derive(Deserialize, Default)]
struct WireCallLinks {
    #[serde(default, rename = "pb:webhook")]
    webhook: Option<WireLink>,
}

#[derive(Deserialize)]
struct WireLink {
    href: String,
}

impl RelayWebhook {
    /// Whether it tells the postrider that knows the broker by this name: a broker named otherwise
    /// than `default` has its name at the end of the path.
    pub fn is_for(&self, broker: &str) -> bool {
        let after = after_intake(&self.url);
        match after.as_deref() {
            Some([]) => broker == "default",
            Some([name]) => name == broker,
            Some(_) | None => false,
        }
    }
}

/// Whether a webhook is a relay to any postrider: it goes to the intake for relays and says which
/// event it is about.
pub fn is_a_relay(webhook: &Value) -> bool {
    let url = webhook.pointer("/request/url").and_then(Value::as_str);
    let Some(url) = url.and_then(|url| url.parse::<Url>().ok()) else { return false };
    // A broker's name may follow.
    let ends_there = after_intake(&url).is_some_and(|after| after.len() <= 1);
    ends_there && url.query_pairs().any(|(name, _)| name == EVENT_NAME)
}

/// The decoded segments after the last intake in a path.
fn after_intake(url: &Url) -> Option<Vec<String>> {
    let decode = |segment: &str| percent_decode_str(segment).decode_utf8_lossy().into_owned();
    let segments: Vec<String> = url
        .path_segments()
        .into_iter()
        .flatten()
        .filter(|one| !one.is_empty())
        .map(decode)
        .collect();
    let at = segments.windows(INTAKE.len()).rposition(|window| window == INTAKE)?;
    Some(segments.get(at + INTAKE.len()..).unwrap_or_default().to_vec())
}

impl Broker {
    /// The webhooks that relay to a postrider, among the first 200 that the broker has.
    pub async fn relays(&self) -> Result<Vec<RelayWebhook>, BrokerError> {
        let hrefs = self.webhook_hrefs().await?;
        let uuids = hrefs.iter().filter_map(|href| last_segment(href));
        let uuids: Vec<String> = uuids.take(MOST).collect();
        let mut found = Vec::new();
        for some in uuids.chunks(PARALLEL) {
            let read: Vec<_> = some.iter().map(|uuid| self.webhook(uuid)).collect();
            let read = try_join_all(read).await?;
            let both = some.iter().cloned().zip(read);
            found.extend(both.filter_map(|(uuid, read)| relay(uuid, &read?)));
        }
        Ok(found)
    }

    /// Where each of the broker's webhooks is.
    async fn webhook_hrefs(&self) -> Result<Vec<String>, BrokerError> {
        let collection = self.ok(self.get_json("/webhooks").await?)?;
        let links = collection.pointer("/_links/pb:webhooks").and_then(Value::as_array);
        let href = |link: &Value| Some(link.get("href")?.as_str()?.to_owned());
        Ok(links.into_iter().flatten().filter_map(href).collect())
    }

    async fn webhook(&self, uuid: &str) -> Result<Option<Value>, BrokerError> {
        self.there(&path(&["webhooks", uuid])).await
    }

    /// What the broker means to call, or called, for what a consumer version published, newest
    /// first; empty when it is gone.
    pub async fn triggered_calls(
        &self,
        pair: &Pair,
        version: &str,
    ) -> Result<Vec<TriggeredCall>, BrokerError> {
        let (provider, consumer) = (pair.provider.as_str(), pair.consumer.as_str());
        let pact = ["pacts", "provider", provider, "consumer", consumer, "version", version];
        let link = format!("{}/triggered-webhooks", path(&pact));
        let Some(document) = self.there::<Value>(&link).await? else { return Ok(Vec::new()) };
        let calls: Vec<WireCall> = self.embedded(&document, "triggeredWebhooks")?;
        let call = |wire: WireCall| TriggeredCall {
            event: wire.event_name.unwrap_or_default(),
            at: wire.triggered_at,
            status: wire.status,
            webhook: wire.links.webhook.as_ref().and_then(|link| last_segment(&link.href)),
        };
        Ok(calls.into_iter().map(call).collect())
    }

    /// Uuids of the broker's webhooks whose requests go to a path that ends like this
    /// (`GET /webhooks`, then each of `most` at most).
    pub async fn webhooks_to(&self, path: &str, most: usize) -> Result<Vec<String>, BrokerError> {
        let mut found = Vec::new();
        for href in self.webhook_hrefs().await?.iter().take(most) {
            let Some(webhook) = self.there::<Value>(href).await? else { continue };
            let url = webhook.pointer("/request/url").and_then(Value::as_str).unwrap_or_default();
            let target = url.split('?').next().unwrap_or(url).trim_end_matches('/');
            if target.ends_with(path) {
                found.extend(last_segment(href));
            }
        }
        Ok(found)
    }
}

fn last_segment(href: &str) -> Option<String> {
    let segment = href.trim_end_matches('/').rsplit('/').next()?;
    percent_decode_str(segment).decode_utf8().ok().map(Into::into)
}

fn relay(uuid: String, webhook: &Value) -> Option<RelayWebhook> {
    if !is_a_relay(webhook) {
        return None;
    }
    let events = webhook.get("events").and_then(Value::as_array);
    let name = |event: &Value| Some(event.get("name")?.as_str()?.to_owned());
    Some(RelayWebhook {
        uuid,
        enabled: webhook.get("enabled").and_then(Value::as_bool).unwrap_or(true),
        events: events.into_iter().flatten().filter_map(name).collect(),
        url: webhook.pointer("/request/url")?.as_str()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_webhook_is_known_by_its_link() {
        assert_eq!(last_segment("http://b/pact/webhooks/a-1").as_deref(), Some("a-1"));
        assert_eq!(last_segment("http://b/webhooks/a%201/").as_deref(), Some("a 1"));
    }

    fn webhook(url: &str) -> Value {
        json!({"request": {"url": url}, "enabled": false, "events": [{"name": "contract_published"}]})
    }

    #[test]
    fn any_relay_is_told_from_other_webhooks() {
        for (url, expected) in [
            ("https://p.example/hooks/broker?eventName=${pactbroker.eventName}", true),
            ("https://p.example/a/hooks/broker/name?x=1&eventName=${pactbroker.eventName}", true),
            ("https://p.example/hooks/broker", false),
            ("https://p.example/hooks/broker/a/b?eventName=x", false),
            ("https://p.example/x?eventName=${pactbroker.eventName}", false),
        ] {
            assert_eq!(is_a_relay(&webhook(url)), expected, "{url}");
        }
    }

    #[test]
    fn a_relay_is_for_the_broker_that_its_path_names() {
        let of = |url: &str| relay("u".to_owned(), &webhook(url)).unwrap();
        let plain = of("https://p.example/hooks/broker?eventName=x");
        assert!(plain.is_for("default") && !plain.is_for("other") && !plain.enabled);
        assert_eq!(plain.events, ["contract_published"]);
        let named = of("https://p.example/hooks/broker/team%20a?eventName=x");
        assert!(named.is_for("team a") && !named.is_for("default"));
    }
}
