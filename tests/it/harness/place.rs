//! Where a distributed cluster stores and queues: a database and a virtual host of its own on the
//! shared services, or services of its own, with or without a line in between.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};
use lapin::{Connection, ConnectionProperties};
use rustix::fs::{FlockOperation, flock};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgPool;
use url::Url;

use super::proxy::Proxy;
use super::services::{Postgres, Rabbit, SCRIPT};
use super::wait::{Looking, wait_until};

/// Longest wait for the one virtual host that a foreign RabbitMQ gives us.
const TURN_WITHIN: Duration = Duration::from_mins(4);
/// More queues of the first message format than any test uses.
const OLD_QUEUES: u16 = 8;

/// What the processes of a cluster connect to.
#[derive(Debug)]
pub(crate) struct Services {
    /// The cluster's database, reached directly.
    pub(crate) database: Url,
    /// The cluster's virtual host, reached directly.
    pub(crate) broker: Url,
    /// Set when the test has a Postgres of its own.
    pub(crate) postgres: Option<Postgres>,
    /// Set when the test has a RabbitMQ of its own.
    pub(crate) rabbit: Option<Rabbit>,
    /// What the processes' connections to Postgres run through, if they do.
    pub(crate) postgres_line: Option<Proxy>,
    /// What the processes' connections to RabbitMQ run through, if they do.
    pub(crate) rabbit_line: Option<Proxy>,
    admin: Url,
    _turn: Option<File>,
}

impl Services {
    /// On the shared services.
    pub(crate) async fn shared() -> Result<Self> {
        Self::at(None, None).await
    }

    /// On the shared services, through lines that can be cut.
    pub(crate) async fn through_lines() -> Result<Self> {
        let mut services = Self::at(None, None).await?;
        services.postgres_line = Some(Proxy::start(address(&services.database, 5432)?).await?);
        services.rabbit_line = Some(Proxy::start(address(&services.broker, 5672)?).await?);
        Ok(services)
    }

    /// With a Postgres that can be killed.
    pub(crate) async fn with_own_postgres() -> Result<Self> {
        Self::at(Some(Postgres::start().await?), None).await
    }

    /// With a RabbitMQ that can be killed and wiped.
    pub(crate) async fn with_own_rabbit() -> Result<Self> {
        Self::at(None, Some(Rabbit::start().await?)).await
    }

    async fn at(postgres: Option<Postgres>, rabbit: Option<Rabbit>) -> Result<Self> {
        let admin = match &postgres {
            Some(own) => Url::parse(&format!("postgres://postgres@{}/postgres", own.address()))?,
            None => given("POSTRIDER_TEST_DATABASE_URL", "Postgres")?,
        };
        let mut database = admin.clone();
        database.set_path(&format!("it_{:032x}", rand::random::<u128>()));
        sql(&admin, format!("CREATE DATABASE {}", name_of(&database))).await?;
        let (broker, turn) = match &rabbit {
            Some(own) => (Url::parse(&format!("amqp://guest:guest@{}/%2f", own.address()))?, None),
            None => virtual_host().await?,
        };
        Ok(Self {
            database,
            broker,
            postgres,
            rabbit,
            postgres_line: None,
            rabbit_line: None,
            admin,
            _turn: turn,
        })
    }

    /// The database as processes see it.
    pub(crate) fn database_url(&self) -> Result<String> {
        through(&self.database, self.postgres_line.as_ref())
    }

    /// The virtual host as processes see it.
    pub(crate) fn amqp_url(&self) -> Result<String> {
        through(&self.broker, self.rabbit_line.as_ref())
    }

    /// Puts an empty database in the place of this one.
    pub(crate) async fn empty_database(&self) -> Result<()> {
        let name = name_of(&self.database);
        sql(&self.admin, format!("DROP DATABASE {name} WITH (FORCE)")).await?;
        sql(&self.admin, format!("CREATE DATABASE {name}")).await
    }

    /// Drops the database.
    pub(crate) async fn remove(self) -> Result<()> {
        let name = name_of(&self.database);
        sql(&self.admin, format!("DROP DATABASE {name} WITH (FORCE)")).await
    }
}

fn name_of(database: &Url) -> &str {
    database.path().trim_start_matches('/')
}

async fn sql(at: &Url, statement: String) -> Result<()> {
    let pool = PgPool::connect(at.as_str()).await.context("the tests' Postgres")?;
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&pool).await?;
    pool.close().await;
    Ok(())
}

fn through(url: &Url, line: Option<&Proxy>) -> Result<String> {
    let mut url = url.clone();
    if let Some(line) = line {
        url.set_host(Some(&line.address().ip().to_string()))?;
        url.set_port(Some(line.address().port())).ok().context("a URL with a port")?;
    }
    Ok(url.into())
}

fn address(url: &Url, port: u16) -> Result<SocketAddr> {
    let addresses = url.socket_addrs(|| Some(port))?;
    addresses.into_iter().find(SocketAddr::is_ipv4).context("an IPv4 address of a service")
}

#[expect(clippy::disallowed_methods, reason = "tests are told where the services are")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Where the RabbitMQ that `tests/run` started keeps its data.
pub(crate) fn shared_rabbitmq_data() -> Option<PathBuf> {
    variable("POSTRIDER_TEST_RABBITMQ_DIR").map(|dir| PathBuf::from(dir).join("mnesia"))
}

fn given(name: &str, service: &str) -> Result<Url> {
    let url = variable(name).with_context(|| {
        format!("this test needs {service}: run it with tests/run, or set {name}")
    })?;
    Url::parse(&url).with_context(|| name.to_owned())
}

/// A virtual host of the test's own where one can be made; else its turn on the one there is.
async fn virtual_host() -> Result<(Url, Option<File>)> {
    let mut broker = given("POSTRIDER_TEST_AMQP_URL", "RabbitMQ")?;
    let Some(dir) = variable("POSTRIDER_TEST_RABBITMQ_DIR") else {
        let turn = turn().await?;
        clear(&broker).await?;
        return Ok((broker, Some(turn)));
    };
    let name = format!("it-{:032x}", rand::random::<u128>());
    rabbitmqctl(&dir, &["add_vhost", &name])?;
    rabbitmqctl(&dir, &["set_permissions", "-p", &name, broker.username(), ".*", ".*", ".*"])?;
    broker.set_path(&name);
    Ok((broker, None))
}

fn rabbitmqctl(dir: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(SCRIPT).args(["rabbitmqctl", dir]).args(arguments).output()?;
    ensure!(output.status.success(), "rabbitmqctl {arguments:?}: {output:?}");
    Ok(())
}

async fn turn() -> Result<File> {
    let file = File::create(std::env::temp_dir().join("postrider-it-rabbitmq.lock"))?;
    wait_until("this test's turn on RabbitMQ", TURN_WITHIN, async || {
        let locked = flock(&file, FlockOperation::NonBlockingLockExclusive);
        Ok(Looking::when(locked.is_ok(), String::new))
    })
    .await?;
    Ok(file)
}

/// Deletes what an earlier test left.
async fn clear(broker: &Url) -> Result<()> {
    let connection = Connection::connect(broker.as_str(), ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let old = (0..OLD_QUEUES).map(|index| format!("postrider.deliveries.v1.{index}"));
    let ours = ["postrider.deliveries.v2", "postrider.dead.v1"].map(str::to_owned);
    for queue in old.chain(ours) {
        channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await?;
    }
    for exchange in ["postrider.deliveries", "postrider.dead"] {
        channel.exchange_delete(exchange.into(), ExchangeDeleteOptions::default()).await?;
    }
    connection.close(200, "done".into()).await?;
    Ok(())
}
