use std::sync::atomic::{AtomicU32, Ordering};

use axum::routing::{get, post};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;

use super::*;

/// Long enough for a busy machine.
const SOON: Duration = Duration::from_secs(10);

const SECOND: Duration = Duration::from_secs(1);

fn connections(most: usize) -> Arc<Connections> {
    Arc::new(Connections::new(most))
}

fn is_evicted(place: &Place) -> bool {
    futures_util::FutureExt::now_or_never(place.evicted()).is_some()
}

#[test]
fn the_one_unused_for_longest_gives_way() {
    let (connections, start) = (connections(3), Instant::now());
    let at = |seconds: u32| start + seconds * SECOND;
    let [old, used, young] = [1, 0, 2].map(|t| Arc::new(connections.admit(at(t)).unwrap()));
    let busy = Place::busy(&used);
    let next = connections.admit(at(3)).unwrap();
    assert!(is_evicted(&old) && !is_evicted(&used) && !is_evicted(&young));
    assert_eq!(connections.count(), 3);
    drop(old);
    assert_eq!(connections.count(), 3, "it was not counted any more");
    let (_busy, next) = (Place::busy(&young), Arc::new(next));
    let last = Place::busy(&next);
    assert!(connections.admit(at(4)).is_none(), "all are in use");
    drop((busy, last));
    assert!(connections.admit(at(5)).is_some());
}

#[test]
fn unused_connections_end_in_time() {
    let (connections, start) = (connections(9), Instant::now());
    let (new, used) = (connections.admit(start).unwrap(), connections.admit(start).unwrap());
    let used = Arc::new(used);
    let (one, two) = (Place::busy(&used), Place::busy(&used));
    connections.sweep(start + 9 * SECOND, 10 * SECOND, 75 * SECOND);
    assert!(!is_evicted(&new));
    connections.sweep(start + 3_600 * SECOND, 10 * SECOND, 75 * SECOND);
    assert!(is_evicted(&new) && !is_evicted(&used));
    drop(one);
    connections.sweep(start + 3_600 * SECOND, 10 * SECOND, 75 * SECOND);
    assert!(!is_evicted(&used), "the other request is under way");
    drop(two);
    connections.sweep(start + 3_600 * SECOND, 10 * SECOND, 75 * SECOND);
    assert!(is_evicted(&used));
}

/// Neither idle callers nor half a head hold the end up.
#[tokio::test]
async fn the_end_waits_for_answers_alone() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let router = Router::new().route("/", get(async || "hello"));
    server(router, 9, &stop).serve(listener, &Supervisor::default(), &tasks);
    let mut idle = TcpStream::connect(address).await.unwrap();
    assert!(asked(&mut idle, "/").await.ends_with("hello"));
    let mut half = TcpStream::connect(address).await.unwrap();
    half.write_all(b"GET / HTTP/1.1\r\nHo").await.unwrap();
    // The half head is there once a later connection is answered.
    let mut later = TcpStream::connect(address).await.unwrap();
    assert!(asked(&mut later, "/").await.ends_with("hello"));
    stop.cancel();
    tasks.close();
    tokio::time::timeout(IDLE / 2, tasks.wait()).await.expect("it ended");
}

fn server(router: Router, most: usize, stop: &CancellationToken) -> Server {
    Server { name: "server", router, most, stop: stop.clone() }
}

/// A listener that fails its callers' tasks at the second connection.
struct Panicking {
    listener: TcpListener,
    accepted: AtomicU32,
}

impl Accepts for Panicking {
    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let accepted = self.listener.accept().await?;
        assert!(self.accepted.fetch_add(1, Ordering::SeqCst) != 1, "the second one");
        Ok(accepted)
    }
}

