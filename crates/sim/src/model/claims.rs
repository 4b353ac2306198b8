//! T3-T5, the probe delivery, UNCLAIM.

use std::collections::BTreeSet;
use std::time::Duration;

use postrider_domain::{
    ClaimNo, DeliveryId, HoldCause, HourBudget, LaneId, LimitId, MinuteCount, StoredStatus,
    WebhookState, hour_budget,
};
use postrider_store::{
    Claim, ClaimLimited, ClaimProbeDelivery, ClaimTerms, LaneShare, Lease, LimitedClaim, Unclaim,
    Unsettled, WorkerId,
};

use super::{Limit, Micros, Model, duration, micros, timestamp};

/// Losses after which a delivery is claimed alone (`POISON_ROW`).
pub(super) const SUSPECT: u32 = 3;
const MINUTE: Micros = 60_000_000;

impl Model {
    /// T3 (`ROAD_FRESH`), with making due what can't go.
    pub fn claim_fresh(&mut self, ids: &[DeliveryId], terms: ClaimTerms) -> Vec<Claim> {
        let mut claims = Vec::new();
        let ids: BTreeSet<DeliveryId> = ids.iter().copied().collect();
        for id in ids {
            let Some(row) = self.rows.get(&id).filter(|row| row.is_fresh()) else { continue };
            let lane = row.lane;
            if !self.is_unlimited(lane) {
                continue;
            }
            if self.is_open(lane) {
                if self.is_sendable(row) {
                    claims.extend(self.take(id, terms, 0, true));
                }
            } else {
                self.make_due(&[id]);
            }
        }
        claims
    }

    /// T4.
    pub fn claim_due(
        &mut self,
        shares: &[LaneShare],
        suspect: bool,
        terms: ClaimTerms,
    ) -> Vec<Claim> {
        let mut found = Vec::new();
        for share in shares {
            if self.is_unlimited(share.lane) && self.is_open(share.lane) {
                let most = if suspect { share.limit.min(1) } else { share.limit };
                found.extend(self.due(share.lane, most, suspect));
            }
            if suspect && !found.is_empty() {
                break;
            }
        }
        found.sort_unstable();
        found.into_iter().filter_map(|(_, id)| self.take(id, terms, 0, false)).collect()
    }

    /// T5.
    pub fn claim_limited(&mut self, asked: ClaimLimited) -> LimitedClaim {
        let ClaimLimited { lease, limit: most, interval, suspect, terms } = asked;
        if !self.may_claim(lease) {
            return LimitedClaim::NotPermitted;
        }
        let lanes = self.lanes_of(lease.limit);
        let lanes: Vec<LaneId> =
            lanes.into_iter().filter(|lane| self.lanes[lane].hold.is_none()).collect();
        if lanes.is_empty() {
            return LimitedClaim::NotPermitted;
        }
        if self.has_old_claims(lease.limit, lease.epoch) {
            return LimitedClaim::OldClaims;
        }
        let free = match self.hour(lease.limit) {
            HourBudget::Free(free) => free,
            HourBudget::Full { frees_in } => return LimitedClaim::HourFull { frees_in },
        };
        let most = if suspect { most.min(1) } else { most }.min(free);
        let mut found: Vec<_> =
            lanes.into_iter().flat_map(|lane| self.due(lane, most, suspect)).collect();
        found.sort_unstable();
        found.truncate(most as usize);
        self.count(lease.limit, found.len(), interval);
        let take = |(_, id)| self.take(id, terms, lease.epoch, false);
        LimitedClaim::Claimed(found.into_iter().filter_map(take).collect())
    }

    /// The one delivery that may leave a held lane, or that of a parked webhook.
    pub fn claim_probe_delivery(&mut self, asked: ClaimProbeDelivery) -> Option<Claim> {
        let ClaimProbeDelivery { lane, probe, lease, interval, terms } = asked;
        let state = self.lanes.get(&lane)?;
        let limit = self.limits.get(&state.limit)?;
        let is_held = match probe.webhook {
            None => {
                state.hold.is_some_and(|cause| cause != HoldCause::Manual)
                    && (state.hold_gen, state.secret_rev) == (probe.hold_gen, probe.secret_rev)
            }
            Some(webhook) => state.hold.is_none() && self.is_probed(webhook, lane, probe),
        };
        let is_ours = match lease {
            Some(lease) => {
                limit.limits.is_limited()
                    && lease.limit == state.limit
                    && self.may_claim(lease)
                    && !self.has_old_claims(lease.limit, lease.epoch)
                    && matches!(self.hour(lease.limit), HourBudget::Free(_))
            }
            None => !limit.limits.is_limited() && !limit.is_paused(self.now),
        };
        if !is_held || !is_ours {
            return None;
        }
        let id = self.next_probed(lane, probe.webhook)?;
        if let Some(lease) = lease {
            self.count(lease.limit, 1, interval);
        }
        self.take(id, terms, lease.map_or(0, |lease| lease.epoch), false)
    }

