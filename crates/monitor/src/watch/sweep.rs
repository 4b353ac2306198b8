//! The slow sweep: every consumer once in a while, never more than one a second.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use postrider_broker::Pair;
use tokio::time::Instant;

/// Time between two consumers, at least.
const SHORTEST_GAP: Duration = Duration::from_secs(1);
/// Consumers of one look.
const MOST: usize = 5;

/// A consumer with its pairs.
pub(crate) type Swept = (String, Vec<Pair>);

/// Who is to be looked at, and when.
#[derive(Debug)]
pub(crate) struct Sweep {
    every: Duration,
    began: Option<Instant>,
    queue: VecDeque<Swept>,
    gap: Duration,
    next_at: Option<Instant>,
}

impl Sweep {
    pub(crate) fn new(every: Duration) -> Self {
        Self { every, began: None, queue: VecDeque::new(), gap: SHORTEST_GAP, next_at: None }
    }

    /// Whether it is time to begin anew, with all pairs of the broker.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        let is_time = |began: Instant| now.saturating_duration_since(began) >= self.every;
        self.queue.is_empty() && self.began.is_none_or(is_time)
    }

    /// Begins with all pairs.
    pub(crate) fn begin(&mut self, pairs: &[Pair], now: Instant) {
        let mut consumers: BTreeMap<&str, Vec<Pair>> = BTreeMap::new();
        for pair in pairs {
            consumers.entry(&pair.consumer).or_default().push(pair.clone());
        }
        let count = u32::try_from(consumers.len()).unwrap_or(u32::MAX).max(1);
        self.gap = (self.every / count).max(SHORTEST_GAP);
        self.queue = consumers.into_iter().map(|(name, of)| (name.to_owned(), of)).collect();
        (self.began, self.next_at) = (Some(now), Some(now));
    }

    /// All pairs were looked at just now.
    pub(crate) fn was_done(&mut self, now: Instant) {
        self.queue.clear();
        self.began = Some(now);
    }

    /// The consumers whose turn it is.
    pub(crate) fn take(&mut self, now: Instant) -> Vec<Swept> {
        let mut taken = Vec::new();
        while taken.len() < MOST
            && self.next_at.is_some_and(|at| at <= now)
            && let Some(next) = self.queue.pop_front()
        {
            taken.push(next);
            self.next_at = self.next_at.map(|at| at + self.gap);
        }
        if !taken.is_empty() {
            // What could not be done in time is not made up for in a burst.
            self.next_at = self.next_at.map(|at| at.max(now));
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(number: usize) -> Pair {
        Pair { consumer: format!("c{}", number / 2), provider: format!("p{}", number % 2) }
    }

    #[tokio::test]
    async fn everyone_once_and_no_more_than_one_a_second() {
        let pairs: Vec<Pair> = (0..20).map(pair).collect();
        let (began, second) = (Instant::now(), Duration::from_secs(1));
        let mut sweep = Sweep::new(Duration::from_secs(1));
        assert!(sweep.is_over(began));
        sweep.begin(&pairs, began);
        let mut seen = Vec::new();
        for elapsed in 0..12 {
            let now = began + second * elapsed;
            let taken = sweep.take(now);
            assert!(taken.len() <= 1, "{elapsed}: {taken:?}");
            assert!(taken.iter().all(|(_, pairs)| pairs.len() == 2));
            seen.extend(taken.into_iter().map(|(name, _)| name));
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 10);
        assert!(sweep.is_over(began + second * 12));
    }

    #[tokio::test]
    async fn a_sweep_takes_as_long_as_it_may() {
        let pairs: Vec<Pair> = (0..20).map(pair).collect();
        let began = Instant::now();
        let mut sweep = Sweep::new(Duration::from_mins(10));
        sweep.begin(&pairs, began);
        assert_eq!(sweep.take(began).len(), 1);
        assert_eq!(sweep.take(began + Duration::from_secs(59)).len(), 0);
        assert_eq!(sweep.take(began + Duration::from_mins(1)).len(), 1);
        // Nobody looked for an hour.
        assert_eq!(sweep.take(began + Duration::from_hours(1)).len(), MOST);
        assert_eq!(sweep.take(began + Duration::from_secs(3_601)).len(), 1);
        sweep.was_done(began + Duration::from_secs(3_602));
        assert!(!sweep.is_over(began + Duration::from_secs(3_603)));
        assert!(sweep.is_over(began + Duration::from_secs(4_300)));
    }
}
