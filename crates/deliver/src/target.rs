//! The HTTP client: which addresses it may connect to, and how an answer is read.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderMap, StatusCode};
use postrider_domain::AddressPolicy;
use postrider_render::RenderedRequest;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use tokio::time::Instant;
use url::{Host, Url};

use crate::WorkerConfig;

/// Of an answer's body this much is read, so that the connection can be used again.
const BODY_READ_MAX: usize = 64 * 1024;

/// What came back.
#[derive(Debug)]
pub(crate) enum Reply {
    /// An answer, its body cut at 64 KiB.
    Answered {
        /// Status.
        status: StatusCode,
        /// Headers.
        headers: HeaderMap,
        /// First 64 KiB of the body.
        body: Bytes,
    },
    /// No answer in time.
    TimedOut {
        /// Whether the request may have left.
        sent: bool,
    },
    /// No connection.
    ConnectFailed(String),
    /// The connection broke after the request may have left.
    Broken(String),
    /// The address policy forbids what the name resolves to.
    Blocked(String),
}

/// The address policy refused an address.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refused(String);

/// Sends requests and nothing else: no redirects, no retries, no cookies.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    addresses: AddressPolicy,
    proxied: bool,
    timeout: Duration,
}

/// The client could not be made from its settings.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A certificate does not read as PEM.
    #[error("POSTRIDER_WEBHOOK_CERTIFICATES: bundle {0} is not PEM: {1}")]
    Certificate(usize, String),
    /// The proxy's URL is not understood.
    #[error("HTTPS_PROXY is not a URL: {0}")]
    Proxy(String),
    /// TLS could not be set up.
    #[error("the HTTP client could not be made: {0}")]
    Build(String),
}

impl Client {
    pub(crate) fn new(config: &WorkerConfig) -> Result<Self, ClientError> {
        let mut builder = reqwest::Client::builder()
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(config.timeout)
            .pool_idle_timeout(Duration::from_mins(1))
            .tcp_nodelay(true)
            .dns_resolver(Arc::new(GuardedResolver { policy: config.addresses.clone() }));
        if let Some(proxy) = &config.proxy {
            builder = builder.proxy(proxy_of(proxy, config.no_proxy.as_deref())?);
        }
        builder = builder.tls_certs_merge(certificates(&config.certificates)?);
        let http = builder.build().map_err(|error| ClientError::Build(chain(&error)))?;
        Ok(Self {
            http,
            addresses: config.addresses.clone(),
            proxied: config.proxy.is_some(),
            timeout: config.timeout,
        })
    }

    /// Makes one attempt, which includes following one 307 or 308 to the same origin: GitHub
    /// answers a write to a renamed repository with 307 (GitHub docs: redirects). All of it
    /// happens within one time-out.
    pub(crate) async fn send(&self, request: &RenderedRequest) -> Reply {
        let deadline = Instant::now() + self.timeout;
        let first = self.exchange(request, &request.url, deadline).await;
        match same_origin_redirect(&first, &request.url) {
            Some(location) => self.exchange(request, &location, deadline).await,
            None => first,
        }
    }

    async fn exchange(&self, request: &RenderedRequest, url: &Url, deadline: Instant) -> Reply {
        if let Err(refused) = self.check_literal(url) {
            return Reply::Blocked(refused);
        }
        let mut builder =
            self.http.request(request.method.clone(), url.clone()).headers(request.headers.clone());
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        match tokio::time::timeout_at(deadline, builder.send()).await {
            Ok(Ok(response)) => read(response, deadline).await,
            Ok(Err(error)) => failed(error),
            Err(_) => Reply::TimedOut { sent: true },
        }
    }

    /// The resolver sees names only, so an address in the URL is judged here.
    fn check_literal(&self, url: &Url) -> Result<(), String> {
        if self.proxied {
            return Ok(());
        }
        let address: IpAddr = match url.host() {
            Some(Host::Ipv4(address)) => address.into(),
            Some(Host::Ipv6(address)) => address.into(),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        self.addresses.check(address).map_err(|blocked| blocked.to_string())
    }
}

fn proxy_of(url: &str, bypass: Option<&str>) -> Result<reqwest::Proxy, ClientError> {
    let proxy = reqwest::Proxy::all(url)
        .map_err(|error| ClientError::Proxy(error.without_url().to_string()))?;
    Ok(proxy.no_proxy(bypass.and_then(reqwest::NoProxy::from_string)))
}

fn certificates(bundles: &[Vec<u8>]) -> Result<Vec<reqwest::Certificate>, ClientError> {
    let mut all = Vec::new();
    for (index, bundle) in bundles.iter().enumerate() {
        let wrong = |error: String| ClientError::Certificate(index, error);
        let read = reqwest::Certificate::from_pem_bundle(bundle)
            .map_err(|error| wrong(error.to_string()))?;
        if read.is_empty() {
            return Err(wrong("it holds no certificate".to_owned()));
        }
        all.extend(read);
    }
    Ok(all)
}

async fn read(mut response: reqwest::Response, deadline: Instant) -> Reply {
    let status = response.status();
    let headers = response.headers().clone();
    let mut body = Vec::new();
    // The status is the answer: a body that breaks or drags on does not change its meaning.
    while let Ok(Ok(Some(chunk))) = tokio::time::timeout_at(deadline, response.chunk()).await {
        let room = BODY_READ_MAX.saturating_sub(body.len());
        body.extend_from_slice(chunk.get(..room.min(chunk.len())).unwrap_or_default());
        if body.len() >= BODY_READ_MAX {
            break;
        }
    }
    Reply::Answered { status, headers, body: body.into() }
}

fn failed(error: reqwest::Error) -> Reply {
    let error = error.without_url();
    if let Some(refused) = find_refused(&error) {
        return Reply::Blocked(refused);
    }
    let text = chain(&error);
    if error.is_connect() || error.is_builder() {
        Reply::ConnectFailed(text)
    } else if error.is_timeout() {
        Reply::TimedOut { sent: true }
    } else {
        Reply::Broken(text)
    }
}

fn find_refused(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(refused) = error.downcast_ref::<Refused>() {
            return Some(refused.0.clone());
        }
        next = error.source();
    }
    None
}

/// An error with its causes on one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// Where a 307 or 308 leads, if that is the same scheme, host and port.
fn same_origin_redirect(reply: &Reply, from: &Url) -> Option<Url> {
    let Reply::Answered { status, headers, .. } = reply else {
        return None;
    };
    if !matches!(status.as_u16(), 307 | 308) {
        return None;
    }
    let location = headers.get(LOCATION)?.to_str().ok()?;
    let to = from.join(location).ok()?;
    (to.origin() == from.origin() && to.origin().is_tuple()).then_some(to)
}

/// Resolves names by the system and lets through only what the policy allows, so that the
/// address judged is the address connected to.
struct GuardedResolver {
    policy: AddressPolicy,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.policy.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses = allowed(&policy, found.collect())?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

fn allowed(policy: &AddressPolicy, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Refused> {
    let mut refusal = None;
    let mut allowed = Vec::new();
    for address in found {
        match policy.check(address.ip()) {
            Ok(()) => allowed.push(address),
            Err(blocked) => refusal = Some(Refused(blocked.to_string())),
        }
    }
    match refusal {
        Some(refused) if allowed.is_empty() => Err(refused),
        Some(_) | None => Ok(allowed),
    }
}

#[cfg(test)]
mod tests;
