//! Holds, pauses and refusals, and deliveries that are left to the store because of them.

use std::time::Duration;

use postrider_domain::{DeliveryId, LaneId};

use super::permit::StopFlag;
use super::state::ids::IdState;
use super::state::lane::{Blocked, GrantedClaim};
use super::state::steps::Step;
use super::{Batch, Command, Scheduler};

/// Deliveries in one statement that makes them due.
const LEAVE_MAX: usize = 500;
/// Such statements under way at once.
const OPEN_MAX: u32 = 2;

impl<P> Scheduler<P> {
    /// An attempt of the lane met a refusal of its credential: nothing more leaves until its row
    /// says that it may.
    pub(super) fn block_lane(&mut self, lane: usize) {
        self.lanes[lane].blocked = Some(Blocked::Recording);
        self.watch(lane);
        self.sync_gate(lane);
    }

    /// The target of the lane asked for a pause: that concerns all lanes of its limit.
    pub(super) fn block_limit(&mut self, lane: usize) {
        let Some(limit) = self.lanes[lane].limit else { return self.block_lane(lane) };
        self.lanes[lane].blocks = Some(limit);
        self.limits[limit].blocked = Some(Blocked::Recording);
        self.sync_limit(limit);
    }

    /// Whether the lane is limited and closed. What its leader claimed would be given back, and
    /// out of turn: the poll that finds it open finds it due as well.
    pub(super) fn is_shut_to_leader(&self, lane: usize) -> bool {
        let state = &self.lanes[lane];
        self.is_limited(lane) && (state.held || state.blocked.is_some())
    }

    /// A claim came for a lane that is closed here and is given back. That asks for a look at the
    /// lane and not for another claim, which would bring the same again; a lane whose own refusal
    /// is not committed yet is looked at once it is.
    pub(super) fn came_closed(&mut self, lane: usize) {
        if self.lanes[lane].blocked.is_none() {
            self.look_soon(lane);
        }
    }

    /// What blocked the lane or its limit is committed.
    pub(super) fn block_committed(&mut self, lane: LaneId) {
        let lane = self.lane(lane);
        let since = Blocked::Since(self.polls.last);
        if self.lanes[lane].blocked.is_some() {
            self.lanes[lane].blocked = Some(since);
        }
        self.look_soon(lane);
        if let Some(limit) = self.lanes[lane].limit.filter(|_| self.is_limited(lane)) {
            // Its other lanes may have waited for that.
            self.look_at_limit(limit);
        }
        if let Some(limit) = self.lanes[lane].blocks.take() {
            self.limits[limit].blocked = Some(since);
            self.look_at_limit(limit);
        }
    }

    /// Opens or closes what the lane has here, if that changed.
    pub(super) fn sync_gate(&mut self, lane: usize) {
        let is_open = self.is_open(lane) && self.stopping.is_none();
        match (is_open, self.lanes[lane].stop.is_raised()) {
            (true, true) => self.open_lane(lane),
            (false, false) => self.close_lane(lane),
            (true, false) | (false, true) => {}
        }
    }

    /// The same for all lanes of a limit.
    pub(super) fn sync_limit(&mut self, limit: usize) {
        for index in 0..self.limits[limit].lanes.len() {
            let lane = self.limits[limit].lanes[index];
            self.watch(lane);
            self.sync_gate(lane);
        }
        if self.limits[limit].is_limited() {
            self.pace(limit);
        }
    }

    fn open_lane(&mut self, lane: usize) {
        self.lanes[lane].stop = StopFlag::default();
        self.enqueue(lane);
    }

    /// Nothing of the lane is sent any more: what is started and not sent is stopped, what is
    /// claimed is given back, what waits is left to the store.
    pub(super) fn close_lane(&mut self, lane: usize) {
        self.lanes[lane].stop.raise();
        self.serving.remove(lane);
        self.release_claimed(lane);
        self.withdraw_lane(lane);
        self.leave_waiting(lane);
    }

    pub(super) fn release_claimed(&mut self, lane: usize) {
        for GrantedClaim { claim, permit } in std::mem::take(&mut self.lanes[lane].claimed) {
            self.release(claim, Duration::ZERO);
            self.give_back(permit);
        }
    }

    /// A limit's pause is over, as far as is known here.
    pub(super) fn pause_over(&mut self, limit: usize) {
        self.limits[limit].paused_until = None;
        for index in 0..self.limits[limit].lanes.len() {
            let lane = self.limits[limit].lanes[index];
            if self.lanes[lane].open {
                self.wake_lane(lane);
            }
        }
        self.sync_limit(limit);
    }

    /// Everything that waits in the lane is left to the store.
    pub(super) fn leave_waiting(&mut self, lane: usize) {
        for delivery in std::mem::take(&mut self.lanes[lane].waiting) {
            match self.ids.get(delivery) {
                Some(IdState::Waiting) => self.leave(delivery, lane),
                Some(IdState::Live(..)) | None => self.ack(vec![delivery]),
                Some(IdState::Asked | IdState::Leaving) => {}
            }
        }
    }

    /// A delivery becomes due in the store instead of waiting here.
    pub(super) fn leave(&mut self, id: DeliveryId, lane: usize) {
        self.ids.set(id, IdState::Leaving);
        self.leaving.push(id, lane);
    }

    pub(super) fn flush_leaving(&mut self) {
        while !self.leaving.is_empty()
            && self.steps.make_due < OPEN_MAX
            && self.store.may_ask(self.now)
        {
            let left = self.leaving.take(LEAVE_MAX);
            let ids = left.iter().map(|(id, _)| *id).collect();
            let batch = self.steps.open(Step::MakeDue { left });
            self.store.asked(self.now);
            self.out.push(Command::MakeDue { batch, ids });
        }
    }

    pub(super) fn made_due(&mut self, batch: Batch) {
        self.store_answered();
        match self.steps.close(batch) {
            Some(Step::MakeDue { left }) => {
                let mut answered = Vec::with_capacity(left.len());
                for (id, lane) in left {
                    answered.push(id);
                    self.ids.forget(id);
                    self.wake_lane(lane);
                }
                self.ack(answered);
            }
            other => debug_assert!(other.is_none(), "{batch:?} makes nothing due"),
        }
    }

    pub(super) fn make_due_failed(&mut self, batch: Batch) {
        self.store_failed();
        match self.steps.close(batch) {
            Some(Step::MakeDue { left }) => self.leaving.push_again(left),
            other => debug_assert!(other.is_none(), "{batch:?} makes nothing due"),
        }
    }
}
