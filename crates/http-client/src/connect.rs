//! From a URL to a connected stream: proxy or direct, judged addresses, TLS.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use postrider_domain::AddressPolicy;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::outbound::{Outbound, SetupError};
use crate::proxy::{Proxy, ProxyRules};
use crate::reply::{Trouble, chain};
use crate::request::PROXY_CREDENTIALS;
use crate::resolve::{NotResolved, Resolver};
use crate::stream::Stream;

/// After so long without an answer the next address is tried beside (RFC 8305, section 5).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);
/// Of a name's addresses so many are tried.
const ADDRESSES: usize = 8;
/// A proxy's answer to CONNECT is not longer.
const LONGEST_ANSWER: usize = 16 * 1024;

/// Why there is no connection; nothing was sent.
#[derive(Debug)]
pub(crate) enum NotConnected {
    Blocked(String),
    Local(Trouble),
    Failed(String),
    TimedOut,
}

impl From<NotResolved> for NotConnected {
    fn from(error: NotResolved) -> Self {
        match error {
            NotResolved::Local(trouble) => Self::Local(trouble),
            NotResolved::Failed(what) => Self::Failed(what),
            NotResolved::TimedOut => Self::TimedOut,
        }
    }
}

/// Opens connections.
pub(crate) struct Connector {
    resolver: Resolver,
    addresses: AddressPolicy,
    proxies: ProxyRules,
    tls: TlsConnector,
    /// For proxies that are themselves spoken to over TLS; HTTP/1.1 alone.
    proxy_tls: TlsConnector,
}

impl Connector {
    pub(crate) fn new(
        outbound: &Outbound,
        addresses: AddressPolicy,
        resolver: Resolver,
    ) -> Result<Self, SetupError> {
        let tls = outbound.tls()?;
        let mut proxy_tls = tls.clone();
        proxy_tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            resolver,
            addresses,
            proxies: outbound.proxies().clone(),
            tls: TlsConnector::from(Arc::new(tls)),
            proxy_tls: TlsConnector::from(Arc::new(proxy_tls)),
        })
    }

    /// Judges a URL before anything else is done for it: resolvers never see addresses, and a
    /// proxy would go where it is told to. The proxy that leads to it, if one does.
    pub(crate) fn route(&self, url: &Url) -> Result<Option<&Arc<Proxy>>, NotConnected> {
        let proxy = self.proxies.route(url);
        let judged = match proxy {
            Some(_) => self.addresses.check_proxied(url),
            None => self.addresses.check_url(url),
        };
        judged.map_err(|blocked| NotConnected::Blocked(blocked.to_string()))?;
        Ok(proxy)
    }

    /// Connects to where the URL leads. The caller bounds the time; the deadline is for knowing
    /// whether it was the resolver that took it.
    pub(crate) async fn connect(
        &self,
        url: &Url,
        proxy: Option<&Proxy>,
        deadline: Instant,
    ) -> Result<Stream, NotConnected> {
        let host =
            url.host().ok_or_else(|| NotConnected::Failed("the URL names no host".into()))?;
        let port = url.port_or_known_default().unwrap_or_default();
        let is_tls = url.scheme() == "https";
        let Some(proxy) = proxy else {
            let addresses = self.judged(&host, deadline).await?;
            let tcp = dial(&addresses, port).await?;
            return if is_tls { self.secure(tcp, &host).await } else { Ok(Stream::Plain(tcp)) };
        };
        let proxy_host = proxy.host().ok_or_else(|| failed_at_proxy("its URL names no host"))?;
        // Where the proxy is, the operator says: its address is not judged.
        let addresses = self.all_addresses(&proxy_host, deadline).await?;
        let mut tcp = dial(&addresses, proxy.port()).await?;
        let authority = format!("{host}:{port}");
        match (proxy.is_tls(), is_tls) {
            (false, false) => Ok(Stream::Plain(tcp)),
            (false, true) => {
                tunnel(&mut tcp, &authority, proxy).await?;
                self.secure(tcp, &host).await
            }
            (true, false) => {
                handshake(&self.proxy_tls, tcp, &proxy_host).await.map(|s| Stream::Tls(Box::new(s)))
            }
            (true, true) => {
                let mut outer = handshake(&self.proxy_tls, tcp, &proxy_host).await?;
                tunnel(&mut outer, &authority, proxy).await?;
                let inner = handshake(&self.tls, outer, &host).await?;
                Ok(Stream::TlsInTls(Box::new(inner)))
            }
        }
    }

    async fn secure(&self, tcp: TcpStream, host: &Host<&str>) -> Result<Stream, NotConnected> {
        handshake(&self.tls, tcp, host).await.map(|stream| Stream::Tls(Box::new(stream)))
    }

    /// The addresses of a target that may be connected to, so that the address judged is the
    /// address connected to.
    async fn judged(
        &self,
        host: &Host<&str>,
        deadline: Instant,
    ) -> Result<Vec<IpAddr>, NotConnected> {
        let mut refusal = None;
        let mut allowed = self.all_addresses(host, deadline).await?;
        allowed.retain(|address| match self.addresses.check(*address) {
            Ok(()) => true,
            Err(blocked) => {
                refusal = Some(blocked);
                false
            }
        });
        match refusal {
            Some(blocked) if allowed.is_empty() => Err(NotConnected::Blocked(blocked.to_string())),
            Some(_) | None => Ok(allowed),
        }
    }

    async fn all_addresses(
        &self,
        host: &Host<&str>,
        deadline: Instant,
    ) -> Result<Vec<IpAddr>, NotConnected> {
        match host {
            Host::Ipv4(ip) => Ok(vec![IpAddr::V4(*ip)]),
            Host::Ipv6(ip) => Ok(vec![IpAddr::V6(*ip)]),
            Host::Domain(name) => Ok(self.resolver.resolve(name, deadline).await?.to_vec()),
        }
    }
}

