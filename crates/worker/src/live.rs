//! What this worker holds of the store, beside what its scheduler knows: claims whose outcome is
//! not committed yet (rule UNCLAIM), and what a scheduler that panicked would leave behind.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use postrider_domain::{ClaimNo, DeliveryId, LaneId, LimitId};
use postrider_store::{Claim, Lease, Recorded, UnclaimNo};

use postrider_scheduler::{Batch, Scope};

/// Clones share what is held. A claim whose outcome can't be recorded leaves with its record.
#[derive(Debug, Clone, Default)]
pub(crate) struct LiveClaims(Arc<Mutex<Live>>);

#[derive(Debug, Default)]
struct Live {
    /// Claims with an attempt, a probe, or an outcome on its way to the store.
    in_hand: HashSet<(DeliveryId, ClaimNo)>,
    /// Claims that are asked for.
    asked: HashMap<Batch, Scope>,
    /// Lanes and leases that something was claimed by.
    lanes: HashSet<LaneId>,
    leases: HashMap<LimitId, Lease>,
    /// The last UNCLAIM that was asked for, and the last that was answered.
    unclaims: UnclaimNo,
    unclaimed: UnclaimNo,
}

/// What a scheduler leaves behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Legacy {
    /// What its claims may have got, that no attempt holds.
    pub(crate) scopes: Vec<Scope>,
    /// Its leases.
    pub(crate) leases: Vec<Lease>,
}

impl LiveClaims {
    /// A claim is asked for.
    pub(crate) fn asks(&self, batch: Batch, scope: Scope) {
        self.with(|live| live.asked.insert(batch, scope));
    }

    /// It got these, or certainly nothing.
    pub(crate) fn answered(&self, batch: Batch, claims: &[Claim]) {
        self.with(|live| {
            live.asked.remove(&batch);
            live.lanes.extend(claims.iter().map(|claim| claim.lane_id));
        });
    }

    /// The number of an UNCLAIM that is asked for now (`UNCLAIM_NO`).
    pub(crate) fn next_unclaim(&self) -> UnclaimNo {
        self.with(|live| {
            live.unclaims = UnclaimNo(live.unclaims.0 + 1);
            live.unclaims
        })
    }

    /// What claims whose result is unknown may have got of this is given back.
    pub(crate) fn given_back(&self, number: UnclaimNo, scope: &Scope) {
        self.with(|live| {
            live.unclaimed = live.unclaimed.max(number);
            live.asked.retain(|_, asked| asked != scope);
        });
    }

    /// The last UNCLAIM that was answered.
    pub(crate) fn unclaimed(&self) -> UnclaimNo {
        self.with(|live| live.unclaimed)
    }

    /// A limit is led.
    pub(crate) fn leads(&self, lease: Lease) {
        self.with(|live| live.leases.insert(lease.limit, lease));
    }

    /// A claim is worked from now on.
    pub(crate) fn takes(&self, claim: &Claim) {
        self.with(|live| live.in_hand.insert((claim.id, claim.claim_no)));
    }

    /// The outcomes of these are committed.
    pub(crate) fn recorded(&self, batch: &[Recorded]) {
        self.with(|live| {
            for recorded in batch {
                live.in_hand.remove(&(recorded.id, recorded.claim_no));
            }
        });
    }

    /// How many claims are in hand.
    pub(crate) fn count(&self) -> u64 {
        self.with(|live| live.in_hand.len() as u64)
    }

    /// What UNCLAIM must not touch.
    pub(crate) fn in_hand(&self) -> Vec<(DeliveryId, ClaimNo)> {
        self.with(|live| live.in_hand.iter().copied().collect())
    }

    /// What the scheduler that is gone left, under the names that its successor will not know.
    pub(crate) fn legacy(&self) -> Legacy {
        self.with(|live| {
            let mut scopes: Vec<Scope> = live.asked.drain().map(|(_, scope)| scope).collect();
            if !live.lanes.is_empty() {
                scopes.push(Scope::Due(live.lanes.iter().copied().collect()));
            }
            let leases: Vec<Lease> = live.leases.drain().map(|(_, lease)| lease).collect();
            let of = |lease: &Lease| postrider_scheduler::Lease {
                limit: lease.limit,
                epoch: lease.epoch,
            };
            scopes.extend(leases.iter().map(|lease| Scope::Limited(of(lease))));
            Legacy { scopes, leases }
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Live) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
