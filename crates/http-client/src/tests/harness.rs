//! A scripted target, a proxy, names, and clients for them.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, Method, StatusCode};
use postrider_domain::AddressPolicy;
use postrider_telemetry::Supervisor;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use url::Url;

use crate::outbound::Outbound;
use crate::proxy::{Proxy, ProxyRules};
use crate::reply::Reply;
use crate::request::Request;
use crate::resolve::{Lookup, system};
use crate::{Client, Limits, Within};

const CERTIFICATE: &[u8] = include_bytes!("certificate.pem");
const KEY: &[u8] = include_bytes!("key.pem");

/// Networks that tests may reach.
pub(super) const LOOPBACK: &[&str] = &["127.0.0.0/8", "::1/128"];

/// Long enough for anything that is to happen.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until something is so.
pub(super) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}

/// What a target does with a request.
pub(super) enum Act {
    /// Writes this and waits for the next request.
    Answer(Vec<u8>),
    /// Writes this and closes.
    Last(Vec<u8>),
    /// Closes without a word.
    Close,
    /// Says nothing, until the client gives up.
    Silence,
}

/// An answer whose length is said.
pub(super) fn answer(status: u16, body: &str) -> Act {
    let length = body.len();
    Act::Answer(
        format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes(),
    )
}

/// Raw bytes as an answer after which the connection is closed.
pub(super) fn last(bytes: impl Into<Vec<u8>>) -> Act {
    Act::Last(bytes.into())
}

/// What a target saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    requests: Mutex<Vec<String>>,
    opened: AtomicUsize,
    closed: AtomicUsize,
}

impl Seen {
    /// Heads and bodies of all requests, as text.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
    pub(super) fn opened(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }
    pub(super) fn closed(&self) -> usize {
        self.closed.load(Ordering::SeqCst)
    }
}

/// A listener that plays a script; gone with the value.
pub(super) struct Target {
    pub(super) address: SocketAddr,
    pub(super) seen: Arc<Seen>,
    _serving: JoinSet<()>,
}

impl Target {
    /// `play` is asked for each request, counted from 0 over all connections.
    pub(super) async fn start(play: impl Fn(usize) -> Act + Send + Sync + 'static) -> Self {
        let play = Arc::new(play);
        Self::serve(move |stream, seen| {
            let play = Arc::clone(&play);
            async move { http1(stream, &seen, play.as_ref()).await }
        })
        .await
    }

    /// The same over TLS, HTTP/1.1 alone.
    pub(super) async fn start_tls(play: impl Fn(usize) -> Act + Send + Sync + 'static) -> Self {
        let play = Arc::new(play);
        Self::serve(move |stream, seen| {
            let play = Arc::clone(&play);
            async move {
                if let Ok(stream) = acceptor(&[b"http/1.1"]).accept(stream).await {
                    http1(stream, &seen, play.as_ref()).await;
                }
            }
        })
        .await
    }

    /// Anything else: `serve` gets each connection, which counts as closed when it returns.
    pub(super) async fn serve<F, S>(serve: F) -> Self
    where
        F: Fn(TcpStream, Arc<Seen>) -> S + Send + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let noted = Arc::clone(&seen);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                noted.opened.fetch_add(1, Ordering::SeqCst);
                let (seen, serve) = (Arc::clone(&noted), serve(stream, Arc::clone(&noted)));
                connections.spawn(async move {
                    serve.await;
                    seen.closed.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, seen, _serving: serving }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
    pub(super) fn https(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }
}

/// TLS with the tests' certificate.
pub(super) fn acceptor(protocols: &[&[u8]]) -> TlsAcceptor {
    let chain = vec![CertificateDer::from_pem_slice(CERTIFICATE).unwrap()];
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_slice(KEY).unwrap())
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

async fn http1<S>(mut stream: S, seen: &Seen, play: &(dyn Fn(usize) -> Act + Send + Sync))
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(request) = read_request(&mut stream).await {
        let number = {
            let mut requests = seen.requests.lock().unwrap();
            requests.push(request);
            requests.len() - 1
        };
        match play(number) {
            Act::Answer(bytes) => stream.write_all(&bytes).await.unwrap_or_default(),
            Act::Last(bytes) => {
                stream.write_all(&bytes).await.unwrap_or_default();
                stream.shutdown().await.unwrap_or_default();
                return;
            }
            Act::Close => return,
            Act::Silence => drop(stream.read_u8().await),
        }
    }
}

