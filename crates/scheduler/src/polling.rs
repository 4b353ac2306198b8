//! What the store says about lanes and limits, and who is asked about when.

use std::sync::Arc;
use std::time::Duration;

use postrider_domain::LaneId;

use super::state::Timer;
use super::state::accounts::Hosts;
use super::state::lane::Lane;
use super::state::limit::Limit;
use super::state::polls::{Open, Walk};
use super::{Command, Hold, LaneStatus, LimitStatus, Scheduler, Which};

/// Lanes in one poll.
const PAGE: usize = 1_000;
/// All lanes are looked at each so many ticks.
const ALL_EVERY: u64 = 5;
/// How often a delivery that lost three claims is tried, alone (`POISON_ROW`).
const SUSPECT_EVERY: Duration = Duration::from_secs(5);

impl<P> Scheduler<P> {
    /// The lane of this id; a new one is looked at as soon as can be.
    pub(super) fn lane(&mut self, id: LaneId) -> usize {
        if let Some(lane) = self.by_lane.get(&id) {
            return *lane;
        }
        let lane = self.lanes.len();
        self.lanes.push(Lane::new(id, Hosts::UNKNOWN));
        self.by_lane.insert(id, lane);
        self.look_soon(lane);
        lane
    }

    /// The lane is looked at with each tick, as long as there is a reason.
    pub(super) fn watch(&mut self, lane: usize) {
        if !std::mem::replace(&mut self.lanes[lane].watched, true) {
            self.polls.watched.push(lane);
        }
    }

    /// The lane is looked at as soon as can be.
    pub(super) fn look_soon(&mut self, lane: usize) {
        if !std::mem::replace(&mut self.lanes[lane].soon, true) {
            self.polls.soon.push(lane);
        }
    }

    fn is_worth_watching(&self, lane: usize) -> bool {
        let state = &self.lanes[lane];
        state.has_work()
            || state.watch_until > self.now
            || state.probing
            || !self.is_open(lane)
            || self.is_limited(lane)
    }

    /// Once an interval: the heartbeat, and whom to look at.
    pub(super) fn tick(&mut self) {
        self.timers.set(Timer::Tick, self.now.after(self.settings.poll));
        self.renew();
        if self.polls.ticks.is_multiple_of(ALL_EVERY) && self.polls.walk == Walk::Resting {
            self.polls.walk = Walk::Page(None);
        }
        self.polls.ticks += 1;
        if self.polls.queue.is_empty() {
            let mut watched = std::mem::take(&mut self.polls.watched);
            watched.retain(|lane| {
                self.lanes[*lane].watched = self.is_worth_watching(*lane);
                self.lanes[*lane].watched
            });
            self.polls.queue.extend(&watched);
            self.polls.watched = watched;
        }
    }

    pub(super) fn flush_polls(&mut self) {
        if self.polls.open.is_some() || !self.store.may_ask(self.now) {
            return;
        }
        let Some(which) = self.next_poll() else { return };
        self.polls.last += 1;
        let is_page = matches!(which, Which::Page { .. });
        self.polls.open = Some(Open { number: self.polls.last, is_page });
        self.store.asked(self.now);
        self.out.push(Command::Poll(which));
    }

    fn next_poll(&mut self) -> Option<Which> {
        if !self.polls.soon.is_empty() {
            let count = self.polls.soon.len().min(PAGE);
            let soon: Vec<usize> = self.polls.soon.drain(..count).collect();
            for lane in &soon {
                self.lanes[*lane].soon = false;
            }
            return Some(self.those(&soon));
        }
        if !self.polls.queue.is_empty() {
            let count = self.polls.queue.len().min(PAGE);
            let next: Vec<usize> = self.polls.queue.drain(..count).collect();
            return Some(self.those(&next));
        }
        match self.polls.walk {
            Walk::Resting => None,
            Walk::Page(after) => Some(Which::Page { after }),
        }
    }

    fn those(&self, lanes: &[usize]) -> Which {
        Which::Those(lanes.iter().map(|lane| self.lanes[*lane].id).collect())
    }

    pub(super) fn polled(&mut self, lanes: &[LaneStatus], next: Option<LaneId>) {
        self.store_answered();
        let Some(open) = self.polls.open.take() else { return };
        if open.is_page {
            self.polls.walk = next.map_or(Walk::Resting, |after| Walk::Page(Some(after)));
        }
        if self.stopping.is_some() {
            return;
        }
        for status in lanes {
            self.apply(status, open.number);
        }
    }

    pub(super) fn poll_failed(&mut self) {
        self.store_failed();
        self.polls.open = None;
    }

