//! Where all randomness comes from.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::time::Millis;

/// A seeded source of chance.
#[derive(Debug)]
pub(crate) struct Chance(StdRng);

/// How long something takes: lognormal, and now and then far longer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Takes {
    /// The median, in milliseconds.
    pub(crate) median: f64,
    /// The deviation of its logarithm.
    pub(crate) sigma: f64,
}

/// So many runs are slow,
const SLOW: f64 = 0.005;
/// take so many times as long,
const SLOW_FACTOR: (f64, f64) = (4.0, 60.0);
/// and this long at most: what GitHub lets a job take is six hours.
const LONGEST: f64 = 6.0 * 3_600_000.0;

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// From 0 to below 1.
    pub(crate) fn share(&mut self) -> f64 {
        self.0.random()
    }

    pub(crate) fn is(&mut self, probability: f64) -> bool {
        self.share() < probability
    }

    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.share()
    }

    pub(crate) fn millis(&mut self, low: Millis, high: Millis) -> Millis {
        self.0.random_range(low..=high)
    }

    pub(crate) fn index(&mut self, count: usize) -> usize {
        self.0.random_range(0..count.max(1))
    }

    /// Uniform in its logarithm.
    pub(crate) fn log_between(&mut self, low: f64, high: f64) -> f64 {
        self.between(low.ln(), high.ln()).exp()
    }

    /// Exponential with mean 1.
    pub(crate) fn exponential(&mut self) -> f64 {
        -(1.0 - self.share()).ln()
    }

    /// Normal with mean 0 and deviation 1, by Box and Muller.
    fn normal(&mut self) -> f64 {
        let radius = (2.0 * self.exponential()).sqrt();
        radius * (std::f64::consts::TAU * self.share()).cos()
    }

    /// How much longer this run takes than it should: mostly not at all.
    pub(crate) fn slowness(&mut self) -> f64 {
        if self.is(SLOW) { self.log_between(SLOW_FACTOR.0, SLOW_FACTOR.1) } else { 1.0 }
    }

    /// How long it takes this time.
    pub(crate) fn takes(&mut self, takes: Takes, slowness: f64) -> Millis {
        let usual = takes.median * (takes.sigma * self.normal()).exp();
        rounded((usual * slowness).min(LONGEST))
    }
}

/// The nearest millisecond, at least one.
pub(crate) fn rounded(millis: f64) -> Millis {
    #[expect(clippy::cast_possible_truncation, reason = "a year of milliseconds fits")]
    let whole = millis.round() as Millis;
    whole.max(1)
}
