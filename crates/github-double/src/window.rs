//! GitHub's secondary limit: a sliding window of points for each token.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use crate::options::{LimitStyle, Window};

/// Points of a call that changes something (GitHub docs: rate limits).
const WRITE_POINTS: u32 = 5;
/// Points of a read.
const READ_POINTS: u32 = 1;

/// What a call costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cost {
    Write,
    Read,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Within,
    /// Over the limit; room again after this wait.
    Exceeded(Duration),
    Banned,
}

pub(crate) struct Limiter {
    rate: Option<Window>,
    ban: bool,
    pub(crate) style: LimitStyle,
    spent: HashMap<usize, VecDeque<(Instant, u32)>>,
    banned: HashSet<usize>,
}

impl Limiter {
    pub(crate) fn new(rate: Option<Window>, ban: bool, style: LimitStyle) -> Self {
        Self { rate, ban, style, spent: HashMap::new(), banned: HashSet::new() }
    }

    pub(crate) fn set(&mut self, rate: Option<Window>, ban: bool) {
        *self = Self::new(rate, ban, self.style);
    }

    pub(crate) fn forget(&mut self) {
        self.set(self.rate, self.ban);
    }

    pub(crate) fn any_banned(&self) -> bool {
        !self.banned.is_empty()
    }

    /// Spends a call's points if the window has them. A refused call costs nothing.
    pub(crate) fn judge(&mut self, token: usize, cost: Cost, now: Instant) -> Verdict {
        let Some(rate) = self.rate else {
            return Verdict::Within;
        };
        if self.banned.contains(&token) {
            return Verdict::Banned;
        }
        let points = match cost {
            Cost::Write => WRITE_POINTS,
            Cost::Read => READ_POINTS,
        };
        let spent = self.spent.entry(token).or_default();
        match spend(spent, rate, points, now) {
            Ok(()) => Verdict::Within,
            Err(wait) => {
                if self.ban {
                    self.banned.insert(token);
                }
                Verdict::Exceeded(wait)
            }
        }
    }
}

/// Spends points, or tells how long it is until enough have left the window.
fn spend(
    spent: &mut VecDeque<(Instant, u32)>,
    rate: Window,
    points: u32,
    now: Instant,
) -> Result<(), Duration> {
    while spent.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) >= rate.per) {
        spent.pop_front();
    }
    let budget = rate.count.saturating_mul(WRITE_POINTS);
    let mut used: u32 = spent.iter().map(|(_, points)| points).sum();
    if used.saturating_add(points) <= budget {
        spent.push_back((now, points));
        return Ok(());
    }
    for (at, freed) in spent.iter() {
        used -= freed;
        if used.saturating_add(points) <= budget {
            return Err((*at + rate.per).saturating_duration_since(now));
        }
    }
    Err(rate.per)
}

#[cfg(test)]
mod tests;
