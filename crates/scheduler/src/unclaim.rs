//! UNCLAIM: what a claim whose result is unknown may have got is given back, and nothing else is.
//!
//! An unclaim is alone: it is asked for when no claim and no probe without a known claim is open,
//! and none is asked for until it is answered. So it can't meet rows of another statement that is
//! still under way, and what this worker holds is known when it is asked for.

use postrider_domain::LaneId;

use super::state::steps::Step;
use super::state::unclaims::Undo;
use super::{Batch, ClaimKey, Command, Scheduler, Scope};

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
