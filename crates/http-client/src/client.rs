//! The client of deliveries.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::header::LOCATION;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use postrider_domain::AddressPolicy;
use postrider_telemetry::Supervisor;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::{Position, Url};

use crate::connect::{Connector, NotConnected};
use crate::exchange::{Exchanged, over_http1, over_http2};
use crate::outbound::{Outbound, SetupError};
use crate::pool::{Connection, Http1, Http2, Pool};
use crate::proxy::Proxy;
use crate::reply::{Reply, Trouble, chain};
use crate::request::{Prepared, Request};
use crate::resolve::{Lookup, Resolver, system};
use crate::stream::Stream;
use crate::wire::{Watched, Wire};

/// A request that was not sent is sent again so many times.
const SENT_AGAIN: usize = 3;
/// When no file descriptor is left, so many idle connections are closed for a new one.
const IDLE_CLOSED: usize = 8;
/// Headers of an answer beyond this many make it unreadable.
const HEADERS: usize = 256;
/// A head beyond this size makes an answer unreadable.
const HEAD: usize = 256 * 1024;
/// The same for HTTP/2.
const HEADER_LIST: u32 = 256 * 1024;
/// How much of a body an HTTP/2 target may send unasked; more is never read.
const STREAM_WINDOW: u32 = 64 * 1024;
/// And over all streams of a connection.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// A connection with requests under way that says nothing for so long is asked whether it lives,
const PING_AFTER: Duration = Duration::from_secs(10);
/// and closed if it does not answer.
const PONG_WITHIN: Duration = Duration::from_secs(10);

/// Bounds over all requests of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at a time, in use and idle together. A request that needs one more
    /// closes the longest idle one, or waits.
    pub connections: usize,
    /// How long a connection is kept for the next request.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 1_024, idle: Duration::from_mins(1) }
    }
}

/// How long one request may take, redirect included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Within {
    /// Until there is a connection, each time that one is needed.
    pub connect: Duration,
    /// Until the end of the answer.
    pub total: Duration,
}

/// Sends requests and nothing else: no retries but of what was not sent, no cookies.
///
/// A clone uses the same connections. Made and used within a tokio runtime.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    connector: Connector,
    pool: Arc<Pool>,
    tasks: TaskTracker,
    supervisor: Supervisor,
    is_swept: AtomicBool,
    idle: Duration,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.0.pool).finish()
    }
}

/// What is left of the time of a request.
#[derive(Debug, Clone, Copy)]
struct Deadlines {
    /// For each connection that it takes.
    connect: Duration,
    total: Instant,
}

impl Deadlines {
    fn connect(self) -> Instant {
        (Instant::now() + self.connect).min(self.total)
    }
}

impl Client {
    /// Connects to what `addresses` allows. `supervisor` learns when idle connections can't be
    /// closed any more.
    pub fn new(
        outbound: &Outbound,
        addresses: AddressPolicy,
        limits: Limits,
        supervisor: &Supervisor,
    ) -> Result<Self, SetupError> {
        Self::with_lookup(outbound, addresses, limits, supervisor, system())
    }

    pub(crate) fn with_lookup(
        outbound: &Outbound,
        addresses: AddressPolicy,
        limits: Limits,
        supervisor: &Supervisor,
        lookup: Lookup,
    ) -> Result<Self, SetupError> {
        let tasks = TaskTracker::new();
        let resolver = Resolver::new(lookup, tasks.clone());
        Ok(Self(Arc::new(Inner {
            connector: Connector::new(outbound, addresses, resolver)?,
            pool: Arc::new(Pool::new(limits.connections, limits.idle)),
            tasks,
            supervisor: supervisor.clone(),
            is_swept: AtomicBool::new(false),
            idle: limits.idle,
        })))
    }

    /// Sends a request, and follows one 307 or 308 to the same origin: GitHub answers a write to
    /// a renamed repository with 307 (GitHub docs: redirects).
    pub async fn send(&self, request: &Request<'_>, within: Within) -> Reply {
        self.send_until(request, within, &[]).await
    }

    /// As [`send`](Self::send), but an answer of one of the statuses `last` is never followed.
    pub async fn send_until(&self, request: &Request<'_>, within: Within, last: &[u16]) -> Reply {
        let deadlines = Deadlines { connect: within.connect, total: Instant::now() + within.total };
        let first = self.0.follow(request, request.url, deadlines).await;
        match same_origin_redirect(&first, request.url, last) {
            Some(location) => self.0.follow(request, &location, deadlines).await,
            None => first,
        }
    }

