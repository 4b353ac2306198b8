//! From settings to what each component needs to know.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use postrider_broker::BrokerConfig;
use postrider_cli::{Exit, Failure};
use postrider_config::{BrokerSettings, Mode, Settings};
use postrider_http_client::{Outbound, SetupError};
use postrider_http_server::body::REQUEST_TIMEOUT;
use postrider_ingest::IngestConfig;
use postrider_monitor::{AlertConfig, MonitorConfig, NamedBroker, Rules, broker_patience};
use postrider_queue::QueueConfig;
use postrider_store::{MasterKey, StoreConfig, Target};
use postrider_telemetry::spans::SpanConfig;
use postrider_web::WebConfig;
use postrider_worker::WorkerConfig;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::datadir::DataDir;

/// Bounds every statement: a claim that commits late has used up the time that a request needs
/// (DEADLINE_T0).
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(2);
/// More files than this in a certificate folder are a mistake.
const MAX_CERTIFICATES: usize = 1000;
const PEM_MARKER: &[u8] = b"-----BEGIN CERTIFICATE-----";
/// A larger certificate file is a mistake.
const MAX_CERTIFICATE_FILE: u64 = 4 * 1024 * 1024;
const CERTIFICATES_FIX: &str = "name a PEM file, or a folder of PEM files";
const FILTER_FIX: &str = "write a level such as info, or parts such as info,postrider_worker=debug";

/// Where the store is and the key to it; embedded mode needs the data dir, already locked.
pub(crate) fn store_config(
    settings: &Settings,
    data_dir: Option<&DataDir>,
) -> Result<StoreConfig, Failure> {
    let configured = settings.access.master_key.clone();
    let (target, master_key, sweep_after) = match (&settings.mode, data_dir) {
        (Mode::Embedded { .. }, Some(dir)) => {
            let key = configured.map_or_else(|| dir.master_key(), Ok)?;
            (Target::Sqlite { path: dir.private_database()? }, key, Duration::ZERO)
        }
        (Mode::Embedded { .. }, None) => {
            return Err(Failure::usage("the embedded store needs its data dir"));
        }
        (Mode::Distributed { database_url, .. }, _) => {
            let target = Target::Postgres {
                url: database_url.clone(),
                max_connections: settings.store.connections,
            };
            (target, configured.ok_or_else(no_master_key)?, settings.store.sweep_after)
        }
    };
    Ok(StoreConfig { target, master_key, sweep_after, statement_timeout: STATEMENT_TIMEOUT })
}

/// What a worker needs to know.
pub(crate) fn worker_config(settings: &Settings, outbound: Outbound) -> WorkerConfig {
    let (webhook, worker) = (&settings.webhook, &settings.worker);
    WorkerConfig {
        timeout: webhook.timeout,
        claim_margin: worker.claim_margin,
        lease: worker.lease,
        poll: worker.poll_interval,
        janitor: worker.janitor_interval,
        probe: worker.probe_interval,
        credentials: settings.credentials.interval,
        grace: worker.shutdown_grace,
        concurrency: worker.concurrency,
        retry: webhook.retry.clone(),
        github_hosts: settings.lanes.github_hosts.clone(),
        success_codes: webhook.success_codes.clone(),
        schemes: webhook.schemes.clone(),
        methods: webhook.methods.clone(),
        hosts: webhook.hosts.clone(),
        addresses: webhook.addresses.clone(),
        outbound,
        redact_more: settings.way_in.redact_more.clone(),
        user_agent: concat!("postrider/", env!("CARGO_PKG_VERSION")).to_owned(),
    }
}

/// Opens and locks the data dir where the mode has one.
pub(crate) fn data_dir(settings: &Settings) -> Result<Option<DataDir>, Failure> {
    match &settings.mode {
        Mode::Embedded { data_dir } => DataDir::open(data_dir).map(Some),
        Mode::Distributed { .. } => Ok(None),
    }
}

fn no_master_key() -> Failure {
    Failure::usage("POSTRIDER_MASTER_KEY is missing")
        .fix("make one with `openssl rand -base64 32` and give it to every process")
}

