//! The end: nothing more is claimed or sent, what was sent is waited for, and for nothing else
//! (DRAIN).

use std::time::Duration;

use super::state::Timer;
use super::state::stopping::Stopping;
use super::{Command, Scheduler};

/// What a request may take beyond its time-out until its end is known here.
const AFTER_TIMEOUT: Duration = Duration::from_secs(5);

impl<P> Scheduler<P> {
    pub(super) fn has_stopped(&self) -> bool {
        self.stopping.is_some_and(|stopping| stopping.is_over)
    }

    /// A claim has this time-out.
    pub(super) fn timeout_seen(&mut self, timeout: Duration) {
        self.longest_timeout = self.longest_timeout.max(timeout);
    }

    pub(super) fn stop(&mut self) {
        if self.stopping.is_some() {
            return;
        }
        let longest = self.settings.grace.max(self.longest_timeout + AFTER_TIMEOUT);
        let by = self.now.after(longest);
        self.stopping = Some(Stopping { by, is_over: false });
        self.timers.set(Timer::StopBy, by);
        self.let_go_gathered();
        self.leaving.clear();
        // Once, and at the very end: here every lane is gone through.
        for lane in 0..self.lanes.len() {
            self.lanes[lane].stop.raise();
            for id in std::mem::take(&mut self.lanes[lane].waiting) {
                self.ids.forget(id);
            }
            self.release_claimed(lane);
        }
        for limit in 0..self.limits.len() {
            self.withdraw_limit(limit);
        }
        for ticket in self.probes.unsent() {
            self.out.push(Command::Withdraw(ticket));
        }
    }

    /// Whether the stop is over.
    pub(super) fn flush_stop(&mut self) {
        let Some(stopping) = self.stopping else { return };
        // Permits of claims that are open wait for the store, not for a request.
        let sent = (self.accounts.total() as usize).saturating_sub(self.steps.permits());
        if stopping.is_over || (sent > 0 && self.now < stopping.by) {
            return;
        }
        self.stopping = Some(Stopping { is_over: true, ..stopping });
        let leases = self.take_leases();
        if !leases.is_empty() {
            self.out.push(Command::GiveUp { leases });
        }
        self.out.push(Command::Stopped);
    }
}
