//! Claims: copies off the road in batches over all lanes, due deliveries lane by lane.

use std::collections::HashMap;

use postrider_domain::{DeliveryId, LaneId};
use postrider_queue::Taken;
use postrider_store::{Claim, ClaimTerms, LimitedClaim, StoreError};
use postrider_telemetry::step::{Step, reached};

use super::{Hub, Note, send};
use crate::clock::Mark;
use crate::lane::Lane;

/// Deliveries in one claim statement (measured: 128 beats 64, 256 adds nothing).
const BATCH_MAX: usize = 128;
/// Claim statements for road copies under way at once.
const ROAD_CLAIMS_MAX: usize = 2;
/// Every so many surveys a delivery that lost three claims is tried, alone (POISON_ROW).
const SUSPECTS_EVERY: u64 = 5;

impl Hub {
    /// Sorts copies to their lanes. For a limited lane a copy is only a wake-up.
    pub(super) fn road(&mut self, taken: Vec<Taken>) {
        let mut left = Vec::new();
        let share = self.share();
        for copy in taken {
            let length = self.context.config.lease;
            let lane = self.lane(copy.message.lane_id);
            if lane.limits.is_limited() {
                lane.due = true;
                let led = lane.lease(length).is_some();
                self.survey_wanted |= !led;
                self.settle(std::slice::from_ref(&copy));
            } else if lane.is_stuck(share) {
                left.push(copy);
            } else {
                lane.road.push_back(copy);
            }
        }
        self.leave_to_store(left);
    }

    fn settle(&self, copies: &[Taken]) {
        if let Some(settler) = &self.settler {
            settler.ack(copies.iter().map(|copy| copy.tag));
        }
    }

    /// Copies of lanes that can't take them become due in the store, then are settled.
    pub(super) fn leave_to_store(&self, copies: Vec<Taken>) {
        if copies.is_empty() {
            return;
        }
        let store = self.store.clone();
        let settler = self.settler.clone();
        self.tracker.spawn(async move {
            let ids: Vec<DeliveryId> = copies.iter().map(|copy| copy.message.delivery_id).collect();
            if let Err(error) = store.hurry(&ids).await {
                // They are swept up when their first instant comes.
                tracing::warn!(%error, copies = ids.len(), "copies.not_hurried");
            }
            if let Some(settler) = settler {
                settler.ack(copies.iter().map(|copy| copy.tag));
            }
        });
    }

    /// T3 over all lanes.
    pub(super) fn claim_road(&mut self) {
        while self.road_claims < ROAD_CLAIMS_MAX {
            let asked = self.gather();
            if asked.is_empty() {
                return;
            }
            self.road_claims += 1;
            self.in_flight += asked.len();
            let (store, notes, terms) = (self.store.clone(), self.notes.clone(), self.terms());
            self.tracker.spawn(async move {
                let ids: Vec<DeliveryId> =
                    asked.iter().map(|copy| copy.message.delivery_id).collect();
                let asked_at = Mark::now();
                let result = store.claim_road(&ids, terms).await;
                send(&notes, Note::RoadClaimed { asked, result, asked_at }).await;
            });
        }
    }

    /// Copies of lanes that have room, at most a batch.
    fn gather(&mut self) -> Vec<Taken> {
        let mut room = self.room().min(BATCH_MAX);
        let share = self.share();
        let mut asked = Vec::new();
        for lane in self.lanes.values_mut() {
            if room == 0 {
                break;
            }
            let count = lane.room_within(share).min(room).min(lane.road.len());
            if lane.is_worth(count, lane.road.len()) && lane.is_open() {
                asked.extend(lane.road.drain(..count));
                lane.in_flight += count;
                room -= count;
            }
        }
        asked
    }

    fn terms(&self) -> ClaimTerms {
        ClaimTerms { worker: self.worker, length: self.context.config.claim_length() }
    }