    /// Takes over what a poll says about a lane.
    fn apply(&mut self, status: &LaneStatus, poll: u64) {
        let lane = self.lane(status.lane);
        let limit = self.link(lane, &status.host, &status.limit);
        self.apply_limit(limit, &status.limit, poll);
        let state = &mut self.lanes[lane];
        state.open = status.open;
        if state.blocked.is_none_or(|blocked| blocked.is_over(poll)) {
            state.blocked = None;
            state.held = match status.hold {
                Hold::Open | Hold::OpenProbeDue => false,
                Hold::Held | Hold::ProbeDue => true,
            };
        }
        self.lanes[lane].probe_due = match status.hold {
            Hold::OpenProbeDue | Hold::ProbeDue => true,
            Hold::Open | Hold::Held => false,
        };
        if let Some(left) = status.probe_in {
            // Nobody looks at an idle lane that often.
            self.timers.set(Timer::Probe(lane), self.now.after(left));
        }
        self.sync_gate(lane);
        if status.due {
            self.is_due(lane);
        }
        if self.is_worth_watching(lane) {
            self.watch(lane);
        }
        self.lead(limit, status.open || self.lanes[lane].held);
        if self.lanes[lane].probe_due {
            self.probe(lane);
        }
        self.enqueue(lane);
    }

    /// Something of the lane is due, maybe only one that lost three claims.
    fn is_due(&mut self, lane: usize) {
        if self.is_shut_to_leader(lane) {
            return;
        }
        self.wake_lane(lane);
        let next = self.now.after(SUSPECT_EVERY);
        if let Some(limit) = self.lanes[lane].limit.filter(|_| self.is_limited(lane)) {
            let limit = &mut self.limits[limit];
            if limit.suspect_at <= self.now {
                limit.suspect_at = next;
                limit.is_suspect = true;
            }
        } else if self.lanes[lane].suspect_at <= self.now {
            self.lanes[lane].suspect_at = next;
            if !std::mem::replace(&mut self.lanes[lane].is_suspect, true) {
                self.serving.suspect(lane);
            }
        }
    }

    /// Puts the lane under its host and its limit.
    fn link(&mut self, lane: usize, host: &Arc<str>, status: &LimitStatus) -> usize {
        let id = status.id;
        self.lanes[lane].host = self.hosts.index(host);
        let limit = *self.by_limit.entry(id).or_insert_with(|| {
            self.limits.push(Limit::new(status.clone()));
            self.limits.len() - 1
        });
        let before = self.lanes[lane].limit;
        if before == Some(limit) {
            return limit;
        }
        if let Some(before) = before {
            // What it has under the old limit is not sent under the new one's terms.
            self.close_lane(lane);
            self.limits[before].lanes.retain(|each| *each != lane);
        }
        self.lanes[lane].limit = Some(limit);
        self.limits[limit].lanes.push(lane);
        if self.limits[limit].is_limited() {
            self.becomes_limited(lane);
        }
        limit
    }

    /// What an unlimited lane has here is no leader's: it is left to whoever leads.
    fn becomes_limited(&mut self, lane: usize) {
        self.serving.remove(lane);
        self.release_claimed(lane);
        self.leave_waiting(lane);
    }

    fn apply_limit(&mut self, limit: usize, status: &LimitStatus, poll: u64) {
        let was_limited = self.limits[limit].is_limited();
        let before = std::mem::replace(&mut self.limits[limit].status, status.clone());
        if before.terms != status.terms {
            self.terms_changed(limit, was_limited);
        }
        self.find_clean(limit);
        let state = &mut self.limits[limit];
        if state.blocked.is_some_and(|blocked| !blocked.is_over(poll)) {
            return;
        }
        let until = status.paused_for.map(|left| self.now.after(left)).filter(|at| *at > self.now);
        let is_changed = state.blocked.take().is_some() || state.paused_until != until;
        state.paused_until = until;
        if let Some(until) = until {
            self.timers.set(Timer::Pause(limit), until);
        }
        if is_changed {
            self.sync_limit(limit);
        }
    }

    fn terms_changed(&mut self, limit: usize, was_limited: bool) {
        let is_limited = self.limits[limit].is_limited();
        if was_limited && !is_limited {
            self.forget_lease(limit);
        }
        for index in 0..self.limits[limit].lanes.len() {
            let lane = self.limits[limit].lanes[index];
            if is_limited && !was_limited {
                self.becomes_limited(lane);
            }
            self.enqueue(lane);
        }
        if is_limited {
            self.restart_limiter(limit);
        } else {
            self.wake_at_limit(limit);
            self.start_others(limit);
        }
    }
}
