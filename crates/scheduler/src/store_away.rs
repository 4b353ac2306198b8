//! A store that does not answer is left alone, and messages are not taken meanwhile.

use super::state::Timer;
use super::{Command, Scheduler};

impl<P> Scheduler<P> {
    pub(super) fn store_answered(&mut self) {
        self.store.answered(self.now);
        if std::mem::take(&mut self.store.is_paused) {
            self.out.push(Command::ResumeConsumer);
        }
    }

    pub(super) fn store_failed(&mut self) {
        let retry_at = self.store.failed(self.now);
        self.timers.set(Timer::Retry, retry_at);
    }

    /// Pauses the consumer once the store has been away for too long.
    pub(super) fn watch_store(&mut self) {
        let Some(away_at) = self.store.away_at() else { return };
        if self.store.is_paused || self.stopping.is_some() {
            return;
        }
        if away_at <= self.now {
            self.store.is_paused = true;
            self.out.push(Command::PauseConsumer);
        } else {
            self.timers.bring_forward(Timer::StoreAway, away_at);
        }
    }
}
