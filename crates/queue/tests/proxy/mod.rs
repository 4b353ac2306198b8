//! A line to RabbitMQ that can be cut, refused, or made to swallow everything.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

/// What the line does.
#[derive(Clone, Copy)]
struct Mode {
    refuse: bool,
    swallow: bool,
    /// Lines opened before this one are cut.
    cuts: u64,
}

/// The line. It ends with the test.
pub(crate) struct Proxy {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
}

impl Proxy {
    /// Listens on a free port and carries to the RabbitMQ of the tests.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mode = watch::Sender::new(Mode { refuse: false, swallow: false, cuts: 0 });
        let tracker = TaskTracker::new();
        tracker.spawn(accept(listener, mode.subscribe(), tracker.clone()));
        Self { address, mode }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts every line that is open.
    pub(crate) fn cut(&self) {
        self.mode.send_modify(|mode| mode.cuts += 1);
    }

    /// Whether new lines are cut at once, and open ones too.
    pub(crate) fn refuse(&self, refuse: bool) {
        self.mode.send_modify(|mode| mode.refuse = refuse);
        self.cut();
    }

    /// Whether bytes vanish while the line looks open.
    pub(crate) fn swallow(&self, swallow: bool) {
        self.mode.send_modify(|mode| mode.swallow = swallow);
    }
}

async fn accept(listener: TcpListener, mode: watch::Receiver<Mode>, tracker: TaskTracker) {
    let broker = super::kit::broker_address();
    while let Ok((client, _)) = listener.accept().await {
        if mode.borrow().refuse {
            continue;
        }
        let server = TcpStream::connect(&broker).await.unwrap();
        tracker.spawn(carry(Arc::new(mode.clone()), client, server));
    }
}

async fn carry(mode: Arc<watch::Receiver<Mode>>, client: TcpStream, server: TcpStream) {
    let cuts = mode.borrow().cuts;
    let mut cut = (*mode).clone();
    let (client_in, client_out) = client.into_split();
    let (server_in, server_out) = server.into_split();
    tokio::select! {
        () = one_way(&mode, client_in, server_out) => {}
        () = one_way(&mode, server_in, client_out) => {}
        _ = cut.wait_for(|mode| mode.cuts != cuts) => {}
    }
}

async fn one_way(mode: &watch::Receiver<Mode>, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if !mode.borrow().swallow && to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