/// Where a process of this role exports its spans, if it does.
pub(crate) fn span_config(settings: &Settings, role: &str) -> Option<SpanConfig> {
    let traces = settings.traces.as_ref()?;
    let header =
        |(name, value): &(String, SecretString)| (name.clone(), value.expose_secret().to_owned());
    let own = [
        ("service.name", "postrider"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("service.instance.id", &Uuid::now_v7().to_string()),
        ("postrider.role", role),
    ];
    let mut resource: BTreeMap<String, String> =
        own.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    resource.extend(traces.resource.iter().cloned());
    Some(SpanConfig {
        endpoint: traces.endpoint.clone(),
        headers: traces.headers.iter().map(header).collect(),
        timeout: traces.timeout,
        sampling: traces.sampling.clone(),
        queue: traces.queue,
        batch: traces.batch,
        delay: traces.delay,
        resource: resource.into_iter().collect(),
    })
}

/// How a process of this role reaches RabbitMQ; an error in embedded mode, which has none.
pub(crate) fn queue_config(settings: &Settings, role: &str) -> Result<QueueConfig, Failure> {
    match &settings.mode {
        Mode::Embedded { .. } => Err(Failure::usage("embedded mode has no RabbitMQ")),
        Mode::Distributed { amqp_url, .. } => Ok(QueueConfig {
            prefetch: settings.queue.prefetch,
            old_queues: settings.queue.old_queues,
            old_queues_kept: settings.queue.old_queues_kept,
            ..QueueConfig::new(amqp_url.clone(), format!("postrider {role}"))
        }),
    }
}

/// What the intake needs to know.
pub(crate) fn ingest_config(
    settings: &Settings,
    master_key: MasterKey,
    outbound: &Outbound,
) -> IngestConfig {
    let brokers = settings.brokers.iter();
    IngestConfig {
        trusted_proxies: settings.listen.trusted_proxies.clone(),
        intake_rate: settings.way_in.intake_rate,
        tokens: settings.access.tokens.clone().unwrap_or_default(),
        master_key,
        max_unpublished: settings.queue.max_unpublished,
        request_timeout: REQUEST_TIMEOUT,
        relay_answer_within: settings.relay.answer_within,
        brokers: brokers
            .map(|broker| (broker.name.clone(), broker_config(broker, outbound)))
            .collect(),
    }
}

/// What the APIs need to know.
pub(crate) fn web_config(
    settings: &Settings,
    master_key: MasterKey,
    outbound: &Outbound,
) -> WebConfig {
    WebConfig {
        base_url: settings.listen.base_url.clone(),
        trusted_proxies: settings.listen.trusted_proxies.clone(),
        allowed_hosts: settings.way_in.allowed_hosts.clone(),
        redact_more: settings.way_in.redact_more.clone(),
        api_rate: settings.way_in.api_rate,
        tokens: settings.access.tokens.clone().unwrap_or_default(),
        scheme_whitelist: settings.webhook.schemes.clone(),
        method_whitelist: settings.webhook.methods.clone(),
        host_whitelist: settings.webhook.hosts.clone(),
        lane_rules: settings.lanes.clone(),
        retry: settings.webhook.retry.clone(),
        machine_users: settings.credentials.machine_users.clone(),
        freshness: settings.freshness.clone(),
        broker_patience: broker_patience(settings.monitor.broker_interval),
        brokers: settings
            .brokers
            .iter()
            .map(|broker| (broker.name.clone(), broker_config(broker, outbound)))
            .collect(),
        doctor_patience: settings.monitor.sustained_for,
        master_key,
        request_timeout: REQUEST_TIMEOUT,
        execute_wait: settings.webhook.execute_wait,
        webhook_timeout: settings.webhook.timeout,
    }
}

/// Where a broker is, and how it is called.
fn broker_config(broker: &BrokerSettings, outbound: &Outbound) -> BrokerConfig {
    BrokerConfig {
        auth: broker.auth.clone(),
        outbound: outbound.clone(),
        ..BrokerConfig::new(broker.base_url.clone())
    }
}

/// What the monitor needs to know.
pub(crate) fn monitor_config(settings: &Settings, outbound: &Outbound) -> MonitorConfig {
    let monitor = &settings.monitor;
    let broker = |broker: &BrokerSettings| NamedBroker {
        name: broker.name.clone(),
        config: broker_config(broker, outbound),
    };
    MonitorConfig {
        rules: Rules {
            sustained_failures: u64::from(monitor.sustained_failures),
            sustained_for: monitor.sustained_for,
            delivery_objective: monitor.delivery_objective,
            freshness: settings.freshness.clone(),
            broker_interval: monitor.broker_interval,
            redispatch: monitor.redispatch.under(monitor.watch),
        },
        interval: monitor.interval,
        retention: monitor.retention,
        watch: monitor.watch,
        sweep: monitor.broker_sweep,
        lanes: settings.lanes.clone(),
        brokers: settings.brokers.iter().map(broker).collect(),
        alerts: alert_config(settings, outbound),
    }
}

/// Who is told of incidents, and how.
pub(crate) fn alert_config(settings: &Settings, outbound: &Outbound) -> AlertConfig {
    let alerts = &settings.alerts;
    AlertConfig {
        slack: alerts.slack.clone(),
        alertmanager: alerts.alertmanager.clone(),
        webhook: settings.alert_receiver.url.clone(),
        signing_key: settings.alert_receiver.signing_key.clone(),
        resend: alerts.resend,
        remind: alerts.remind,
        digest: alerts.digest,
        watchdog: alerts.watchdog,
        retry: alerts.retry,
        timeout: alerts.timeout,
        base_url: settings.listen.base_url.clone(),
        outbound: outbound.clone(),
        user_agent: concat!("postrider/", env!("CARGO_PKG_VERSION")).to_owned(),
    }
}

/// Refuses a log filter that means nothing.
pub(crate) fn check_log_filter(settings: &Settings) -> Result<(), Failure> {
    postrider_telemetry::check_filter(&settings.log.filter)
        .map_err(|error| Failure::usage(format!("RUST_LOG: {error}")).fix(FILTER_FIX))
}

/// Certificates and proxies of all requests that leave a process.
pub(crate) fn outbound(settings: &Settings) -> Result<Outbound, Failure> {
    let (files, bundles) = certificates(settings)?.into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
    let outbound = Outbound::new(bundles, settings.proxies.clone());
    if files.is_empty() {
        return Ok(outbound);
    }
    outbound.check().map_err(|error| match error {
        SetupError::Certificate { bundle, what } => {
            let file = files.get(bundle).map(|file| file.display().to_string()).unwrap_or_default();
            let what = format!("POSTRIDER_WEBHOOK_CERTIFICATES: {file} {what}");
            Failure::usage(what).fix(CERTIFICATES_FIX)
        }
        error => Failure::new(Exit::Usage, error.to_string()),
    })?;
    Ok(outbound)
}

/// The certificates to trust besides the system's: of a PEM file, or of all files of a folder
/// in the order of their names.
fn certificates(settings: &Settings) -> Result<Vec<(PathBuf, Vec<u8>)>, Failure> {
    let Some(path) = &settings.webhook.certificates else {
        return Ok(Vec::new());
    };
    let bundle = |file: PathBuf| pem(&file).map(|pem| (file, pem));
    let read = || files(path)?.into_iter().map(bundle).collect::<io::Result<Vec<_>>>();
    read().map_err(|error| {
        Failure::usage(format!("POSTRIDER_WEBHOOK_CERTIFICATES: {}: {error}", path.display()))
            .fix(CERTIFICATES_FIX)
    })
}

fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path)?.take(MAX_CERTIFICATES + 1);
    let mut files: Vec<PathBuf> =
        entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    files.retain(|file| file.is_file());
    files.sort();
    if files.is_empty() || files.len() > MAX_CERTIFICATES {
        return Err(io::Error::other(format!("the folder holds {} files", files.len())));
    }
    Ok(files)
}

