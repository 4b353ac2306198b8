//! Permits that lanes are granted and give back.

use super::Scheduler;
use super::permit::{Account, Permit};
use super::state::standing::{Class, Standing};

/// Permits of one lane that are granted in a row.
const QUANTUM: u32 = 16;

impl<P> Scheduler<P> {
    /// How many permits a lane may be granted in a row now, for at most `wanted` claims. Zero
    /// where something that has to end first will bring the lane back.
    pub(super) fn capacity(&mut self, lane: usize, wanted: usize) -> u32 {
        let (concurrency, limit_room) = self.lane_limit(lane).map_or((1, u32::MAX), |limit| {
            (limit.concurrency(), limit.granted_max().saturating_sub(limit.granted))
        });
        let state = &mut self.lanes[lane];
        let Some(own) = state.capacity(self.now, concurrency, wanted) else { return 0 };
        let (class, host) = (state.class(), state.host);
        let host_capacity = self.hosts.capacity(host);
        if host_capacity == 0 {
            if !std::mem::replace(&mut self.lanes[lane].parked_at_host, true) {
                self.hosts.park(host, lane);
            }
            return 0;
        }
        if limit_room == 0 {
            if let Some(limit) = self.lanes[lane].limit
                && !std::mem::replace(&mut self.lanes[lane].parked_at_limit, true)
            {
                self.limits[limit].parked.push_back(lane);
            }
            return 0;
        }
        let left = self.class_capacity(class);
        own.min(QUANTUM).min(host_capacity).min(limit_room).min(left)
    }

    /// How many more permits lanes of a class may have.
    pub(super) fn class_capacity(&self, class: Class) -> u32 {
        self.accounts.capacity(class, self.trouble.most(), self.ids.shared())
    }

    /// One permit for a lane that has capacity for it.
    pub(super) fn grant(&mut self, lane: usize) -> Permit {
        let state = &mut self.lanes[lane];
        state.granted += 1;
        self.hosts.grant(state.host);
        if let Some(limit) = state.limit {
            self.limits[limit].granted += 1;
        }
        let mut permit = self.accounts.grant(state.class(), state.limit);
        permit.lane = lane;
        permit.lane_id = state.id;
        permit.host = state.host;
        permit
    }

    /// A permit for an attempt of a limited limit; its lane is known when a claim comes.
    pub(super) fn grant_limited(&mut self, limit: usize) -> Permit {
        self.accounts.grant_limited(limit)
    }

    pub(super) fn grant_probe(&mut self, lane: usize) -> Permit {
        let mut permit = self.accounts.grant_probe(self.lanes[lane].limit);
        permit.lane = lane;
        permit.lane_id = self.lanes[lane].id;
        permit
    }

    /// Whether this scheduler gave the permit out, and not an earlier one of the process.
    pub(super) fn is_ours(&self, permit: &Permit) -> bool {
        self.accounts.is_ours(permit)
    }

    /// Takes a permit back.
    pub(super) fn give_back(&mut self, permit: Permit) {
        if self.is_ours(&permit) {
            match permit.account {
                Account::Shared => self.give_back_shared(&permit),
                Account::Limited => self.accounts.take_back_limited(),
                Account::Probe => self.accounts.take_back_probe(),
            }
        }
        permit.retire();
    }

    fn give_back_shared(&mut self, permit: &Permit) {
        let state = &mut self.lanes[permit.lane];
        state.granted -= 1;
        self.accounts.take_back(permit, state.class());
        self.hosts.take_back(permit.host);
        if let Some(limit) = permit.limit {
            self.limits[limit].granted -= 1;
            self.wake_at_limit(limit);
        }
        self.wake_at_host(permit.host);
        self.enqueue(permit.lane);
    }

    /// One lane that waited at a host tries again.
    pub(super) fn wake_at_host(&mut self, host: usize) {
        if let Some(lane) = self.hosts.unpark(host) {
            self.lanes[lane].parked_at_host = false;
            self.enqueue(lane);
        }
    }

    /// One lane that waited for permits of its limit tries again.
    pub(super) fn wake_at_limit(&mut self, limit: usize) {
        let state = &mut self.limits[limit];
        if state.granted < state.granted_max()
            && let Some(lane) = state.parked.pop_front()
        {
            self.lanes[lane].parked_at_limit = false;
            self.enqueue(lane);
        }
    }

    /// Changes a lane's standing; its permits count under its new class from then on.
    pub(super) fn change_standing<R>(
        &mut self,
        lane: usize,
        change: impl FnOnce(&mut Standing) -> R,
    ) -> R {
        let state = &mut self.lanes[lane];
        let before = state.class();
        let result = change(&mut state.standing);
        let after = state.class();
        if before != after {
            self.accounts.reclassify(state.granted, before, after);
            self.serving.reclassified(lane, after);
        }
        result
    }
}
