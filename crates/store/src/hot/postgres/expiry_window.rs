//! Which claims the janitor has to look at for their end.

use jiff::{Timestamp, ToSpan};

/// Up to when this process has looked through expired claims. A held lane may have a million
/// older rows that wait; they are not read each time.
#[derive(Debug, Default)]
pub(super) struct ExpiryWindow {
    passed: Option<Timestamp>,
    full_pass: Option<Timestamp>,
}

impl ExpiryWindow {
    /// Where a pass at `now` starts: a minute before the last one, for claims that committed
    /// late; every tenth minute at the beginning, and so when the clock was set back.
    pub(super) fn from(&self, now: Timestamp) -> Timestamp {
        let recent = self.full_pass.is_some_and(|full| now < full + 10.minutes());
        match self.passed {
            Some(passed) if recent && passed <= now => passed - 60.seconds(),
            Some(_) | None => Timestamp::UNIX_EPOCH,
        }
    }

    /// Notes that a pass which began at `from` found less than it could take.
    pub(super) fn completed(&mut self, from: Timestamp, now: Timestamp) {
        self.passed = Some(now);
        if from == Timestamp::UNIX_EPOCH {
            self.full_pass = Some(now);
        }
    }
}
