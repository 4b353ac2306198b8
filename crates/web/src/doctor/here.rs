//! What is here of a contract: events that ask for its verification, and what came of them.

use std::sync::Arc;

use jiff::Timestamp;
use postrider_api::UnwantedBy;
use postrider_domain::doctor::{
    Asked, DeliveryFacts, EventFacts, Known, RunFinding, UnwantedWebhook,
};
use postrider_domain::{
    DeliveryStatus, Event, EventName, HoldCause, LaneState, Outcome, TargetKind, told_of_content,
};
use postrider_store::{
    DeliveryFilter, DeliveryRow, EventFilter, EventRow, EventView, LaneInfo, ParkedWebhook, Store,
    StoreError, StoredWebhook,
};
use url::Url;

use crate::unwanted::nearest;

/// Events of one contract that are looked at, the newest.
const EVENTS: u32 = 20;

/// Events that ask for a verification of a version's content, newest first; without a version those
/// of the newest event's version, without a content those of any. One of the broker's that names
/// another content was about what was overwritten since.
pub(super) async fn events(
    store: &Store,
    asked: &Asked,
    (version, content): (Option<&str>, Option<&str>),
) -> Result<Vec<EventFacts>, StoreError> {
    let filter = EventFilter {
        broker: Some(asked.broker.clone()),
        consumer: Some(asked.consumer.clone()),
        provider: Some(asked.provider.clone()),
        version: version.map(str::to_owned),
        event: Some(EventName::ContractRequiringVerificationPublished),
        ..EventFilter::default()
    };
    let mut rows = store.events(&filter, None, EVENTS).await?.events;
    let newest = rows.first().map(|row| row.consumer_version.clone());
    rows.retain(|row| Some(&row.consumer_version) == newest.as_ref());
    let table = store.webhook_table(None).await?;
    let webhooks = table.map(|table| table.webhooks).unwrap_or_default();
    let mut here = Here { store, webhooks, content, lanes: None };
    let mut events = Vec::with_capacity(rows.len());
    for row in rows {
        events.extend(here.event(row).await?);
    }
    Ok(events)
}

/// What is read once for all of them.
struct Here<'s> {
    store: &'s Store,
    webhooks: Vec<Arc<StoredWebhook>>,
    content: Option<&'s str>,
    /// Read when something waits.
    lanes: Option<(Vec<LaneInfo>, Vec<ParkedWebhook>)>,
}

impl Here<'_> {
    async fn event(&mut self, row: EventRow) -> Result<Option<EventFacts>, StoreError> {
        let Some(EventView { row, event, deliveries, .. }) = self.store.event(row.id).await? else {
            return Ok(None);
        };
        let event = serde_json::from_str::<Event>(&event).ok();
        let is_of_another = self.content.is_some_and(|sha| {
            event.as_ref().is_some_and(|event| !told_of_content(row.source, &event.pact_url, sha))
        });
        if is_of_another {
            return Ok(None);
        }
        let mut facts = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            facts.push(self.delivery(delivery).await?);
        }
        let unwanted = match event {
            Some(event) if facts.is_empty() => nearest(&self.webhooks, &event),
            Some(_) | None => Vec::new(),
        };
        let unwanted =
            unwanted.into_iter().map(|UnwantedBy { webhook_uuid, description, reason }| {
                UnwantedWebhook { uuid: webhook_uuid, description, reason }
            });
        Ok(Some(EventFacts {
            id: row.id,
            provider_version: row.provider_version,
            received_at: row.received_at,
            source: row.source,
            deliveries: facts,
            unwanted: unwanted.collect(),
        }))
    }

    async fn delivery(&mut self, row: DeliveryRow) -> Result<DeliveryFacts, StoreError> {
        let (hold, paused_until) = self.stop(&row).await?;
        let is_webhook = |stored: &&Arc<StoredWebhook>| stored.webhook.uuid == row.webhook_uuid;
        let webhook = self.webhooks.iter().find(is_webhook).map(Arc::clone);
        let lacks = hold.is_some_and(|(cause, _)| cause.is_secret());
        let secret = match &webhook {
            Some(webhook) if lacks => self.lacking(webhook).await?,
            Some(webhook) => own_secret(webhook, &row.lane),
            None => None,
        };
        let target = webhook.as_ref().and_then(|one| Url::parse(&one.webhook.request.url).ok());
        let was_taken_before =
            row.last_outcome == Some(Outcome::NotFound) && self.was_taken(&row).await?;
        Ok(DeliveryFacts {
            id: row.id,
            webhook: row.webhook_uuid,
            lane: row.lane,
            status: row.status,
            is_dispatch: target.is_some_and(|url| TargetKind::of(&url).is_github()),
            last_outcome: row.last_outcome,
            last_status_code: row.last_status_code,
            next_attempt_at: row.next_attempt_at,
            hold,
            paused_until,
            updated_at: row.updated_at,
            secret,
            was_taken_before,
            run: Known::Is(RunFinding::NotAsked),
        })
    }

    /// Why what waits is not sent: the hold of its lane or webhook, and the pause of its limit.
    async fn stop(
        &mut self,
        row: &DeliveryRow,
    ) -> Result<(Option<(HoldCause, Timestamp)>, Option<Timestamp>), StoreError> {
        match row.status {
            DeliveryStatus::Held | DeliveryStatus::Queued | DeliveryStatus::Retrying => {}
            DeliveryStatus::Delivered | DeliveryStatus::Failed | DeliveryStatus::Discarded => {
                return Ok((None, None));
            }
        }
        if self.lanes.is_none() {
            let lanes = self.store.lanes().await?;
            self.lanes = Some((lanes, self.store.parked_webhooks().await?));
        }
        let Some((lanes, parked)) = &self.lanes else { return Ok((None, None)) };
        let lane = lanes.iter().find(|lane| lane.name == row.lane);
        let of_lane = lane.and_then(|lane| match lane.state {
            LaneState::Held(cause) => Some((cause, lane.held_since.unwrap_or(row.updated_at))),
            LaneState::Open => None,
        });
        let webhook = parked.iter().find(|webhook| webhook.uuid == row.webhook_uuid);
        let hold = of_lane.or_else(|| webhook.map(|webhook| (webhook.cause, webhook.since)));
        Ok((hold, lane.and_then(|lane| lane.paused_until)))
    }

    /// The first secret of a webhook that has no value, else its own.
    async fn lacking(&self, webhook: &StoredWebhook) -> Result<Option<String>, StoreError> {
        let team = webhook.webhook.team_uuid.as_deref();
        let there = self.store.secret_values(&webhook.secret_names, team).await?;
        let lacks =
            |name: &&String| !there.values.contains_key(*name) && !there.apps.contains_key(*name);
        let lacking = webhook.secret_names.iter().find(lacks).cloned();
        Ok(lacking.or_else(|| own_secret(webhook, &webhook.lane)))
    }

    /// Whether anything was taken from the same webhook lately.
    async fn was_taken(&self, row: &DeliveryRow) -> Result<bool, StoreError> {
        let filter = DeliveryFilter {
            webhook: Some(row.webhook_uuid.clone()),
            status: Some(DeliveryStatus::Delivered),
            ..DeliveryFilter::default()
        };
        Ok(!self.store.deliveries(&filter, None, 1).await?.deliveries.is_empty())
    }
}

/// The secret that a lane is named after, if it is one of the webhook's.
fn own_secret(webhook: &StoredWebhook, lane: &str) -> Option<String> {
    let (_, credential) = lane.rsplit_once('/')?;
    webhook.secret_names.get(credential).cloned()
}
