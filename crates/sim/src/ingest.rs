//! Ingests: events become rows in one step, then messages.

use std::collections::BTreeMap;
use std::rc::Rc;

use postrider_domain::{DeliveryId, EventId, EventSource, LaneId};
use postrider_store::{
    EventDocument, IntakeBatch, IntakeEntry, NewDelivery, NewEvent, WebhookTable,
};

use crate::happening::Happening;
use crate::queue::Message;
use crate::trace::told;
use crate::world::World;

/// Deliveries in one message.
const IN_MESSAGE: usize = 32;

/// An ingest.
#[derive(Debug, Default)]
pub(crate) struct Ingest {
    table: Option<WebhookTable>,
}

impl World {
    /// Events have come.
    pub(crate) fn ingests(&mut self, slot: usize) {
        if self.rows_left == 0 {
            return;
        }
        let next = self.chance.mostly_small(self.plan.events_apart);
        self.at(next, Happening::Ingests(slot));
        if self.now < self.store_away_until {
            return;
        }
        if self.ingests[slot].table.is_none() {
            self.ingests[slot].table = self.model.webhook_table(None);
        }
        let Some(batch) = self.batch(slot) else { return };
        // It may be gone between its commit and its message.
        let is_last = self.is_stormy && self.chance.one_in(25);
        let on_the_way = self.round_trip();
        self.commits_open += 1;
        self.at(on_the_way, Happening::Commits(slot, Rc::new(batch), is_last));
    }

    fn batch(&mut self, slot: usize) -> Option<IntakeBatch> {
        let table = self.ingests[slot].table.clone()?;
        let enabled: Vec<_> =
            table.webhooks.iter().filter(|each| each.webhook.enabled).cloned().collect();
        if enabled.is_empty() && !self.is_stormy {
            // Nobody wants anything any more.
            self.rows_left = 0;
        }
        let mut entries = Vec::new();
        for _ in 0..self.chance.within(1..=self.plan.events_at_once) {
            let mut deliveries: BTreeMap<_, NewDelivery> = BTreeMap::new();
            for _ in 0..self.chance.within(1..=2) {
                let Some(webhook) = self.chance.pick(&enabled) else { continue };
                if self.rows_left > 0 && !deliveries.contains_key(&webhook.id) {
                    self.rows_left -= 1;
                    let id = DeliveryId(self.new_id());
                    let new = NewDelivery { id, webhook_id: webhook.id, lane_id: webhook.lane_id };
                    deliveries.insert(webhook.id, new);
                }
            }
            let event = NewEvent {
                id: EventId(self.new_id()),
                source: EventSource::Api,
                key: None,
                term: None,
                fingerprint: [0; 16],
                event: self.event.clone(),
                traceparent: None,
            };
            entries.push(IntakeEntry { event, deliveries: deliveries.into_values().collect() });
        }
        Some(IntakeBatch { webhooks_version: table.version, entries: entries.into() })
    }

    fn new_id(&mut self) -> uuid::Uuid {
        self.made += 1;
        uuid::Uuid::from_u128(self.made)
    }

    /// A commit is there.
    pub(crate) fn commits(&mut self, slot: usize, batch: &IntakeBatch, is_last: bool) {
        if self.now < self.store_away_until {
            return;
        }
        self.model.set_now(self.db_now());
        let new = batch.entries.iter().flat_map(|entry| &entry.deliveries);
        if self.model.commit_events(batch).is_none() {
            // The webhooks have changed: the table is read again, and the events are matched.
            self.rows_left += new.count();
            self.ingests[slot].table = self.model.webhook_table(None);
            return self.at(1, Happening::Ingests(slot));
        }
        let deliveries: Vec<(DeliveryId, LaneId)> = new.map(|new| (new.id, new.lane_id)).collect();
        told!(self, "ingest {slot} commits {deliveries:?}, and is gone: {is_last}");
        self.checks.accepted(&deliveries);
        if !is_last {
            self.publish(&deliveries);
        }
    }

    fn publish(&mut self, deliveries: &[(DeliveryId, LaneId)]) {
        let (limited, fresh): (Vec<_>, Vec<_>) =
            deliveries.iter().copied().partition(|(_, lane)| !self.model.is_unlimited(*lane));
        if self.now < self.queue_away_until {
            let ids = fresh.iter().map(|(id, _)| *id).collect();
            return self.at(100, Happening::MakesDue(ids));
        }
        let mut wake: Vec<LaneId> = limited.into_iter().map(|(_, lane)| lane).collect();
        wake.dedup();
        let mut messages: Vec<Message> = fresh
            .chunks(IN_MESSAGE)
            .map(|part| Message { deliveries: part.to_vec(), wake: Vec::new() })
            .collect();
        match messages.first_mut() {
            Some(first) => first.wake = wake,
            None => messages.push(Message { deliveries: Vec::new(), wake }),
        }
        for message in messages {
            let wait = self.chance.within(1..=5);
            self.at(wait, Happening::Published(message));
        }
    }

    pub(crate) fn makes_due(&mut self, ids: &[DeliveryId]) {
        if self.now >= self.store_away_until {
            self.model.set_now(self.db_now());
            self.model.make_due(ids);
        }
    }
}

/// The event of all deliveries: what it says does not matter here.
pub(crate) fn event() -> Result<EventDocument, String> {
    EventDocument::new(postrider_testkit::acts::event()).map_err(|error| error.to_string())
}
