//! What all clients of a process share: trusted certificates and proxies.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::redirect::Policy;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;

use crate::proxy::ProxyRules;
use crate::reply::chain;

/// A client could not be made from its settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// A bundle holds no certificate that can be trusted; they count from 0.
    #[error("POSTRIDER_WEBHOOK_CERTIFICATES: bundle {bundle} {what}")]
    Certificate {
        /// Which one.
        bundle: usize,
        /// What is wrong with it.
        what: String,
    },
    /// TLS could not be set up.
    #[error("TLS could not be set up: {0}")]
    Tls(String),
    /// The client itself could not be made.
    #[error("no HTTP client could be made: {0}")]
    Client(String),
}

/// Certificates and proxies of a process. Clones share what is read once: the system's
/// certificates cost milliseconds.
#[derive(Clone, Default)]
pub struct Outbound(Arc<Shared>);

#[derive(Default)]
struct Shared {
    certificates: Vec<Vec<u8>>,
    proxies: ProxyRules,
    tls: OnceLock<Result<ClientConfig, SetupError>>,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound")
            .field("certificates", &self.0.certificates.len())
            .field("proxies", &self.0.proxies)
            .finish_non_exhaustive()
    }
}

/// What an ordinary client is to do.
#[derive(Debug, Clone, Copy)]
pub struct CallerOptions<'a> {
    /// `User-Agent`.
    pub user_agent: &'a str,
    /// Time to connect.
    pub connect: Duration,
    /// Time for a request, from connecting to the end of the answer.
    pub total: Duration,
    /// Whether everything is called directly, whatever the proxies say.
    pub direct: bool,
}

impl Outbound {
    /// Trusts the certificates of these PEM bundles besides the system's. What is wrong with them
    /// shows when the first client is made.
    pub fn new(certificates: Vec<Vec<u8>>, proxies: ProxyRules) -> Self {
        Self(Arc::new(Shared { certificates, proxies, tls: OnceLock::new() }))
    }

    /// Whether the certificates can be trusted, before the first client is made.
    ///
    /// # Errors
    /// The first bundle that can't.
    pub fn check(&self) -> Result<(), SetupError> {
        self.tls().map(drop)
    }

    /// The proxies.
    pub(crate) fn proxies(&self) -> &ProxyRules {
        &self.0.proxies
    }

    /// TLS that offers HTTP/2 and HTTP/1.1.
    pub(crate) fn tls(&self) -> Result<ClientConfig, SetupError> {
        self.0.tls.get_or_init(|| tls(&self.0.certificates)).clone()
    }

    /// An ordinary client: no redirects, no retries, no cookies. The addresses it connects to are
    /// not judged: it is for places that the operator named.
    pub fn caller(&self, options: CallerOptions<'_>) -> Result<reqwest::Client, SetupError> {
        let mut builder = reqwest::Client::builder()
            .user_agent(options.user_agent)
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(options.connect)
            .timeout(options.total)
            .tls_backend_preconfigured(self.tls()?);
        if !options.direct {
            let shared = Arc::clone(&self.0);
            let proxy = reqwest::Proxy::custom(move |url| shared.proxies.route_url(url));
            builder = builder.proxy(proxy);
        }
        builder.build().map_err(|error| SetupError::Client(chain(&error)))
    }
}

fn tls(bundles: &[Vec<u8>]) -> Result<ClientConfig, SetupError> {
    let fail = |error: rustls::Error| SetupError::Tls(error.to_string());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Verifier::new_with_extra_roots(certificates(bundles)?, Arc::clone(&provider))
        .map_err(fail)?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(fail)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(bundles: &[Vec<u8>]) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    let mut all = Vec::new();
    for (bundle, pem) in bundles.iter().enumerate() {
        let wrong = |what: String| SetupError::Certificate { bundle, what };
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let read = read.map_err(|error| wrong(format!("is not PEM: {error}")))?;
        if read.is_empty() {
            return Err(wrong("holds no certificate".to_owned()));
        }
        for certificate in read {
            let usable = RootCertStore::empty().add(certificate.clone());
            usable.map_err(|error| wrong(format!("can't be trusted: {error}")))?;
            all.push(certificate);
        }
    }
    Ok(all)
}
