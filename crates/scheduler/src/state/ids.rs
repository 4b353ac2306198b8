//! Deliveries that this worker knows, and where each is.

use std::collections::HashMap;

use postrider_domain::{ClaimNo, DeliveryId};

use crate::ClaimKey;
use crate::permit::Account;

/// Where a delivery that this worker knows is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdState {
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
pub(crate) struct Ids {
    states: HashMap<DeliveryId, IdState>,
    /// Live claims that count against the permits of the process.
    shared: u32,
}

impl Ids {
    pub(crate) fn get(&self, id: DeliveryId) -> Option<IdState> {
        self.states.get(&id).copied()
    }

    pub(crate) fn set(&mut self, id: DeliveryId, state: IdState) {
        self.shared += u32::from(state.is_shared());
        let before = self.states.insert(id, state);
        self.shared -= u32::from(before.is_some_and(IdState::is_shared));
    }

    fn remove(&mut self, id: DeliveryId) {
        let before = self.states.remove(&id);
        self.shared -= u32::from(before.is_some_and(IdState::is_shared));
    }

    /// It is claimed, by whatever way.
    pub(crate) fn lives(&mut self, key: ClaimKey, account: Account) {
        self.set(key.id, IdState::Live(key.claim_no, account));
    }

    /// A step answered it, unless it is claimed.
    pub(crate) fn forget(&mut self, id: DeliveryId) {
        if !matches!(self.get(id), Some(IdState::Live(..))) {
            self.remove(id);
        }
    }

    /// A claim's outcome is committed. A later claim of the same delivery stays.
    pub(crate) fn recorded(&mut self, key: ClaimKey) {
        if matches!(self.get(key.id), Some(IdState::Live(no, _)) if no == key.claim_no) {
            self.remove(key.id);
        }
    }

    /// How many claims that count against the permits of the process are not recorded.
    pub(crate) fn shared(&self) -> u32 {
        self.shared
    }

    /// All claims, in order.
    pub(crate) fn live(&self) -> Vec<ClaimKey> {
        let key = |(id, state): (&DeliveryId, &IdState)| match state {
            IdState::Live(claim_no, _) => Some(ClaimKey { id: *id, claim_no: *claim_no }),
            IdState::Waiting | IdState::Asked | IdState::Leaving => None,
        };
        let mut live: Vec<ClaimKey> = self.states.iter().filter_map(key).collect();
        live.sort_unstable();
        live
    }

    /// How many wait to be claimed.
    pub(crate) fn waiting(&self) -> usize {
        self.states.values().filter(|state| **state == IdState::Waiting).count()
    }
}
