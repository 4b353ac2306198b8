//! L1-L3, L9.

use std::time::Duration;

use postrider_domain::{HoldCause, LaneId, LimitId, probe_wait};
use postrider_store::{Lease, ProbeClaim, WorkerId};

use super::Model;

impl Model {
    /// L1. The epoch grows even when the limit was ours (`OWNER_NEW`).
    pub fn acquire(&mut self, limit: LimitId, worker: WorkerId, length: Duration) -> Option<Lease> {
        let until = self.later(length);
        let has_work = self.lanes_of(limit).into_iter().any(|lane| {
            let is_held = self.lanes[&lane].hold.is_some();
            is_held || self.open_between(lane, i64::MIN, i64::MAX).next().is_some()
        });
        let now = self.now;
        let row = self.limits.get_mut(&limit)?;
        let is_free = row.owner.is_none() || row.lease_until.is_none_or(|until| until <= now);
        if !row.limits.is_limited() || !is_free || !has_work {
            return None;
        }
        row.owner = Some(worker);
        row.epoch += 1;
        row.lease_until = Some(until);
        Some(Lease { limit, worker, epoch: row.epoch })
    }

    /// L2.
    pub fn renew(&mut self, leases: &[Lease], length: Duration) -> Vec<Lease> {
        let until = self.later(length);
        let mut kept = Vec::new();
        for lease in leases {
            if let Some(row) = self.owned(lease)
                && row.limits.is_limited()
            {
                row.lease_until = Some(until);
                kept.push(*lease);
            }
        }
        kept
    }

    /// L3.
    pub fn give_up(&mut self, leases: &[Lease]) {
        for lease in leases {
            if let Some(row) = self.owned(lease) {
                (row.owner, row.lease_until) = (None, None);
            }
        }
    }

    fn owned(&mut self, lease: &Lease) -> Option<&mut super::Limit> {
        let row = self.limits.get_mut(&lease.limit)?;
        (row.owner == Some(lease.worker) && row.epoch == lease.epoch).then_some(row)
    }

    /// L9, W3 (`PROBE_CLAIM`, `PROBE_ANY`).
    pub fn claim_probe(
        &mut self,
        lane: LaneId,
        lease: Option<Lease>,
        interval: Duration,
    ) -> Option<ProbeClaim> {
        let state = self.lanes.get(&lane)?;
        let limit = self.limits.get(&state.limit)?;
        let is_ours = !limit.limits.is_limited()
            || lease.is_some_and(|lease| lease.limit == state.limit && self.is_led(limit, lease));
        if !is_ours {
            return None;
        }
        if state.hold.is_none() {
            return self.claim_parked_probe(lane, interval);
        }
        let is_due = state.hold.is_some_and(|cause| cause != HoldCause::Manual)
            && state.next_probe_at.is_some_and(|at| at <= self.now);
        let next = self.later(probe_wait(interval, state.probes.in_vain));
        let state = self.lanes.get_mut(&lane).filter(|_| is_due)?;
        state.next_probe_at = Some(next);
        let (hold_gen, secret_rev) = (state.hold_gen, state.secret_rev);
        Some(ProbeClaim { webhook: None, hold_gen, secret_rev })
    }
}
