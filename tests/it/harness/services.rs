//! Postgres and RabbitMQ instances of a test's own, to be killed, wiped and started again; an
//! Alertmanager, a Prometheus, and what shows it a Postgres.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;
use url::Url;

use super::SOON;
use super::wait::{Looking, wait_until};

/// The script that starts services; `tests/run` uses it too.
pub(crate) const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/service");

/// A Postgres of the test's own.
#[derive(Debug)]
pub(crate) struct Postgres {
    server: Server,
}

/// A RabbitMQ of the test's own.
#[derive(Debug)]
pub(crate) struct Rabbit {
    server: Server,
    metrics: u16,
    _epmd: Server,
}

impl Postgres {
    pub(crate) async fn start() -> Result<Self> {
        let server = Server::new("postgres", readable_dir()?, free_port()?, &[])?;
        let mut postgres = Self { server };
        postgres.restart().await?;
        Ok(postgres)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Kills all its processes.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.server.kill()
    }

    /// Starts it, again and again while leftovers of a killed one are in its way.
    pub(crate) async fn restart(&mut self) -> Result<()> {
        self.server.up().await?;
        let url = format!("postgres://postgres@{}/postgres", self.address());
        wait_until("Postgres to answer", SOON, async || {
            let connected = sqlx::postgres::PgPool::connect(&url).await;
            Ok(Looking::when(connected.is_ok(), || format!("{connected:?}")))
        })
        .await
    }
}

impl Rabbit {
    pub(crate) async fn start() -> Result<Self> {
        let dir = readable_dir()?;
        let (dist, epmd, metrics) = (free_port()?, free_port()?, free_port()?);
        let numbers = [dist, epmd, metrics].map(|port| port.to_string());
        let mut mapper = Server::new("epmd", readable_dir()?, epmd, &[])?;
        mapper.up().await?;
        let server = Server::new("rabbitmq", dir, free_port()?, &numbers)?;
        let mut rabbit = Self { server, metrics, _epmd: mapper };
        rabbit.restart().await?;
        Ok(rabbit)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    pub(crate) fn kill(&mut self) -> Result<()> {
        self.server.kill()
    }

    /// Where it shows a Prometheus what it does.
    pub(crate) fn metrics(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.metrics))
    }

    /// Deletes everything it stored. It must not run.
    pub(crate) fn wipe(&self) -> Result<()> {
        Ok(fs::remove_dir_all(self.data())?)
    }

    /// Where it stores queues and messages.
    pub(crate) fn data(&self) -> PathBuf {
        self.server.dir.path().join("mnesia")
    }

    pub(crate) async fn restart(&mut self) -> Result<()> {
        self.server.up().await
    }
}

/// A Prometheus Alertmanager of the test's own.
#[derive(Debug)]
pub(crate) struct Alertmanager {
    server: Server,
}

