//! What the intake needs to know.

use std::time::Duration;

use ipnet::IpNet;
use postrider_domain::{HostWhitelist, LaneRules, RetryPolicy};
use postrider_store::MasterKey;
use url::Url;

use crate::Tokens;

/// Settings of the role `ingest`.
#[derive(Debug, Clone)]
pub struct IngestConfig {
    /// Where links point; `None`: where the request went.
    pub base_url: Option<Url>,
    /// Reverse proxies whose `X-Forwarded-Proto` and `X-Forwarded-Host` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Who may do what; without any token everybody may do everything.
    pub tokens: Tokens,
    /// Schemes that a webhook's URL may have, in any case.
    pub scheme_whitelist: Vec<String>,
    /// Methods that a webhook may use, in any case.
    pub method_whitelist: Vec<String>,
    /// Hosts that a webhook's URL may name; empty allows all.
    pub host_whitelist: HostWhitelist,
    /// Which lane a webhook belongs to, and its limits.
    pub lane_rules: LaneRules,
    /// When failed attempts are made again, to tell how many are left.
    pub retry: RetryPolicy,
    /// Names inline credentials in lane names without telling them.
    pub master_key: MasterKey,
    /// Deliveries that may wait unclaimed while the queue is away; beyond, intake answers 503.
    pub max_unpublished: u32,
    /// How long the body of a request may take to arrive, and the answer to be made.
    pub request_timeout: Duration,
    /// How long a test of a webhook may wait to be sent.
    pub execute_wait: Duration,
    /// How long the request of a webhook may take.
    pub webhook_timeout: Duration,
}

impl IngestConfig {
    /// 1,000,000 deliveries.
    pub const MAX_UNPUBLISHED: u32 = 1_000_000;
    /// 30 s.
    pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
}
