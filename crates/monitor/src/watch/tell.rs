//! From debts to events: what nobody told of is committed as any event is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use postrider_broker::{Pair, Survey};
use postrider_domain::owed::{Debt, Fate};
use postrider_domain::{
    DeliveryId, Event, EventId, EventSource, LaneId, PairKey, WatchMode, told_of_content, wants,
};
use postrider_store::{
    EventDocument, EventKey, IntakeBatch, IntakeEntry, IntakeResult, KeyTerm, KnownDebt,
    MonitorLease, NewDelivery, NewEvent, Store, StoreError, WebhookTable, WhyKnown,
};
use postrider_telemetry::Metrics;
use uuid::Uuid;

use super::error::WatchError;

/// So long the broker's own call of the same may come after the watch's event: 42 minutes with
/// all its repeats (Pact Broker 2.120).
const CALLS_WITHIN: Duration = Duration::from_mins(45);
/// A call that was answered so shortly before is told of already, whatever the ways to the
/// database took.
const JUST_NOW: Duration = Duration::from_secs(10);
/// Events may be dated so much before the contract that they tell of.
const CLOCKS: SignedDuration = SignedDuration::from_hours(24);
/// How often an event is matched anew because webhooks changed meanwhile.
const MATCHES: u32 = 24;

/// Makes events of debts.
#[derive(Debug)]
pub(crate) struct Teller {
    broker: String,
    mode: WatchMode,
    store: Store,
    metrics: Metrics,
    webhooks: Mutex<Option<Arc<WebhookTable>>>,
}

/// By what debts of a pair are told apart, beside the contract: the consumer's and the provider's
/// version.
type Versions = (String, String);

impl Teller {
    pub(crate) fn new(broker: String, mode: WatchMode, store: Store, metrics: Metrics) -> Self {
        Self { broker, mode, store, metrics, webhooks: Mutex::default() }
    }

    pub(crate) fn mode(&self) -> WatchMode {
        self.mode
    }

    /// Sees to it that each of a pair's debts that needs an event has one, and remembers which
    /// need none any more. How many events were made.
    pub(crate) async fn settle(
        &self,
        lease: MonitorLease,
        survey: &Survey<'_>,
        pair: &Pair,
        debts: &[(Debt, Fate)],
    ) -> Result<usize, WatchError> {
        if debts.is_empty() || self.mode == WatchMode::Off {
            return Ok(0);
        }
        let key = self.key(pair);
        let known = self.store.known_debts(&key).await?;
        let known: BTreeMap<Versions, KnownDebt> = known
            .into_iter()
            .map(|debt| ((debt.consumer_version.clone(), debt.provider_version.clone()), debt))
            .collect();
        let (mut settled, mut made) = (Vec::new(), 0);
        for (debt, fate) in debts {
            let settles = |why, event| KnownDebt {
                consumer_version: debt.consumer_version.clone(),
                provider_version: debt.provider.version.clone(),
                published_at: Some(debt.published_at),
                why,
                event,
                again: 0,
            };
            match known.get(&(debt.consumer_version.clone(), debt.provider.version.clone())) {
                Some(known) if known.is_of(debt.published_at) => settled.push(KnownDebt {
                    published_at: known.published_at.or(Some(debt.published_at)),
                    ..known.clone()
                }),
                Some(_) | None => match fate {
                    Fate::FirstContact => settled.push(settles(WhyKnown::FirstContact, None)),
                    Fate::Later => {}
                    Fate::Tell => {
                        if let Some((why, event)) = self.tell(survey, pair, debt).await? {
                            made += usize::from(why == WhyKnown::Watch);
                            settled.push(settles(why, event));
                        }
                    }
                },
            }
        }
        if !self.store.save_known_debts(lease, &key, &settled).await? {
            return Err(WatchError::LeaseLost);
        }
        Ok(made)
    }

    /// What came of a debt that the broker should have told of; `None` when its contract is gone.
    async fn tell(
        &self,
        survey: &Survey<'_>,
        pair: &Pair,
        debt: &Debt,
    ) -> Result<Option<(WhyKnown, Option<EventId>)>, WatchError> {
        if let Some(told) = self.told(survey, pair, debt).await? {
            return Ok(Some((WhyKnown::Told, Some(told))));
        }
        let Some(event) = survey.event(pair, debt, &self.broker).await? else { return Ok(None) };
        if self.mode == WatchMode::Observe {
            tracing::info!(
                broker = self.broker,
                consumer = pair.consumer,
                consumer_version = debt.consumer_version,
                provider = pair.provider,
                provider_version = debt.provider.version,
                "watch.would_tell"
            );
            return Ok(Some((WhyKnown::Observed, None)));
        }
        // What came meanwhile is seen here, or by its key when it is committed.
        let arrived = Instant::now().checked_sub(JUST_NOW).unwrap_or_else(Instant::now);
        if let Some(told) = self.told(survey, pair, debt).await? {
            return Ok(Some((WhyKnown::Told, Some(told))));
        }
        let (id, is_new) = self.commit(event, arrived).await?;
        tracing::info!(
            broker = self.broker,
            consumer = pair.consumer,
            consumer_version = debt.consumer_version,
            provider = pair.provider,
            provider_version = debt.provider.version,
            event_id = %id.0,
            duplicate = !is_new,
            "watch.told"
        );
        let why = if is_new { WhyKnown::Watch } else { WhyKnown::Told };
        Ok(Some((why, Some(id))))
    }

