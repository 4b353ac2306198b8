//! Every setting: its meaning and type.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use postrider_domain::{AddressPolicy, FreshnessRules, HostWhitelist, LaneRules, RetryPolicy};
use postrider_ingest::Tokens;
use postrider_store::MasterKey;
use postrider_telemetry::LogFormat;
use postrider_telemetry::spans::Sampling;
use postrider_telemetry::step::CrashAt;
use secrecy::SecretString;
use url::Url;

use super::alerts::AlertSettings;
use super::brokers::BrokerSettings;
use super::problem::Problems;
use super::reader::{Reader, Shown, Sources};
use super::{client, sections};

/// How the program runs.
#[derive(Debug, Clone)]
pub(crate) enum Mode {
    /// A file and no queue: one process.
    Embedded {
        /// Holds `postrider.db`, `master.key` and the lock file.
        data_dir: PathBuf,
    },
    /// Postgres and RabbitMQ: any number of processes.
    Distributed {
        /// Postgres.
        database_url: SecretString,
        /// RabbitMQ.
        amqp_url: SecretString,
    },
}

/// All settings of the roles.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Embedded or distributed.
    pub(crate) mode: Mode,
    /// Where the process listens.
    pub(crate) listen: ListenSettings,
    /// Keys and tokens.
    pub(crate) access: AccessSettings,
    /// What webhooks may do, and how requests are made.
    pub(crate) webhook: WebhookSettings,
    /// Limits of lanes.
    pub(crate) lanes: LaneRules,
    /// How a worker works.
    pub(crate) worker: WorkerSettings,
    /// What the monitor looks for.
    pub(crate) monitor: MonitorSettings,
    /// How the store is used.
    pub(crate) store: StoreSettings,
    /// How RabbitMQ is used.
    pub(crate) queue: QueueSettings,
    /// How brokers' own webhooks are taken.
    pub(crate) relay: RelaySettings,
    /// What is logged.
    pub(crate) log: LogSettings,
    /// Where spans go, if they are exported.
    pub(crate) traces: Option<TraceSettings>,
    /// Where a test lets the process die.
    pub(crate) crash_at: Option<CrashAt>,
    /// Every setting as it is in force, secrets starred.
    pub(crate) effective: Vec<Shown>,
}

/// Where the process listens.
#[derive(Debug, Clone)]
pub(crate) struct ListenSettings {
    /// Intake, broker API, operations API.
    pub(crate) listen: SocketAddr,
    /// Health and metrics, without a token.
    pub(crate) admin: SocketAddr,
    /// Where links point; from the request when not set.
    pub(crate) base_url: Option<Url>,
    /// Reverse proxies whose forwarding headers are believed.
    pub(crate) trusted_proxies: Vec<IpNet>,
}

/// Keys and tokens.
#[derive(Debug, Clone)]
pub(crate) struct AccessSettings {
    /// Seals secrets at rest; always there in distributed mode, else maybe in the data dir.
    pub(crate) master_key: Option<MasterKey>,
    /// Who may do what; everybody everything when empty.
    pub(crate) tokens: Tokens,
}

/// What webhooks may do, and how requests are made.
#[derive(Debug, Clone)]
pub(crate) struct WebhookSettings {
    /// When failed attempts are made again.
    pub(crate) retry: RetryPolicy,
    /// Successes where the target is not GitHub.
    pub(crate) success_codes: Vec<u16>,
    /// In lower case.
    pub(crate) schemes: Vec<String>,
    /// In upper case.
    pub(crate) methods: Vec<String>,
    /// Empty allows all.
    pub(crate) hosts: HostWhitelist,
    /// Which addresses may be connected to.
    pub(crate) addresses: AddressPolicy,
    /// Connecting, and the whole request.
    pub(crate) timeout: Duration,
    /// How long a test of a webhook may wait for its turn.
    pub(crate) execute_wait: Duration,
    /// PEM file or folder of certificates to trust besides the system's.
    pub(crate) certificates: Option<PathBuf>,
    /// Proxy for https targets; may hold a password.
    pub(crate) https_proxy: Option<SecretString>,
    /// Hosts that bypass it.
    pub(crate) no_proxy: Option<String>,
}

