//! How many attempts ended lately.

use crate::Millis;

/// Counts in two windows, the present and the one before.
#[derive(Debug, Clone)]
pub(crate) struct Counter {
    window: u64,
    since: Millis,
    current: u32,
    before: u32,
}

impl Counter {
    /// A counter over windows of so many milliseconds, at least 1.
    pub(crate) fn over(millis: u64) -> Self {
        Self { window: millis, since: Millis::default(), current: 0, before: 0 }
    }

    pub(crate) fn count(&mut self, now: Millis) {
        let age = now.0.saturating_sub(self.since.0);
        if age >= self.window {
            self.before = if age < 2 * self.window { self.current } else { 0 };
            self.current = 0;
            self.since = now;
        }
        self.current += 1;
    }

    /// How many there were in the last window, the larger of two guesses.
    pub(crate) fn lately(&self, now: Millis) -> u32 {
        if now.0.saturating_sub(self.since.0) >= 2 * self.window {
            return 0;
        }
        self.current.max(self.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_last_window_and_forgets() {
        let mut counter = Counter::over(100);
        for at in 1_000..1_050 {
            counter.count(Millis(at));
        }
        assert_eq!(counter.lately(Millis(1_050)), 50);
        counter.count(Millis(1_110));
        assert_eq!(counter.lately(Millis(1_110)), 50, "the window before counts");
        counter.count(Millis(1_215));
        assert_eq!(counter.lately(Millis(1_215)), 1);
        assert_eq!(counter.lately(Millis(1_415)), 0);
    }
}
