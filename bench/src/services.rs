//! Postgres and RabbitMQ of the benchmark's own, on free ports, from the system's binaries; and a
//! fresh database and virtual host for each run.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};
use tempfile::TempDir;

use crate::process::{Process, Start};
use crate::usage::Watched;

/// The script that knows the system's binaries; the tests use it too.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/service");
/// For a service to take connections.
const UP_WITHIN: Duration = Duration::from_mins(2);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const WAL: &str = "select (pg_current_wal_insert_lsn() - '0/0')::bigint";
/// As a server is run in earnest, the tests' own settings aside.
const POSTGRES: [&str; 6] =
    ["-c", "fsync=on", "-c", "shared_buffers=256MB", "-c", "max_wal_size=2GB"];

/// The running services. Killed and deleted when dropped.
#[derive(Debug)]
pub(crate) struct Services {
    postgres: (Process, u16),
    rabbitmq: (Process, u16),
    mapper: Process,
    places: u32,
    // Dropped last: the servers write there.
    dir: TempDir,
}

/// A database and a virtual host that nobody used.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    name: String,
    /// The database was there before and stays.
    is_kept: bool,
    pub(crate) database_url: String,
    pub(crate) amqp_url: String,
}

impl Services {
    pub(crate) async fn start() -> Result<Self> {
        Self::start_at(None).await
    }

    /// With a Postgres that keeps its data, for the next time.
    pub(crate) async fn start_at(kept: Option<&Path>) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("postrider-bench-").tempdir()?;
        // Postgres runs as another user when this is root.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755))?;
        let ports = [free_port()?, free_port()?, free_port()?, free_port()?];
        let [database, queue, distribution, mapper] = ports;
        let postgres = [vec![database.to_string()], POSTGRES.map(str::to_owned).to_vec()].concat();
        let data = kept.map_or_else(|| dir.path().join("postgres"), |kept| kept.join("postgres"));
        let postgres = service(dir.path(), "postgres", &data, postgres)?;
        // The port mapper belongs to RabbitMQ and shares its directory.
        let queue_dir = dir.path().join("rabbitmq");
        let mapper_process = service(dir.path(), "epmd", &queue_dir, vec![mapper.to_string()])?;
        listens(&mapper_process, mapper).await?;
        let numbers = [queue, distribution, mapper].map(|port| port.to_string()).to_vec();
        let rabbitmq = service(dir.path(), "rabbitmq", &queue_dir, numbers)?;
        listens(&postgres, database).await?;
        listens(&rabbitmq, queue).await?;
        Ok(Self {
            postgres: (postgres, database),
            rabbitmq: (rabbitmq, queue),
            mapper: mapper_process,
            places: 0,
            dir,
        })
    }

    /// Adds the services to what is watched.
    pub(crate) fn watch(&self, watched: &mut Watched) {
        watched.add("postgres", self.postgres.0.pid());
        watched.add("rabbitmq", self.rabbitmq.0.pid());
        watched.add("rabbitmq", self.mapper.pid());
    }

    /// Makes a fresh place.
    pub(crate) async fn place(&mut self) -> Result<Place> {
        let place = self.place_at(None)?;
        self.sql(&format!("create database {}", place.name)).await?;
        Ok(place)
    }

    /// A fresh virtual host beside a database that there is.
    pub(crate) fn place_at(&mut self, database: Option<&str>) -> Result<Place> {
        self.places += 1;
        let name = format!("bench{}", self.places);
        self.rabbitmqctl(&["add_vhost", &name])?;
        self.rabbitmqctl(&["set_permissions", "-p", &name, "guest", ".*", ".*", ".*"])?;
        Ok(Place {
            database_url: self.database_url(database.unwrap_or(&name)),
            amqp_url: format!("amqp://guest:guest@127.0.0.1:{}/{name}", self.rabbitmq.1),
            is_kept: database.is_some(),
            name,
        })
    }

    /// Removes a place, and writes out what the next run would else pay for.
    pub(crate) async fn remove(&self, place: &Place) -> Result<()> {
        self.rabbitmqctl(&["delete_vhost", &place.name])?;
        if !place.is_kept {
            self.sql(&format!("drop database {} with (force)", place.name)).await?;
        }
        self.sql("checkpoint").await
    }

    /// Bytes of write-ahead log since Postgres was made.
    pub(crate) async fn wal(&self) -> Result<u64> {
        let mut connection = self.connect("postgres").await?;
        let bytes: i64 = sqlx::query_scalar(WAL).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(bytes.try_into()?)
    }

    // Both sides of every comparison the same: no TLS on loopback.
    pub(crate) fn database_url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}?sslmode=disable", self.postgres.1)
    }

    async fn connect(&self, database: &str) -> Result<PgConnection> {
        let deadline = Instant::now() + UP_WITHIN;
        let url = self.database_url(database);
        loop {
            match PgConnection::connect(&url).await {
                Ok(connection) => return Ok(connection),
                Err(error) if Instant::now() > deadline => return Err(error.into()),
                Err(_starting) => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    pub(crate) async fn sql(&self, statement: &str) -> Result<()> {
        self.sql_in("postgres", statement).await
    }

    pub(crate) async fn sql_in(&self, database: &str, statement: &str) -> Result<()> {
        let mut connection = self.connect(database).await?;
        // The names in it are ours.
        let done = connection.execute(AssertSqlSafe(statement.to_owned())).await;
        done.with_context(|| statement.to_owned())?;
        Ok(connection.close().await?)
    }

    fn rabbitmqctl(&self, arguments: &[&str]) -> Result<()> {
        let dir = self.dir.path().join("rabbitmq");
        let output = Command::new(SCRIPT).arg("rabbitmqctl").arg(dir).args(arguments).output()?;
        ensure!(
            output.status.success(),
            "rabbitmqctl {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }
}

fn service(logs: &Path, kind: &str, own: &Path, more: Vec<String>) -> Result<Process> {
    let own = own.to_str().context("a path in UTF-8")?.to_owned();
    Process::start(Start {
        name: kind.to_owned(),
        program: Path::new(SCRIPT),
        arguments: [vec![kind.to_owned(), own], more].concat(),
        variables: vec![("PATH".to_owned(), "/usr/sbin:/usr/bin:/sbin:/bin".to_owned())],
        dir: logs,
    })
}

async fn listens(service: &Process, port: u16) -> Result<()> {
    let deadline = Instant::now() + UP_WITHIN;
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        if Instant::now() > deadline {
            bail!("{} does not listen:\n{}", service.name(), service.last_lines());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// A port below the range that outgoing connections use.
fn free_port() -> Result<u16> {
    for _ in 0..100 {
        let port = rand::random_range(10_240..30_000);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port found")
}