fn pem(file: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(file)?.len() > MAX_CERTIFICATE_FILE {
        return Err(io::Error::other(format!("{} is too large", file.display())));
    }
    let pem = fs::read(file)?;
    if pem.windows(PEM_MARKER.len()).any(|window| window == PEM_MARKER) {
        Ok(pem)
    } else {
        let what = format!("{} holds no certificate in PEM form", file.display());
        Err(io::Error::other(what))
    }
}

#[cfg(test)]
mod tests {
    use postrider_config::{Flags, Sources};

    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        let env = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let (env, flags) = (env.collect(), Flags::new());
        let read = |path: &Path| fs::read_to_string(path);
        Settings::resolve(&Sources { env: &env, file: None, flags: &flags, read: &read }).unwrap()
    }

    #[test]
    fn spans_say_who_sends_them_and_their_headers_are_not_shown() {
        let settings = settings(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20hunter2, x-team = a"),
            ("OTEL_SERVICE_NAME", "courier"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=x,deployment.environment.name=prod"),
        ]);
        let config = span_config(&settings, "worker").unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        assert_eq!(config.endpoint, "http://collector:4318/v1/traces");
        assert_eq!(config.headers["authorization"], "Bearer hunter2");
        assert_eq!(config.headers["x-team"], "a");
        let said: BTreeMap<_, _> = config.resource.into_iter().collect();
        assert_eq!(said["service.name"], "courier");
        assert_eq!(said["deployment.environment.name"], "prod");
        assert_eq!(said["postrider.role"], "worker");
    }
}
