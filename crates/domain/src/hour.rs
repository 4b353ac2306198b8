//! The budget of any 60 minutes, counted by the minute.

use std::time::Duration;

const MINUTE: Duration = Duration::from_mins(1);
const LAST_OF_A_MINUTE: Duration = Duration::from_nanos(59_999_999_999);

/// Requests that were claimed in one minute of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinuteCount {
    /// How many minutes of the clock ago; 0 is the present one.
    pub age: u32,
    /// How many.
    pub count: u32,
}

/// What the budget leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HourBudget {
    /// So many more may be claimed; at least 1.
    Free(u32),
    /// None, and the first becomes free after this time.
    Full {
        /// Longer than zero, at most [`HourBudget::MINUTES_COUNTED`] and one minutes.
        frees_in: Duration,
    },
}

impl HourBudget {
    /// Minutes before the present one that count (rule `HOUR_CARRY`). What is counted at the
    /// end of a minute is sent a little later, so that 60 are not enough: from the 61st on at
    /// least a minute lies between.
    pub const MINUTES_COUNTED: u32 = 61;
}

/// What a budget of `per_hour` requests leaves after `counts` (in any order), `into_minute`
/// after the present minute began.
pub fn hour_budget(per_hour: u32, counts: &[MinuteCount], into_minute: Duration) -> HourBudget {
    let mut counted: Vec<MinuteCount> =
        counts.iter().filter(|each| each.age <= HourBudget::MINUTES_COUNTED).copied().collect();
    let used = counted.iter().fold(0_u32, |sum, each| sum.saturating_add(each.count));
    if used < per_hour {
        return HourBudget::Free(per_hour - used);
    }
    counted.sort_unstable_by_key(|each| std::cmp::Reverse(each.age));
    let mut left = used;
    for each in counted {
        left = left.saturating_sub(each.count);
        if left < per_hour {
            return HourBudget::Full { frees_in: until_forgotten(each.age, into_minute) };
        }
    }
    // A budget of nothing: looked at again after as long as anything counts.
    HourBudget::Full { frees_in: until_forgotten(0, into_minute) }
}

fn until_forgotten(age: u32, into_minute: Duration) -> Duration {
    let minutes = HourBudget::MINUTES_COUNTED + 1 - age.min(HourBudget::MINUTES_COUNTED);
    (MINUTE * minutes).saturating_sub(into_minute.min(LAST_OF_A_MINUTE))
}

#[cfg(test)]
mod tests;
