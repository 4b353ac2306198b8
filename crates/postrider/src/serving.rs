//! HTTP in: how many connections there are, for how long, and which has to go when there are too
//! many.
//!
//! A connection that nobody uses costs a file and some memory, and anybody who reaches the port
//! can open one. So there is a most, and where it is reached the connection that was unused for
//! longest gives way: idle ones never keep a caller out. Requests themselves are bounded where
//! they are answered.

mod connections;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, Request};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use postrider_telemetry::Supervisor;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use connections::{Busy, Connections, Place};

/// The head of the first request must be there within this time.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// A connection is kept so long for the head of the next request.
const IDLE: Duration = Duration::from_secs(75);
/// An HTTP/2 connection that says nothing is asked this often whether it lives, and closed when
/// it does not answer in time.
const PING_EVERY: Duration = Duration::from_secs(20);
const PONG_WITHIN: Duration = Duration::from_secs(10);
/// Requests at a time on one HTTP/2 connection.
const STREAMS: u32 = 200;
/// How often unused connections are looked at.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// The pause after which a connection is taken in again, when files ran out or all are in use.
const BREATH: Duration = Duration::from_millis(20);
/// How long a connection that has to go may take to say so.
const GOODBYE: Duration = Duration::from_millis(500);
/// Files that a process needs beside its callers' connections: store, queue, targets, and health.
const RESERVED_FILES: u64 = 256;

/// How many connections of callers the process's limit of open files leaves room for; it was raised
/// as far as it may when the process started.
pub(crate) fn room_for_connections(wanted: usize) -> usize {
    use rustix::process::{Resource, getrlimit};
    let current = getrlimit(Resource::Nofile).current;
    let Some(files) = current else { return wanted };
    let room = usize::try_from(files.saturating_sub(RESERVED_FILES).max(files / 2));
    let room = room.unwrap_or(usize::MAX);
    if room < wanted {
        tracing::warn!(files, connections = room, wanted, "connections.fewer_than_set");
    }
    wanted.min(room)
}

/// Where connections come from.
pub(crate) trait Accepts: Send + Sync + 'static {
    /// The next one.
    fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send;
}

impl Accepts for TcpListener {
    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        Self::accept(self).await
    }
}

/// Who answers callers.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    /// For logs.
    pub(crate) name: &'static str,
    pub(crate) router: Router,
    /// Connections at a time.
    pub(crate) most: usize,
    pub(crate) stop: CancellationToken,
}

impl Server {
    /// Answers callers until it is stopped; then what is under way is finished. What accepts
    /// connections starts again after a panic, on the same socket and beside the connections that
    /// are there.
    pub(crate) fn serve(
        self,
        listener: impl Accepts,
        supervisor: &Supervisor,
        tracker: &TaskTracker,
    ) -> JoinHandle<()> {
        let listening = Arc::new(Mutex::new(Some(listener)));
        let (connections, tasks) = (Arc::new(Connections::new(self.most)), TaskTracker::new());
        supervisor.spawn(tracker, self.name, move || {
            let (listening, server) = (Arc::clone(&listening), self.clone());
            let (connections, tasks) = (Arc::clone(&connections), tasks.clone());
            async move {
                let mut listening = listening.lock().await;
                if let Some(listener) = listening.as_ref() {
                    server.accept(listener, &connections, &tasks).await;
                }
                *listening = None;
                connections.sweep(Instant::now(), Duration::ZERO, Duration::ZERO);
                tasks.close();
                tasks.wait().await;
            }
        })
    }

    async fn accept(
        &self,
        listener: &impl Accepts,
        connections: &Arc<Connections>,
        tasks: &TaskTracker,
    ) {
        let mut sweep = tokio::time::interval(SWEEP_EVERY);
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                _ = sweep.tick() => {
                    connections.sweep(Instant::now(), HEAD_WITHIN, IDLE);
                    continue;
                }
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let Some(place) = admitted(connections, &self.stop).await else { return };
                    let (router, stop) = (self.router.clone(), self.stop.clone());
                    tasks.spawn(handle(stream, peer, router, place, stop));
                }
                // The caller is gone again, or there are no files: then one that is unused gives
                // way.
                Err(error) => {
                    tracing::debug!(%error, "connection.not_accepted");
                    connections.evict();
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
    }
}

/// A place for a new connection; waited for while all are in use, which their answers bound.
async fn admitted(connections: &Arc<Connections>, stop: &CancellationToken) -> Option<Place> {
    loop {
        if let Some(place) = connections.admit(Instant::now()) {
            return Some(place);
        }
        stop.run_until_cancelled(tokio::time::sleep(BREATH)).await?;
    }
}

async fn handle(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    place: Place,
    stop: CancellationToken,
) {
    // Answers are small; without this they may wait for an acknowledgement.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "connection.delayed");
    }
    let place = Arc::new(place);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let busy = Place::busy(&place);
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let answered = router.clone().oneshot(request);
        async move {
            let response = answered.await?;
            Ok::<_, Infallible>(response.map(|body| Answered { body, _busy: busy }))
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_WITHIN)
        .max_concurrent_streams(STREAMS);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let must_end = async {
        tokio::select! {
            () = place.evicted() => {}
            () = stop.cancelled() => {}
        }
    };
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = must_end => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                served = connection.as_mut() => served,
                () = gone(&place) => Ok(()),
            }
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "connection.ended");
    }
}

/// Ends a moment after the connection was told to go. One that has half a head would wait for the
/// rest.
async fn gone(place: &Place) {
    place.evicted().await;
    tokio::time::sleep(GOODBYE).await;
}

/// An answer's body; its connection is in use until it was sent.
struct Answered {
    body: Body,
    _busy: Busy,
}

impl HttpBody for Answered {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }
    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;