fn failed_at_proxy(what: &str) -> NotConnected {
    NotConnected::Failed(format!("the proxy could not be used: {what}"))
}

/// The first address that answers, each begun a little after the one before (RFC 8305).
async fn dial(addresses: &[IpAddr], port: u16) -> Result<TcpStream, NotConnected> {
    let mut left = by_turns(addresses).into_iter().take(ADDRESSES);
    let mut attempts = FuturesUnordered::new();
    let mut failure = NotConnected::Failed("the name has no addresses".to_owned());
    loop {
        if let Some(address) = left.next() {
            let peer = SocketAddr::new(address, port);
            attempts.push(async move { (peer, TcpStream::connect(peer).await) });
        } else if attempts.is_empty() {
            return Err(failure);
        }
        let is_last = left.len() == 0;
        let next = Instant::now() + NEXT_ADDRESS_AFTER;
        tokio::select! {
            Some((peer, connected)) = attempts.next() => match connected {
                Ok(stream) => {
                    // A request is written at once and whole; delaying it would gain nothing.
                    if let Err(error) = stream.set_nodelay(true) {
                        return Err(not_connected(&error, peer));
                    }
                    return Ok(stream);
                }
                Err(error) => failure = worse(failure, not_connected(&error, peer)),
            },
            () = sleep_until(next), if !is_last => {}
        }
    }
}

fn not_connected(error: &io::Error, peer: SocketAddr) -> NotConnected {
    match Trouble::of_socket(error, peer) {
        Some(trouble) => NotConnected::Local(trouble),
        None => NotConnected::Failed(format!("{peer}: {error}")),
    }
}

/// What this machine lacks says more than what one address said: without it, another might have
/// answered.
fn worse(one: NotConnected, other: NotConnected) -> NotConnected {
    if matches!(one, NotConnected::Local(_)) { one } else { other }
}

/// Families by turns, the first one's first, so that one that does not work costs one wait.
fn by_turns(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let Some(first) = addresses.first() else { return Vec::new() };
    let (one, other): (Vec<IpAddr>, Vec<IpAddr>) =
        addresses.iter().partition(|address| address.is_ipv4() == first.is_ipv4());
    let mut turns = Vec::with_capacity(addresses.len());
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    loop {
        let before = turns.len();
        turns.extend(one.next());
        turns.extend(other.next());
        if turns.len() == before {
            return turns;
        }
    }
}

async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    tls: &TlsConnector,
    stream: S,
    host: &Host<&str>,
) -> Result<tokio_rustls::client::TlsStream<S>, NotConnected> {
    let name = match host {
        Host::Ipv4(ip) => ServerName::from(IpAddr::V4(*ip)),
        Host::Ipv6(ip) => ServerName::from(IpAddr::V6(*ip)),
        Host::Domain(name) => ServerName::try_from((*name).to_owned())
            .map_err(|error| NotConnected::Failed(format!("TLS: {error}")))?,
    };
    let connected = tls.connect(name, stream).await;
    connected.map_err(|error| NotConnected::Failed(format!("TLS: {}", chain(&error))))
}

/// Asks a proxy to pass everything on to the target (RFC 9110, section 9.3.6).
async fn tunnel<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    authority: &str,
    proxy: &Proxy,
) -> Result<(), NotConnected> {
    let broken = |error: io::Error| failed_at_proxy(&error.to_string());
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
    if let Some(authorization) = proxy.authorization() {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(authorization.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    stream.write_all(&request).await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= LONGEST_ANSWER {
            return Err(failed_at_proxy("its answer to CONNECT is too long"));
        }
        // Byte by byte, so that nothing of the tunnel is taken; it happens once a connection.
        answer.push(stream.read_u8().await.map_err(broken)?);
    }
    match connect_status(&answer) {
        Some(200..=299) => Ok(()),
        Some(407) => Err(NotConnected::Failed(PROXY_CREDENTIALS.to_owned())),
        Some(status) => Err(failed_at_proxy(&format!("it answered CONNECT with {status}"))),
        None => Err(failed_at_proxy("its answer to CONNECT is no HTTP")),
    }
}

fn connect_status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\r').next()?;
    let (version, rest) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    let status = rest.get(..3).filter(|_| version.starts_with("HTTP/1."))?;
    status.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_tried_by_turns() {
        let addresses = |texts: &[&str]| -> Vec<IpAddr> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        for (given, expected) in [
            (&[][..], &[][..]),
            (&["::1", "::2", "1.1.1.1"], &["::1", "1.1.1.1", "::2"]),
            (&["1.1.1.1", "::1", "::2", "::3"], &["1.1.1.1", "::1", "::2", "::3"]),
            (&["1.1.1.1", "1.1.1.2"], &["1.1.1.1", "1.1.1.2"]),
        ] {
            assert_eq!(by_turns(&addresses(given)), addresses(expected));
        }
    }

    #[test]
    fn what_a_proxy_answers() {
        for (answer, status) in [
            ("HTTP/1.1 200 Connection established\r\n\r\n", Some(200)),
            ("HTTP/1.0 407 x\r\nProxy-Authenticate: Basic\r\n\r\n", Some(407)),
            ("HTTP/1.1 200\r\n\r\n", Some(200)),
            ("SSH-2.0 200\r\n\r\n", None),
            ("\r\n\r\n", None),
        ] {
            assert_eq!(connect_status(answer.as_bytes()), status, "{answer:?}");
        }
    }
}
