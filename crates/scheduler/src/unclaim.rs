//! UNCLAIM: what a claim whose result is unknown may have got is given back, and nothing else is.
//!
//! An unclaim is alone: it is asked for when no claim and no probe without a known claim is open,
//! and none is asked for until it is answered. So it can't meet rows of another statement that is
//! still under way, and what this worker holds is known when it is asked for.

use std::collections::{HashMap, VecDeque};

use postrider_domain::{ClaimNo, DeliveryId, LaneId};

use super::permit::Account;
use super::steps::Step;
use super::{Batch, ClaimKey, Command, Lease, Scheduler, Scope};

/// Where a delivery that this worker knows is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IdState {
    /// Waits to be claimed.
    Waiting,
    /// A claim that names it is open, or its result is unknown.
    Asked,
    /// It is left to the store.
    Leaving,
    /// Claimed by this worker, and what came of it is not committed.
    Live(ClaimNo, Account),
}

impl IdState {
    fn is_shared(self) -> bool {
        matches!(self, Self::Live(_, Account::Shared))
    }
}

/// Deliveries that this worker knows.
#[derive(Debug, Default)]
pub(super) struct Ids {
    states: HashMap<DeliveryId, IdState>,
    /// Live claims that count against the permits of the process.
    shared: u32,
}

impl Ids {
    pub(super) fn get(&self, id: DeliveryId) -> Option<IdState> {
        self.states.get(&id).copied()
    }

    pub(super) fn set(&mut self, id: DeliveryId, state: IdState) {
        self.shared += u32::from(state.is_shared());
        let before = self.states.insert(id, state);
        self.shared -= u32::from(before.is_some_and(IdState::is_shared));
    }

    fn remove(&mut self, id: DeliveryId) {
        let before = self.states.remove(&id);
        self.shared -= u32::from(before.is_some_and(IdState::is_shared));
    }

    /// It is claimed, by whatever way.
    pub(super) fn lives(&mut self, key: ClaimKey, account: Account) {
        self.set(key.id, IdState::Live(key.claim_no, account));
    }

    /// A step answered it, unless it is claimed.
    pub(super) fn forget(&mut self, id: DeliveryId) {
        if !matches!(self.get(id), Some(IdState::Live(..))) {
            self.remove(id);
        }
    }

    /// A claim's outcome is committed. A later claim of the same delivery stays.
    fn recorded(&mut self, key: ClaimKey) {
        if matches!(self.get(key.id), Some(IdState::Live(no, _)) if no == key.claim_no) {
            self.remove(key.id);
        }
    }

    /// How many claims that count against the permits of the process are not recorded.
    pub(super) fn shared(&self) -> u32 {
        self.shared
    }

    /// All claims, in order.
    fn live(&self) -> Vec<ClaimKey> {
        let key = |(id, state): (&DeliveryId, &IdState)| match state {
            IdState::Live(claim_no, _) => Some(ClaimKey { id: *id, claim_no: *claim_no }),
            IdState::Waiting | IdState::Asked | IdState::Leaving => None,
        };
        let mut live: Vec<ClaimKey> = self.states.iter().filter_map(key).collect();
        live.sort_unstable();
        live
    }

    /// How many wait to be claimed.
    pub(super) fn waiting(&self) -> usize {
        self.states.values().filter(|state| **state == IdState::Waiting).count()
    }
}

/// What is to be asked for again once it is given back.
#[derive(Debug)]
pub(super) enum Undo {
    Fresh(Vec<(DeliveryId, usize)>),
    Due(Vec<usize>),
    Limited { limit: usize, lease: Lease },
}

/// Claims whose result is unknown.
#[derive(Debug, Default)]
pub(super) struct Unclaims {
    waiting: VecDeque<Undo>,
    is_open: bool,
}

impl Unclaims {
    pub(super) fn push(&mut self, undo: Undo) {
        self.waiting.push_back(undo);
    }

    /// Whether nothing is to be given back, so that claims may be asked for.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && !self.is_open
    }
}

impl<P> Scheduler<P> {
    /// Outcomes are committed.
    pub(super) fn recorded(&mut self, claims: &[ClaimKey], closed: &[LaneId]) {
        for key in claims {
            self.ids.recorded(*key);
        }
        for lane in closed {
            self.block_committed(*lane);
        }
    }

    pub(super) fn flush_unclaims(&mut self) {
        let is_alone = self.steps.claims() == 0 && !self.probes.may_claim();
        if self.unclaims.is_open || !is_alone || !self.store.may_ask(self.now) {
            return;
        }
        let Some(undo) = self.unclaims.waiting.pop_front() else { return };
        self.unclaims.is_open = true;
        let scope = match &undo {
            Undo::Fresh(ids) => Scope::Fresh(ids.iter().map(|(id, _)| *id).collect()),
            Undo::Due(lanes) => Scope::Due(lanes.iter().map(|lane| self.lanes[*lane].id).collect()),
            Undo::Limited { lease, .. } => Scope::Limited(*lease),
        };
        let live = self.ids.live();
        let batch = self.steps.open(Step::Unclaim(undo));
        self.store.asked(self.now);
        self.out.push(Command::Unclaim { batch, scope, live });
    }

    pub(super) fn unclaimed(&mut self, batch: Batch) {
        self.store_answered();
        self.unclaims.is_open = false;
        match self.steps.close(batch) {
            Some(Step::Unclaim(undo)) => self.undone(undo, true),
            other => debug_assert!(other.is_none(), "{batch:?} is no unclaim"),
        }
    }

    pub(super) fn unclaim_failed(&mut self, batch: Batch) {
        self.store_failed();
        self.unclaims.is_open = false;
        match self.steps.close(batch) {
            Some(Step::Unclaim(undo)) => self.unclaims.waiting.push_front(undo),
            other => debug_assert!(other.is_none(), "{batch:?} is no unclaim"),
        }
    }
}
