//! When a debt is late where nobody says so: learned from how long a provider takes.
//!
//! Three times the 95th percentile of the provider's last 200 times from dispatch to result, within
//! 15 minutes and 24 hours. That alone would call every slow run late. So it counts only with a
//! second sign: the provider was asked twice, by another publication, and both are late without a
//! result since, or the run that the debt's dispatch should have started is known to have failed or
//! not to exist. Without one, and while fewer than 20 times were seen, a debt is late after 24 hours.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{QuietDays, age};

/// Times that are kept of a provider, and as many as are needed to learn from them.
const KEPT: usize = 200;
const LEAST: usize = 20;
/// So many times the percentile.
const FACTOR: u32 = 3;
const SHORTEST: Duration = Duration::from_mins(15);
/// Where nothing is learned, or nothing else speaks for it.
const LONGEST: Duration = Duration::from_hours(24);

/// How long a provider's last results took from their dispatch, in milliseconds, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResultTimes(Vec<u64>);

impl ResultTimes {
    /// One more.
    pub fn add(&mut self, took: Duration) {
        self.0.push(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        let excess = self.0.len().saturating_sub(KEPT);
        self.0.drain(..excess);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Below this 95 of 100 lie; `None` while there are too few.
    fn percentile(&self) -> Option<Duration> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let place = (sorted.len() * 95).div_ceil(100).checked_sub(1)?;
        let millis = sorted.get(place).filter(|_| sorted.len() >= LEAST)?;
        Some(Duration::from_millis(*millis))
    }

    /// The learned threshold; `None` while there are too few times.
    pub fn threshold(&self) -> Option<Duration> {
        let late = self.percentile()?.saturating_mul(FACTOR);
        Some(late.clamp(SHORTEST, LONGEST))
    }
}

/// What is learned of a provider at one broker, as it matters for one of its pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learned {
    /// When a debt may be late; `None` while too few times were seen.
    pub threshold: Option<Duration>,
    /// How many times were seen.
    pub seen: usize,
    /// Several debts are late by it, and no result came since.
    pub is_silent: bool,
    /// The run of a late debt of the pair is known to have failed, or not to exist.
    pub has_failed_run: bool,
}

/// Where a threshold comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdFrom {
    /// A `[[pair]]` table.
    Pair,
    /// `POSTRIDER_FRESHNESS`.
    Setting,
    /// The provider's own times.
    Learned,
    /// The provider's own times call the debt late, and nothing else does.
    NoSecondSign,
    /// Too few times were seen.
    Default,
}

impl ThresholdFrom {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Pair, Self::Setting, Self::Learned, Self::NoSecondSign, Self::Default];

    /// Its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pair => "pair",
            Self::Setting => "setting",
            Self::Learned => "learned",
            Self::NoSecondSign => "no_second_sign",
            Self::Default => "default",
        }
    }

    /// Why the threshold is what it is.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Pair => "a [[pair]] table says so",
            Self::Setting => "POSTRIDER_FRESHNESS says so",
            Self::Learned => {
                "three times the 95th percentile of the provider's times from dispatch to result, \
                 within 15m and 24h"
            }
            Self::NoSecondSign => {
                "late by the provider's own times, but what another publication asked of it is not \
                 late without a result since, and its run is not known to have failed: then it is \
                 24h"
            }
            Self::Default => {
                "fewer than 20 times from dispatch to result were seen of the provider: then it is \
                 24h"
            }
        }
    }
}

/// The threshold of a debt of this age by what is learned.
pub(super) fn threshold(
    learned: Option<Learned>,
    age: Option<Duration>,
) -> (Duration, ThresholdFrom) {
    let Some((learned, late)) = learned.and_then(|learned| Some((learned, learned.threshold?)))
    else {
        return (LONGEST, ThresholdFrom::Default);
    };
    let has_second_sign = learned.is_silent || learned.has_failed_run;
    let is_alone = !has_second_sign && age.is_some_and(|age| age > late) && late < LONGEST;
    if is_alone { (LONGEST, ThresholdFrom::NoSecondSign) } else { (late, ThresholdFrom::Learned) }
}

/// What speaks for a provider that gives no results any more: gathered over its pairs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Silence {
    last_result: Option<Timestamp>,
    /// When the debts began that are late by the learned threshold: the newest, and the one before.
    late: [Option<Timestamp>; 2],
}

impl Silence {
    /// Takes a pair of the provider in: when its newest result came, and since when it owes.
    pub fn see(
        &mut self,
        last_result: Option<Timestamp>,
        owed_since: impl IntoIterator<Item = Timestamp>,
        threshold: Duration,
        (quiet, now): (&QuietDays, Timestamp),
    ) {
        self.last_result = self.last_result.max(last_result);
        for since in owed_since {
            if age(quiet, since, now) > threshold {
                self.late_since(since);
            }
        }
    }

    fn late_since(&mut self, since: Timestamp) {
        let [newest, before] = self.late;
        self.late = match newest {
            Some(newest) if since <= newest => [Some(newest), before.max(Some(since))],
            newest => [Some(since), newest],
        };
    }

    /// Whether two debts are late, and no result came since either of them began.
    pub fn is_confirmed(&self) -> bool {
        self.late[1].is_some_and(|since| self.last_result.is_none_or(|result| result < since))
    }
}

#[cfg(test)]
mod tests;