/// One request, its body by its length; `None` at the end of the connection.
pub(super) async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(request).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    Some(head + &String::from_utf8(body).unwrap())
}

/// A proxy that passes CONNECT on to one target, whatever the name, and answers other requests
/// itself.
pub(super) async fn proxy(target: SocketAddr, is_tls: bool) -> Target {
    Target::serve(move |stream, seen| async move {
        if is_tls {
            if let Ok(stream) = acceptor(&[b"http/1.1"]).accept(stream).await {
                pass_on(stream, target, &seen).await;
            }
        } else {
            pass_on(stream, target, &seen).await;
        }
    })
    .await
}

async fn pass_on<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    target: SocketAddr,
    seen: &Seen,
) {
    while let Some(request) = read_request(&mut stream).await {
        let is_connect = request.starts_with("CONNECT ");
        seen.requests.lock().unwrap().push(request);
        if is_connect {
            let mut beyond = TcpStream::connect(target).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
            copy_bidirectional(&mut stream, &mut beyond).await.unwrap_or_default();
            return;
        }
        stream.write_all(b"HTTP/1.1 203 X\r\nContent-Length: 5\r\n\r\nproxy").await.unwrap();
    }
}

/// What a client is made from.
pub(super) struct Setup {
    pub(super) allowed: &'static [&'static str],
    pub(super) http: Option<String>,
    pub(super) https: Option<String>,
    pub(super) no_proxy: Option<&'static str>,
    pub(super) lookup: Lookup,
    pub(super) limits: Limits,
    pub(super) trusted: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            allowed: LOOPBACK,
            http: None,
            https: None,
            no_proxy: None,
            lookup: system(),
            limits: Limits::default(),
            trusted: true,
        }
    }
}

impl Setup {
    pub(super) fn client(self) -> Client {
        let parse = |text: Option<String>| text.map(|text| Proxy::parse(&text).unwrap());
        let proxies = ProxyRules::new(parse(self.http), parse(self.https), None, self.no_proxy);
        let certificates = if self.trusted { vec![CERTIFICATE.to_vec()] } else { Vec::new() };
        let outbound = Outbound::new(certificates, proxies);
        let networks = self.allowed.iter().map(|network| network.parse().unwrap()).collect();
        let addresses = AddressPolicy::new(networks);
        let supervisor = Supervisor::default();
        Client::with_lookup(&outbound, addresses, self.limits, &supervisor, self.lookup).unwrap()
    }
}

/// Names with fixed addresses; others are not known.
pub(super) fn names(known: &[(&str, &[&str])]) -> Lookup {
    let known: HashMap<String, Vec<IpAddr>> = known
        .iter()
        .map(|(name, ips)| ((*name).to_owned(), ips.iter().map(|ip| ip.parse().unwrap()).collect()))
        .collect();
    Arc::new(move |name| {
        let found = known.get(&name).cloned();
        async move {
            let unknown = || Arc::new(std::io::Error::other("Name or service not known"));
            found.map(Arc::from).ok_or_else(unknown)
        }
        .boxed()
    })
}

/// POSTs a small document.
pub(super) async fn post(client: &Client, url: &str) -> Reply {
    post_within(client, url, Duration::from_secs(5)).await
}

pub(super) async fn post_within(client: &Client, url: &str, total: Duration) -> Reply {
    send(client, &Method::POST, url, Some("{\"a\":1}"), Within { connect: total, total }).await
}

pub(super) async fn send(
    client: &Client,
    method: &Method,
    url: &str,
    body: Option<&'static str>,
    within: Within,
) -> Reply {
    let url: Url = url.parse().unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("user-agent", "postrider/test".parse().unwrap());
    headers.insert("content-type", "application/json".parse().unwrap());
    headers.insert("x-request-source", "test".parse().unwrap());
    let body = body.map(Bytes::from);
    let request = Request { method, url: &url, headers: &headers, body };
    timeout(PATIENCE, client.send(&request, within)).await.expect("longer than any deadline")
}

pub(super) fn status(reply: &Reply) -> u16 {
    match reply {
        Reply::Answered { status, .. } => status.as_u16(),
        other => panic!("no answer: {other:?}"),
    }
}

pub(super) fn unreadable(reply: &Reply) -> Option<u16> {
    match reply {
        Reply::Unreadable { status, .. } => status.as_ref().map(StatusCode::as_u16),
        other => panic!("not unreadable: {other:?}"),
    }
}
