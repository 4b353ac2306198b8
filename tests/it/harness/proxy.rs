//! A line between a process and a service that can be cut, refused, slowed, or made to swallow
//! everything while it looks open.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

#[derive(Clone, Copy, Debug, Default)]
struct Line {
    refuse: bool,
    swallow: bool,
    delay: Option<Duration>,
    /// Connections opened before this cut are closed.
    cuts: u64,
}

/// The line. It ends when dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    line: watch::Sender<Line>,
    _stop: DropGuard,
}

impl Proxy {
    /// Listens on a free port and carries to `target`.
    pub(crate) async fn start(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let line = watch::Sender::new(Line::default());
        let stop = CancellationToken::new();
        let tracker = TaskTracker::new();
        let accepting = accept(listener, target, line.subscribe(), tracker.clone());
        tracker.spawn(stop.clone().run_until_cancelled_owned(accepting));
        Ok(Self { address, line, _stop: stop.drop_guard() })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes all connections and takes no new ones.
    pub(crate) fn cut(&self) {
        self.line.send_modify(|line| {
            line.refuse = true;
            line.cuts += 1;
        });
    }

    /// Connections look open, nothing comes through; new ones are accepted and stay silent.
    pub(crate) fn half_open(&self) {
        self.line.send_modify(|line| line.swallow = true);
    }

    /// Each piece of data arrives this much later.
    pub(crate) fn delay(&self, delay: Duration) {
        self.line.send_modify(|line| line.delay = Some(delay));
    }

    /// As at the start. Connections that lost bytes are closed.
    pub(crate) fn restore(&self) {
        self.line.send_modify(|line| {
            *line = Line { cuts: line.cuts + u64::from(line.swallow), ..Line::default() };
        });
    }
}

async fn accept(
    listener: TcpListener,
    target: SocketAddr,
    line: watch::Receiver<Line>,
    tracker: TaskTracker,
) {
    while let Ok((client, _)) = listener.accept().await {
        if !line.borrow().refuse {
            tracker.spawn(carry(line.clone(), client, target));
        }
    }
}

async fn carry(line: watch::Receiver<Line>, client: TcpStream, target: SocketAddr) {
    let cuts = line.borrow().cuts;
    let mut cut = line.clone();
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    if client.set_nodelay(true).and(server.set_nodelay(true)).is_err() {
        return;
    }
    let (client_in, client_out) = client.into_split();
    let (server_in, server_out) = server.into_split();
    tokio::select! {
        () = one_way(&line, client_in, server_out) => {}
        () = one_way(&line, server_in, client_out) => {}
        _ = cut.wait_for(|line| line.cuts != cuts) => {}
    }
}

async fn one_way(line: &watch::Receiver<Line>, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let Line { swallow, delay, .. } = *line.borrow();
        if let Some(delay) = delay {
            tokio::time::sleep(delay).await;
        }
        if !swallow && to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
