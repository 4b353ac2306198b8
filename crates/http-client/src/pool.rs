//! Open connections, in use and idle, bounded together.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_util::sync::DropGuard;

use crate::wire::Wire;

/// What is sent.
pub(crate) type Body = Full<Bytes>;

/// Streams that one HTTP/2 connection carries at a time; RFC 9113 recommends that servers allow
/// at least 100.
const STREAMS: usize = 100;

/// An HTTP/1 connection, owned by one exchange at a time. Dropped, it is closed at once.
#[derive(Debug)]
pub(crate) struct Http1 {
    pub(crate) sender: http1::SendRequest<Body>,
    pub(crate) wire: Arc<Wire>,
    _driver: Driver,
    _slot: Slot,
}

impl Http1 {
    pub(crate) fn new(
        sender: http1::SendRequest<Body>,
        wire: Arc<Wire>,
        driver: AbortHandle,
        slot: Slot,
    ) -> Self {
        Self { sender, wire, _driver: Driver(driver), _slot: slot }
    }
}

/// Ends the task that drives a connection, and with it the connection.
#[derive(Debug)]
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An HTTP/2 connection, shared by many exchanges. Closed when the last of them ends after it
/// left the pool.
#[derive(Debug)]
pub(crate) struct Http2 {
    sender: http2::SendRequest<Body>,
    streams: AtomicUsize,
    is_retired: AtomicBool,
    _tasks: DropGuard,
    _slot: Slot,
}

impl Http2 {
    pub(crate) fn new(sender: http2::SendRequest<Body>, tasks: DropGuard, slot: Slot) -> Self {
        Self {
            sender,
            streams: AtomicUsize::new(0),
            is_retired: AtomicBool::new(false),
            _tasks: tasks,
            _slot: slot,
        }
    }

    /// Nothing new is sent over it: the other side said so, or it fell silent.
    fn retire(&self) {
        self.is_retired.store(true, Ordering::Release);
    }

    fn is_open(&self) -> bool {
        !self.is_retired.load(Ordering::Acquire) && !self.sender.is_closed()
    }

    fn has_room(&self) -> bool {
        self.is_open() && self.streams.load(Ordering::Acquire) < STREAMS
    }
}

/// The right to one exchange over an HTTP/2 connection.
#[derive(Debug)]
pub(crate) struct Http2Stream {
    connection: Arc<Http2>,
    pub(crate) sender: http2::SendRequest<Body>,
}

impl Http2Stream {
    fn of(connection: &Arc<Http2>) -> Self {
        connection.streams.fetch_add(1, Ordering::AcqRel);
        Self { connection: Arc::clone(connection), sender: connection.sender.clone() }
    }

    pub(crate) fn retire(&self) {
        self.connection.retire();
    }

    pub(crate) fn is_open(&self) -> bool {
        self.connection.is_open()
    }
}