    /// UNCLAIM; `None`: `UNCLAIM_NO`, or no heartbeat.
    pub fn unclaim(&mut self, asked: Unclaim<'_>) -> Option<u64> {
        let Unclaim { worker, number, claim, kept } = asked;
        let beat = self.workers.get_mut(&worker.0).filter(|beat| beat.unclaimed < number)?;
        beat.unclaimed = number;
        let mut given_back = 0;
        for id in self.held(worker, claim) {
            let Some(row) = self.rows.get(&id) else { continue };
            if kept.live.contains(&(id, row.claim_no)) || kept.pending.contains(&id) {
                continue;
            }
            if let Unsettled::Limited(lease) = claim
                && self.lanes.get(&row.lane).is_some_and(|lane| lane.limit == lease.limit)
            {
                self.uncount(id);
            }
            self.change(id, |row| {
                row.status = StoredStatus::Waiting;
                row.attempt -= 1;
                row.next_at = Some(row.created_at);
                (row.claimed_by, row.claimed_until) = (None, None);
            });
            given_back += 1;
        }
        Some(given_back)
    }

    /// What a worker has claimed in a claim's scope.
    fn held(&self, worker: WorkerId, claim: Unsettled<'_>) -> Vec<DeliveryId> {
        let is_held = |id: &DeliveryId, epoch: i64| {
            self.rows.get(id).is_some_and(|row| {
                row.status == StoredStatus::Sending
                    && row.claimed_by == Some(worker)
                    && row.claim_epoch == epoch
            })
        };
        let (lanes, epoch) = match claim {
            Unsettled::Fresh(ids) => {
                let first = |id: &DeliveryId| self.rows[id].claim_no == ClaimNo(1);
                return ids.iter().filter(|id| is_held(id, 0) && first(id)).copied().collect();
            }
            Unsettled::Due(lanes) => (lanes.to_vec(), 0),
            Unsettled::Limited(lease) => (self.may_have_been_of(lease), lease.epoch),
        };
        let ahead = lanes.into_iter().flat_map(|lane| self.open_between(lane, self.now, i64::MAX));
        ahead.map(|(id, _)| id).filter(|id| is_held(id, epoch)).collect()
    }

    /// Lanes of a lease's limit, and those that may have left it since: not those of another limit
    /// that is led by the same worker under the same number.
    fn may_have_been_of(&self, lease: Lease) -> Vec<LaneId> {
        let may_be = |limit: &LimitId| {
            *limit == lease.limit
                || self.limits.get(limit).is_some_and(|limit| {
                    (limit.owner, limit.epoch) != (Some(lease.worker), lease.epoch)
                })
        };
        let lanes = self.lanes.iter().filter(|(_, lane)| may_be(&lane.limit));
        lanes.map(|(id, _)| *id).collect()
    }

    /// What a lane has due, oldest first.
    fn due(&self, lane: LaneId, most: u32, suspect: bool) -> Vec<(Micros, DeliveryId)> {
        self.open_between(lane, i64::MIN, self.now)
            .filter(|(_, row)| {
                row.status == StoredStatus::Waiting
                    && (row.lost_claims >= SUSPECT) == suspect
                    && self.is_sendable(row)
            })
            .filter_map(|(id, row)| Some((row.next_at?, id)))
            .take(most as usize)
            .collect()
    }

