//! Databases of a test's own.

use std::time::Duration;

use postrider_store::{MasterKey, Store, StoreConfig, Target};
use secrecy::SecretString;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use uuid::Uuid;

/// Earlier than anybody looks for old claims.
pub(crate) const SWEEP: Duration = Duration::from_mins(5);

/// When models begin, microseconds since the epoch.
pub(crate) const NOW: i64 = 1_700_000_000_000_000;

/// A Postgres database that goes with its test.
pub(crate) struct Postgres {
    name: String,
    pub(crate) store: Store,
}

impl Postgres {
    pub(crate) async fn new() -> Self {
        let name = format!("postrider_test_{}", Uuid::now_v7().simple());
        admin(&format!("create database {name}")).await;
        let url = SecretString::from(url_of(&name));
        let store = open(Target::Postgres { url, max_connections: 4 }).await;
        Self { name, store }
    }

    /// Nothing but the schema is left.
    pub(crate) async fn empty(&self) {
        let mut conn = PgConnection::connect(&url_of(&self.name)).await.unwrap();
        conn.execute(
            "truncate webhooks, lanes, limits, limit_minutes, deliveries, events, attempts, \
             idempotency, workers, secrets restart identity cascade",
        )
        .await
        .unwrap();
    }

    /// Another store over the same database, whose sessions go by this name.
    pub(crate) async fn another(&self, side: &str) -> Store {
        let url = format!("{}?options%5Bpostrider.side%5D={side}", url_of(&self.name));
        open(Target::Postgres { url: SecretString::from(url), max_connections: 2 }).await
    }

    /// A connection past the stores.
    pub(crate) async fn connection(&self) -> PgConnection {
        PgConnection::connect(&url_of(&self.name)).await.unwrap()
    }

    pub(crate) async fn remove(self) {
        self.store.close().await;
        admin(&format!("drop database if exists {} with (force)", self.name)).await;
    }
}

/// A SQLite store in a folder that goes with it.
pub(crate) async fn sqlite() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = open(Target::Sqlite { path: dir.path().join("postrider.db") }).await;
    (dir, store)
}

async fn open(target: Target) -> Store {
    let config = StoreConfig {
        target,
        master_key: MasterKey::generate(),
        sweep_after: SWEEP,
        statement_timeout: Duration::from_secs(10),
    };
    let store = Store::connect(&config, Duration::from_secs(5)).await.unwrap();
    store.migrate().await.unwrap();
    store
}

async fn admin(sql: &str) {
    let mut conn = PgConnection::connect(&admin_url()).await.unwrap();
    conn.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
}

#[expect(clippy::disallowed_methods, reason = "the address of the test database")]
fn admin_url() -> String {
    std::env::var("POSTRIDER_TEST_DATABASE_URL").expect(
        "POSTRIDER_TEST_DATABASE_URL is not set: run tests/run, or set it to the URL of a Postgres \
         on which databases may be created",
    )
}

fn url_of(name: &str) -> String {
    let url = admin_url();
    let (server, _) = url.rsplit_once('/').unwrap();
    format!("{server}/{name}")
}