    #[cfg(test)]
    pub(crate) fn pool(&self) -> &Pool {
        &self.0.pool
    }
}

impl Inner {
    /// One request to one URL, sent again while it is certain that nothing was done with it.
    async fn follow(&self, request: &Request<'_>, url: &Url, deadlines: Deadlines) -> Reply {
        let proxy = match self.connector.route(url) {
            Ok(proxy) => proxy.map(Arc::as_ref),
            Err(refused) => return not_connected(refused),
        };
        let prepared = match Prepared::new(request, url, proxy) {
            Ok(prepared) => prepared,
            Err(unusable) => return Reply::ConnectFailed(unusable.to_string()),
        };
        let origin =
            format!("{}://{}", url.scheme(), &url[Position::BeforeHost..Position::AfterPort]);
        let mut why = String::new();
        let mut may_reuse = true;
        for _ in 0..=SENT_AGAIN {
            let idle = if may_reuse { self.pool.take(&origin, Instant::now()) } else { None };
            let connection = match idle {
                Some(connection) => connection,
                None => match self.connect(&origin, url, proxy, deadlines.connect()).await {
                    Ok(connection) => connection,
                    Err(failure) => return not_connected(failure),
                },
            };
            // An HTTP/1 connection that was closed while it was idle is likely not the only one.
            may_reuse = matches!(connection, Connection::Http2(_));
            match self.exchange(&origin, connection, &prepared, deadlines.total).await {
                Exchanged::Done(reply) => return prepared.judged(reply),
                Exchanged::NotSent(said) => why = said,
            }
        }
        Reply::ConnectFailed(format!("not taken, {} times: {why}", SENT_AGAIN + 1))
    }

    async fn exchange(
        &self,
        origin: &str,
        connection: Connection,
        prepared: &Prepared<'_>,
        deadline: Instant,
    ) -> Exchanged {
        let unusable = |error: crate::request::UnusableUrl| {
            Exchanged::Done(Reply::ConnectFailed(error.to_string()))
        };
        match connection {
            Connection::Http1(connection) => {
                let request = match prepared.over_http1() {
                    Ok(request) => request,
                    Err(error) => return unusable(error),
                };
                let (exchanged, reusable) = over_http1(connection, request, deadline).await;
                if let Some(connection) = reusable {
                    self.pool.keep(origin, connection, Instant::now());
                }
                exchanged
            }
            Connection::Http2(mut stream) => {
                let request = match prepared.over_http2() {
                    Ok(request) => request,
                    Err(error) => return unusable(error),
                };
                let exchanged = over_http2(&mut stream, request, deadline).await;
                if !stream.is_open() {
                    self.pool.forget_closed(origin);
                }
                exchanged
            }
        }
    }

    async fn connect(
        &self,
        origin: &str,
        url: &Url,
        proxy: Option<&Proxy>,
        deadline: Instant,
    ) -> Result<Connection, NotConnected> {
        self.sweep_from_now_on();
        let connect = async {
            let slot =
                self.pool.slot().await.map_err(|error| NotConnected::Failed(error.to_string()))?;
            let mut stream = self.connector.connect(url, proxy, deadline).await;
            for _ in 0..IDLE_CLOSED {
                let Err(NotConnected::Local(Trouble::FileDescriptors)) = stream else { break };
                if !self.pool.close_oldest_idle() {
                    break;
                }
                // The descriptor is free once the connection's task has ended.
                tokio::task::yield_now().await;
                stream = self.connector.connect(url, proxy, deadline).await;
            }
            let stream = stream?;
            let connection = if stream.is_http2() {
                let connection = self.open_http2(stream, slot).await?;
                Connection::Http2(self.pool.share(origin, connection, Instant::now()))
            } else {
                Connection::Http1(self.open_http1(stream, slot).await?)
            };
            Ok(connection)
        };
        // Boxed: it is rarely needed, and large.
        timeout_at(deadline, Box::pin(connect)).await.unwrap_or(Err(NotConnected::TimedOut))
    }

