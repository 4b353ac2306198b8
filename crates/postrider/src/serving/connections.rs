//! Which connections there are, and which of them are in use.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

/// The open connections of one listener.
#[derive(Debug)]
pub(super) struct Connections {
    most: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    last: u64,
    by_number: HashMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    state: State,
    evicted: CancellationToken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No request yet.
    New(Instant),
    /// So many requests are being answered.
    Busy(u32),
    /// Between requests.
    Idle(Instant),
}

impl State {
    /// Since when nothing happens on it.
    fn unused_since(self) -> Option<Instant> {
        match self {
            Self::New(since) | Self::Idle(since) => Some(since),
            Self::Busy(_) => None,
        }
    }
}

impl Connections {
    pub(super) fn new(most: usize) -> Self {
        Self { most, open: Mutex::default() }
    }

    /// Nothing panics while the lock is held.
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more; at the most, the one that was unused for longest gives way. `None`
    /// while all are in use.
    pub(super) fn admit(self: &Arc<Self>, now: Instant) -> Option<Place> {
        let mut open = self.open();
        if open.by_number.len() >= self.most && !open.evict() {
            return None;
        }
        open.last += 1;
        let (number, evicted) = (open.last, CancellationToken::new());
        let entry = Entry { state: State::New(now), evicted: evicted.clone() };
        open.by_number.insert(number, entry);
        Some(Place { connections: Arc::clone(self), number, evicted })
    }

    /// Closes the one that was unused for longest, if any is unused.
    pub(super) fn evict(&self) -> bool {
        self.open().evict()
    }

    /// Closes those that sent no request within `first`, and those that are idle for `idle`.
    pub(super) fn sweep(&self, now: Instant, first: Duration, idle: Duration) {
        let is_over = |entry: &Entry| match entry.state {
            State::New(since) => now.saturating_duration_since(since) >= first,
            State::Idle(since) => now.saturating_duration_since(since) >= idle,
            State::Busy(_) => false,
        };
        self.open().by_number.retain(|_, entry| {
            let over = is_over(entry);
            if over {
                entry.evicted.cancel();
            }
            !over
        });
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.open().by_number.len()
    }

    fn change(&self, number: u64, change: impl FnOnce(State) -> State) {
        if let Some(entry) = self.open().by_number.get_mut(&number) {
            entry.state = change(entry.state);
        }
    }
}

impl Open {
    /// A closed one counts no more: it ends as soon as its task runs.
    fn evict(&mut self) -> bool {
        let unused = self.by_number.iter();
        let unused =
            unused.filter_map(|(number, entry)| Some((entry.state.unused_since()?, *number)));
        let oldest = unused.min().map(|(_, number)| number);
        let closed = oldest.and_then(|number| self.by_number.remove(&number));
        closed.inspect(|entry| entry.evicted.cancel()).is_some()
    }
}

/// One connection among them, until dropped.
#[derive(Debug)]
pub(super) struct Place {
    connections: Arc<Connections>,
    number: u64,
    evicted: CancellationToken,
}

impl Place {
    /// Ends when the connection has to be closed.
    pub(super) fn evicted(&self) -> WaitForCancellationFuture<'_> {
        self.evicted.cancelled()
    }

    /// The connection is in use until what this returns is dropped.
    pub(super) fn busy(place: &Arc<Self>) -> Busy {
        place.connections.change(place.number, |state| match state {
            State::Busy(requests) => State::Busy(requests + 1),
            State::New(_) | State::Idle(_) => State::Busy(1),
        });
        Busy(Arc::clone(place))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.open().by_number.remove(&self.number);
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Busy(Arc<Place>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.connections.change(self.0.number, |state| match state {
            State::Busy(requests) if requests > 1 => State::Busy(requests - 1),
            State::Busy(_) | State::New(_) | State::Idle(_) => State::Idle(Instant::now()),
        });
    }
}
