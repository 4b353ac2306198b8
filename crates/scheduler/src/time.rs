//! Instants of the scheduler.

use std::time::Duration;

/// An instant: milliseconds since some fixed moment of this process, by a clock that runs in
/// suspend and is never set back (`BOOTTIME`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Millis(pub u64);

impl Millis {
    /// The instant that is at least `wait` later: rounded up, so that nothing is early.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(
            self.0.saturating_add(whole_millis(wait.saturating_add(Duration::from_nanos(999_999)))),
        )
    }

    /// The instant that is at most `wait` later: rounded down, for deadlines.
    #[must_use]
    pub fn after_floor(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(whole_millis(wait)))
    }

    /// The time since `earlier`, zero if that is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

pub(super) fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
