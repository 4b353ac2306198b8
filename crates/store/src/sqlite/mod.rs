//! The store over SQLite: one file, one writing task, a few readers.
//!
//! Everything that writes goes through [`writer`]'s turns; everything that only reads uses
//! read-only connections, which WAL lets run beside the writer. What a read found is checked
//! again in the turn that acts on it.

mod canary;
mod claims;
mod clock;
mod executions;
mod fault;
mod health;
mod incidents;
mod intake;
mod janitor;
mod lane_state;
mod lanes;
mod list;
mod notifications;
mod pairs;
mod prune;
mod record;
mod replay;
mod rows;
mod schema;
mod secrets;
mod webhooks;
mod writer;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Sqlite, SqlitePool};

use self::fault::Fault;
use self::janitor::Passes;
use self::writer::{Turn, Writer};
use crate::{MasterKey, Schema, StoreConfig, StoreError};

/// Connections that read; each is a thread of its own.
const READERS: u32 = 4;
/// Shortest wait for a lock that another process holds.
const MIN_BUSY: Duration = Duration::from_secs(1);

/// The SQLite backend.
#[derive(Debug, Clone)]
pub(crate) struct Lite(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    writer: Writer,
    readers: SqlitePool,
    options: SqliteConnectOptions,
    master_key: MasterKey,
    sweep_after: Duration,
    /// What the janitor has looked through already.
    passes: Mutex<Passes>,
}

impl Lite {
    pub(crate) async fn connect(
        path: &Path,
        config: &StoreConfig,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        let busy = config.statement_timeout.max(MIN_BUSY);
        let options = options(path, busy);
        let opening = options.clone().busy_timeout(busy.max(patience));
        let conn = opening.connect().await.map_err(|error| not_opened(path, &error))?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(busy)
            .test_before_acquire(false)
            .connect_lazy_with(reading(path, busy));
        Ok(Self(Arc::new(Inner {
            writer: Writer::start(conn),
            readers,
            options,
            master_key: config.master_key.clone(),
            sweep_after: config.sweep_after,
            passes: Mutex::default(),
        })))
    }

    pub(crate) async fn schema(&self) -> Result<Schema, StoreError> {
        let mut conn = self.reader().await?;
        Ok(schema::compare(&mut conn).await?)
    }

    pub(crate) async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        Ok(schema::migrate(&self.0.options).await?)
    }

    pub(crate) async fn check_key(&self) -> Result<(), StoreError> {
        let key = self.0.master_key.clone();
        self.write(key, |key, turn| Box::pin(schema::check_key(key, turn))).await
    }

    /// Asks the writer, because a store that only reads is not ready.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        self.write((), |(), turn| Box::pin(ping(turn))).await
    }

    pub(crate) async fn close(&self) {
        self.0.readers.close().await;
        self.0.writer.close().await;
    }

    /// Runs `step` in a turn of the writer; see [`Writer::run`].
    async fn write<A, T, F>(&self, args: A, step: F) -> Result<T, StoreError>
    where
        A: Send + 'static,
        T: Send + 'static,
        F: for<'a> Fn(&'a A, &'a mut Turn) -> BoxFuture<'a, Result<T, Fault>> + Send + 'static,
    {
        self.0.writer.run(args, step).await
    }

    async fn reader(&self) -> Result<PoolConnection<Sqlite>, StoreError> {
        Ok(self.0.readers.acquire().await.map_err(Fault::Sql)?)
    }
}

async fn ping(turn: &mut Turn) -> Result<(), Fault> {
    let one: i64 = sqlx::query_scalar("SELECT 1").fetch_one(&mut turn.conn).await?;
    debug_assert_eq!(one, 1, "SELECT 1");
    Ok(())
}

fn options(path: &Path, busy: Duration) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(false)
        .busy_timeout(busy)
        .row_buffer_size(256)
        // 16 MiB of log between checkpoints, 32 MiB of pages in memory.
        .pragma("wal_autocheckpoint", "4000")
        .pragma("cache_size", "-32768")
        .pragma("journal_size_limit", "67108864")
}

fn reading(path: &Path, busy: Duration) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .foreign_keys(false)
        .busy_timeout(busy)
        .row_buffer_size(256)
}

fn not_opened(path: &Path, error: &sqlx::Error) -> StoreError {
    StoreError::Unusable(format!("{} can't be opened as a database: {error}", path.display()))
}
