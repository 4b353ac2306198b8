//! Where all randomness comes from.

use std::ops::RangeInclusive;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A seeded source of chance.
#[derive(Debug)]
pub(crate) struct Chance(StdRng);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    pub(crate) fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        self.0.random_range(range)
    }

    /// Something small mostly, and large seldom.
    pub(crate) fn mostly_small(&mut self, most: u64) -> u64 {
        let top = self.within(0..=most);
        self.within(0..=top)
    }

    pub(crate) fn count(&mut self, range: RangeInclusive<usize>) -> usize {
        self.0.random_range(range)
    }

    /// Once in so many times.
    pub(crate) fn one_in(&mut self, times: u64) -> bool {
        self.within(1..=times.max(1)) == 1
    }

    /// One of them; there is at least one.
    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        let last = from.len().checked_sub(1)?;
        from.get(self.count(0..=last)).cloned()
    }

    /// From 0 to below 1.
    pub(crate) fn share(&mut self) -> f64 {
        self.0.random()
    }
}
