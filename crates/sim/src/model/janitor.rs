//! J1-J4, HEARTBEAT, AHEAD.

use std::time::Duration;

use postrider_domain::{
    ClaimNo, DeliveryId, Outcome, StoredStatus, WebhookState, after_discard, after_lost_claim,
};
use postrider_store::{AttemptRow, Expired, GivenBack, KeptRequest, WorkerId};

use super::parked::ASIDE;
use super::{Beat, Model, Row, duration, micros, timestamp};

/// The longest lease where no worker tells.
const LEASE: Duration = Duration::from_secs(10);

impl Model {
    /// J1, J2.
    pub fn expire_claims(&mut self, most: u32) -> Expired {
        let now = self.now;
        let over = |row: &Row| row.next_at <= Some(now) && row.claimed_until <= Some(now);
        self.expire(most, over)
    }

    fn expire(&mut self, most: u32, is_over: impl Fn(&Row) -> bool) -> Expired {
        let mut expired = Expired::default();
        let ids: Vec<DeliveryId> = self
            .open
            .iter()
            .map(|(_, _, id)| *id)
            .filter(|id| {
                let row = &self.rows[id];
                row.status == StoredStatus::Sending && is_over(row)
            })
            .take(most as usize)
            .collect();
        for id in ids {
            let row = self.rows[&id].clone();
            let next = after_lost_claim(row.facts());
            self.keep_as_lost(id, &row);
            self.apply(id, next, true);
            if next.is_poisoned() {
                expired.poisoned.push(id);
            } else {
                expired.given_back.push(id);
            }
        }
        expired
    }

    /// The row was last changed by the claim.
    fn keep_as_lost(&mut self, id: DeliveryId, row: &Row) {
        let attempt = AttemptRow {
            number: row.attempts.saturating_add(1),
            started_at: timestamp(row.updated_at),
            duration: duration(self.now.saturating_sub(row.updated_at)),
            outcome: Outcome::Lost,
            status_code: None,
            github_request_id: None,
            possible_duplicate: row.maybe_sent,
            retry_after_capped: false,
            request: KeptRequest::Nothing,
            response: String::new(),
        };
        self.attempts.entry((id, row.claim_no)).or_insert(attempt);
    }

    /// J3 (REASSIGN).
    pub fn reassign_lanes(&mut self, most: u32) -> u64 {
        let is_left = |row: &Row| {
            self.hooks
                .get(&row.webhook)
                .filter(|hook| hook.state == WebhookState::Enabled && hook.lane != row.lane)
                .map(|hook| hook.lane)
        };
        let left: Vec<_> = self
            .waiting()
            .filter_map(|(id, row)| Some((id, is_left(row)?)))
            .take(most as usize)
            .collect();
        for (id, lane) in &left {
            self.change(*id, |row| {
                row.lane = *lane;
                if row.claim_no == ClaimNo(0) || row.next_at >= Some(ASIDE) {
                    row.next_at = Some(row.created_at);
                }
            });
        }
        left.len() as u64
    }

    /// J4 (DISCARD).
    pub fn discard(&mut self, most: u32) -> u64 {
        let left: Vec<_> = self
            .waiting()
            .filter_map(|(id, row)| {
                Some((id, after_discard(row.facts(), self.state_of(row.webhook)?)?))
            })
            .take(most as usize)
            .collect();
        for (id, next) in &left {
            self.apply(*id, *next, false);
        }
        left.len() as u64
    }

    fn waiting(&self) -> impl Iterator<Item = (DeliveryId, &Row)> {
        let open = self.open.iter().map(|(_, _, id)| (*id, &self.rows[id]));
        open.filter(|(_, row)| row.status == StoredStatus::Waiting)
    }

    /// HEARTBEAT.
    pub fn beat(&mut self, beat: postrider_store::Beat) {
        let postrider_store::Beat { worker, claim, lease, unclaimed, trouble: _ } = beat;
        let before = self.workers.get(&worker.0).map(|beat| beat.unclaimed);
        let unclaimed = before.unwrap_or_default().max(unclaimed);
        self.workers.insert(worker.0, Beat { at: self.now, claim, lease, unclaimed });
    }

    /// J1, J2 of the first silent worker after this one.
    pub fn give_back(&mut self, after: Option<WorkerId>, most: u32) -> Option<GivenBack> {
        let now = self.now;
        let is_silent = |beat: &Beat| {
            let claim = micros(beat.claim);
            beat.at < now.saturating_sub(claim) || beat.at > now.saturating_add(claim)
        };
        let mut workers = self.workers.iter().filter(|(_, beat)| is_silent(beat));
        let (worker, beat) = workers.find(|(id, _)| after.is_none_or(|after| **id > after.0))?;
        let (worker, too_far) = (
            WorkerId(*worker),
            now.saturating_add(micros(postrider_store::Beat::too_far(beat.claim))),
        );
        // What is due is found by every round of the janitor.
        let expired = self.expire(most, |row| {
            row.claimed_by == Some(worker)
                && row.next_at > Some(now)
                && (row.claimed_until <= Some(now) || row.claimed_until > Some(too_far))
        });
        let found = expired.given_back.len() + expired.poisoned.len();
        let is_left = self.rows.values().any(|row| {
            row.status == StoredStatus::Sending
                && row.claimed_by == Some(worker)
                && row.next_at > Some(now)
        });
        let complete = found < most as usize && !is_left;
        if complete {
            self.workers.remove(&worker.0);
        }
        Some(GivenBack { worker, expired, complete })
    }

    /// AHEAD: names of the limits whose leases ended too far ahead.
    pub fn end_leases_ahead(&mut self) -> Vec<String> {
        let longest = self.workers.values().map(|beat| beat.lease).max().unwrap_or(LEASE);
        let mut names = Vec::new();
        for limit in self.limits.values_mut() {
            let Some(owner) = limit.owner else { continue };
            let lease = self.workers.get(&owner.0).map_or(longest, |beat| beat.lease);
            if limit.lease_until > Some(self.now.saturating_add(2 * micros(lease))) {
                (limit.owner, limit.lease_until) = (None, None);
                names.push(limit.name.clone());
            }
        }
        names
    }
}
