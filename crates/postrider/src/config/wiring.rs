//! From settings to what each component needs to know.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use postrider_ingest::IngestConfig;
use postrider_queue::QueueConfig;
use postrider_store::{MasterKey, StoreConfig, Target};

use super::{Mode, Settings};
use crate::cli::Failure;
use crate::datadir::DataDir;

/// Bounds every statement, so that a claim commits soon after its permission was judged
/// (delivery protocol R10).
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(2);
/// More files than this in a certificate folder are a mistake.
const MAX_CERTIFICATES: usize = 1000;
const PEM_MARKER: &[u8] = b"-----BEGIN CERTIFICATE-----";
/// A larger certificate file is a mistake.
const MAX_CERTIFICATE_FILE: u64 = 4 * 1024 * 1024;

/// Where the store is and the key to it; embedded mode needs the data dir, already locked.
pub(crate) fn store_config(
    settings: &Settings,
    data_dir: Option<&DataDir>,
) -> Result<StoreConfig, Failure> {
    let configured = settings.access.master_key.clone();
    let (target, master_key, sweep_after) = match (&settings.mode, data_dir) {
        (Mode::Embedded { .. }, Some(dir)) => {
            let key = configured.map_or_else(|| dir.master_key(), Ok)?;
            (Target::Sqlite { path: dir.database() }, key, Duration::ZERO)
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

/// How a process of this role reaches RabbitMQ; an error in embedded mode, which has none.
pub(crate) fn queue_config(settings: &Settings, role: &str) -> Result<QueueConfig, Failure> {
    match &settings.mode {
        Mode::Embedded { .. } => Err(Failure::usage("embedded mode has no RabbitMQ")),
        Mode::Distributed { amqp_url, .. } => Ok(QueueConfig {
            queues: settings.queue.queues,
            prefetch: settings.queue.prefetch,
            ..QueueConfig::new(amqp_url.clone(), format!("postrider {role}"))
        }),
    }
}

/// What the intake needs to know.
pub(crate) fn ingest_config(settings: &Settings, master_key: MasterKey) -> IngestConfig {
    IngestConfig {
        base_url: settings.listen.base_url.clone(),
        trusted_proxies: settings.listen.trusted_proxies.clone(),
        tokens: settings.access.tokens.clone(),
        scheme_whitelist: settings.webhook.schemes.clone(),
        method_whitelist: settings.webhook.methods.clone(),
        host_whitelist: settings.webhook.hosts.clone(),
        lane_rules: settings.lanes.clone(),
        retry: settings.webhook.retry.clone(),
        master_key,
        max_unpublished: settings.queue.max_unpublished,
        request_timeout: IngestConfig::REQUEST_TIMEOUT,
        execute_wait: settings.webhook.execute_wait,
        webhook_timeout: settings.webhook.timeout,
    }
}

/// The certificates to trust besides the system's: of a PEM file, or of all files of a folder
/// in the order of their names.
pub(crate) fn certificates(settings: &Settings) -> Result<Vec<Vec<u8>>, Failure> {
    let Some(path) = &settings.webhook.certificates else {
        return Ok(Vec::new());
    };
    let read =
        || -> io::Result<Vec<Vec<u8>>> { files(path)?.iter().map(|file| pem(file)).collect() };
    read().map_err(|error| {
        Failure::usage(format!("POSTRIDER_WEBHOOK_CERTIFICATES: {}: {error}", path.display()))
            .fix("name a PEM file, or a folder of PEM files")
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
