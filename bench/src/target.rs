//! Where deliveries go: an HTTP server in this process that reads the request, answers 204 and
//! remembers which delivery came when. Postrider and the bare pipeline get the same one.

use std::collections::HashSet;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Collected, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Where the bare pipeline puts the delivery's id; postrider's is in the body.
pub(crate) const ID_HEADER: &str = "x-delivery-id";
const ID_FIELD: &[u8] = br#""delivery_id":""#;
const NUMBER_FIELD: &[u8] = br#""consumer_version_number":"1.0."#;

/// How it answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Answers {
    /// How long it thinks.
    pub(crate) delay: Duration,
    /// Each so-many-th event is answered 503 the first time; 0 for none.
    pub(crate) fail_every: u32,
}

/// One request that was accepted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    /// The event's number.
    pub(crate) number: u32,
    /// The delivery's id.
    pub(crate) id: u128,
    pub(crate) at: Instant,
}

/// The running server; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Target {
    address: SocketAddr,
    shared: Arc<Shared>,
    _server: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Shared {
    accepted: AtomicU64,
    answers: Mutex<Answers>,
    journal: Mutex<Journal>,
}

#[derive(Debug, Default)]
struct Journal {
    arrivals: Vec<Arrival>,
    /// Deliveries that were refused once.
    refused: HashSet<u128>,
    /// Requests in which no delivery could be recognised.
    strange: u64,
}

impl Target {
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::<Shared>::default();
        let mut server = JoinSet::new();
        server.spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, _server: server })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Forgets everything, and answers like this from now on.
    pub(crate) fn reset(&self, answers: Answers) {
        *lock(&self.shared.answers) = answers;
        *lock(&self.shared.journal) = Journal::default();
        self.shared.accepted.store(0, Ordering::Relaxed);
    }

    /// Requests accepted since the last reset.
    pub(crate) fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// Takes what came since the last reset.
    ///
    /// # Errors
    /// Requests came that are no deliveries of ours.
    pub(crate) fn arrivals(&self) -> Result<Vec<Arrival>> {
        let journal = std::mem::take(&mut *lock(&self.shared.journal));
        ensure!(journal.strange == 0, "{} strange requests", journal.strange);
        Ok(journal.arrivals)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(serve(stream, Arc::clone(&shared)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    stream.set_nodelay(true).ok();
    let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    // A client that went away is no fault of ours.
    connection.await.ok();
}

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let at = Instant::now();
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    let answers = *lock(&shared.answers);
    if !answers.delay.is_zero() {
        tokio::time::sleep(answers.delay).await;
    }
    let status = shared.take(answers, &head.headers, &body, at);
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    Ok(response)
}

impl Shared {
    fn take(&self, answers: Answers, head: &HeaderMap, body: &[u8], at: Instant) -> StatusCode {
        let mut journal = lock(&self.journal);
        let (Some(id), Some(number)) = (id_of(head, body), number_of(body)) else {
            journal.strange += 1;
            return StatusCode::BAD_REQUEST;
        };
        let fails = answers.fail_every > 0 && number % answers.fail_every == 0;
        if fails && journal.refused.insert(id) {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        journal.arrivals.push(Arrival { number, id, at });
        self.accepted.fetch_add(1, Ordering::Relaxed);
        StatusCode::NO_CONTENT
    }
}

fn id_of(head: &HeaderMap, body: &[u8]) -> Option<u128> {
    let text = match head.get(ID_HEADER) {
        Some(value) => value.as_bytes(),
        None => after(body, ID_FIELD)?.get(..36)?,
    };
    uuid::Uuid::try_parse_ascii(text).ok().map(|id| id.as_u128())
}

fn number_of(body: &[u8]) -> Option<u32> {
    let rest = after(body, NUMBER_FIELD)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}

/// What follows the first `needle`.
fn after<'a>(text: &'a [u8], needle: &[u8]) -> Option<&'a [u8]> {
    let at = text.windows(needle.len()).position(|window| window == needle)?;
    text.get(at + needle.len()..)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01a2015a-c264-7448-919d-de3ed0dadebb";

    #[test]
    fn a_delivery_is_recognised_by_header_or_body() {
        let body = format!(r#"{{"consumer_version_number":"1.0.42","delivery_id":"{ID}"}}"#);
        let id = ID.parse::<uuid::Uuid>().unwrap().as_u128();
        assert_eq!(id_of(&HeaderMap::new(), body.as_bytes()), Some(id));
        assert_eq!(number_of(body.as_bytes()), Some(42));
        let mut head = HeaderMap::new();
        head.insert(ID_HEADER, ID.parse().unwrap());
        assert_eq!(id_of(&head, b"{}"), Some(id));
        assert_eq!((id_of(&HeaderMap::new(), b"{}"), number_of(b"{}")), (None, None));
    }

    #[test]
    fn the_first_try_of_each_tenth_event_fails() {
        let shared = Shared::default();
        let answers = Answers { fail_every: 10, ..Answers::default() };
        let take = |number: u32, id: u128| {
            let id = uuid::Uuid::from_u128(id);
            let body =
                format!(r#"{{"consumer_version_number":"1.0.{number}","delivery_id":"{id}"}}"#);
            shared.take(answers, &HeaderMap::new(), body.as_bytes(), Instant::now()).as_u16()
        };
        assert_eq!([take(20, 1), take(20, 1), take(21, 2)], [503, 204, 204]);
        assert_eq!(shared.accepted.load(Ordering::Relaxed), 2);
    }
}
