//! The product as it is run: one process in embedded mode, several in distributed mode.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tempfile::TempDir;

use super::api::Api;
use super::load::Intakes;
use super::place::Services;
use super::process::{Process, Setting, Signal, run, setting};
use super::{SOON, say};

/// Log lines of each process that a failed test shows: so many warnings, and the last ones.
const TAIL: usize = 12;
/// Bytes of a line that it shows.
const WIDTH: usize = 400;

/// How the product runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Embedded,
    Distributed,
}

/// A cluster to be started.
#[derive(Debug)]
pub(crate) struct Plan {
    mode: Mode,
    workers: usize,
    monitors: usize,
    file: Option<String>,
    settings: Vec<Setting>,
    special: Vec<(String, Setting)>,
    descriptors: Option<(u32, u32)>,
    services: Option<Services>,
}

impl Plan {
    /// Two intakes, two workers and a monitor, or one process; every interval short.
    pub(crate) fn new(mode: Mode) -> Self {
        let settings = [
            ("LISTEN", "127.0.0.1:0"),
            ("ADMIN_LISTEN", "127.0.0.1:0"),
            ("WEBHOOK_SCHEME_WHITELIST", "https http"),
            ("WEBHOOK_ALLOW_NETWORKS", "127.0.0.0/8"),
            ("WEBHOOK_RETRY_SCHEDULE", "1 1 1 2 2 2 3 3 3"),
            ("WEBHOOK_TIMEOUT", "3s"),
            ("CLAIM_MARGIN", "1s"),
            ("LEASE", "2s"),
            ("POLL_INTERVAL", "200ms"),
            ("JANITOR_INTERVAL", "300ms"),
            ("MONITOR_INTERVAL", "500ms"),
            ("PROBE_INTERVAL", "1s"),
            ("SWEEP_AFTER", "5s"),
            ("SHUTDOWN_GRACE", "10s"),
            ("DB_CONNECTIONS", "6"),
            ("WORKER_CONCURRENCY", "64"),
        ];
        Self {
            mode,
            workers: 2,
            monitors: 1,
            file: None,
            settings: settings.into_iter().map(|(name, value)| setting(name, value)).collect(),
            special: Vec::new(),
            descriptors: None,
            services: None,
        }
    }

    /// Sets a setting of all processes.
    pub(crate) fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push(setting(name, value));
        self
    }

    /// Sets a setting of one process.
    pub(crate) fn set_for(mut self, process: &str, name: &str, value: impl ToString) -> Self {
        self.special.push((process.to_owned(), setting(name, value)));
        self
    }

    /// The soft and hard limit of the descriptors of each process.
    pub(crate) fn descriptors(mut self, soft: u32, hard: u32) -> Self {
        self.descriptors = Some((soft, hard));
        self
    }

    pub(crate) fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// How many monitors stand by: `monitor`, `monitor-2`, …
    pub(crate) fn monitors(mut self, monitors: usize) -> Self {
        self.monitors = monitors;
        self
    }

    /// The settings file of all processes.
    pub(crate) fn file(mut self, text: &str) -> Self {
        self.file = Some(text.to_owned());
        self
    }

    /// Where it stores and queues, in place of the shared services.
    pub(crate) fn on(mut self, services: Services) -> Self {
        self.services = Some(services);
        self
    }

    /// Starts all processes and waits until they listen and their links to the queue are up:
    /// what is accepted before that is delivered from the store, rightly, and a test that
    /// follows messages would wait in vain.
    pub(crate) async fn start(mut self) -> Result<Cluster> {
        let dir = tempfile::Builder::new().prefix("postrider-it-").tempdir()?;
        if self.mode == Mode::Distributed {
            let services = match self.services.take() {
                Some(services) => services,
                None => Services::shared().await?,
            };
            self = self.set("DATABASE_URL", services.database_url()?);
            self = self.set("AMQP_URL", services.amqp_url()?);
            if !self.settings.iter().any(|(name, _)| name == "MASTER_KEY") {
                self = self.set("MASTER_KEY", STANDARD.encode(rand::random::<[u8; 32]>()));
            }
            self.services = Some(services);
            migrate(&self.settings).await?;
        } else {
            self = self.set("DATA_DIR", dir.path().join("data").display());
        }
        if let Some(text) = &self.file {
            fs::write(dir.path().join("postrider.toml"), text)?;
        }
        let mut cluster = Cluster {
            mode: self.mode,
            processes: Vec::new(),
            intakes: Intakes::default(),
            settings: self.settings.clone(),
            services: self.services.take(),
            dir,
            finished: false,
        };
        for name in self.names() {
            let process = self.spawn(&name, cluster.dir.path())?;
            cluster.processes.push(process);
        }
        for process in &mut cluster.processes {
            process.ready().await?;
        }
        if cluster.mode == Mode::Distributed {
            for process in cluster.processes.iter().filter(|process| process.has_queue()) {
                process.queue_up().await?;
            }
        }
        cluster.list_intakes();
        Ok(cluster)
    }

    fn names(&self) -> Vec<String> {
        if self.mode == Mode::Embedded {
            return vec!["serve".to_owned()];
        }
        let ingests = (1..=2).map(|number| format!("ingest-{number}"));
        let workers = (1..=self.workers).map(|number| format!("worker-{number}"));
        let others = (2..=self.monitors).map(|number| format!("monitor-{number}"));
        ingests.chain(workers).chain(["monitor".to_owned()]).chain(others).collect()
    }

    fn spawn(&self, name: &str, logs: &Path) -> Result<Process> {
        let role = name.split('-').next().unwrap_or(name);
        let own = self.special.iter().filter(|(process, _)| process == name);
        let own: Vec<Setting> = own.map(|(_, setting)| setting.clone()).collect();
        let common =
            self.settings.iter().filter(|(key, _)| own.iter().all(|(name, _)| name != key));
        let settings = common.cloned().chain(own.clone()).collect();
        Process::spawn(name, &[role], settings, self.descriptors, logs)
    }
}