impl Alertmanager {
    pub(crate) async fn start() -> Result<Self> {
        let mut server = Server::new("alertmanager", readable_dir()?, free_port()?, &[])?;
        server.up().await?;
        Ok(Self { server })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// The alerts that fire now, as `amtool` shows them.
    pub(crate) fn firing(&self) -> Result<Vec<Value>> {
        let url = format!("--alertmanager.url={}", self.url());
        let output = Command::new("amtool").args([&url, "alert", "query", "-o", "json"]).output();
        let output = output.context("amtool: apt-get install prometheus-alertmanager")?;
        ensure!(output.status.success(), "amtool alert query: {output:?}");
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// A Prometheus of the test's own.
#[derive(Debug)]
pub(crate) struct Prometheus {
    server: Server,
}

impl Prometheus {
    /// One with this configuration.
    pub(crate) async fn start(config: &Value) -> Result<Self> {
        let dir = readable_dir()?;
        // It reads YAML, and JSON is YAML.
        fs::write(dir.path().join("prometheus.yml"), config.to_string())?;
        let mut server = Server::new("prometheus", dir, free_port()?, &[])?;
        server.up().await?;
        Ok(Self { server })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }
}

/// Shows a Prometheus what a Postgres does.
#[derive(Debug)]
pub(crate) struct PostgresExporter {
    server: Server,
}

impl PostgresExporter {
    /// One that looks into this database.
    pub(crate) async fn start(database: &Url) -> Result<Self> {
        let mut database = database.clone();
        // Where nothing is said it insists on TLS, which the tests' Postgres does not have.
        if !database.query_pairs().any(|(name, _)| name == "sslmode") {
            database.query_pairs_mut().append_pair("sslmode", "disable");
        }
        let mut server = Server::new("postgres_exporter", readable_dir()?, free_port()?, &[])?;
        server.environment.push(("DATA_SOURCE_NAME", database.into()));
        server.up().await?;
        Ok(Self { server })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }
}

#[derive(Debug)]
struct Server {
    kind: &'static str,
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
    port: u16,
    child: Option<Child>,
    dir: TempDir,
}

impl Server {
    fn new(kind: &'static str, dir: TempDir, port: u16, more: &[String]) -> Result<Self> {
        let path = dir.path().to_str().context("a path in UTF-8")?.to_owned();
        let mut arguments = vec![kind.to_owned(), path, port.to_string()];
        arguments.extend_from_slice(more);
        Ok(Self { kind, arguments, environment: Vec::new(), port, child: None, dir })
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Starts it and waits for its port.
    async fn up(&mut self) -> Result<()> {
        let what = format!("{} to take connections", self.kind);
        wait_until(&what, SOON * 2, async || {
            if !self.runs()? {
                self.child = Some(self.spawn()?);
            }
            let connected = TcpStream::connect(self.address()).await;
            Ok(Looking::when(connected.is_ok(), || self.log()))
        })
        .await
    }

    fn spawn(&self) -> Result<Child> {
        let log = File::create(self.dir.path().join("service.log"))?;
        let child = Command::new(SCRIPT)
            .args(&self.arguments)
            .envs(self.environment.clone())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn();
        child.with_context(|| format!("starting {}", self.kind))
    }

    fn runs(&mut self) -> Result<bool> {
        match &mut self.child {
            None => Ok(false),
            Some(child) => Ok(child.try_wait()?.is_none()),
        }
    }

    fn kill(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { bail!("{} does not run", self.kind) };
        let children = children_of(child.id())?;
        child.kill()?;
        for pid in children {
            match kill_process(pid, Signal::KILL) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(error) => return Err(error.into()),
            }
        }
        child.wait()?;
        Ok(())
    }

    fn log(&self) -> String {
        let text = fs::read_to_string(self.dir.path().join("service.log")).unwrap_or_default();
        let tail: Vec<&str> = text.lines().rev().take(5).collect();
        tail.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.is_some() {
            drop(self.kill());
        }
    }
}

/// A server's user may differ from the test's.
fn readable_dir() -> Result<TempDir> {
    use std::os::unix::fs::PermissionsExt;
    let permissions = fs::Permissions::from_mode(0o755);
    Ok(tempfile::Builder::new().prefix("postrider-it-").permissions(permissions).tempdir()?)
}

/// A port below the range that outgoing connections use.
pub(crate) fn free_port() -> Result<u16> {
    for _ in 0..100 {
        let port = rand::random_range(10_240..30_000);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port found")
}

fn children_of(pid: u32) -> Result<Vec<Pid>> {
    let path = format!("/proc/{pid}/task");
    let mut children = Vec::new();
    for task in fs::read_dir(Path::new(&path))? {
        let text = fs::read_to_string(task?.path().join("children")).unwrap_or_default();
        let pids = text.split_whitespace().filter_map(|word| word.parse().ok());
        children.extend(pids.filter_map(Pid::from_raw));
    }
    Ok(children)
}