    /// The newest event that told of the debt, whoever brought it. One without a provider version
    /// stands for all that counted then; one of the broker's that names another content than the
    /// version has now told of what was overwritten.
    pub(super) async fn told(
        &self,
        survey: &Survey<'_>,
        pair: &Pair,
        debt: &Debt,
    ) -> Result<Option<EventId>, WatchError> {
        let since = debt.published_at.saturating_sub(CLOCKS).unwrap_or(debt.published_at);
        let mut told = self.store.told_versions(&self.key(pair), since).await?;
        told.retain(|told| {
            told.consumer_version == debt.consumer_version
                && (told.provider_version.is_empty()
                    || told.provider_version == debt.provider.version)
        });
        if told.is_empty() {
            return Ok(None);
        }
        let Some(sha) = survey.content(pair, &debt.consumer_version).await? else {
            return Ok(None);
        };
        let of_it = told.iter().find(|told| told_of_content(told.source, &told.pact_url, &sha));
        Ok(of_it.map(|told| told.event))
    }

    pub(super) fn key(&self, pair: &Pair) -> PairKey {
        PairKey {
            broker: self.broker.clone(),
            consumer: pair.consumer.clone(),
            provider: pair.provider.clone(),
        }
    }

    /// Commits an event under the key that the broker's own call of the same has. A call that
    /// comes later meets the key, and is merged.
    async fn commit(&self, event: Event, arrived: Instant) -> Result<(EventId, bool), StoreError> {
        let key = EventKey::of(&event)?;
        let term = KeyTerm { arrived, longest: CALLS_WITHIN + JUST_NOW };
        self.commit_as(event, key, Some(term)).await
    }

    /// Commits an event once more, for the so-manieth time. Its key is its own: no call of the
    /// broker meets it, and what was committed already is found again.
    pub(super) async fn commit_again(
        &self,
        event: Event,
        times: u32,
    ) -> Result<(EventId, bool), StoreError> {
        let mut key = EventKey::of(&event)?;
        key.text = key.text.map(|text| format!("{text}:again{times}"));
        self.commit_as(event, key, None).await
    }

    /// The lanes that deliveries of the event go to.
    pub(super) async fn lanes_of(&self, event: &Event) -> Result<Vec<LaneId>, StoreError> {
        let table = self.webhook_table().await?;
        Ok(deliveries(&table, event).iter().map(|delivery| delivery.lane_id).collect())
    }

    async fn commit_as(
        &self,
        event: Event,
        EventKey { text, fingerprint }: EventKey,
        term: Option<KeyTerm>,
    ) -> Result<(EventId, bool), StoreError> {
        let event = NewEvent {
            id: EventId(Uuid::now_v7()),
            key: text,
            term,
            fingerprint,
            event: EventDocument::new(event)?,
            source: EventSource::Watch,
            traceparent: None,
        };
        let id = event.id;
        let mut entry = IntakeEntry { event, deliveries: Vec::new() };
        for _ in 0..MATCHES {
            let table = self.webhook_table().await?;
            entry.deliveries = deliveries(&table, entry.event.event.event());
            let ids: Vec<DeliveryId> = entry.deliveries.iter().map(|one| one.id).collect();
            let entries = Arc::new(vec![entry.clone()]);
            let batch = IntakeBatch { webhooks_version: table.version, entries };
            let Some(results) = self.store.commit_events(&batch).await? else { continue };
            return match results.into_iter().next() {
                Some(IntakeResult::Duplicate(first)) => Ok((first.event_id, false)),
                Some(IntakeResult::Accepted) | None => {
                    self.metrics.events_received(1);
                    // No message brings them to a worker.
                    self.store.make_due(&ids).await?;
                    Ok((id, true))
                }
            };
        }
        Err(StoreError::Unavailable("webhooks keep changing".to_owned()))
    }

    async fn webhook_table(&self) -> Result<Arc<WebhookTable>, StoreError> {
        let known = self.webhooks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let version = known.as_ref().map(|table| table.version);
        match (self.store.webhook_table(version).await?, known) {
            (None, Some(known)) => Ok(known),
            (None, None) => Err(StoreError::Corrupt("no webhook table".to_owned())),
            (Some(loaded), _) => {
                let loaded = Arc::new(loaded);
                let kept = Some(Arc::clone(&loaded));
                *self.webhooks.lock().unwrap_or_else(PoisonError::into_inner) = kept;
                Ok(loaded)
            }
        }
    }
}

/// A delivery for each webhook that wants the event.
fn deliveries(table: &WebhookTable, event: &Event) -> Vec<NewDelivery> {
    let wanting = table.webhooks.iter().filter(|stored| wants(&stored.webhook, event));
    wanting.map(|stored| NewDelivery::of(stored)).collect()
}
