//! An open loop: events at fixed instants, whether or not earlier ones were answered. Latency is
//! counted from the instant at which an event was due, so that a sender that is held up hides
//! nothing (no coordinated omission).

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Sender;

/// Calls under way at most; a subject that falls so far behind has failed.
const UNDER_WAY: usize = 4_096;

/// When which event is due.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    /// Number of the first event.
    pub(crate) first: u32,
    pub(crate) count: u32,
    pub(crate) begin: Instant,
    /// Between two events.
    pub(crate) every: Duration,
}

impl Schedule {
    /// `rate` events a second for `seconds`, from in a moment.
    pub(crate) fn new(first: u32, rate: u32, seconds: u32) -> Self {
        let every = Duration::from_secs(1) / rate.max(1);
        let begin = Instant::now() + Duration::from_millis(50);
        Self { first, count: rate * seconds, begin, every }
    }

    /// When this event is due, if it is one of these.
    pub(crate) fn due(&self, number: u32) -> Option<Instant> {
        let nth = number.checked_sub(self.first).filter(|nth| *nth < self.count)?;
        Some(self.begin + self.every * nth)
    }

    /// Sends all events in time; returns when all are answered.
    pub(crate) async fn send(self, sender: &Sender) -> Result<()> {
        let (due, mut ticks) = mpsc::channel(UNDER_WAY);
        // A thread of its own: the runtime's timers are a millisecond wide.
        let clock =
            thread::Builder::new().name("clock".to_owned()).spawn(move || self.tick(&due))?;
        let mut calls = JoinSet::new();
        while let Some(number) = ticks.recv().await {
            let sender = sender.clone();
            calls.spawn(async move { sender.call(number, 1).await });
            while let Some(ended) = calls.try_join_next() {
                ended??;
            }
            anyhow::ensure!(calls.len() < UNDER_WAY, "{UNDER_WAY} calls are not answered");
        }
        while let Some(ended) = calls.join_next().await {
            ended??;
        }
        drop(clock.join());
        Ok(())
    }

    fn tick(&self, due: &mpsc::Sender<u32>) {
        for number in self.first..self.first + self.count {
            let Some(at) = self.due(number) else { return };
            let mut left = at.saturating_duration_since(Instant::now());
            while !left.is_zero() {
                thread::park_timeout(left);
                left = at.saturating_duration_since(Instant::now());
            }
            if due.blocking_send(number).is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_due_at_even_distances() {
        let schedule = Schedule::new(10, 4, 2);
        assert_eq!(schedule.count, 8);
        let at = |number| schedule.due(number).map(|at| at - schedule.begin);
        assert_eq!(at(10), Some(Duration::ZERO));
        assert_eq!(at(17), Some(Duration::from_millis(1_750)));
        assert_eq!((at(9), at(18)), (None, None));
    }
}
