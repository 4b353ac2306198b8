//! Reading every setting: its name, default and bounds.

use std::path::PathBuf;
use std::time::Duration;

use postrider_domain::{AddressPolicy, HostPatterns, LaneRules, Rate};
use postrider_ingest::Tokens;
use postrider_store::MasterKey;
use postrider_telemetry::LogFormat;
use postrider_telemetry::step::CrashAt;
use secrecy::SecretString;

use super::reader::{Key, Reader, Reported};
use super::settings::{
    AccessSettings, ListenSettings, LogSettings, Mode, MonitorSettings, QueueSettings,
    RelaySettings, Settings, StoreSettings, WebhookSettings, WorkerSettings,
};
use super::value::{Raw, Show, Wrong};
use super::{alerts, brokers, freshness, lanes, parse, traces};

/// Where intake and APIs listen unless told otherwise.
pub(crate) const DEFAULT_LISTEN: &str = "127.0.0.1:9393";
pub(crate) const LISTEN: Key = Key::plain("LISTEN");
/// Where health and metrics are unless told otherwise.
pub(crate) const DEFAULT_ADMIN_LISTEN: &str = "127.0.0.1:9394";
pub(crate) const ADMIN_LISTEN: Key = Key::plain("ADMIN_LISTEN");

const DATABASE_URL: Key =
    Key { ending: "DATABASE_URL", fallbacks: &["DATABASE_URL"], show: Show::UrlStars };
const AMQP_URL: Key = Key { ending: "AMQP_URL", fallbacks: &["AMQP_URL"], show: Show::UrlStars };
const MASTER_KEY: Key = Key { ending: "MASTER_KEY", fallbacks: &[], show: Show::Stars };
const API_TOKENS: Key = Key { ending: "API_TOKENS", fallbacks: &[], show: Show::Stars };
const LANE_RATE: Key = Key::plain("LANE_RATE");
const LANE_BURST: Key = Key::plain("LANE_BURST");
const LANE_CONCURRENCY: Key = Key::plain("LANE_CONCURRENCY");

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Reads the settings of the roles; an error when any is wrong, which the reader then knows.
pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Settings, Reported> {
    let mode = mode(reader);
    let listen = listen(reader);
    let access = access(reader);
    if let (Ok(mode), Ok(access)) = (&mode, &access) {
        require_master_key(reader, mode, access);
    }
    if let (Ok(listen), Ok(access)) = (&listen, &access) {
        refuse_open_door(reader, listen, access);
    }
    let webhook = webhook(reader);
    let lanes = lane_rules(reader);
    let worker = worker(reader);
    let monitor = monitor(reader);
    let store = store(reader);
    let queue = queue(reader);
    let relay = relay(reader);
    let log = log(reader);
    let traces = traces::read(reader);
    let crash_at = reader.optional(Key::plain("CRASH_AT"), crash_at);
    Ok(Settings {
        mode: mode?,
        listen: listen?,
        access: access?,
        webhook: webhook?,
        lanes: lanes?,
        worker: worker?,
        monitor: monitor?,
        store: store?,
        queue: queue?,
        relay: relay?,
        log: log?,
        traces: traces?,
        crash_at: crash_at?,
        effective: Vec::new(),
    })
}

fn mode(reader: &mut Reader<'_>) -> Result<Mode, Reported> {
    let postgres = parse::secret_url(&["postgres", "postgresql"], "postgres://user@host/postrider");
    let amqp = parse::secret_url(&["amqp", "amqps"], "amqp://user:password@host:5672");
    let database_url = reader.optional(DATABASE_URL, postgres);
    let amqp_url = reader.optional(AMQP_URL, amqp);
    let data_dir = reader.get(Key::plain("DATA_DIR"), "./postrider-data", path);
    match (database_url?, amqp_url?) {
        (None, None) => Ok(Mode::Embedded { data_dir: data_dir? }),
        (Some(database_url), Some(amqp_url)) => Ok(Mode::Distributed { database_url, amqp_url }),
        (Some(_), None) => one_alone(reader, AMQP_URL, DATABASE_URL, "amqp://user:password@host"),
        (None, Some(_)) => {
            one_alone(reader, DATABASE_URL, AMQP_URL, "postgres://user@host/postrider")
        }
    }
}

fn one_alone(
    reader: &mut Reader<'_>,
    missing: Key,
    given: Key,
    example: &str,
) -> Result<Mode, Reported> {
    let (missing_name, given_name) = (missing.variable(), given.variable());
    reader.setting_problem(
        missing,
        &format!("is missing although {given_name} is set: distributed mode needs both"),
        &format!("set {missing_name}, e.g. {example}, or leave both out for embedded mode"),
    );
    Err(Reported)
}

fn listen(reader: &mut Reader<'_>) -> Result<ListenSettings, Reported> {
    let listen = reader.get(LISTEN, DEFAULT_LISTEN, parse::listen);
    let admin = reader.get(ADMIN_LISTEN, DEFAULT_ADMIN_LISTEN, parse::listen);
    let base_url = reader.optional(Key::plain("BASE_URL"), parse::http_url);
    let trusted_proxies = reader.get(Key::plain("TRUSTED_PROXIES"), "", parse::networks);
    Ok(ListenSettings {
        listen: listen?,
        admin: admin?,
        base_url: base_url?,
        trusted_proxies: trusted_proxies?,
    })
}

