//! How much time has passed.
//!
//! `Instant` stands still while a machine is suspended, and the wall clock can be set back. A
//! claim that ran out must not be sent under, so its elapsed time is the larger of the two
//! ([`BoottimeInstant`], rule BOOTTIME). What the scheduler decides by must never go back nor jump with the
//! wall clock, so it has the boot clock alone ([`Clock`]).

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use postrider_scheduler::Millis;

/// A moment of this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BoottimeInstant {
    boot: Duration,
    wall: Duration,
}

impl BoottimeInstant {
    /// This moment.
    pub(crate) fn now() -> Self {
        Self { boot: read(ClockId::Boottime), wall: read(ClockId::Realtime) }
    }

    /// Time since then, never less than what really passed.
    pub(crate) fn elapsed(self) -> Duration {
        Self::now().since(self)
    }

    fn since(self, earlier: Self) -> Duration {
        let boot = self.boot.saturating_sub(earlier.boot);
        let wall = self.wall.saturating_sub(earlier.wall);
        boot.max(wall)
    }
}

/// The scheduler's clock: runs in suspend, is never set back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Duration,
}

impl Clock {
    /// A clock that is at zero now.
    pub(crate) fn start() -> Self {
        Self { start: read(ClockId::Boottime) }
    }

    /// This moment, rounded down.
    pub(crate) fn now(self) -> Millis {
        let passed = read(ClockId::Boottime).saturating_sub(self.start);
        Millis(u64::try_from(passed.as_millis()).unwrap_or(u64::MAX))
    }

    /// How long until `then`, never too short: a wake-up that came early would find nothing.
    pub(crate) fn until(self, then: Millis) -> Duration {
        let passed = read(ClockId::Boottime).saturating_sub(self.start);
        Duration::from_millis(then.0).saturating_sub(passed)
    }
}

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_larger_of_two_clocks() {
        let at = |boot, wall| BoottimeInstant {
            boot: Duration::from_secs(boot),
            wall: Duration::from_secs(wall),
        };
        assert_eq!(at(13, 103).since(at(10, 100)), Duration::from_secs(3));
        // Suspended where boot time stood still: the wall clock tells.
        assert_eq!(at(10, 160).since(at(10, 100)), Duration::from_mins(1));
        // The wall clock was set back: boot time tells.
        assert_eq!(at(15, 40).since(at(10, 100)), Duration::from_secs(5));
    }
}
