//! What a worker needs to know.

use std::time::Duration;

use postrider_domain::{AddressPolicy, HostPatterns, HostWhitelist, RetryPolicy};
use postrider_http_client::{Client, Limits, Outbound, SetupError};
use postrider_store::{ClaimTerms, WorkerId};
use postrider_telemetry::Supervisor;

use postrider_scheduler::Settings;

/// Connections beside those of unlimited lanes: limited lanes' requests, probes, and some that
/// are kept for the next request.
const SPARE_CONNECTIONS: usize = 1_024;

/// Settings of one worker. Every interval is one, so that tests need not wait.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// Connect and total time of one request.
    pub timeout: Duration,
    /// A claim lasts this much, and a second for a paced batch, longer than `timeout`.
    pub claim_margin: Duration,
    /// How long a lane's lease lasts; renewed every `poll`.
    pub lease: Duration,
    /// How often lanes are looked at, renewed and polled; at most a second in earnest (POLL).
    pub poll: Duration,
    /// How often the janitor runs.
    pub janitor: Duration,
    /// How often a held lane is probed.
    pub probe: Duration,
    /// How often GitHub is asked whose a token is, and when it ends.
    pub credentials: Duration,
    /// How long a shutdown waits for requests in flight.
    pub grace: Duration,
    /// Deliveries in flight in this process over all lanes.
    pub concurrency: usize,
    /// When failed attempts are made again.
    pub retry: RetryPolicy,
    /// Hosts whose answers are all read the GitHub way.
    pub github_hosts: HostPatterns,
    /// Status codes that are a success where the target is not a dispatch of GitHub's.
    pub success_codes: Vec<u16>,
    /// URL schemes that may be sent to, lower case.
    pub schemes: Vec<String>,
    /// HTTP methods that may be used, upper case.
    pub methods: Vec<String>,
    /// Hosts that may be sent to; empty means all.
    pub hosts: HostWhitelist,
    /// Addresses that may be connected to.
    pub addresses: AddressPolicy,
    /// Certificates and proxies.
    pub outbound: Outbound,
    /// Names of headers and query parameters, in lower case, that are starred in what is kept of
    /// requests and answers, beside the usual ones.
    pub redact_more: Vec<String>,
    /// `User-Agent` where a webhook does not set one.
    pub user_agent: String,
}

impl WorkerConfig {
    /// The client that these settings describe; `supervisor` learns when it can't go on.
    pub(crate) fn client(&self, supervisor: &Supervisor) -> Result<Client, SetupError> {
        let connections = self.concurrency.saturating_add(SPARE_CONNECTIONS);
        let limits = Limits { connections, ..Limits::default() };
        Client::new(&self.outbound, self.addresses.clone(), limits, supervisor)
    }

    /// How a worker claims: the margin has a second for a paced batch.
    pub(crate) fn terms(&self, worker: WorkerId) -> ClaimTerms {
        ClaimTerms { worker, timeout: self.timeout, margin: self.margin() }
    }

    /// How long a claim lasts whose webhook has no time-out of its own.
    pub(crate) fn claim_length(&self) -> Duration {
        self.timeout + self.margin()
    }

    /// What the scheduler goes by.
    pub(crate) fn scheduler(&self) -> Settings {
        Settings {
            permits: u32::try_from(self.concurrency).unwrap_or(u32::MAX),
            lease: self.lease,
            poll: self.poll,
            claim_margin: self.margin(),
            grace: self.grace,
            generation: 0,
        }
    }

    fn margin(&self) -> Duration {
        self.claim_margin + Duration::from_secs(1)
    }
}
