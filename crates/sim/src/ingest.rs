//! Ingests: events become rows in one step, then messages.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use postrider_domain::{DeliveryId, EventId, EventSource, LaneId};
use postrider_scheduler::{Event, Offer};
use postrider_store::{Claim, ClaimTerms, IntakeBatch, IntakeEntry, NewDelivery, NewEvent};

use crate::flaw::Flaw;
use crate::happening::Happening;
use crate::intake::{Intake, Made};
use crate::message::Message;
use crate::process::{Phase, Process, Who};
use crate::trace::told;
use crate::world::World;

/// Deliveries in one message.
const IN_MESSAGE: usize = 32;

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
        let intake = Rc::new(Intake { slot, batch, is_last });
        if !self.offers_to_a_worker(&intake) {
            self.commits_soon(intake);
        }
    }

    /// A worker beside this ingest is asked what it claims with the commit (T1c). Whether one was.
    fn offers_to_a_worker(&mut self, intake: &Rc<Intake>) -> bool {
        if !self.plan.is_embedded {
            return false;
        }
        let is_there = |process: &&Process| {
            process.phase == Phase::Running && process.frozen_until <= self.now
        };
        let there = self.processes.iter().filter(|process| process.brain.is_some());
        let there: Vec<Who> = there.filter(is_there).map(Process::who).collect();
        let Some(who) = self.chance.pick(&there) else { return false };
        let (_, deliveries): (Vec<_>, Vec<_>) = self.by_kind(&intake.deliveries());
        self.last_offer += 1;
        let offer = Offer(self.last_offer);
        self.offers.insert(offer, Rc::clone(intake));
        self.tell(who, Event::Offered { offer, deliveries });
        true
    }

    /// It commits by itself.
    pub(crate) fn commits_soon(&mut self, intake: Rc<Intake>) {
        let on_the_way = self.round_trip();
        self.commits_open += 1;
        self.at(on_the_way, Happening::Commits(intake));
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
    pub(crate) fn commits(&mut self, intake: &Intake) {
        self.commits_open -= 1;
        if self.now < self.store_away_until {
            return;
        }
        self.model.set_now(self.db_now());
        let is_current = self.model.commit_events(&intake.batch).is_some();
        self.committed(intake, is_current.then_some(&[]));
    }

    /// A commit is there that claims.
    pub(crate) fn commits_claiming(
        &mut self,
        intake: &Intake,
        ids: &[DeliveryId],
        terms: ClaimTerms,
    ) -> Vec<Claim> {
        let claims = match self.flaw {
            Some(Flaw::ParkHidden) => self
                .model
                .unaware_of_parks(|model| model.commit_events_claiming(&intake.batch, ids, terms)),
            _ => self.model.commit_events_claiming(&intake.batch, ids, terms),
        };
        self.committed(intake, claims.as_deref());
        claims.unwrap_or_default()
    }

    /// It was made, and claimed these, or the webhooks have changed: then the table is read again,
    /// and the events are matched.
    fn committed(&mut self, intake: &Intake, claims: Option<&[Claim]>) {
        let Intake { slot, is_last, .. } = *intake;
        let mut deliveries = intake.deliveries();
        let Some(claims) = claims else {
            self.rows_left += deliveries.len();
            self.ingests[slot].table = self.model.webhook_table(None);
            return self.at(1, Happening::Ingests(slot));
        };
        told!(self, "ingest {slot} commits {deliveries:?}, and is gone: {is_last}");
        self.checks.accepted(&deliveries);
        if !is_last {
            deliveries.retain(|(id, _)| claims.iter().all(|claim| claim.id != *id));
            self.publish(&deliveries);
        }
    }

    /// Deliveries of limited lanes, and the others.
    fn by_kind(&self, deliveries: &[(DeliveryId, LaneId)]) -> (Vec<Made>, Vec<Made>) {
        deliveries.iter().copied().partition(|(_, lane)| !self.model.is_unlimited(*lane))
    }

    fn publish(&mut self, deliveries: &[(DeliveryId, LaneId)]) {
        if self.plan.is_embedded {
            return self.wakes_all(deliveries);
        }
        let (limited, fresh) = self.by_kind(deliveries);
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

    fn wakes_all(&mut self, deliveries: &[(DeliveryId, LaneId)]) {
        let lanes: BTreeSet<LaneId> = deliveries.iter().map(|(_, lane)| *lane).collect();
        let lanes: Vec<LaneId> = lanes.into_iter().collect();
        let running: Vec<Who> = self.processes.iter().map(Process::who).collect();
        for who in running.into_iter().filter(|_| !lanes.is_empty()) {
            let wait = self.chance.within(1..=2);
            self.at(wait, Happening::Woken(who, lanes.clone()));
        }
    }

    pub(crate) fn makes_due(&mut self, ids: &[DeliveryId]) {
        if self.now >= self.store_away_until {
            self.model.set_now(self.db_now());
            self.model.make_due(ids);
        }
    }
}