fn access(reader: &mut Reader<'_>) -> Result<AccessSettings, Reported> {
    let master_key = reader.optional(MASTER_KEY, |raw| {
        let make = "make one with `openssl rand -base64 32`";
        MasterKey::from_base64(&SecretString::from(raw.text()))
            .map_err(|what| Wrong::new(what, make))
    });
    let tokens = reader.optional(API_TOKENS, |raw| {
        let fix = "write role:token pairs with the roles ingest, read and operate";
        Tokens::parse(&SecretString::from(raw.text())).map_err(|what| Wrong::new(what, fix))
    });
    Ok(AccessSettings { master_key: master_key?, tokens: tokens?.unwrap_or_default() })
}

fn require_master_key(reader: &mut Reader<'_>, mode: &Mode, access: &AccessSettings) {
    if matches!(mode, Mode::Distributed { .. }) && access.master_key.is_none() {
        reader.setting_problem(
            MASTER_KEY,
            "is missing: in distributed mode all processes share the key that seals secrets",
            "make one with `openssl rand -base64 32` and give it to every process",
        );
    }
}

fn refuse_open_door(reader: &mut Reader<'_>, listen: &ListenSettings, access: &AccessSettings) {
    if access.tokens.is_empty() && !listen.listen.ip().to_canonical().is_loopback() {
        reader.setting_problem(
            LISTEN,
            "would let everybody in: it is no loopback address and there are no tokens",
            "set POSTRIDER_API_TOKENS, e.g. operate:$(openssl rand -hex 24), or listen on 127.0.0.1",
        );
    }
}

fn webhook(reader: &mut Reader<'_>) -> Result<WebhookSettings, Reported> {
    let retry = reader.get(
        Key::plain("WEBHOOK_RETRY_SCHEDULE"),
        "10 60 120 300 600 1200",
        parse::retry_schedule,
    );
    let success_codes = reader.get(
        Key::plain("WEBHOOK_HTTP_CODE_SUCCESS"),
        "200 201 202 203 204 205 206",
        parse::status_codes,
    );
    let schemes = reader.get(Key::plain("WEBHOOK_SCHEME_WHITELIST"), "https", parse::schemes);
    let methods = reader.get(Key::plain("WEBHOOK_HTTP_METHOD_WHITELIST"), "POST", parse::methods);
    let hosts = reader.get(Key::plain("WEBHOOK_HOST_WHITELIST"), "", parse::host_whitelist);
    let networks = reader.get(Key::plain("WEBHOOK_ALLOW_NETWORKS"), "", parse::networks);
    let timeout =
        reader.get(Key::plain("WEBHOOK_TIMEOUT"), "15s", parse::duration(MILLISECOND, 10 * MINUTE));
    let execute_wait =
        reader.get(Key::plain("EXECUTE_WAIT"), "30s", parse::duration(MILLISECOND, 10 * MINUTE));
    let certificates = reader.optional(Key::plain("WEBHOOK_CERTIFICATES"), path);
    let https_proxy = reader.foreign(&["HTTPS_PROXY", "https_proxy"], None, Show::UrlStars);
    let no_proxy = reader.foreign(&["NO_PROXY", "no_proxy"], None, Show::Plain);
    Ok(WebhookSettings {
        retry: retry?,
        success_codes: success_codes?,
        schemes: schemes?,
        methods: methods?,
        hosts: hosts?,
        addresses: AddressPolicy::new(networks?),
        timeout: timeout?,
        execute_wait: execute_wait?,
        certificates: certificates?,
        https_proxy: https_proxy.map(SecretString::from),
        no_proxy,
    })
}

/// `LANE_RATE` and its like, when set, are the defaults of all lanes, GitHub's too.
fn lane_rules(reader: &mut Reader<'_>) -> Result<LaneRules, Reported> {
    let defaults = LaneRules::default();
    let hosts: Result<HostPatterns, Reported> = reader.get(
        Key::plain("GITHUB_HOSTS"),
        "api.github.com api.*.ghe.com",
        parse::host_patterns,
    );
    let rate: Result<Option<Rate>, Reported> = reader.optional(LANE_RATE, parse::rate);
    reader.describe_default(LANE_RATE, "75/min at GitHub, else unlimited");
    let burst = reader.optional(LANE_BURST, parse::number(1, 10_000));
    reader.describe_default(LANE_BURST, "1");
    let concurrency = reader.optional(LANE_CONCURRENCY, parse::number(1, 10_000));
    reader.describe_default(LANE_CONCURRENCY, "1 at GitHub, else 64");
    let overrides = lanes::read(reader);
    let (rate, burst, concurrency) = (rate?, burst?, concurrency?);
    let set = |mut limits: postrider_domain::LaneLimits| {
        limits.rate = rate.unwrap_or(limits.rate);
        limits.burst = burst.unwrap_or(limits.burst);
        limits.concurrency = concurrency.unwrap_or(limits.concurrency);
        limits
    };
    Ok(LaneRules {
        github_hosts: hosts?,
        github: set(defaults.github),
        other: set(defaults.other),
        overrides,
    })
}

