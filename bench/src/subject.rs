//! What is measured while it runs: postrider in one of its modes, or the bare pipeline.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use tempfile::TempDir;

use crate::bare;
use crate::process::{Process, Start};
use crate::services::{Place, Services};
use crate::usage::Watched;

/// For a role to be ready, and to reach the queue.
const READY_WITHIN: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Webhooks that an earlier run made would take its events too.
const FORGET: &str = "
delete from webhooks where uuid not like 'growth-webhook-%';
update meta set webhooks_version = webhooks_version + 1";

/// A kind of subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A postrider.
    Postrider {
        program: PathBuf,
        /// Else embedded.
        distributed: bool,
    },
    /// The bare pipeline.
    Bare {
        /// Events come over HTTP, else from inside.
        http: bool,
    },
}

/// Everything that a running subject needs to know.
#[derive(Debug)]
pub(crate) struct Conditions<'a> {
    pub(crate) target: SocketAddr,
    /// Workers that are started at once.
    pub(crate) workers: u32,
    /// Settings beyond the usual ones, without `POSTRIDER_`.
    pub(crate) settings: &'a [(&'static str, String)],
    /// A database that is there already; else one is made.
    pub(crate) database: Option<&'a str>,
}

/// A running subject. Its processes are killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    subject: Subject,
    roles: Vec<Process>,
    /// Where events go; none for the bare pipeline's own.
    pub(crate) base: Option<String>,
    /// From its start to its readiness.
    ready: BTreeMap<String, Duration>,
    place: Option<Place>,
    variables: Vec<(String, String)>,
    target: SocketAddr,
    watched: Watched,
    produced: usize,
    dir: TempDir,
}

impl Running {
    pub(crate) async fn start(
        subject: &Subject,
        services: &mut Services,
        conditions: &Conditions<'_>,
    ) -> Result<Self> {
        let (mut watched, mut place) = (Watched::default(), None);
        if subject.needs_services() {
            services.watch(&mut watched);
            place = Some(match conditions.database {
                Some(database) => {
                    services.sql_in(database, FORGET).await?;
                    services.place_at(conditions.database)?
                }
                None => services.place().await?,
            });
        }
        let dir = tempfile::tempdir()?;
        let variables = variables(conditions, dir.path(), place.as_ref());
        let mut running = Self {
            subject: subject.clone(),
            roles: Vec::new(),
            base: None,
            ready: BTreeMap::new(),
            place,
            variables,
            target: conditions.target,
            watched,
            produced: 0,
            dir,
        };
        match subject {
            Subject::Postrider { program, distributed: true } => {
                running.migrate(program)?;
                running.role(program, "ingest").await?;
            }
            Subject::Postrider { program, distributed: false } => {
                running.role(program, "serve").await?;
            }
            Subject::Bare { http } => {
                let place = running.place.as_ref().context("a place")?;
                bare::create_schema(&place.database_url).await?;
                running.bare_role(if *http { "intake" } else { "produce" }).await?;
            }
        }
        for _ in 0..conditions.workers {
            running.add_worker().await?;
        }
        Ok(running)
    }

    /// Starts one more worker, if the subject has such processes.
    pub(crate) async fn add_worker(&mut self) -> Result<()> {
        match self.subject.clone() {
            Subject::Postrider { program, distributed: true } => {
                self.role(&program, "worker").await
            }
            Subject::Postrider { distributed: false, .. } => Ok(()),
            Subject::Bare { .. } => self.bare_role("work").await,
        }
    }

    /// Starts a monitor that reads this settings file; where its figures are.
    pub(crate) async fn add_monitor(&mut self, settings: &Path) -> Result<String> {
        let Subject::Postrider { program, .. } = self.subject.clone() else {
            bail!("only postrider has monitors");
        };
        let settings = settings.to_str().context("a path in UTF-8")?.to_owned();
        self.role_with(&program, "monitor", vec!["--config".to_owned(), settings]).await
    }

    /// The monitor's `nth` line of this kind.
    pub(crate) async fn line(&mut self, message: &str, nth: usize) -> Result<serde_json::Value> {
        let monitor = self.roles.iter_mut().find(|role| role.name() == "monitor");
        monitor.context("no monitor")?.line(message, nth, READY_WITHIN).await
    }

    pub(crate) fn watched(&self) -> &Watched {
        &self.watched
    }

    /// From the start of each process to its readiness.
    pub(crate) fn ready_ms(&self) -> BTreeMap<String, f64> {
        let ready = self.ready.iter();
        ready.map(|(role, time)| (role.clone(), time.as_secs_f64() * 1e3)).collect()
    }

    /// The last lines of all logs.
    pub(crate) fn logs(&self) -> String {
        let logs = self.roles.iter().map(|role| format!("{}:\n{}", role.name(), role.last_lines()));
        logs.collect::<Vec<String>>().join("\n")
    }

    /// Lets the bare pipeline make events, and waits until they are published.
    pub(crate) async fn produce(&mut self, count: u32, within: Duration) -> Result<()> {
        let producer = self.roles.first_mut().context("no producer")?;
        producer.tell(&count.to_string())?;
        self.produced += 1;
        producer.line("produced", self.produced, within).await?;
        Ok(())
    }