#[tokio::test]
async fn what_accepts_connections_goes_on_after_a_panic() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, tasks, supervisor) =
        (CancellationToken::new(), TaskTracker::new(), Supervisor::default());
    let router = Router::new().route("/", get(async || "hello"));
    let listener = Panicking { listener, accepted: AtomicU32::new(0) };
    server(router, 9, &stop).serve(listener, &supervisor, &tasks);
    let mut first = TcpStream::connect(address).await.unwrap();
    assert!(asked(&mut first, "/").await.ends_with("hello"));
    let mut second = TcpStream::connect(address).await.unwrap();
    assert_eq!(asked(&mut second, "/").await, "", "it went with the task that took it");
    let mut third = TcpStream::connect(address).await.unwrap();
    assert!(asked(&mut third, "/").await.ends_with("hello"), "on the same socket");
    assert!(asked(&mut first, "/").await.ends_with("hello"), "what was there goes on");
    stop.cancel();
    tasks.close();
    tokio::time::timeout(SOON, tasks.wait()).await.expect("it ended");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

/// A server that keeps so many connections, and its end.
async fn started(router: Router, most: usize) -> (SocketAddr, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    server(router, most, &stop).serve(listener, &Supervisor::default(), &TaskTracker::new());
    (address, stop)
}

async fn asked(stream: &mut TcpStream, path: &str) -> String {
    let head = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 1024];
    let read = tokio::time::timeout(SOON, stream.read(&mut answer)).await;
    let read = read.expect("an answer in time").unwrap_or_default();
    String::from_utf8_lossy(answer.get(..read).unwrap_or_default()).into_owned()
}

#[tokio::test]
async fn idle_connections_keep_nobody_out() {
    let (address, stop) = started(Router::new().route("/", get(async || "hello")), 4).await;
    let mut idle = Vec::new();
    for number in 0..12 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // Some have said nothing, some half a head, some are between requests.
        match number % 3 {
            0 => {}
            1 => stream.write_all(b"GET / HTTP/1.1\r\nHo").await.unwrap(),
            _ => assert!(asked(&mut stream, "/").await.ends_with("hello")),
        }
        idle.push(stream);
    }
    for _ in 0..3 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        assert!(asked(&mut stream, "/").await.ends_with("hello"));
    }
    stop.cancel();
}

/// Half a head is no reason to keep a connection that has to go.
#[tokio::test]
async fn one_that_gives_way_is_closed_at_once() {
    let (address, stop) = started(Router::new().route("/", get(async || "hello")), 1).await;
    let mut half = TcpStream::connect(address).await.unwrap();
    half.write_all(b"GET / HTTP/1.1\r\nHo").await.unwrap();
    let mut other = TcpStream::connect(address).await.unwrap();
    assert!(asked(&mut other, "/").await.ends_with("hello"));
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(SOON, half.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "it was closed");
    stop.cancel();
}

#[tokio::test]
async fn what_is_under_way_is_neither_closed_for_others_nor_by_the_end() {
    let (begun, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (entered, until) = (Arc::clone(&begun), Arc::clone(&finish));
    let slow = async move || {
        entered.notify_one();
        until.notified().await;
        "done"
    };
    let router = Router::new().route("/slow", get(slow)).route("/", get(async || "hello"));
    let (address, stop) = started(router, 2).await;
    let mut busy = TcpStream::connect(address).await.unwrap();
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    tokio::time::timeout(SOON, begun.notified()).await.unwrap();
    for _ in 0..5 {
        let mut other = TcpStream::connect(address).await.unwrap();
        assert!(asked(&mut other, "/").await.ends_with("hello"));
    }
    stop.cancel();
    finish.notify_one();
    let mut answer = String::new();
    tokio::time::timeout(SOON, busy.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.ends_with("done"), "{answer}");
    let refused = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(BREATH).await;
        }
    };
    tokio::time::timeout(SOON, refused).await.unwrap();
}

#[tokio::test]
async fn handlers_learn_who_calls_and_what_was_sent() {
    let echo = async |ConnectInfo(peer): ConnectInfo<SocketAddr>, body: String| {
        format!("{}:{body}", peer.ip())
    };
    let (address, stop) = started(Router::new().route("/", post(echo)), 2).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc";
    stream.write_all(head).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(SOON, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.ends_with("127.0.0.1:abc"), "{answer}");
    stop.cancel();
}