impl Drop for Http2Stream {
    fn drop(&mut self) {
        self.connection.streams.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A connection to make one exchange over.
#[derive(Debug)]
pub(crate) enum Connection {
    Http1(Http1),
    Http2(Http2Stream),
}

/// The right to have one connection open.
#[derive(Debug)]
pub(crate) struct Slot {
    _permit: OwnedSemaphorePermit,
}

/// The connections of a client.
#[derive(Debug)]
pub(crate) struct Pool {
    idle_for: Duration,
    slots: Arc<Semaphore>,
    /// How many wait for a slot.
    waiting: AtomicUsize,
    origins: Mutex<HashMap<String, Origin>>,
}

/// Connections that can be used, to one scheme, host and port.
#[derive(Debug, Default)]
struct Origin {
    /// The one that was used last is last.
    idle: Vec<Idle>,
    shared: Vec<Shared>,
}

#[derive(Debug)]
struct Idle {
    connection: Http1,
    since: Instant,
}

#[derive(Debug)]
struct Shared {
    connection: Arc<Http2>,
    used_at: Instant,
}

impl Shared {
    fn is_idle(&self) -> bool {
        self.connection.streams.load(Ordering::Acquire) == 0
    }
}

impl Pool {
    pub(crate) fn new(connections: usize, idle_for: Duration) -> Self {
        Self {
            idle_for,
            slots: Arc::new(Semaphore::new(connections)),
            waiting: AtomicUsize::new(0),
            origins: Mutex::default(),
        }
    }

    fn origins(&self) -> MutexGuard<'_, HashMap<String, Origin>> {
        self.origins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection to this origin that is open and free, if there is one.
    pub(crate) fn take(&self, origin: &str, now: Instant) -> Option<Connection> {
        let mut origins = self.origins();
        let origin = origins.get_mut(origin)?;
        if let Some(shared) = origin.shared.iter_mut().find(|it| it.connection.has_room()) {
            shared.used_at = now;
            return Some(Connection::Http2(Http2Stream::of(&shared.connection)));
        }
        while let Some(Idle { connection, since }) = origin.idle.pop() {
            let is_fresh = now.saturating_duration_since(since) < self.idle_for;
            if is_fresh && !connection.sender.is_closed() {
                return Some(Connection::Http1(connection));
            }
        }
        None
    }

    /// Keeps a connection whose exchange is complete; not while somebody waits for a slot.
    pub(crate) fn keep(&self, origin: &str, connection: Http1, now: Instant) {
        if self.waiting.load(Ordering::Acquire) > 0 || connection.sender.is_closed() {
            return;
        }
        let idle = Idle { connection, since: now };
        let mut origins = self.origins();
        match origins.get_mut(origin) {
            Some(known) => known.idle.push(idle),
            None => origins.entry(origin.to_owned()).or_default().idle.push(idle),
        }
    }

    /// Shares a new connection, or joins one that somebody else opened meanwhile.
    pub(crate) fn share(&self, origin: &str, connection: Http2, now: Instant) -> Http2Stream {
        let mut origins = self.origins();
        let shared = &mut origins.entry(origin.to_owned()).or_default().shared;
        shared.retain(|known| known.connection.is_open());
        if let Some(known) = shared.iter_mut().find(|known| known.connection.has_room()) {
            known.used_at = now;
            return Http2Stream::of(&known.connection);
        }
        let connection = Arc::new(connection);
        let stream = Http2Stream::of(&connection);
        shared.push(Shared { connection, used_at: now });
        stream
    }

    /// Lets go of shared connections over which nothing new is sent.
    pub(crate) fn forget_closed(&self, origin: &str) {
        if let Some(origin) = self.origins().get_mut(origin) {
            origin.shared.retain(|known| known.connection.is_open());
        }
    }

    /// Waits for the right to open one more connection; the longest idle one gives way.
    pub(crate) async fn slot(&self) -> Result<Slot, AcquireError> {
        let try_one = || Arc::clone(&self.slots).try_acquire_owned();
        if let Ok(permit) = try_one() {
            return Ok(Slot { _permit: permit });
        }
        // From here on nothing becomes idle unseen.
        let _waiting = Waiting::of(&self.waiting);
        while self.close_oldest_idle() {
            if let Ok(permit) = try_one() {
                return Ok(Slot { _permit: permit });
            }
        }
        Arc::clone(&self.slots).acquire_owned().await.map(|permit| Slot { _permit: permit })
    }

    /// Whether there was one.
    pub(crate) fn close_oldest_idle(&self) -> bool {
        let mut origins = self.origins();
        let oldest = origins
            .iter()
            .filter_map(|(name, origin)| Some((origin.idle_since()?, name)))
            .min_by_key(|(since, _)| *since)
            .map(|(_, name)| name.clone());
        oldest.and_then(|name| origins.get_mut(&name)).is_some_and(Origin::close_oldest_idle)
    }

    /// Closes what was idle for too long and forgets what is closed.
    pub(crate) fn sweep(&self, now: Instant) {
        let is_fresh = |since: Instant| now.saturating_duration_since(since) < self.idle_for;
        self.origins().retain(|_, origin| {
            origin.idle.retain(|it| is_fresh(it.since) && !it.connection.sender.is_closed());
            origin
                .shared
                .retain(|it| it.connection.is_open() && (is_fresh(it.used_at) || !it.is_idle()));
            !origin.idle.is_empty() || !origin.shared.is_empty()
        });
    }

    /// Connections open now, of so many that may be.
    #[cfg(test)]
    pub(crate) fn open(&self, limit: usize) -> usize {
        limit - self.slots.available_permits()
    }

    /// Idle HTTP/1 connections.
    #[cfg(test)]
    pub(crate) fn idle(&self) -> usize {
        self.origins().values().map(|origin| origin.idle.len()).sum()
    }

    /// Those of them that the other side has closed.
    #[cfg(test)]
    pub(crate) fn closed_idle(&self) -> usize {
        let origins = self.origins();
        let idle = origins.values().flat_map(|origin| &origin.idle);
        idle.filter(|it| it.connection.sender.is_closed()).count()
    }
}

impl Origin {
    /// Since when its longest idle connection is idle.
    fn idle_since(&self) -> Option<Instant> {
        let shared = self.shared.iter().filter(|it| it.is_idle()).map(|it| it.used_at);
        self.idle.first().map(|it| it.since).into_iter().chain(shared).min()
    }

    fn close_oldest_idle(&mut self) -> bool {
        let Some(since) = self.idle_since() else { return false };
        if self.idle.first().is_some_and(|it| it.since == since) {
            self.idle.remove(0);
            return true;
        }
        let found = self.shared.iter().position(|it| it.is_idle() && it.used_at == since);
        found.map(|position| self.shared.remove(position)).is_some()
    }
}

/// Counts as waiting until dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn of(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
