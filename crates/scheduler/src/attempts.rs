//! Attempts of unlimited lanes from their start to their end, and what an attempt's end says
//! about its lane.

use std::time::Duration;

use super::permit::Account;
use super::state::Timer;
use super::state::lane::GrantedClaim;
use super::state::limit::Limit;
use super::state::trouble::Stalled;
use super::{Command, Ended, Millis, Permit, Scheduler, SendWhen, Unsent, Verdict};

/// A lane whose waiting deliveries made no progress for this long leaves them to the store, so
/// that their messages don't stay unacknowledged.
const STUCK_AFTER: Duration = Duration::from_millis(200);
/// How long a delivery waits that the store gave but not what its request is made from.
const STORE_AWAY: Duration = Duration::from_secs(1);
/// Retries that are due within this time are looked for here; later ones are found by polls.
const RETRY_SOON: Duration = Duration::from_mins(1);

impl<P> Scheduler<P> {
    /// Starts what the lane has claimed, as far as its window and its limit go.
    pub(super) fn start_claimed(&mut self, lane: usize) {
        while let Some(held) = self.next_start(lane) {
            let now = self.now;
            self.lanes[lane].under_way += 1;
            if let Some(limit) = held.permit.limit {
                self.limits[limit].under_way += 1;
            }
            if let Some(at) = self.change_standing(lane, |standing| standing.started(now)) {
                self.timers.arm(Timer::Slow(lane), at);
            }
            let GrantedClaim { claim, permit } = held;
            let permit = permit.owed();
            self.out.push(Command::Start { claim, permit, send: SendWhen::Ready });
        }
        if let Some(held) = self.lanes[lane].claimed.front() {
            let after = Millis(held.permit.send_by.0.saturating_add(1));
            self.timers.arm(Timer::Late(lane), after);
        }
    }

    fn next_start(&mut self, lane: usize) -> Option<GrantedClaim<P>> {
        let state = &self.lanes[lane];
        if state.claimed.is_empty() {
            return None;
        }
        if self.trouble.is_paused(self.now) {
            self.trouble.stall(Stalled::Lane(lane));
            return None;
        }
        if state.under_way >= state.standing.window() {
            return None;
        }
        if let Some(limit) = state.limit {
            let limit = &mut self.limits[limit];
            if limit.under_way >= limit.concurrency() {
                if !std::mem::replace(&mut self.lanes[lane].is_starter, true) {
                    limit.starters.push_back(lane);
                }
                return None;
            }
        }
        self.lanes[lane].claimed.pop_front()
    }

    /// A request of the limit ended, or more may be under way: lanes that wait start theirs.
    pub(super) fn start_others(&mut self, limit: usize) {
        while self.limits[limit].under_way < self.limits[limit].concurrency()
            && let Some(lane) = self.limits[limit].starters.pop_front()
        {
            self.lanes[lane].is_starter = false;
            self.start_claimed(lane);
        }
    }

    /// Starts may be tried again.
    pub(super) fn trouble_over(&mut self) {
        for stalled in self.trouble.stalled() {
            match stalled {
                Stalled::Lane(lane) => self.start_claimed(lane),
                Stalled::Limit(limit) => self.pace(limit),
            }
        }
    }

    /// Gives back claims that can't be sent within their time any more.
    pub(super) fn release_late(&mut self, lane: usize) {
        while let Some(held) = self.lanes[lane].claimed.front()
            && held.permit.send_by < self.now
            && let Some(GrantedClaim { claim, permit }) = self.lanes[lane].claimed.pop_front()
        {
            self.release(claim, Duration::ZERO);
            self.give_back(permit);
        }
        self.start_claimed(lane);
    }