    async fn open_http1(
        &self,
        stream: Stream,
        slot: crate::pool::Slot,
    ) -> Result<Http1, NotConnected> {
        let wire = Arc::new(Wire::default());
        let watched = TokioIo::new(Watched::new(stream, Arc::clone(&wire)));
        let (sender, driver) = http1::Builder::new()
            .title_case_headers(true)
            .max_headers(HEADERS)
            .max_buf_size(HEAD)
            .max_header_size(HEAD)
            .allow_obsolete_multiline_headers_in_responses(true)
            .allow_spaces_after_header_name_in_responses(true)
            .ignore_invalid_headers_in_responses(true)
            .handshake(watched)
            .await
            .map_err(|error| failed(&error))?;
        let driver = self.tasks.spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(error = chain(&error), "connection.closed");
            }
        });
        Ok(Http1::new(sender, wire, driver.abort_handle(), slot))
    }

    async fn open_http2(
        &self,
        stream: Stream,
        slot: crate::pool::Slot,
    ) -> Result<Http2, NotConnected> {
        let tasks =
            ConnectionTasks { tracker: self.tasks.clone(), token: CancellationToken::new() };
        let (sender, driver) = http2::Builder::new(tasks.clone())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_AFTER)
            .keep_alive_timeout(PONG_WITHIN)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(HEADER_LIST)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failed(&error))?;
        tasks.spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(error = chain(&error), "connection.closed");
            }
        });
        Ok(Http2::new(sender, tasks.token.drop_guard(), slot))
    }

    /// Idle connections are closed in time from the first connection on.
    fn sweep_from_now_on(&self) {
        if !self.is_swept.swap(true, Ordering::AcqRel) {
            let pool = Arc::downgrade(&self.pool);
            let closes = move || pool.upgrade().map(|pool| pool.sweep(Instant::now()));
            sweep(&self.supervisor, &self.tasks, self.idle / 4, closes);
        }
    }
}

/// Closes what is idle, again and again; ends with the client, when `closes` finds nothing any
/// more to close connections of.
fn sweep(
    supervisor: &Supervisor,
    tasks: &TaskTracker,
    every: Duration,
    closes: impl Fn() -> Option<()> + Clone + Send + 'static,
) {
    supervisor.spawn(tasks, "idle connections", move || {
        let closes = closes.clone();
        async move {
            loop {
                sleep(every).await;
                if closes().is_none() {
                    return;
                }
            }
        }
    });
}

/// The tasks of one HTTP/2 connection, which end together.
#[derive(Debug, Clone)]
struct ConnectionTasks {
    tracker: TaskTracker,
    token: CancellationToken,
}

impl ConnectionTasks {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let token = self.token.clone();
        self.tracker.spawn(async move { token.run_until_cancelled(task).await });
    }
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for ConnectionTasks {
    fn execute(&self, task: F) {
        self.spawn(task);
    }
}

fn failed(error: &hyper::Error) -> NotConnected {
    NotConnected::Failed(chain(error))
}

fn not_connected(failure: NotConnected) -> Reply {
    match failure {
        NotConnected::Blocked(why) => Reply::Blocked(why),
        NotConnected::Local(trouble) => Reply::LocalTrouble(trouble),
        NotConnected::Failed(why) => Reply::ConnectFailed(why),
        NotConnected::TimedOut => Reply::TimedOut { sent: false },
    }
}

/// Where a 307 or 308 leads, if that is the same scheme, host and port.
fn same_origin_redirect(reply: &Reply, from: &Url, last: &[u16]) -> Option<Url> {
    let Reply::Answered { status, headers, .. } = reply else {
        return None;
    };
    if !matches!(status.as_u16(), 307 | 308) || last.contains(&status.as_u16()) {
        return None;
    }
    let location = headers.get(LOCATION)?.to_str().ok()?;
    let to = from.join(location).ok()?;
    (to.origin() == from.origin() && to.origin().is_tuple()).then_some(to)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[tokio::test]
    async fn closing_what_is_idle_goes_on_after_a_panic_and_gives_up_after_three() {
        let (supervisor, tasks) = (Supervisor::default(), TaskTracker::new());
        let looks = Arc::new(AtomicU32::new(0));
        let looked = Arc::clone(&looks);
        let once = move || {
            let look = looked.fetch_add(1, Ordering::SeqCst);
            assert!(look > 0, "the first look panics");
            (look < 5).then_some(())
        };
        sweep(&supervisor, &tasks, Duration::from_millis(1), once);
        tasks.close();
        let ended = tokio::time::timeout(Duration::from_secs(20), tasks.wait()).await;
        ended.expect("it ends with its client");
        assert_eq!(looks.load(Ordering::SeqCst), 6);
        let tasks = TaskTracker::new();
        sweep(&supervisor, &tasks, Duration::from_millis(1), || panic!("each look panics"));
        let gave_up = tokio::time::timeout(Duration::from_secs(20), supervisor.gave_up()).await;
        assert_eq!(gave_up.expect("it gives up"), "idle connections");
    }
}
