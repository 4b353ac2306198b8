//! How fast retention goes: in statements so short that deliveries hardly wait for one, and with
//! pauses between them.

use std::time::Duration;

/// How long a statement is to take. Longer ones keep a processor and the disk from deliveries.
const AIM: Duration = Duration::from_millis(10);
/// How much longer the pause is than what it follows: retention takes no more than a quarter of
/// one connection's time.
const PAUSE: u32 = 3;
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

    /// How long to pause after a statement that took so long.
    pub(super) fn pause(&mut self, took: Duration) -> Duration {
        if took > AIM * 2 {
            self.rows = (self.rows / 2).max(FEWEST).min(self.most);
        } else if took < AIM {
            self.rows = self.rows.saturating_mul(2).min(self.most);
        }
        took * PAUSE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_grow_until_they_take_their_time() {
        let mut pace = Pace::new(2_000);
        assert_eq!(pace.rows(), FEWEST);
        assert_eq!(pace.pause(Duration::from_millis(1)), Duration::from_millis(3));
        assert_eq!(pace.rows(), 2 * FEWEST);
        pace.pause(AIM);
        assert_eq!(pace.rows(), 2 * FEWEST);
        for _ in 0..10 {
            pace.pause(Duration::ZERO);
        }
        assert_eq!(pace.rows(), 2_000);
    }

    #[test]
    fn slow_statements_shrink_but_never_vanish() {
        for most in [1, 10, 500] {
            let mut pace = Pace::new(most);
            for _ in 0..20 {
                assert_eq!(pace.pause(Duration::from_secs(1)), Duration::from_secs(3));
            }
            assert_eq!(pace.rows(), FEWEST.min(most));
        }
        assert_eq!(Pace::new(0).rows(), 1);
    }
}
