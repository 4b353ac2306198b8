//! What a client needs to know about its broker.

use std::fmt;
use std::time::Duration;

use http::HeaderValue;
use postrider_domain::is_loopback;
use postrider_http_client::{CallerOptions, Outbound};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::error::BrokerError;

/// Where a broker is and how to call it.
#[derive(Debug, Clone)]
pub struct BrokerConfig {
    /// Its address, http or https, with or without a path below which it is mounted. Without
    /// user info.
    pub base_url: Url,
    /// How to prove who calls.
    pub auth: BrokerAuth,
    /// Where that was given, for messages that it is refused; no secret.
    pub auth_from: Option<String>,
    /// Time for one request, from connecting to the end of the answer. Default 30 s: the matrix
    /// of a busy pair takes a broker seconds.
    pub timeout: Duration,
    /// `User-Agent`. Default `postrider/<version>`.
    pub user_agent: String,
    /// Certificates and proxies; a loopback broker is called directly.
    pub outbound: Outbound,
}

impl BrokerConfig {
    /// The defaults for a broker at this address.
    pub fn new(base_url: Url) -> Self {
        Self {
            base_url,
            auth: BrokerAuth::None,
            auth_from: None,
            timeout: Duration::from_secs(30),
            user_agent: concat!("postrider/", env!("CARGO_PKG_VERSION")).to_owned(),
            outbound: Outbound::default(),
        }
    }

    /// The HTTP client that these settings describe.
    pub(crate) fn http(&self) -> Result<reqwest::Client, BrokerError> {
        let options = CallerOptions {
            user_agent: &self.user_agent,
            connect: self.timeout,
            total: self.timeout,
            direct: is_loopback(&self.base_url),
        };
        self.outbound.caller(options).map_err(|error| setup(error.to_string()))
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

pub(crate) fn setup(what: impl Into<String>) -> BrokerError {
    BrokerError::Setup { what: what.into() }
}
