//! Which proxy leads to a URL: `HTTPS_PROXY` and its like, read as curl reads them.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use percent_encoding::percent_decode_str;
use url::{Host, Url};

/// curl's default port of a proxy that is spoken to without TLS (curl manual, `--proxy`).
const DEFAULT_PORT: u16 = 1080;
/// And with TLS.
const DEFAULT_TLS_PORT: u16 = 443;

/// The text is no proxy that can be used; holds no credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProxy {
    /// It is no URL.
    #[error("is not a URL: {0}")]
    NotUrl(url::ParseError),
    /// It is of another kind.
    #[error("is a {0} proxy, which is not supported")]
    Scheme(String),
    /// It names no host.
    #[error("names no host")]
    NoHost,
    /// User name or password can't be sent.
    #[error("holds a user name or password that can't be sent")]
    Credentials,
}

/// One proxy.
#[derive(Clone)]
pub struct Proxy {
    /// With the port that is used, and with its user info.
    url: Url,
    is_tls: bool,
    port: u16,
    authorization: Option<HeaderValue>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.host_str().unwrap_or_default();
        write!(f, "Proxy({}://{host}:{})", self.url.scheme(), self.port)
    }
}

impl Proxy {
    /// Reads `[http[s]://][user[:password]@]host[:port]`. As curl does, `http` is meant without
    /// a scheme, and the port is 1080 unless given, 443 for an `https` proxy.
    pub fn parse(text: &str) -> Result<Self, InvalidProxy> {
        let text = text.trim();
        let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let mut url = Url::parse(&full).map_err(InvalidProxy::NotUrl)?;
        let is_tls = match url.scheme() {
            "http" => false,
            "https" => true,
            other => return Err(InvalidProxy::Scheme(other.to_owned())),
        };
        let default = if is_tls { DEFAULT_TLS_PORT } else { DEFAULT_PORT };
        let port = if has_port(&full) { url.port_or_known_default() } else { None };
        let port = port.unwrap_or(default);
        url.set_port(Some(port)).map_err(|()| InvalidProxy::NoHost)?;
        let authorization = authorization(&url)?;
        Ok(Self { url, is_tls, port, authorization })
    }

    /// Whether it is spoken to over TLS.
    pub(crate) fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// Its own host.
    pub(crate) fn host(&self) -> Option<Host<&str>> {
        self.url.host()
    }

    /// Its own port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What proves who asks.
    pub(crate) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }
}

/// A URL does not tell whether its scheme's own port was written out.
fn has_port(text: &str) -> bool {
    let (_, rest) = text.split_once("://").unwrap_or(("", text));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host_and_port = authority.rsplit('@').next().unwrap_or_default();
    host_and_port
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

fn authorization(url: &Url) -> Result<Option<HeaderValue>, InvalidProxy> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let mut pair: Vec<u8> = percent_decode_str(url.username()).collect();
    pair.push(b':');
    pair.extend(percent_decode_str(url.password().unwrap_or_default()));
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair)))
        .map_err(|_| InvalidProxy::Credentials)?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// The proxies of a process, and what they are not used for.
#[derive(Debug, Clone, Default)]
pub struct ProxyRules {
    http: Option<Arc<Proxy>>,
    https: Option<Arc<Proxy>>,
    direct: NoProxy,
}

impl ProxyRules {
    /// `http` and `https` by the scheme of what is asked for, `all` where the scheme has none of
    /// its own; `no_proxy` lists what is reached directly (see [`NoProxy`]).
    pub fn new(
        http: Option<Proxy>,
        https: Option<Proxy>,
        all: Option<Proxy>,
        no_proxy: Option<&str>,
    ) -> Self {
        let all = all.map(Arc::new);
        Self {
            http: http.map(Arc::new).or_else(|| all.clone()),
            https: https.map(Arc::new).or(all),
            direct: no_proxy.map(NoProxy::parse).unwrap_or_default(),
        }
    }

    /// The proxy that leads to a URL; `None` when it is reached directly.
    pub fn route(&self, url: &Url) -> Option<&Arc<Proxy>> {
        let proxy = match url.scheme() {
            "http" => self.http.as_ref(),
            "https" => self.https.as_ref(),
            _ => None,
        }?;
        if self.direct.covers(&url.host()?) { None } else { Some(proxy) }
    }

    /// The same for a client that wants a URL.
    pub(crate) fn route_url(&self, url: &Url) -> Option<Url> {
        self.route(url).map(|proxy| proxy.url.clone())
    }
}

/// `NO_PROXY` as curl reads it since 7.86: names that also cover all names below them, with or
/// without a dot in front; addresses and networks for hosts that are addresses; a lone `*` for
/// everything. Ports and other wildcards mean nothing.
#[derive(Debug, Clone, Default)]
struct NoProxy {
    everything: bool,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    /// In lower case, without a dot at either end; empty covers nothing.
    name: String,
    /// The entry as an address or network, if it is one.
    net: Option<IpNet>,
}

impl NoProxy {
    fn parse(text: &str) -> Self {
        let tokens = text.split([',', ' ', '\t']).filter(|token| !token.is_empty());
        Self { everything: text == "*", entries: tokens.map(Entry::parse).collect() }
    }

    fn covers(&self, host: &Host<&str>) -> bool {
        let address = match host {
            Host::Ipv4(ip) => IpAddr::V4(*ip),
            Host::Ipv6(ip) => IpAddr::V6(*ip),
            Host::Domain(name) => {
                let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
                return self.everything || self.entries.iter().any(|entry| entry.is_above(&name));
            }
        };
        let contains = |entry: &Entry| entry.net.is_some_and(|net| net.contains(&address));
        self.everything || self.entries.iter().any(contains)
    }
}

impl Entry {
    fn parse(token: &str) -> Self {
        let name = token.strip_suffix('.').unwrap_or(token);
        let name = name.strip_prefix('.').unwrap_or(name);
        Self { name: name.to_ascii_lowercase(), net: network(token) }
    }

    fn is_above(&self, name: &str) -> bool {
        let rest = name.strip_suffix(&self.name);
        !self.name.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

/// curl takes a prefix of zero, or one that is no number, for the whole address.
fn network(token: &str) -> Option<IpNet> {
    let (address, prefix) = match token.split_once('/') {
        Some((address, prefix)) => (address, prefix.parse().unwrap_or(0)),
        None => (token, 0),
    };
    match address.parse().ok()? {
        IpAddr::V4(ip) => {
            let prefix = if prefix == 0 { 32 } else { prefix };
            Ipv4Net::new(ip, prefix).ok().map(IpNet::V4)
        }
        IpAddr::V6(ip) => {
            let prefix = if prefix == 0 { 128 } else { prefix };
            Ipv6Net::new(ip, prefix).ok().map(IpNet::V6)
        }
    }
}

#[cfg(test)]
mod tests;
