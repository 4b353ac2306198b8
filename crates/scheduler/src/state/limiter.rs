//! The pace of a limited limit: GCRA, with the limiter's time in nanoseconds.

use std::time::Duration;

use postrider_domain::Rate;

use crate::{Millis, Pace};

const NANOS: u64 = 1_000_000;

/// A send is allowed from `tat - (burst - 1) * interval - tolerance` on; it then moves `tat`, the
/// theoretical arrival time, one interval past the later of itself and now.
#[derive(Debug, Clone)]
pub(crate) struct Limiter {
    interval: u64,
    /// How much before `tat` a send is allowed.
    ahead: u64,
    tat: u64,
}

impl Limiter {
    /// A limiter that has one token, at `start`: whatever was sent before lies an interval or
    /// more before that.
    pub(crate) fn starting(pace: Pace, start: Millis) -> Self {
        let interval = nanos(pace.interval).max(1);
        let burst = interval.saturating_mul(u64::from(pace.burst.max(1) - 1));
        let ahead = burst.saturating_add(nanos(Rate::TOLERANCE));
        Self { interval, ahead, tat: at(start).saturating_add(ahead) }
    }

    /// Whether a request may leave now.
    pub(crate) fn allows(&self, now: Millis) -> bool {
        at(now).saturating_add(self.ahead) >= self.tat
    }

    /// A request leaves.
    pub(crate) fn take(&mut self, now: Millis) {
        self.tat = self.tat.max(at(now)).saturating_add(self.interval);
    }

    /// From when on a request may leave.
    pub(crate) fn next(&self) -> Millis {
        Millis(self.tat.saturating_sub(self.ahead).div_ceil(NANOS))
    }

    /// How many requests may leave from now until `until`.
    pub(crate) fn tokens(&self, now: Millis, until: Millis) -> u64 {
        let first = self.tat.max(at(now));
        match at(until).saturating_add(self.ahead).checked_sub(first) {
            Some(capacity) => capacity / self.interval + 1,
            None => 0,
        }
    }

    /// When one more request may leave after so many others.
    pub(crate) fn after(&self, now: Millis, others: u64) -> Millis {
        let first = self.tat.max(at(now));
        let due = first.saturating_add(self.interval.saturating_mul(others));
        Millis(due.saturating_sub(self.ahead).div_ceil(NANOS)).max(now)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn at(instant: Millis) -> u64 {
    instant.0.saturating_mul(NANOS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pace(millis: u64, burst: u32) -> Pace {
        Pace { interval: Duration::from_millis(millis), burst }
    }

    #[test]
    fn starts_with_one_token_whatever_the_burst() {
        for burst in [1, 2, 50] {
            let mut limiter = Limiter::starting(pace(100, burst), Millis(1_000));
            assert!(!limiter.allows(Millis(999)), "burst {burst}");
            assert_eq!(limiter.next(), Millis(1_000));
            assert!(limiter.allows(Millis(1_000)));
            limiter.take(Millis(1_000));
            assert!(!limiter.allows(Millis(1_099)), "burst {burst}");
            assert!(limiter.allows(Millis(1_100)));
        }
    }

    #[test]
    fn a_rest_fills_the_burst_and_no_more() {
        let mut limiter = Limiter::starting(pace(100, 3), Millis(0));
        assert_eq!(limiter.tokens(Millis(10_000), Millis(10_000)), 3);
        for _ in 0..3 {
            assert!(limiter.allows(Millis(10_000)));
            limiter.take(Millis(10_000));
        }
        assert!(!limiter.allows(Millis(10_000)));
    }

    #[test]
    fn a_late_wake_up_is_made_good_within_the_tolerance() {
        let mut limiter = Limiter::starting(pace(10, 1), Millis(0));
        limiter.take(Millis(0));
        // Asleep at 10: the next turn stays where it was.
        limiter.take(Millis(13));
        assert_eq!(limiter.next(), Millis(20));
        // Eight late, five of them are made good.
        limiter.take(Millis(28));
        assert_eq!(limiter.next(), Millis(33));
    }

    proptest! {
        /// `tokens` and `after` foretell what taking one by one does.
        #[test]
        fn foretells_what_it_will_allow(
            interval in 1_u64..500, burst in 1_u32..6, start in 0_u64..100, now in 0_u64..2_000,
            wait in 0_u64..1_000, taken in 0_usize..5,
        ) {
            let mut limiter = Limiter::starting(pace(interval, burst), Millis(start));
            let mut now = Millis(now);
            for _ in 0..taken {
                now = now.max(limiter.next());
                limiter.take(now);
            }
            let until = Millis(now.0 + wait);
            let foretold = limiter.tokens(now, until);
            let mut count = 0;
            let mut walker = limiter.clone();
            for instant in now.0..=until.0 {
                while walker.allows(Millis(instant)) && count < foretold + 2 {
                    prop_assert_eq!(limiter.after(now, count), Millis(instant));
                    walker.take(Millis(instant));
                    count += 1;
                }
            }
            prop_assert_eq!(foretold, count);
        }
    }
}
