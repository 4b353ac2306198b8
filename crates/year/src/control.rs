//! Rules that are known to be wrong, judged beside the real ones: they have to fail.

use std::collections::VecDeque;
use std::time::Duration;

use postrider_domain::StreakNews;

use crate::time::{DAY, HOUR, Millis};

/// Any newest result clears a pair, whichever version it is of.
pub(crate) const NEWEST_RESULT: usize = 0;
/// What is owed is as old as the newest contract.
pub(crate) const NEWEST_CONTRACT: usize = 1;
/// A streak of failures is forgotten a day after its last.
pub(crate) const STREAK_EXPIRES: usize = 2;

const KEPT: usize = 200;
const LEAST: usize = 20;
/// After so many results the median is found anew.
const MEDIAN_EVERY: u64 = 20;

#[derive(Debug, Clone, Default)]
struct Streak {
    failures: u64,
    deliveries: u64,
    since: Option<Millis>,
    last: Option<Millis>,
}

#[derive(Debug, Clone, Default)]
struct Times {
    kept: VecDeque<Duration>,
    seen: u64,
    median: Option<Duration>,
}

/// The wrong rules' memory.
#[derive(Debug)]
pub(crate) struct Controls {
    streaks: Vec<Streak>,
    times: Vec<Times>,
    /// Results that came later than three times the median: each a false alarm.
    pub(crate) later_than_median: u64,
}

impl Controls {
    pub(crate) fn new(providers: usize) -> Self {
        Self {
            streaks: vec![Streak::default(); providers],
            times: vec![Times::default(); providers],
            later_than_median: 0,
        }
    }

    /// A streak that expires 24 hours after its last failure.
    pub(crate) fn streak(&mut self, provider: usize, news: &StreakNews, now: Millis) {
        let streak = &mut self.streaks[provider];
        let is_expired = streak.last.is_some_and(|last| now - last > DAY);
        if news.succeeded || is_expired {
            *streak = Streak::default();
        }
        if news.failures > 0 {
            streak.failures += u64::from(news.failures);
            streak.deliveries += u64::from(news.deliveries);
            streak.since.get_or_insert(now);
            streak.last = Some(now);
        }
    }

    /// Whether the streak is long enough, and not expired.
    pub(crate) fn is_sustained(&self, provider: usize, least: u64, now: Millis) -> bool {
        let streak = &self.streaks[provider];
        let lasts = streak.since.is_some_and(|since| now - since >= HOUR / 6);
        let lives = streak.last.is_some_and(|last| now - last <= DAY);
        streak.deliveries.min(streak.failures) >= least && lasts && lives
    }

    /// A result that was on its way and came.
    pub(crate) fn result(&mut self, provider: usize, took: Duration) {
        let times = &mut self.times[provider];
        let is_late = times.median.is_some_and(|median| took > median.saturating_mul(3));
        self.later_than_median += u64::from(is_late);
        times.kept.push_back(took);
        if times.kept.len() > KEPT {
            times.kept.pop_front();
        }
        times.seen += 1;
        if times.kept.len() >= LEAST && times.seen.is_multiple_of(MEDIAN_EVERY) {
            let mut sorted: Vec<Duration> = times.kept.iter().copied().collect();
            sorted.sort_unstable();
            times.median = sorted.get(sorted.len() / 2).copied();
        }
    }
}