    /// Stops all roles, which have to end well, and gives the place back.
    pub(crate) async fn stop(mut self, services: &Services) -> Result<()> {
        for role in self.roles.drain(..) {
            role.stop().await?;
        }
        match self.place.take() {
            Some(place) => services.remove(&place).await,
            None => Ok(()),
        }
    }

    fn migrate(&self, program: &Path) -> Result<()> {
        let mut command = Command::new(program);
        command.arg("migrate").env_clear().envs(self.variables.iter().cloned());
        let output = command.output().with_context(|| program.display().to_string())?;
        ensure!(output.status.success(), "migrate: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    async fn role(&mut self, program: &Path, role: &str) -> Result<()> {
        self.role_with(program, role, Vec::new()).await.map(drop)
    }

    /// Starts a role; where its figures are.
    async fn role_with(&mut self, program: &Path, role: &str, more: Vec<String>) -> Result<String> {
        let mut process = Process::start(Start {
            name: self.name_of_next(role),
            program,
            arguments: [vec![role.to_owned()], more].concat(),
            variables: self.variables.clone(),
            dir: self.dir.path(),
        })?;
        let line = process.line("listening", 1, READY_WITHIN).await?;
        let address = |field: &str| line[field].as_str().map(|address| format!("http://{address}"));
        let admin = address("admin_listen").context("no admin address")?;
        until_ready(&format!("{admin}/readyz")).await?;
        self.ready.insert(process.name().to_owned(), process.age());
        if role == "ingest" || role == "worker" {
            process.line("queue.up", 1, READY_WITHIN).await?;
        }
        if let Some(base) = address("listen") {
            self.base = Some(base);
        }
        self.watched.add(role, process.pid());
        self.roles.push(process);
        Ok(admin)
    }

    async fn bare_role(&mut self, role: &str) -> Result<()> {
        let place = self.place.as_ref().context("a place")?;
        let program = std::env::current_exe()?;
        let target = format!("http://{}/repos/acme/billing/dispatches", self.target);
        let urls = [("--database-url", &place.database_url), ("--amqp-url", &place.amqp_url)];
        let mut arguments = vec!["bare-role".to_owned(), role.to_owned()];
        for (name, value) in urls.into_iter().chain([("--target", &target)]) {
            arguments.extend([name.to_owned(), value.clone()]);
        }
        let mut process = Process::start(Start {
            name: self.name_of_next(role),
            program: &program,
            arguments,
            variables: Vec::new(),
            dir: self.dir.path(),
        })?;
        let line = process.line("listening", 1, READY_WITHIN).await?;
        self.ready.insert(process.name().to_owned(), process.age());
        if role == "intake" {
            let address = line["listen"].as_str().context("no address")?;
            self.base = Some(format!("http://{address}"));
        }
        // The same names as postrider's roles, so that parts can be compared.
        self.watched.add(if role == "work" { "worker" } else { "ingest" }, process.pid());
        self.roles.push(process);
        Ok(())
    }

    fn name_of_next(&self, role: &str) -> String {
        let same = self.roles.iter().filter(|process| process.name().starts_with(role)).count();
        if same == 0 { role.to_owned() } else { format!("{role}{}", same + 1) }
    }
}

impl Subject {
    pub(crate) fn is_postrider(&self) -> bool {
        matches!(self, Self::Postrider { .. })
    }

    pub(crate) fn needs_services(&self) -> bool {
        match self {
            Self::Postrider { distributed, .. } => *distributed,
            Self::Bare { .. } => true,
        }
    }
}

/// The master key of everything that is measured.
pub(crate) fn master_key() -> String {
    base64::engine::general_purpose::STANDARD.encode([7_u8; 32])
}

fn variables(
    conditions: &Conditions<'_>,
    dir: &Path,
    place: Option<&Place>,
) -> Vec<(String, String)> {
    let key = master_key();
    let usual = [
        ("DATA_DIR", dir.join("data").display().to_string()),
        ("LISTEN", "127.0.0.1:0".to_owned()),
        ("ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
        ("MASTER_KEY", key),
        ("WEBHOOK_SCHEME_WHITELIST", "https http".to_owned()),
        ("WEBHOOK_ALLOW_NETWORKS", "127.0.0.0/8".to_owned()),
        ("LANE_RATE", "unlimited".to_owned()),
    ];
    let urls = place.iter().flat_map(|place| {
        [("DATABASE_URL", place.database_url.clone()), ("AMQP_URL", place.amqp_url.clone())]
    });
    let more = conditions.settings.iter().cloned();
    usual
        .into_iter()
        .chain(urls)
        .chain(more)
        .map(|(name, value)| {
            let prefix = if name == "RUST_LOG" { "" } else { "POSTRIDER_" };
            (format!("{prefix}{name}"), value)
        })
        .collect()
}

async fn until_ready(url: &str) -> Result<()> {
    let client = reqwest::Client::builder().no_proxy().timeout(READY_WITHIN).build()?;
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        match client.get(url).send().await {
            Ok(response) if response.status().is_success() => return Ok(()),
            Ok(_) | Err(_) if Instant::now() < deadline => tokio::time::sleep(LOOK_EVERY).await,
            Ok(response) => bail!("{url} answered {}", response.status()),
            Err(error) => return Err(error.into()),
        }
    }
}
