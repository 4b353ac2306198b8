//! What a worker needs to know.

use std::time::Duration;

use postrider_domain::{AddressPolicy, HostWhitelist, RetryPolicy};

/// Settings of one worker. Every interval is one, so that tests need not wait.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// Connect and total time of one request.
    pub timeout: Duration,
    /// A claim lasts this much longer than `timeout`.
    pub claim_margin: Duration,
    /// How long a lane's lease lasts; renewed every `poll`.
    pub lease: Duration,
    /// How often lanes are looked at, renewed and polled; at most a second in earnest (POLL).
    pub poll: Duration,
    /// How often the janitor runs.
    pub janitor: Duration,
    /// How often a held lane is probed.
    pub probe: Duration,
    /// How long a shutdown waits for requests in flight.
    pub grace: Duration,
    /// Deliveries in flight in this process over all lanes.
    pub concurrency: usize,
    /// When failed attempts are made again.
    pub retry: RetryPolicy,
    /// Status codes that are a success where the target is not GitHub.
    pub success_codes: Vec<u16>,
    /// URL schemes that may be sent to, lower case.
    pub schemes: Vec<String>,
    /// HTTP methods that may be used, upper case.
    pub methods: Vec<String>,
    /// Hosts that may be sent to; empty means all.
    pub hosts: HostWhitelist,
    /// Addresses that may be connected to.
    pub addresses: AddressPolicy,
    /// PEM bundles of certificates trusted besides the system's.
    pub certificates: Vec<Vec<u8>>,
    /// Proxy for https targets; the address policy then judges the proxy's address only.
    pub proxy: Option<String>,
    /// Hosts that bypass the proxy, as in `NO_PROXY`.
    pub no_proxy: Option<String>,
    /// `User-Agent` where a webhook does not set one.
    pub user_agent: String,
}

impl WorkerConfig {
    /// How long a claim lasts: time-out, margin, and a second for a paced batch.
    pub(crate) fn claim_length(&self) -> Duration {
        self.timeout + self.claim_margin + Duration::from_secs(1)
    }
}
