//! What must hold at any time, for tests and simulations.

use std::fmt::Write as _;

use super::Scheduler;
use super::state::Timer;
use super::state::limit::Ask;
use super::state::standing::Class;

impl<P> Scheduler<P> {
    /// Checks what must always hold: permits are conserved, no lane that has work and may have
    /// capacity is idle, no limit that has work and tokens waits for nothing. Walks over everything,
    /// so it is for tests and simulations. Says what is wrong.
    pub fn audit(&self) -> Result<(), String> {
        let mut wrong = String::new();
        self.audit_permits(&mut wrong);
        self.audit_deliveries(&mut wrong);
        if !self.is_dirty && self.stopping.is_none() && self.leases.is_alive && self.may_claim() {
            for lane in 0..self.lanes.len() {
                self.audit_lane(lane, &mut wrong);
            }
            for limit in 0..self.limits.len() {
                self.audit_limit(limit, &mut wrong);
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    fn audit_permits(&self, wrong: &mut String) {
        for class in Class::ALL {
            let of_class = self.lanes.iter().filter(|lane| lane.class() == class);
            let granted: u32 = of_class.map(|lane| lane.granted).sum();
            note(wrong, self.accounts.used(class) == granted, || format!("{class:?}: {granted}"));
        }
        let in_steps = self.steps.permits() + self.serving.gathered();
        let shared: u32 = self.lanes.iter().map(|lane| lane.granted).sum();
        let started: u32 = self.lanes.iter().map(|lane| lane.under_way).sum();
        let claimed: usize = self.lanes.iter().map(|lane| lane.claimed.len()).sum();
        let (limited, told) = (self.accounts.limited(), self.limited.told.len());
        let all = shared as usize + limited as usize;
        note(wrong, all == in_steps + claimed + started as usize + told, || {
            format!(
                "{all} permits: {in_steps} asked, {claimed} claimed, {started} + {told} started"
            )
        });
        note(wrong, self.hosts.used() == shared, || format!("hosts of {shared} permits"));
    }

    fn audit_deliveries(&self, wrong: &mut String) {
        let waiting: usize = self.lanes.iter().map(|lane| lane.waiting.len()).sum();
        let known = self.ids.waiting();
        note(wrong, waiting >= known, || format!("{known} wait in no lane"));
    }

    /// A lane that has something to claim is in line, parked, or waits for an end that will
    /// bring it back.
    fn audit_lane(&self, lane: usize, wrong: &mut String) {
        let state = &self.lanes[lane];
        if state.limit.is_none() || self.is_limited(lane) || !self.is_open(lane) {
            return;
        }
        let waits = state.parked_at_host || state.parked_at_limit || state.granted > 0;
        let wants_due = state.due && !state.due_open;
        for (wants, is_in_line, name) in [
            (!state.waiting.is_empty(), self.serving.is_in_line(lane), "waiting"),
            (wants_due, self.serving.is_due_in_line(lane), "due"),
        ] {
            note(wrong, !wants || waits || is_in_line, || format!("lane {lane} idles: {name}"));
            let has_capacity = self.class_capacity(state.class()) > 0;
            let is_served = !is_in_line || !has_capacity || self.serving.is_full(name == "due");
            note(wrong, is_served, || format!("lane {lane} is in line for nothing: {name}"));
        }
        let may_start = !state.claimed.is_empty()
            && state.under_way < state.standing.window()
            && self.lane_limit(lane).is_none_or(|limit| limit.under_way < limit.concurrency());
        note(wrong, !may_start, || format!("lane {lane} starts nothing"));
    }

    fn audit_limit(&self, limit: usize, wrong: &mut String) {
        let state = &self.limits[limit];
        if !state.is_limited() || state.led.is_none() || !state.is_open(self.now) {
            return;
        }
        let is_ready = state.has_ready();
        note(wrong, !is_ready || !state.may_send(self.now), || format!("limit {limit} holds back"));
        let is_full = state.full_until.is_some_and(|until| until > self.now);
        if is_full || !state.work || state.asking.is_some() {
            return;
        }
        match state.ask(self.now) {
            Ask::Now(_) => {
                let capacity = self.accounts.limited_capacity(self.trouble.most());
                note(wrong, capacity == 0, || {
                    format!(
                        "limit {limit} asks for nothing at {:?}: {:?} {:?} in asks {}",
                        self.now,
                        state,
                        self.timers.get(Timer::Pace(limit)),
                        self.limited.asks.len()
                    )
                });
            }
            Ask::At(at) => {
                let armed = self.timers.get(Timer::Pace(limit));
                note(wrong, armed.is_some_and(|armed| armed <= at), || {
                    format!("limit {limit} sleeps over {at:?}")
                });
            }
            Ask::Later => {
                let is_busy = state.sending > 0 || !state.in_hand.is_empty();
                let is_clean = state.pacer.is_clean();
                note(wrong, is_busy || !is_clean, || format!("limit {limit} waits for nothing"));
            }
        }
    }
}

fn note(wrong: &mut String, holds: bool, what: impl FnOnce() -> String) {
    if !holds {
        // Writing to a string does not fail.
        writeln!(wrong, "{}", what()).unwrap_or_default();
    }
}