    /// CLAIM.
    fn take(
        &mut self,
        id: DeliveryId,
        terms: ClaimTerms,
        epoch: i64,
        is_fresh: bool,
    ) -> Option<Claim> {
        let length = terms.timeout + terms.margin;
        let until = self.later(length);
        self.change(id, |row| {
            row.status = StoredStatus::Sending;
            row.attempt += 1;
            row.claim_no = ClaimNo(row.claim_no.0 + 1);
            row.claimed_by = Some(terms.worker);
            row.claim_epoch = epoch;
            row.claimed_until = Some(until);
            // A fresh one keeps a later sweep.
            row.next_at = if is_fresh { row.next_at.max(Some(until)) } else { Some(until) };
        });
        let row = self.rows.get(&id)?;
        let event = self.events.get(&row.event)?;
        Some(Claim {
            id,
            claim_no: row.claim_no,
            attempt: row.attempt,
            number: row.attempts.saturating_add(1),
            maybe_sent: row.maybe_sent,
            lost_claims: row.lost_claims,
            event_id: row.event,
            event: event.body.clone(),
            traceparent: event.traceparent.clone(),
            webhook_id: row.webhook,
            webhook_rev: self.hooks.get(&row.webhook)?.rev,
            secrets_rev: self.hooks.get(&row.webhook)?.secrets_rev,
            lane_id: row.lane,
            secret_rev: self.lanes.get(&row.lane)?.secret_rev,
            created_at: timestamp(row.created_at),
            rejections: row.rejections,
            execution: false,
            timeout: terms.timeout,
            length,
        })
    }

    /// `LEASE_IN_CLAIM`.
    fn may_claim(&self, lease: Lease) -> bool {
        self.limits.get(&lease.limit).is_some_and(|limit| {
            self.is_led(limit, lease) && limit.limits.is_limited() && !limit.is_paused(self.now)
        })
    }

    pub(super) fn is_led(&self, limit: &Limit, lease: Lease) -> bool {
        limit.owner == Some(lease.worker)
            && limit.epoch == lease.epoch
            && limit.lease_until > Some(self.now)
    }

    /// `OLD_CLAIMS`.
    pub(super) fn has_old_claims(&self, limit: LimitId, epoch: i64) -> bool {
        self.lanes_of(limit).into_iter().any(|lane| {
            self.open_between(lane, self.now, i64::MAX).any(|(_, row)| {
                row.status == StoredStatus::Sending
                    && row.claimed_until > Some(self.now)
                    && row.claim_epoch != epoch
            })
        })
    }

    /// What the hour leaves a limit.
    pub fn hour(&self, limit: LimitId) -> HourBudget {
        let limit = &self.limits[&limit];
        let Some(per_hour) = limit.limits.per_hour else { return HourBudget::Free(u32::MAX) };
        let minute = self.now / MINUTE;
        let age = |at: i64| u32::try_from(minute - at).unwrap_or(0);
        let counts: Vec<MinuteCount> = limit
            .minutes
            .iter()
            .map(|(at, count)| MinuteCount { age: age(*at), count: *count })
            .collect();
        hour_budget(per_hour, &counts, duration(self.now % MINUTE))
    }

    /// `COUNT_CLAIM`, `NEXT_SEND`.
    fn count(&mut self, limit: LimitId, claims: usize, interval: Duration) {
        let Some(limit) = self.limits.get_mut(&limit).filter(|_| claims > 0) else { return };
        let claims = u32::try_from(claims).unwrap_or(u32::MAX);
        let moved = micros(interval.saturating_mul(claims));
        limit.next_send_at = limit.next_send_at.max(self.now).saturating_add(moved);
        let minute = self.now / MINUTE;
        *limit.minutes.entry(minute).or_default() += claims;
        limit.minutes.retain(|at, _| *at >= minute - i64::from(HourBudget::MINUTES_COUNTED));
    }

    /// T11's other half: the claim's minute gets it back.
    pub(super) fn uncount(&mut self, id: DeliveryId) {
        let Some(row) = self.rows.get(&id).filter(|row| row.claim_epoch > 0) else { return };
        let Some(limit) = self.lanes.get(&row.lane).map(|lane| lane.limit) else { return };
        let minute = row.updated_at / MINUTE;
        if let Some(count) = self.limits.get_mut(&limit).and_then(|l| l.minutes.get_mut(&minute)) {
            *count = count.saturating_sub(1);
        }
    }

    /// The state of a webhook.
    pub(super) fn state_of(&self, webhook: postrider_domain::WebhookId) -> Option<WebhookState> {
        self.hooks.get(&webhook).map(|hook| hook.state)
    }
}