async fn migrate(settings: &[Setting]) -> Result<()> {
    let output = run(&["migrate"], settings, "").await?;
    ensure!(output.status.success(), "postrider migrate: {output:?}");
    Ok(())
}

/// A running cluster. Everything is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Cluster {
    mode: Mode,
    processes: Vec<Process>,
    intakes: Intakes,
    settings: Vec<Setting>,
    services: Option<Services>,
    dir: TempDir,
    finished: bool,
}

impl Cluster {
    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    /// Settings that all processes share.
    pub(crate) fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// Data dir, logs.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What a distributed cluster stands on.
    pub(crate) fn services(&mut self) -> Result<&mut Services> {
        self.services.as_mut().context("a distributed cluster")
    }

    /// Addresses that events can be sent to, kept up to date.
    pub(crate) fn intakes(&self) -> Intakes {
        self.intakes.clone()
    }

    /// A client of the last intake: the one that no test kills.
    pub(crate) fn api(&self) -> Result<Api> {
        let listen = self.processes.iter().rev().find_map(Process::listen);
        Api::new(&base(listen.context("an intake")?))
    }

    /// A client of a process's health and metrics.
    pub(crate) fn admin(&self, name: &str) -> Result<Api> {
        let process = self.processes.iter().find(|process| process.name() == name);
        Api::new(&base(process.and_then(Process::admin).with_context(|| name.to_owned())?))
    }

    pub(crate) fn process(&mut self, name: &str) -> Result<&mut Process> {
        let found = self.processes.iter_mut().find(|process| process.name() == name);
        found.with_context(|| format!("a process named {name}"))
    }

    pub(crate) fn processes(&mut self) -> &mut [Process] {
        &mut self.processes
    }

    /// Starts a process again that has ended.
    pub(crate) async fn restart(&mut self, name: &str) -> Result<()> {
        self.process(name)?.restart().await?;
        self.list_intakes();
        Ok(())
    }

    /// Log lines of one message, over all processes.
    pub(crate) fn lines(&self, message: &str) -> Vec<Value> {
        self.processes.iter().flat_map(|process| process.lines(message)).collect()
    }

    /// The same, with the names of the processes.
    pub(crate) fn lines_of(&self, message: &str) -> Vec<(String, Value)> {
        let lines = |process: &Process| {
            let name = process.name().to_owned();
            process.lines(message).into_iter().map(move |line| (name.clone(), line))
        };
        self.processes.iter().flat_map(lines).collect()
    }

    /// SIGTERM to all; each ends with 0, and none has panicked.
    pub(crate) async fn finish(mut self) -> Result<()> {
        for process in &mut self.processes {
            process.signal(Signal::TERM)?;
        }
        for process in &mut self.processes {
            let status = process.ended(SOON).await?;
            if !status.success() {
                bail!("{} ended with {status} after SIGTERM", process.name());
            }
        }
        for process in &self.processes {
            let panics = process.output().contains("panicked at")
                || process.errors().contains("panicked at");
            ensure!(!panics, "{} panicked", process.name());
        }
        self.finished = true;
        match self.services.take() {
            Some(services) => services.remove().await,
            None => Ok(()),
        }
    }

    fn list_intakes(&self) {
        let listening = self.processes.iter().filter_map(Process::listen);
        self.intakes.set(listening.map(base).collect());
    }

    /// What a person needs to see of a failed test.
    fn tell(&self) {
        for process in &self.processes {
            say(&format!("--- {} (last lines)", process.name()));
            let output = process.output();
            let lines: Vec<&str> = output.lines().collect();
            let is_loud = |line: &&&str| {
                line.contains(r#""level":"WARN""#) || line.contains(r#""level":"ERROR""#)
            };
            let loud: Vec<&&str> = lines.iter().filter(is_loud).collect();
            let rest = &lines[lines.len().saturating_sub(TAIL)..];
            for line in loud[loud.len().saturating_sub(TAIL)..].iter().copied().chain(rest) {
                say(&line.chars().take(WIDTH).collect::<String>());
            }
            let errors = process.errors();
            if !errors.is_empty() {
                say(&format!("--- {} (standard error)\n{errors}", process.name()));
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !self.finished {
            self.tell();
        }
    }
}

fn base(address: SocketAddr) -> String {
    format!("http://{address}")
}