fn worker(reader: &mut Reader<'_>) -> Result<WorkerSettings, Reported> {
    let interval = parse::duration(10 * MILLISECOND, DAY);
    let probe_interval = reader.get(Key::plain("PROBE_INTERVAL"), "60s", &interval);
    let poll_interval = reader.get(Key::plain("POLL_INTERVAL"), "1s", &interval);
    let janitor_interval = reader.get(Key::plain("JANITOR_INTERVAL"), "3s", &interval);
    let lease = reader.get(Key::plain("LEASE"), "10s", &interval);
    let claim_margin = reader.get(Key::plain("CLAIM_MARGIN"), "5s", &interval);
    let concurrency =
        reader.get(Key::plain("WORKER_CONCURRENCY"), "512", parse::number(1_usize, 65_536));
    let grace = parse::duration(Duration::ZERO, HOUR);
    let shutdown_grace = reader.get(Key::plain("SHUTDOWN_GRACE"), "20s", grace);
    Ok(WorkerSettings {
        probe_interval: probe_interval?,
        poll_interval: poll_interval?,
        janitor_interval: janitor_interval?,
        lease: lease?,
        claim_margin: claim_margin?,
        concurrency: concurrency?,
        shutdown_grace: shutdown_grace?,
    })
}

fn monitor(reader: &mut Reader<'_>) -> Result<MonitorSettings, Reported> {
    let interval =
        reader.get(Key::plain("MONITOR_INTERVAL"), "15s", parse::duration(10 * MILLISECOND, DAY));
    let failures = reader.get(Key::plain("SUSTAINED_FAILURES"), "3", parse::number(1, 10_000));
    let retention = reader.get(Key::plain("RETENTION"), "30d", parse::duration(SECOND, 3650 * DAY));
    let freshness = freshness::read(reader);
    let brokers = brokers::read(reader);
    let broker_interval =
        reader.get(Key::plain("BROKER_INTERVAL"), "5m", parse::duration(10 * MILLISECOND, DAY));
    let alerts = alerts::read(reader);
    Ok(MonitorSettings {
        interval: interval?,
        sustained_failures: failures?,
        freshness: freshness?,
        brokers: brokers?,
        broker_interval: broker_interval?,
        alerts: alerts?,
        retention: retention?,
    })
}

fn store(reader: &mut Reader<'_>) -> Result<StoreSettings, Reported> {
    let connections = reader.get(Key::plain("DB_CONNECTIONS"), "10", parse::number(4, 500));
    let sweep_after =
        reader.get(Key::plain("SWEEP_AFTER"), "120s", parse::duration(10 * MILLISECOND, DAY));
    Ok(StoreSettings { connections: connections?, sweep_after: sweep_after? })
}

fn queue(reader: &mut Reader<'_>) -> Result<QueueSettings, Reported> {
    let queues = reader.get(Key::plain("QUEUES"), "2", parse::number(1, 64));
    let prefetch = parse::number(1, postrider_queue::MAX_PREFETCH);
    let prefetch = reader.get(Key::plain("PREFETCH"), "1024", prefetch);
    let max_unpublished =
        reader.get(Key::plain("MAX_UNPUBLISHED"), "1000000", parse::number(0, 100_000_000));
    Ok(QueueSettings { queues: queues?, prefetch: prefetch?, max_unpublished: max_unpublished? })
}

/// A broker gives an answer up after 15 s.
fn relay(reader: &mut Reader<'_>) -> Result<RelaySettings, Reported> {
    let within = parse::duration(10 * MILLISECOND, 14 * SECOND);
    let answer_within = reader.get(Key::plain("RELAY_ANSWER_WITHIN"), "10s", within);
    Ok(RelaySettings { answer_within: answer_within? })
}

fn log(reader: &mut Reader<'_>) -> Result<LogSettings, Reported> {
    let format = reader.get(Key::plain("LOG_FORMAT"), "json", |raw| match raw.text().as_str() {
        "json" => Ok(LogFormat::Json),
        "text" => Ok(LogFormat::Text),
        other => Err(Wrong::new(format!("{other:?} is no log format"), "write json or text")),
    });
    let filter = reader.foreign(&["RUST_LOG"], Some(LogSettings::FILTER), Show::Plain);
    let filter = filter.unwrap_or_default();
    Ok(LogSettings { format: format?, filter })
}

fn path(raw: &Raw) -> Result<PathBuf, Wrong> {
    let text = raw.text();
    if text.is_empty() {
        return Err(Wrong::new("is empty", "write a path"));
    }
    Ok(PathBuf::from(text))
}

fn crash_at(raw: &Raw) -> Result<CrashAt, Wrong> {
    raw.text()
        .parse()
        .map_err(|what: String| Wrong::new(what, "leave it out: it is for crash tests alone"))
}
