//! What a client needs to know about its broker.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use http::HeaderValue;
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use crate::error::{BrokerError, root_cause};

/// Where a broker is and how to call it.
#[derive(Debug, Clone)]
pub struct BrokerConfig {
    /// Its address, http or https, with or without a path below which it is mounted. Without
    /// user info.
    pub base_url: Url,
    /// How to prove who calls.
    pub auth: BrokerAuth,
    /// Time for one request, from connecting to the end of the answer. Default 30 s: the matrix
    /// of a busy pair takes a broker seconds.
    pub timeout: Duration,
    /// `User-Agent`. Default `postrider/<version>`.
    pub user_agent: String,
    /// PEM bundles that are trusted beside the system's roots.
    pub certificates: Vec<Vec<u8>>,
    /// Proxy for all requests, a URL that may hold user info; a loopback broker is called
    /// directly.
    pub proxy: Option<SecretString>,
    /// Hosts that are called directly, as in `NO_PROXY`.
    pub no_proxy: Option<String>,
}

impl BrokerConfig {
    /// The defaults for a broker at this address.
    pub fn new(base_url: Url) -> Self {
        Self {
            base_url,
            auth: BrokerAuth::None,
            timeout: Duration::from_secs(30),
            user_agent: concat!("postrider/", env!("CARGO_PKG_VERSION")).to_owned(),
            certificates: Vec::new(),
            proxy: None,
            no_proxy: None,
        }
    }

    /// The HTTP client that these settings describe.
    pub(crate) fn http(&self) -> Result<reqwest::Client, BrokerError> {
        let mut builder = reqwest::Client::builder()
            .user_agent(self.user_agent.as_str())
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(self.timeout)
            .timeout(self.timeout);
        if let Some(proxy) = self.proxy.as_ref().filter(|_| !is_loopback(&self.base_url)) {
            builder = builder.proxy(self.proxied(proxy.expose_secret())?);
        }
        builder
            .tls_certs_merge(self.roots()?)
            .build()
            .map_err(|error| setup(format!("no HTTP client could be made: {}", root_cause(&error))))
    }

    fn proxied(&self, proxy: &str) -> Result<reqwest::Proxy, BrokerError> {
        let proxy = reqwest::Proxy::all(proxy)
            .map_err(|error| setup(format!("the proxy is no URL: {}", error.without_url())))?;
        Ok(proxy.no_proxy(self.no_proxy.as_deref().and_then(reqwest::NoProxy::from_string)))
    }

    fn roots(&self) -> Result<Vec<reqwest::Certificate>, BrokerError> {
        let mut roots = Vec::new();
        for bundle in &self.certificates {
            match reqwest::Certificate::from_pem_bundle(bundle) {
                Ok(read) if !read.is_empty() => roots.extend(read),
                Ok(_) => return Err(setup("a certificate file holds no PEM certificate")),
                Err(error) => return Err(setup(format!("a certificate file is not PEM: {error}"))),
            }
        }
        Ok(roots)
    }
}

/// How to prove who calls.
#[derive(Clone, Default)]
pub enum BrokerAuth {
    /// An open broker.
    #[default]
    None,
    /// PactFlow, or a broker behind something that takes tokens.
    Bearer(SecretString),
    /// Pact Broker's basic auth.
    Basic {
        /// User name.
        username: String,
        /// Password.
        password: SecretString,
    },
}

impl fmt::Debug for BrokerAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Bearer(_) => "Bearer(*****)",
            Self::Basic { .. } => "Basic(*****)",
        })
    }
}

impl BrokerAuth {
    /// The `Authorization` header, marked as sensitive.
    pub(crate) fn header(
        &self,
        http: &reqwest::Client,
    ) -> Result<Option<HeaderValue>, BrokerError> {
        // Any URL will do: reqwest builds the header, base64 included.
        let request = http.get("http://broker.invalid/");
        let request = match self {
            Self::None => return Ok(None),
            Self::Bearer(token) => request.bearer_auth(token.expose_secret()),
            Self::Basic { username, password } => {
                request.basic_auth(username, Some(password.expose_secret()))
            }
        };
        let request = request.build().map_err(|_| {
            setup("the broker's token can't be sent in a header: it holds line breaks or the like")
        })?;
        Ok(request.headers().get(http::header::AUTHORIZATION).cloned())
    }
}

/// Refuses an address that can't be one.
pub(crate) fn checked(base: Url) -> Result<Url, BrokerError> {
    if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
        return Err(setup("the broker's base URL is no http or https URL"));
    }
    if !base.username().is_empty() || base.password().is_some() {
        return Err(setup(
            "the broker's base URL holds a user name or password: give them as credentials of \
             their own",
        ));
    }
    Ok(base)
}

/// Whether a URL names this machine, to which no proxy leads.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

pub(crate) fn setup(what: impl Into<String>) -> BrokerError {
    BrokerError::Setup { what: what.into() }
}
