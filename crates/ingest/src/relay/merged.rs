//! A call that meets an event which the watch made of the same: is it the call of that
//! publication, or of another one?
//!
//! The watch may be faster than the broker's own call, which comes up to 45 minutes later with all
//! its repeats. So for that long a call is merged with the watch's event, the first time. But the
//! broker may have lost its call, and the one that comes is that of a person who runs the
//! consumer's CI again. What the broker triggered for the contract tells them apart: one group of
//! triggers for each publication.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use postrider_broker::{Broker, BrokerError, Pair, TriggeredCall};
use postrider_domain::{Event, EventId, MergedBecause, PairKey};
use postrider_http_server::query;
use postrider_store::{Store, StoreError, WhyKnown};

use crate::config::IngestConfig;

/// A call that comes so shortly after the watch's event is the call of the same publication:
/// nobody runs a build again so fast.
const SAME: SignedDuration = SignedDuration::from_mins(1);
/// How long the broker is asked.
const ASK_FOR: Duration = Duration::from_secs(3);
/// Webhooks of the broker that are looked at for the relay.
const WEBHOOKS_MOST: usize = 100;
/// Parameter of the relay's URL that names the webhook which it is the URL of.
const RELAY: &str = "relay";

/// By which of the broker's webhooks a call comes.
#[derive(Debug, Clone)]
pub(super) struct Relay {
    uuid: Option<String>,
    path: String,
}

impl Relay {
    /// Of the URL that was called.
    pub(super) fn of(path: &str, query: &str) -> Self {
        let named = query::pairs(query).flatten().find(|(name, _)| name == RELAY);
        let uuid = named.map(|(_, uuid)| uuid).filter(|uuid| !uuid.is_empty());
        Self { uuid, path: path.trim_end_matches('/').to_owned() }
    }
}

/// What a call that met an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Met {
    /// The same call again, or one like it: the event is not the watch's.
    Again,
    /// Of the publication that the watch's event told of, or nobody can tell.
    Merged(MergedBecause),
    /// Of another publication.
    Another,
}

/// Whether a call is of another publication than the watch's event that it met.
pub(super) async fn met(
    (store, config): (&Store, &IngestConfig),
    relay: &Relay,
    event: &Event,
    met: EventId,
) -> Result<Met, StoreError> {
    let key = PairKey {
        broker: event.broker.clone(),
        consumer: event.consumer.name.clone(),
        provider: event.provider.name.clone(),
    };
    let known = store.known_debts(&key).await?;
    if !known.iter().any(|debt| debt.event == Some(met) && debt.why == WhyKnown::Watch) {
        return Ok(Met::Again);
    }
    if Timestamp::now().duration_since(made_at(met)) <= SAME {
        return Ok(Met::Merged(MergedBecause::JustMade));
    }
    let told = store.told_versions(&key, Timestamp::UNIX_EPOCH).await?;
    let told = told.iter().filter(|told| {
        told.consumer_version == event.consumer.version_number
            && told.provider_version == event.provider.version_number
    });
    // What was dispatched again by itself told of no other publication.
    let again = known.iter().filter(|debt| debt.event == Some(met)).map(|debt| debt.again).max();
    let again = again.and_then(|times| usize::try_from(times).ok()).unwrap_or_default();
    let told = told.count().saturating_sub(again);
    let asked = tokio::time::timeout(ASK_FOR, publications(config, relay, event)).await;
    let error = match asked {
        Ok(Ok(Some(publications))) if publications > told => return Ok(Met::Another),
        // It has just called: what the broker tells of is another webhook.
        Ok(Ok(None | Some(0))) => return Ok(Met::Merged(MergedBecause::RelayUnknown)),
        Ok(Ok(Some(_))) => return Ok(Met::Merged(MergedBecause::OnePublication)),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer in time".to_owned(),
    };
    tracing::warn!(broker = event.broker, error, "relay.merged_unasked");
    Ok(Met::Merged(MergedBecause::BrokerUnasked))
}

/// How often the broker triggered this relay with the event; `None` where the broker is not known
/// here, or the relay is not known there.
async fn publications(
    config: &IngestConfig,
    relay: &Relay,
    event: &Event,
) -> Result<Option<usize>, BrokerError> {
    let named = config.brokers.iter().find(|(name, _)| *name == event.broker);
    let Some((_, of_broker)) = named else { return Ok(None) };
    let broker = Broker::new(of_broker.clone())?;
    let relays = match &relay.uuid {
        Some(uuid) => vec![uuid.clone()],
        None => broker.webhooks_to(&relay.path, WEBHOOKS_MOST).await?,
    };
    if relays.is_empty() {
        return Ok(None);
    }
    let pair =
        Pair { consumer: event.consumer.name.clone(), provider: event.provider.name.clone() };
    let triggered = broker.triggered_calls(&pair, &event.consumer.version_number).await?;
    Ok(Some(groups(&triggered, event.event_name.as_str(), &relays)))
}

/// All provider versions of one publication are triggered at one time.
fn groups(triggered: &[TriggeredCall], event: &str, relays: &[String]) -> usize {
    let of_relay = triggered.iter().filter(|one| {
        one.event == event && one.webhook.as_ref().is_some_and(|uuid| relays.contains(uuid))
    });
    of_relay.map(|one| one.at).collect::<BTreeSet<Timestamp>>().len()
}

/// When an event was made: its id says so.
fn made_at(event: EventId) -> Timestamp {
    let millis = i64::try_from(event.0.as_u128() >> 80).unwrap_or_default();
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn triggered(event: &str, second: i64, webhook: Option<&str>) -> TriggeredCall {
        let at = Timestamp::from_second(second).unwrap();
        TriggeredCall {
            event: event.to_owned(),
            at,
            status: "success".to_owned(),
            webhook: webhook.map(str::to_owned),
        }
    }

    #[test]
    fn a_publication_is_a_group_of_triggers() {
        let of = [
            triggered("e", 1, Some("r")),
            triggered("e", 1, Some("r")),
            triggered("e", 2, Some("r")),
            triggered("other", 3, Some("r")),
            triggered("e", 4, Some("another")),
            triggered("e", 5, None),
        ];
        assert_eq!(groups(&of, "e", &["r".to_owned()]), 2);
        assert_eq!(groups(&of, "e", &[]), 0);
    }

    #[test]
    fn a_relay_is_named_by_its_url() {
        let relay = Relay::of("/hooks/broker/eu/", "eventName=x&relay=a-1");
        assert_eq!((relay.uuid.as_deref(), relay.path.as_str()), (Some("a-1"), "/hooks/broker/eu"));
        assert_eq!(Relay::of("/hooks/broker", "eventName=x&relay=").uuid, None);
    }

    #[test]
    fn an_event_is_as_old_as_its_id() {
        let id = EventId(uuid::Uuid::now_v7());
        let age = Timestamp::now().duration_since(made_at(id));
        assert!(age < SignedDuration::from_mins(1) && age > -SignedDuration::from_mins(1), "{age}");
    }
}
