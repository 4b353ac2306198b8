//! What the APIs need to know.

use std::collections::BTreeMap;
use std::time::Duration;

use ipnet::IpNet;
use postrider_broker::BrokerConfig;
use postrider_domain::{
    AppTargets, FreshnessRules, HostWhitelist, LaneRules, Pattern, Rate, RetryPolicy,
};
use postrider_http_server::Tokens;
use postrider_store::MasterKey;
use url::Url;

/// Settings of the role `web`.
#[derive(Debug, Clone)]
pub struct WebConfig {
    /// Where links point; `None`: where the request went.
    pub base_url: Option<Url>,
    /// Reverse proxies whose `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host` are
    /// believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Hosts that a process without tokens answers for, beside this machine's and that of
    /// `base_url`; in lower case, without port.
    pub allowed_hosts: Vec<String>,
    /// Names of headers and query parameters, in lower case, that are starred when webhooks and
    /// requests are read, beside the usual ones.
    pub redact_more: Vec<String>,
    /// How often a caller may call the APIs.
    pub api_rate: Rate,
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
    /// Who is expected to own credentials, in lower case; empty: anybody.
    pub machine_users: Vec<Pattern>,
    /// When a pair is late.
    pub freshness: FreshnessRules,
    /// How long a broker's answer counts.
    pub broker_patience: Duration,
    /// Brokers that are asked about single contracts, by their names here.
    pub brokers: BTreeMap<String, BrokerConfig>,
    /// How long a broker, a target and a run may take before it is called broken.
    pub doctor_patience: Duration,
    /// Names inline credentials in lane names without telling them.
    pub master_key: MasterKey,
    /// How long the body of a request may take to arrive, and the answer to be made.
    pub request_timeout: Duration,
    /// How long a test of a webhook may wait to be sent.
    pub execute_wait: Duration,
    /// How long the request of a webhook may take.
    pub webhook_timeout: Duration,
}

impl WebConfig {
    /// Where tokens of GitHub Apps may go.
    pub(crate) fn app_targets(&self) -> AppTargets<'_> {
        AppTargets { github_hosts: &self.lane_rules.github_hosts, schemes: &self.scheme_whitelist }
    }
}