/// How a worker works.
#[derive(Debug, Clone)]
pub(crate) struct WorkerSettings {
    /// How often a held lane is probed.
    pub(crate) probe_interval: Duration,
    /// How often lanes are looked at and leases renewed.
    pub(crate) poll_interval: Duration,
    /// How often the janitor runs.
    pub(crate) janitor_interval: Duration,
    /// How long a lane's lease lasts.
    pub(crate) lease: Duration,
    /// A claim lasts this much longer than the time-out.
    pub(crate) claim_margin: Duration,
    /// Deliveries in flight in one process.
    pub(crate) concurrency: usize,
    /// How long a shutdown waits for what is in flight.
    pub(crate) shutdown_grace: Duration,
}

/// What the monitor looks for.
#[derive(Debug, Clone)]
pub(crate) struct MonitorSettings {
    /// How often it looks.
    pub(crate) interval: Duration,
    /// Failures in a row that open an incident.
    pub(crate) sustained_failures: u32,
    /// When a pair is late.
    pub(crate) freshness: FreshnessRules,
    /// Brokers that are asked for verifications.
    pub(crate) brokers: Vec<BrokerSettings>,
    /// How often.
    pub(crate) broker_interval: Duration,
    /// Who is told of incidents.
    pub(crate) alerts: AlertSettings,
    /// How long history is kept.
    pub(crate) retention: Duration,
}

/// How the store is used.
#[derive(Debug, Clone)]
pub(crate) struct StoreSettings {
    /// Connections of one process.
    pub(crate) connections: u32,
    /// When a fresh delivery that nobody took off the road is claimed from the store.
    pub(crate) sweep_after: Duration,
}

/// How RabbitMQ is used.
#[derive(Debug, Clone)]
pub(crate) struct QueueSettings {
    /// Queues that deliveries are spread over.
    pub(crate) queues: u16,
    /// Messages held unacknowledged by one process.
    pub(crate) prefetch: u16,
    /// Deliveries that may wait for RabbitMQ to come back before intake answers 503.
    pub(crate) max_unpublished: u32,
}

/// How brokers' own webhooks are taken.
#[derive(Debug, Clone)]
pub(crate) struct RelaySettings {
    /// A call that could not be answered with 200 by then is answered with 503.
    pub(crate) answer_within: Duration,
}

/// What is logged.
#[derive(Debug, Clone)]
pub(crate) struct LogSettings {
    /// One line of JSON, or text for people.
    pub(crate) format: LogFormat,
    /// In the syntax of `RUST_LOG`.
    pub(crate) filter: String,
}

impl LogSettings {
    /// What is logged without `RUST_LOG`. That spans can't be exported is told by ourselves, once.
    pub(crate) const FILTER: &str = "info,lapin=warn,sqlx=warn,hyper=warn,h2=warn,rustls=warn,\
                                     opentelemetry_sdk=off,opentelemetry-otlp=off";
}

/// Where spans go.
#[derive(Debug, Clone)]
pub(crate) struct TraceSettings {
    /// The collector's address for traces.
    pub(crate) endpoint: String,
    /// Headers of each export.
    pub(crate) headers: Vec<(String, SecretString)>,
    /// For one export.
    pub(crate) timeout: Duration,
    /// Which traces are recorded.
    pub(crate) sampling: Sampling,
    /// Spans that may wait.
    pub(crate) queue: usize,
    /// Spans of one export.
    pub(crate) batch: usize,
    /// How long spans gather.
    pub(crate) delay: Duration,
    /// What is said of the process, later entries over earlier ones.
    pub(crate) resource: Vec<(String, String)>,
}

impl Settings {
    /// Reads all settings; a pure function of what it is given.
    pub(crate) fn resolve(sources: &Sources<'_>) -> Result<Self, Problems> {
        let mut reader = Reader::new(*sources);
        let settings = sections::read(&mut reader);
        let client = client::read(&mut reader);
        reader.refuse_unknown();
        match (settings, client) {
            (Ok(mut settings), Ok(_)) if reader.problems.is_empty() => {
                settings.effective = reader.shown;
                Ok(settings)
            }
            _ => Err(Problems(reader.problems)),
        }
    }
}
