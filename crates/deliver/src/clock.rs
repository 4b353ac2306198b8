//! How much time has passed for a claim.
//!
//! `Instant` stands still while a machine is suspended, and the wall clock can be set back. A
//! claim that ran out must not be sent under, so elapsed time is the larger of the two
//! (rule BOOTTIME).

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A moment of this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    boot: Duration,
    wall: Duration,
}

impl Mark {
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
        let at =
            |boot, wall| Mark { boot: Duration::from_secs(boot), wall: Duration::from_secs(wall) };
        assert_eq!(at(13, 103).since(at(10, 100)), Duration::from_secs(3));
        // Suspended where boot time stood still: the wall clock tells.
        assert_eq!(at(10, 160).since(at(10, 100)), Duration::from_mins(1));
        // The wall clock was set back: boot time tells.
        assert_eq!(at(15, 40).since(at(10, 100)), Duration::from_secs(5));
    }
}
