//! Whether a dispatch that led to nothing is made again.
//!
//! The target took a delivery, or it failed for good, and the verification is still owed: then
//! the debt is dispatched again, [`AGAIN_MOST`] times, after gaps that grow. While a delivery is
//! under way nothing is missing yet, and what somebody discarded nobody wants. That the debt is
//! still owed the broker has to have said just now: a result of any outcome ends it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::{LaneLimits, QuietDays, age};

/// How often a debt is dispatched again.
pub const AGAIN_MOST: u32 = 2;

/// What became of the newest event that told of a debt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dispatched {
    /// No webhook wanted it, or whoever discarded its deliveries does not.
    Unwanted,
    /// A delivery is under way.
    Open,
    /// All have ended, the last one then: taken by its target, or failed.
    Ended(Timestamp),
}

/// What is made of a debt that was told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// Nothing, whatever comes.
    Never,
    /// It is not time yet.
    Wait,
    /// It is dispatched again.
    Now,
    /// It was dispatched as often as it may be, and nothing came of it.
    GaveUp,
}

/// What is made of a debt that is owed now, was told of, and was dispatched again so many `times`
/// already. `patience` is how long a result may take; quiet days don't count.
pub fn again(
    dispatched: Dispatched,
    times: u32,
    patience: Duration,
    quiet: &QuietDays,
    now: Timestamp,
) -> Again {
    let ended = match dispatched {
        Dispatched::Unwanted => return Again::Never,
        Dispatched::Open => return Again::Wait,
        Dispatched::Ended(ended) => ended,
    };
    match age(quiet, ended, now) > gap(patience, times) {
        false => Again::Wait,
        true if times < AGAIN_MOST => Again::Now,
        true => Again::GaveUp,
    }
}

/// How long after a dispatch the next one comes: twice as long each time. After the last one
/// nobody waits for another.
pub fn gap(patience: Duration, times: u32) -> Duration {
    if times < AGAIN_MOST { patience.saturating_mul(1 << times) } else { patience }
}

/// What may still be dispatched again in one round: so many in all, and of each limit what it can
/// send in time beside what waits for it already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgainBudget {
    left: u64,
    limits: BTreeMap<String, u64>,
}

impl AgainBudget {
    /// So many dispatches, and nothing for a limit that is not told of.
    pub fn new(most: u64) -> Self {
        Self { left: most, limits: BTreeMap::new() }
    }

    /// A limit, by its name, of which `waiting` deliveries wait. With those that are dispatched
    /// again all of them leave within `objective`.
    #[must_use]
    pub fn limit(
        mut self,
        name: &str,
        limits: &LaneLimits,
        waiting: u64,
        objective: Duration,
    ) -> Self {
        let leaves_in_time =
            |more: &u64| limits.drain_seconds(waiting.saturating_add(*more)) <= objective.as_secs();
        let room = (1..=self.left).take_while(leaves_in_time).last().unwrap_or(0);
        self.limits.insert(name.to_owned(), room);
        self
    }

    /// Takes one event out of it, with a delivery for each of these limits. `false`, and nothing
    /// is taken, where there is not enough left, or where nothing would be sent.
    pub fn take(&mut self, limits: &[&str]) -> bool {
        let mut after = self.limits.clone();
        let mut has_room = |limit: &&str| match after.get_mut(*limit) {
            Some(room) if *room > 0 => {
                *room -= 1;
                true
            }
            Some(_) | None => false,
        };
        if self.left == 0 || limits.is_empty() || !limits.iter().all(&mut has_room) {
            return false;
        }
        self.left -= 1;
        self.limits = after;
        true
    }
}

#[cfg(test)]
mod tests;
