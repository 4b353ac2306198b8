//! T1, T1c, T2.

use std::collections::BTreeMap;

use postrider_domain::{ClaimNo, DeliveryId, EventId, StoredStatus};
use postrider_store::{
    Claim, ClaimTerms, Committed, IntakeBatch, IntakeEntry, IntakeResult, NewEvent,
};

use super::{EventRow, Key, Micros, Model, Row, micros};

impl Model {
    /// T1 (`VERSION_IN_COMMIT`, `ATOMIC_KEY`).
    pub fn commit_events(&mut self, batch: &IntakeBatch) -> Option<Vec<IntakeResult>> {
        if batch.webhooks_version != self.version {
            return None;
        }
        let mut won: BTreeMap<&str, EventId> = BTreeMap::new();
        for entry in batch.entries.iter() {
            if let Some(key) = entry.event.key.as_deref()
                && !won.contains_key(key)
                && self.take_key(key, &entry.event)
            {
                won.insert(key, entry.event.id);
            }
        }
        let is_new = |entry: &&IntakeEntry| {
            let key = entry.event.key.as_deref();
            key.is_none_or(|key| won.get(key) == Some(&entry.event.id))
        };
        batch.entries.iter().filter(is_new).for_each(|entry| self.enter(entry));
        let result = |entry: &IntakeEntry| match &entry.event.key {
            Some(key) if !is_new(&entry) => IntakeResult::Duplicate(self.committed(key)),
            Some(_) | None => IntakeResult::Accepted,
        };
        Some(batch.entries.iter().map(result).collect())
    }

    /// T1c: T1, and T3 right after it.
    pub fn commit_events_claiming(
        &mut self,
        batch: &IntakeBatch,
        ids: &[DeliveryId],
        terms: ClaimTerms,
    ) -> Option<Vec<Claim>> {
        self.commit_events(batch)?;
        Some(self.claim_fresh(ids, terms))
    }

    /// Whether the key is this event's now.
    fn take_key(&mut self, key: &str, event: &NewEvent) -> bool {
        let arrived = event.term.map(|term| {
            let at = self.now.saturating_sub(micros(term.arrived.elapsed()));
            (at, at.saturating_add(micros(term.longest)))
        });
        let at = arrived.map_or(self.now, |(at, _)| at);
        let is_taken = |key: &Key| key.free_at.is_none_or(|free| free >= at);
        if self.keys.get(key).is_some_and(is_taken) {
            return false;
        }
        let free_at = arrived.map(|(_, free_at)| free_at);
        let row = Key { event: event.id, fingerprint: event.fingerprint, free_at };
        self.keys.insert(key.to_owned(), row);
        true
    }

    fn enter(&mut self, entry: &IntakeEntry) {
        let NewEvent { id: event, event: document, traceparent, .. } = &entry.event;
        let body = document.text().to_owned();
        self.events.insert(*event, EventRow { body, traceparent: traceparent.clone() });
        for new in &entry.deliveries {
            let is_swept = self.limit_of(new.lane_id).is_none_or(|l| !l.limits.is_limited());
            let next_at = if is_swept { self.later(self.sweep_after) } else { self.now };
            let row = Row {
                event: *event,
                webhook: new.webhook_id,
                lane: new.lane_id,
                status: StoredStatus::Waiting,
                attempt: 0,
                claim_no: ClaimNo(0),
                claimed_by: None,
                claim_epoch: 0,
                claimed_until: None,
                next_at: Some(next_at),
                maybe_sent: false,
                lost_claims: 0,
                rejections: 0,
                attempts: 0,
                last: None,
                created_at: self.now,
                updated_at: self.now,
            };
            self.add_row(new.id, row);
        }
    }

    fn committed(&self, key: &str) -> Committed {
        let nobody = (EventId(uuid::Uuid::nil()), [0; 16]);
        let (event_id, fingerprint) =
            self.keys.get(key).map_or(nobody, |key| (key.event, key.fingerprint));
        let of_event = self.rows.iter().filter(|(_, row)| row.event == event_id);
        let deliveries = of_event
            .filter_map(|(id, row)| Some((*id, self.hooks.get(&row.webhook)?.webhook.uuid.clone())))
            .collect();
        Committed { event_id, deliveries, fingerprint }
    }

    /// T2. What is due already keeps its place.
    pub fn make_due(&mut self, ids: &[DeliveryId]) {
        let now = self.now;
        for id in ids {
            if self.rows.get(id).is_some_and(|row| row.is_fresh() && row.next_at > Some(now)) {
                self.change(*id, |row| row.next_at = Some(now));
            }
        }
    }

    /// Deliveries that wait and were never claimed, up to `limit`.
    pub fn count_unclaimed(&self, limit: u32) -> u32 {
        let fresh = self.rows.values().filter(|row| row.is_fresh()).count();
        u32::try_from(fresh).unwrap_or(u32::MAX).min(limit)
    }

    /// Ends the term of a key.
    pub fn free_key(&mut self, key: &str, event: EventId) {
        let now: Micros = self.now;
        if let Some(key) = self.keys.get_mut(key)
            && key.event == event
            && key.free_at > Some(now)
        {
            key.free_at = Some(now);
        }
    }
}
