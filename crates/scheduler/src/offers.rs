//! T1c: what intake of this process is about to commit is claimed by that same commit, as far as
//! an idle permit is there for it. What is due goes first: only lanes of which nothing waits are
//! granted any.

use postrider_domain::{DeliveryId, LaneId};

use super::permit::Offer;
use super::state::ids::IdState;
use super::state::steps::{Asked, Step};
use super::{Command, Scheduler};

impl<P> Scheduler<P> {
    /// Intake is about to commit these.
    pub(super) fn offered(&mut self, offer: Offer, deliveries: Vec<(DeliveryId, LaneId)>) {
        let may_claim = self.stopping.is_none() && self.leases.is_alive && self.may_claim();
        let mut asked = Vec::new();
        for (id, lane) in deliveries.into_iter().filter(|_| may_claim) {
            let lane = self.lane(lane);
            self.watch(lane);
            if self.is_idle(lane) && self.capacity(lane, 1) > 0 {
                self.ids.set(id, IdState::Asked);
                asked.push(Asked { id, lane, permit: self.grant(lane) });
            }
        }
        if asked.is_empty() {
            return self.out.push(Command::Decline { offer });
        }
        let ids = asked.iter().map(|asked| asked.id).collect();
        let batch = self.steps.open(Step::Fresh { asked_at: self.now, asked });
        self.store.asked(self.now);
        self.out.push(Command::ClaimAtIntake { offer, batch, ids });
    }

    /// Whether the lane may be claimed from and has nothing that waits.
    fn is_idle(&self, lane: usize) -> bool {
        let state = &self.lanes[lane];
        let is_known = state.limit.is_some() && !self.is_limited(lane);
        let is_parked = state.parked_at_host || state.parked_at_limit;
        is_known && self.is_open(lane) && !state.due && state.waiting.is_empty() && !is_parked
    }
}
