//! What the intake needs to know.

use std::time::Duration;

use ipnet::IpNet;
use postrider_broker::BrokerConfig;
use postrider_domain::Rate;
use postrider_http_server::Tokens;
use postrider_store::MasterKey;

/// Settings of the role `ingest`.
#[derive(Debug, Clone)]
pub struct IngestConfig {
    /// Reverse proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How many events a caller may send to `/events`.
    pub intake_rate: Rate,
    /// By which callers are told apart.
    pub tokens: Tokens,
    /// Names tokens in metrics without telling them.
    pub master_key: MasterKey,
    /// Deliveries that may wait unclaimed while the queue is away; beyond, intake answers 503.
    pub max_unpublished: u32,
    /// How long the body of a request may take to arrive.
    pub request_timeout: Duration,
    /// A relayed call is answered with 200 within this time, else with 503. Below the 15 s after
    /// which a broker gives an answer up.
    pub relay_answer_within: Duration,
    /// The brokers whose calls are relayed, by their names here, as far as they may be asked
    /// what they triggered.
    pub brokers: Vec<(String, BrokerConfig)>,
}
