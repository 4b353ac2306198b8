//! How fast retention goes: in statements so short that deliveries hardly wait for one, and with
//! pauses between them.
//!
//! What it deletes, vacuum and checkpoints write once more, and commits wait for the log behind
//! them. A day of Postgres was deleted beside 300 events a second, whose p99 was 9.7 ms without: at
//! 27,000 rows a second it was 15 to 65 ms, at 10,000 it was 11 to 15 (docs/growth.md).

use std::time::Duration;

/// How long a statement is to take. Longer ones keep a processor and the disk from deliveries.
const AIM: Duration = Duration::from_millis(10);
/// How much longer the pause is than what it follows: retention takes no more than a quarter of
/// one connection's time.
const PAUSE: u32 = 3;
/// A second's rows are 10,000 at most: a day of ten million deliveries goes within an hour.
const EACH_ROW: Duration = Duration::from_micros(100);
/// But a walk that lasts longer than this goes as fast as it may: more comes than goes.
const LONG: Duration = Duration::from_hours(6);
/// Rows of the first statement, and the fewest of any: then its own cost counts more than theirs.
const FEWEST: u32 = 50;

/// How many rows the next statement takes.
#[derive(Debug)]
pub(super) struct Pace {
    rows: u32,
    most: u32,
}

impl Pace {
    /// At most `most` rows a statement.
    pub(super) fn new(most: u32) -> Self {
        Self { rows: FEWEST.min(most), most }
    }

    /// Rows of the next statement, at least one.
    pub(super) fn rows(&self) -> u32 {
        self.rows.max(1)
    }

    /// How long to pause after a statement that took so long, in a walk that lasts for so long.
    pub(super) fn pause(&mut self, took: Duration, lasts: Duration) -> Duration {
        let least = if lasts > LONG { Duration::ZERO } else { EACH_ROW * self.rows };
        if took > AIM * 2 {
            self.rows = (self.rows / 2).max(FEWEST).min(self.most);
        } else if took < AIM {
            self.rows = self.rows.saturating_mul(2).min(self.most);
        }
        (took * PAUSE).max(least.saturating_sub(took))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_grow_until_they_take_their_time() {
        let mut pace = Pace::new(2_000);
        assert_eq!(pace.rows(), FEWEST);
        let (now, long) = (Duration::ZERO, LONG + AIM);
        assert_eq!(pace.pause(Duration::from_millis(2), now), Duration::from_millis(6));
        assert_eq!(pace.rows(), 2 * FEWEST);
        pace.pause(AIM, now);
        assert_eq!(pace.rows(), 2 * FEWEST);
        for _ in 0..10 {
            pace.pause(Duration::ZERO, now);
        }
        assert_eq!(pace.rows(), 2_000);
        // Its 2,000 rows are the rows of a fifth of a second.
        assert_eq!(pace.pause(AIM, now), Duration::from_millis(190));
        assert_eq!(pace.pause(AIM, long), AIM * 3, "it has to get done some time");
    }

    #[test]
    fn slow_statements_shrink_but_never_vanish() {
        for most in [1, 10, 500] {
            let mut pace = Pace::new(most);
            for _ in 0..20 {
                let pause = pace.pause(Duration::from_secs(1), Duration::ZERO);
                assert_eq!(pause, Duration::from_secs(3));
            }
            assert_eq!(pace.rows(), FEWEST.min(most));
        }
        assert_eq!(Pace::new(0).rows(), 1);
    }
}
