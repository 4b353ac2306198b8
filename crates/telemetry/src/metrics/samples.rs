//! Figures that come and go, as those who know them hand them over.

use std::collections::BTreeMap;
use std::time::Duration;

/// The state of a lane as the metric shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaneGauge {
    /// Deliveries may go.
    Open,
    /// The target asked for a pause.
    Paused,
    /// Deliveries wait until somebody mends a cause.
    Held,
}

impl LaneGauge {
    pub(super) const ALL: [Self; 3] = [Self::Open, Self::Paused, Self::Held];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Paused => "paused",
            Self::Held => "held",
        }
    }
}

/// One lane at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneSample {
    /// The lane's name.
    pub lane: String,
    /// Its state.
    pub state: LaneGauge,
    /// Why it is held, when it is.
    pub cause: Option<&'static str>,
    /// Deliveries that wait in it.
    pub backlog: u64,
}

/// One webhook at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSample {
    /// The webhook's uuid.
    pub webhook: String,
    /// What it is called.
    pub description: String,
    /// Its lane.
    pub lane: String,
    /// Failures since its last success.
    pub consecutive_failures: u64,
    /// Time of its last success, in seconds since 1970, when there was one.
    pub last_success: Option<i64>,
}

/// When a consumer's pact was last verified by a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationSample {
    /// The consumer's name.
    pub consumer: String,
    /// The provider's name.
    pub provider: String,
    /// Time since its last verification, quiet days left out.
    pub age: Duration,
    /// How old it may get.
    pub max_age: Duration,
}

/// Why a span did not reach the collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanLoss {
    /// Too many spans waited to be exported.
    QueueFull,
    /// The collector was away, too slow or refused them.
    NotExported,
}

impl SpanLoss {
    pub(super) const ALL: [Self; 2] = [Self::QueueFull, Self::NotExported];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::NotExported => "not_exported",
        }
    }
}

/// Connections of one kind of work to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSample {
    /// `hot` for deliveries, `people` for what is asked of what is stored.
    pub pool: &'static str,
    /// Connections that work.
    pub used: u32,
    /// Connections that wait for work.
    pub idle: u32,
}

/// A link to RabbitMQ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum QueueLink {
    /// Of an intake.
    Publisher,
    /// Of a worker.
    Consumer,
}

impl QueueLink {
    /// Its word in metrics and in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Publisher => "publisher",
            Self::Consumer => "consumer",
        }
    }
}

/// What a monitor says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MonitorSample {
    /// Whether it is the one that judges.
    pub active: bool,
    /// Whether today does not count as age.
    pub quiet_day: bool,
}

/// The latest of everything that comes and goes. Each list is replaced as a whole, so that what
/// vanished is no longer shown; what nobody in this process knows is not shown at all.
#[derive(Default)]
pub(super) struct Samples {
    pub(super) oldest_pending_age: Option<Duration>,
    /// By lane.
    pub(super) github_ratelimit_remaining: BTreeMap<String, u64>,
    /// By credential, in seconds since 1970.
    pub(super) credential_expiry: BTreeMap<String, i64>,
    pub(super) verification_ages: Vec<VerificationSample>,
    pub(super) pairs: Vec<(String, u64)>,
    pub(super) queues: Vec<(String, u32)>,
    pub(super) queue_up: BTreeMap<QueueLink, bool>,
    pub(super) lanes: Vec<LaneSample>,
    pub(super) webhooks: Vec<WebhookSample>,
    pub(super) incidents: Vec<(String, u64)>,
    pub(super) pools: Vec<PoolSample>,
    pub(super) oldest_step: Option<Duration>,
    pub(super) claims_in_flight: Option<u64>,
    pub(super) monitor: Option<MonitorSample>,
}
