//! A line to Postgres on which a connection falls silent at a chosen statement: both ends look
//! open, nothing comes through any more, nobody is told.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Asks for encryption, which comes before a connection says what it wants.
const SSL_REQUEST: &[u8] = &80_877_103_u32.to_be_bytes();

/// When the connection falls silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The database never sees the statement.
    Before,
    /// The database runs it and never sees the end of the request.
    Halved,
    /// The database runs it, its answer is lost.
    After,
    /// The answer comes through, and nothing after it.
    Answered,
}

#[derive(Debug, Default)]
struct Plan {
    /// Text of the statement, when, and how often.
    next: Option<(String, Moment, u32)>,
    /// Connections that fell silent so far.
    silenced: u32,
    /// Connections opened before this are silent.
    muted: u64,
    opened: u64,
}

/// The line. It ends when dropped.
#[derive(Debug)]
pub(crate) struct Silence {
    address: SocketAddr,
    plan: Arc<Mutex<Plan>>,
    _stop: DropGuard,
}

impl Silence {
    /// Listens on a free port and carries to `target`.
    pub(crate) async fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let plan = Arc::new(Mutex::new(Plan::default()));
        let stop = CancellationToken::new();
        let tracker = TaskTracker::new();
        let accepting = accept(listener, target, Arc::clone(&plan), tracker.clone(), stop.clone());
        tracker.spawn(stop.clone().run_until_cancelled_owned(accepting));
        Ok(Self { address, plan, _stop: stop.drop_guard() })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next `times` connections on which a statement with this text comes fall silent.
    pub(crate) fn at(&self, text: &str, moment: Moment, times: u32) {
        with(&self.plan, |plan| plan.next = Some((text.to_owned(), moment, times)));
    }

    /// Every connection that is open now falls silent.
    pub(crate) fn all(&self) {
        with(&self.plan, |plan| plan.muted = plan.opened);
    }

    /// How many connections have met their statement.
    pub(crate) fn silenced(&self) -> u32 {
        with(&self.plan, |plan| plan.silenced)
    }
}

fn with<T>(plan: &Mutex<Plan>, work: impl FnOnce(&mut Plan) -> T) -> T {
    work(&mut plan.lock().unwrap_or_else(PoisonError::into_inner))
}

async fn accept(
    listener: TcpListener,
    target: SocketAddr,
    plan: Arc<Mutex<Plan>>,
    tracker: TaskTracker,
    stop: CancellationToken,
) {
    while let Ok((client, _)) = listener.accept().await {
        let Ok(server) = TcpStream::connect(target).await else { continue };
        if client.set_nodelay(true).and(server.set_nodelay(true)).is_err() {
            continue;
        }
        let number = with(&plan, |plan| {
            plan.opened += 1;
            plan.opened
        });
        let line = Line { plan: Arc::clone(&plan), number, fate: Mutex::default() };
        let (client_in, client_out) = client.into_split();
        let (server_in, server_out) = server.into_split();
        let line = Arc::new(line);
        let there = Arc::clone(&line).requests(client_in, server_out, stop.clone());
        let back = line.answers(server_in, client_out, stop.clone());
        tracker.spawn(async move { tokio::join!(there, back) });
    }
}

/// One connection.
struct Line {
    plan: Arc<Mutex<Plan>>,
    number: u64,
    fate: Mutex<Option<Moment>>,
}

impl Line {
    fn fate(&self) -> Option<Moment> {
        let muted = with(&self.plan, |plan| self.number <= plan.muted);
        let met = *self.fate.lock().unwrap_or_else(PoisonError::into_inner);
        met.or(muted.then_some(Moment::Before))
    }

    /// Whether this statement is the one.
    fn meets(&self, statement: &str) {
        let met = with(&self.plan, |plan| {
            let (text, moment, left) = plan.next.as_mut()?;
            if *left == 0 || !statement.contains(text.as_str()) {
                return None;
            }
            *left -= 1;
            plan.silenced += 1;
            Some(*moment)
        });
        if met.is_some() {
            *self.fate.lock().unwrap_or_else(PoisonError::into_inner) = met;
        }
    }

    /// What the client says. A silent side is kept open until the test is over, also when the
    /// client is gone: told of its end, the database would let go of what it locked at once.
    async fn requests(
        self: Arc<Self>,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        stop: CancellationToken,
    ) {
        let mut statements = HashMap::new();
        let mut started = false;
        while let Ok(message) = message(&mut from, started).await {
            if started {
                if let Some(statement) = statement(&message, &mut statements) {
                    self.meets(&statement);
                }
            } else {
                started = message.get(4..8) != Some(SSL_REQUEST);
            }
            let is_end = started && message.first() == Some(&b'S');
            match self.fate() {
                Some(Moment::Before) => stop.cancelled().await,
                Some(Moment::Halved) if is_end => stop.cancelled().await,
                Some(Moment::Halved | Moment::After | Moment::Answered) | None => {}
            }
            if to.write_all(&message).await.is_err() {
                return;
            }
        }
        if self.fate().is_some() {
            stop.cancelled().await;
        }
    }

    /// What the database answers.
    async fn answers(
        self: Arc<Self>,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        stop: CancellationToken,
    ) {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from.read(&mut bytes).await {
            match self.fate() {
                Some(Moment::Before | Moment::Halved | Moment::After) => stop.cancelled().await,
                Some(Moment::Answered) | None => {}
            }
            let piece = &bytes[..count];
            if to.write_all(piece).await.is_err() {
                return;
            }
            // "Ready for query" is the last message of an answer.
            let is_last = piece.ends_with(b"I") || piece.ends_with(b"T");
            if self.fate() == Some(Moment::Answered) && is_last {
                stop.cancelled().await;
            }
        }
    }
}

/// One message of the client; the first ones have no type.
async fn message(from: &mut OwnedReadHalf, typed: bool) -> io::Result<Vec<u8>> {
    let mut message = Vec::new();
    if typed {
        message.push(from.read_u8().await?);
    }
    let length = from.read_u32().await?;
    message.extend(length.to_be_bytes());
    let head = message.len();
    message.resize(head + (length as usize).saturating_sub(4), 0);
    from.read_exact(&mut message[head..]).await?;
    Ok(message)
}

/// The statement that a message runs. What is prepared is remembered by its name.
fn statement(message: &[u8], prepared: &mut HashMap<Vec<u8>, String>) -> Option<String> {
    let mut texts = message.get(5..)?.split(|byte| *byte == 0);
    let (first, second) = (texts.next()?, texts.next());
    match message.first()? {
        b'Q' => Some(String::from_utf8_lossy(first).into_owned()),
        b'P' => {
            prepared.insert(first.to_vec(), String::from_utf8_lossy(second?).into_owned());
            None
        }
        b'B' => prepared.get(second?).cloned(),
        _ => None,
    }
}
