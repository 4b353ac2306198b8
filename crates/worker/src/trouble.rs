//! What this machine lacks, as its heartbeat tells it (`LOCAL_TROUBLE`).

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use postrider_http_client::Trouble;
use tokio::time::Instant;

/// After so long without another sign of it the trouble is over, even if nothing was sent since:
/// twice the longest pause between two tries.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(2);

/// Trouble that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lasting {
    /// What is lacking, as it was met last.
    pub(crate) trouble: Trouble,
    /// For how long.
    pub(crate) lasts: Duration,
}

/// What attempts met.
#[derive(Debug, Default)]
pub(crate) struct Troubles(Mutex<Option<Met>>);

#[derive(Debug, Clone, Copy)]
struct Met {
    trouble: Trouble,
    first: Instant,
    last: Instant,
}

impl Troubles {
    /// A request could not be made.
    pub(crate) fn met(&self, trouble: Trouble) {
        self.met_at(trouble, Instant::now());
    }

    /// A request was made; it began so long ago.
    pub(crate) fn sent(&self, took: Duration) {
        self.sent_at(Instant::now(), took);
    }

    /// What goes on now.
    pub(crate) fn lasting(&self) -> Option<Lasting> {
        self.lasting_at(Instant::now())
    }

    fn met_at(&self, trouble: Trouble, now: Instant) {
        self.with(|met| {
            let first = met.map_or(now, |met| met.first);
            *met = Some(Met { trouble, first, last: now });
        });
    }

    /// What began before the trouble says nothing about it.
    fn sent_at(&self, now: Instant, took: Duration) {
        self.with(|met| {
            if met.is_some_and(|met| now.saturating_duration_since(met.last) > took) {
                *met = None;
            }
        });
    }

    fn lasting_at(&self, now: Instant) -> Option<Lasting> {
        self.with(|met| {
            *met = met.filter(|met| now.saturating_duration_since(met.last) < FORGOTTEN_AFTER);
            met.map(|met| Lasting {
                trouble: met.trouble,
                lasts: now.saturating_duration_since(met.first),
            })
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Option<Met>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_lasts_from_the_first_sign_to_a_request_that_began_after_the_last() {
        let troubles = Troubles::default();
        let start = Instant::now();
        assert_eq!(troubles.lasting_at(start), None);
        troubles.met_at(Trouble::FileDescriptors, start);
        troubles.met_at(Trouble::Ports, start + 3 * SECOND);
        let now = start + 4 * SECOND;
        let lasting = Lasting { trouble: Trouble::Ports, lasts: 4 * SECOND };
        troubles.sent_at(now, 2 * SECOND);
        assert_eq!(troubles.lasting_at(now), Some(lasting), "that began before");
        troubles.sent_at(now, SECOND / 2);
        assert_eq!(troubles.lasting_at(now), None);
    }

    #[test]
    fn it_is_forgotten_when_nothing_is_heard_of_it() {
        let troubles = Troubles::default();
        let start = Instant::now();
        troubles.met_at(Trouble::Memory, start);
        assert!(troubles.lasting_at(start + FORGOTTEN_AFTER - SECOND).is_some());
        assert_eq!(troubles.lasting_at(start + FORGOTTEN_AFTER), None);
        troubles.met_at(Trouble::Memory, start + FORGOTTEN_AFTER);
        let lasting = troubles.lasting_at(start + FORGOTTEN_AFTER + SECOND).unwrap();
        assert_eq!(lasting.lasts, SECOND, "it begins anew");
    }
}