    pub(super) fn attempt_ended(&mut self, permit: Permit, ended: Ended<P>) {
        let is_ours = self.is_ours(&permit);
        self.heard(is_ours, &ended);
        let lane = permit.lane;
        if is_ours {
            match permit.account {
                Account::Shared => self.shared_ended(permit, &ended),
                Account::Limited => self.limited_ended(permit, &ended),
                Account::Probe => self.probed(permit),
            }
        } else {
            permit.retire();
        }
        match ended {
            Ended::Answered { verdict, .. }
            | Ended::Silent { verdict }
            | Ended::NotRequested { verdict } => {
                if is_ours {
                    self.follow(verdict, lane);
                }
            }
            Ended::Unsent { claim, why } => {
                let due_in = self.due_in(why);
                self.release(claim, due_in);
            }
            Ended::Panicked => {}
        }
        if is_ours && self.lanes.get(lane).is_some() {
            self.start_claimed(lane);
            self.enqueue(lane);
        }
    }

    /// What an attempt's end says about this machine.
    fn heard(&mut self, is_ours: bool, ended: &Ended<P>) {
        match ended {
            Ended::Answered { .. } => self.trouble.answered(self.now),
            Ended::Unsent { why: Unsent::LocalTrouble, .. } if is_ours => {
                let under_way = self.accounts.total();
                if let Some(until) = self.trouble.reported(self.now, under_way) {
                    self.timers.set(Timer::Trouble, until);
                }
            }
            Ended::Unsent { .. }
            | Ended::Silent { .. }
            | Ended::NotRequested { .. }
            | Ended::Panicked => {}
        }
    }

    fn due_in(&self, why: Unsent) -> Duration {
        match why {
            Unsent::Stopped => Duration::ZERO,
            Unsent::StoreAway => STORE_AWAY,
            Unsent::LocalTrouble => self.trouble.pause(),
        }
    }

    fn shared_ended(&mut self, permit: Permit, ended: &Ended<P>) {
        let (lane, limit, now) = (permit.lane, permit.limit, self.now);
        let most = self.lane_limit(lane).map_or(1, Limit::concurrency);
        match ended {
            Ended::Answered { took, .. } => {
                self.change_standing(lane, |standing| standing.answered(now, *took, most));
            }
            Ended::Silent { .. } => self.change_standing(lane, |standing| standing.silent(now)),
            Ended::NotRequested { .. } | Ended::Unsent { .. } | Ended::Panicked => {}
        }
        self.lanes[lane].attempt_ended(now);
        if let Some(limit) = limit {
            self.limits[limit].under_way -= 1;
            self.start_others(limit);
        }
        self.give_back(permit);
    }

    /// What an outcome means for its lane and limit, before it is recorded.
    fn follow(&mut self, verdict: Verdict, lane: usize) {
        match verdict {
            Verdict::Continue => {}
            Verdict::Retry { after } => {
                if after <= RETRY_SOON {
                    let due_at = self.now.after(after);
                    self.timers.bring_forward(Timer::Due(lane), due_at);
                    let state = &mut self.lanes[lane];
                    state.watch_until = state.watch_until.max(due_at.after(Duration::from_secs(2)));
                }
                self.watch(lane);
            }
            Verdict::CredentialRejected => self.block_lane(lane),
            Verdict::Limited => self.block_limit(lane),
        }
    }

    /// Whether the lane answers in its time.
    pub(super) fn check_slow(&mut self, lane: usize) {
        let now = self.now;
        if let Some(at) = self.change_standing(lane, |standing| standing.check(now)) {
            self.timers.set(Timer::Slow(lane), at);
        }
    }

    /// The lane has deliveries that wait: whether they make progress is looked at.
    pub(super) fn watch_progress(&mut self, lane: usize) {
        let at = self.lanes[lane].progress_at.after(STUCK_AFTER);
        self.timers.arm(Timer::Stuck(lane), at);
    }

    pub(super) fn check_stuck(&mut self, lane: usize) {
        let state = &mut self.lanes[lane];
        if state.waiting.is_empty() {
            return;
        }
        // Its turn will come, or the store keeps everybody waiting.
        let claims_wait = state.granted > state.under_way || state.limit.is_none();
        if claims_wait || self.serving.has_its_turn(lane) || !self.may_claim() {
            self.lanes[lane].progress_at = self.now;
        }
        if self.now.since(self.lanes[lane].progress_at) < STUCK_AFTER {
            self.watch_progress(lane);
        } else {
            self.leave_waiting(lane);
        }
    }
}