    pub(super) fn road_claimed(
        &mut self,
        asked: Vec<Taken>,
        result: Result<Vec<Claim>, StoreError>,
        asked_at: Mark,
    ) {
        self.road_claims -= 1;
        let claims = result.unwrap_or_else(|error| {
            // Forgotten: if it was committed after all, it expires and is marked.
            tracing::warn!(%error, copies = asked.len(), "claim.failed");
            Vec::new()
        });
        reached(Step::Claimed, claims.len());
        let mut copies: HashMap<DeliveryId, Taken> =
            asked.into_iter().map(|copy| (copy.message.delivery_id, copy)).collect();
        for claim in claims {
            let copy = copies.remove(&claim.id);
            self.begin(claim, asked_at, copy);
        }
        let unclaimed: Vec<Taken> = copies.into_values().collect();
        self.in_flight = self.in_flight.saturating_sub(unclaimed.len());
        for copy in &unclaimed {
            self.lane(copy.message.lane_id).finished(1);
        }
        self.settle(&unclaimed);
    }

    /// Starts a claimed delivery, or gives it back when the worker is stopping.
    fn begin(&mut self, claim: Claim, asked_at: Mark, copy: Option<Taken>) {
        if self.stopping {
            self.in_flight = self.in_flight.saturating_sub(1);
            self.release(&claim, copy.as_ref());
        } else {
            self.start(claim, asked_at, copy);
        }
    }

    /// T4 and T5 for every lane that has something due and room for it.
    pub(super) fn claim_store(&mut self) {
        let share = self.share();
        let ids: Vec<LaneId> = self
            .lanes
            .iter()
            .filter(|(_, lane)| lane.due && !lane_busy(lane, share))
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            if self.room() == 0 {
                return;
            }
            self.claim_lane(id, false);
        }
    }

    fn claim_lane(&mut self, id: LaneId, suspect: bool) {
        let (length, places, terms) = (self.context.config.lease, self.room(), self.terms());
        let share = self.share();
        let lane = self.lane(id);
        let limited = lane.limits.is_limited();
        let lease = lane.lease(length);
        if limited && lease.is_none() {
            return;
        }
        let room = if limited { lane.paced_room() } else { lane.room_within(share).min(BATCH_MAX) };
        let want = if suspect { 1 } else { room.min(places) };
        lane.claiming = true;
        lane.due = false;
        lane.in_flight += want;
        self.in_flight += want;
        self.store_claims += 1;
        let (store, notes) = (self.store.clone(), self.notes.clone());
        self.tracker.spawn(async move {
            let limit = u32::try_from(want).unwrap_or(u32::MAX);
            let asked_at = Mark::now();
            let result = match lease {
                Some(lease) if limited => store.claim_limited(lease, limit, suspect, terms).await,
                Some(_) | None => {
                    store.claim_due(id, limit, suspect, terms).await.map(LimitedClaim::Claimed)
                }
            };
            send(&notes, Note::StoreClaimed { lane: id, want, result, asked_at }).await;
        });
    }

    /// Tries one delivery that lost three claims, now and then.
    pub(super) fn claim_suspect(&mut self, id: LaneId) {
        let share = self.share();
        if self.surveys.is_multiple_of(SUSPECTS_EVERY) && !lane_busy(self.lane(id), share) {
            self.claim_lane(id, true);
        }
    }

    pub(super) fn store_claimed(
        &mut self,
        id: LaneId,
        want: usize,
        result: Result<LimitedClaim, StoreError>,
        asked_at: Mark,
    ) {
        self.store_claims -= 1;
        let claims = self.claims_of(id, result);
        reached(Step::Claimed, claims.len());
        let got = claims.len();
        self.in_flight = self.in_flight.saturating_sub(want.saturating_sub(got));
        let lane = self.lane(id);
        lane.claiming = false;
        lane.in_flight = lane.in_flight.saturating_sub(want.saturating_sub(got));
        lane.due |= got == want;
        for claim in claims {
            self.begin(claim, asked_at, None);
        }
    }

    fn claims_of(&mut self, id: LaneId, result: Result<LimitedClaim, StoreError>) -> Vec<Claim> {
        match result {
            Ok(LimitedClaim::Claimed(claims)) => {
                self.clean(id);
                claims
            }
            Ok(LimitedClaim::OldClaims) => {
                self.lane(id).pacer = None;
                Vec::new()
            }
            Ok(LimitedClaim::HourFull | LimitedClaim::NotPermitted) => {
                self.survey_wanted = true;
                Vec::new()
            }
            Err(error) => {
                tracing::warn!(%error, lane_id = id.0, "claim.failed");
                Vec::new()
            }
        }
    }
}

fn lane_busy(lane: &Lane, share: usize) -> bool {
    let room = lane.room_within(share);
    lane.claiming || !lane.is_open() || !lane.is_worth(room, BATCH_MAX)
}
