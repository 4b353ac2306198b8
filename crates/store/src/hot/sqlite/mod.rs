//! The store over SQLite: one file, one writing task, a few readers.
//!
//! Everything that writes goes through [`writer`]'s turns; everything that only reads uses
//! read-only connections, which WAL lets run beside the writer. What a read found is checked
//! again in the turn that acts on it.

mod bound;
mod claims;
mod claims_at_intake;
mod claims_limited;
mod clock;
mod fault;
mod health;
mod heartbeat;
mod intake;
mod janitor;
mod lane_state;
mod lanes;
mod leases;
mod parked;
mod passes;
mod probe_delivery;
mod record;
mod rows;
mod unclaim;
mod webhook_state;
mod writer;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use postrider_telemetry::Supervisor;
use sqlx::migrate::Migrator;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Sqlite, SqlitePool};
use tokio::time::timeout;

use self::fault::Fault;
use self::passes::Passes;
pub(crate) use self::writer::Turn;
use self::writer::Writer;
use crate::cold::migrations::not_migrated;
use crate::cold::query::{PATIENCE, Query};
use crate::cold::row::Row;
use crate::{MasterKey, StoreConfig, StoreError};

/// Connections that read; each is a thread of its own.
const READERS: u32 = 4;
/// How long closing waits for what is under way.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// A write that takes longer hangs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);
/// Attempts to migrate that get no further, by others' work neither.
const MIGRATE_TRIES: u32 = 5;
/// Steps of SQLite's machine after which a read looks whether its time is over; a few
/// microseconds each thousand.
const STEPS_BETWEEN_LOOKS: i32 = 50_000;
/// Shortest wait for a lock that another process holds.
const MIN_BUSY: Duration = Duration::from_secs(1);

/// The SQLite backend.
#[derive(Debug, Clone)]
pub(crate) struct SqliteStore(Arc<Inner>);

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

impl SqliteStore {
    pub(crate) async fn connect(
        path: &Path,
        config: &StoreConfig,
        patience: Duration,
        supervisor: &Supervisor,
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
            writer: Writer::start(conn, supervisor),
            readers,
            options,
            master_key: config.master_key.clone(),
            sweep_after: config.sweep_after,
            passes: Mutex::default(),
        })))
    }

    pub(crate) fn key(&self) -> &MasterKey {
        &self.0.master_key
    }

    /// Over a connection of its own, because the migrator opens its own transactions. Where
    /// another process migrates at the same moment one of the two fails at each migration that
    /// both begin, and finds the other's work done when it looks again.
    pub(crate) async fn run_migrations(&self, migrator: &Migrator) -> Result<(), StoreError> {
        let (mut tries, mut reached) = (0, 0);
        loop {
            let mut conn = self.0.options.connect().await.map_err(Fault::Sql)?;
            let ran = migrator.run_direct(None, &mut conn, false).await;
            // Where there is no table yet nothing was reached.
            let count = sqlx::query_scalar("SELECT count(*) FROM _sqlx_migrations");
            let now: i64 = count.fetch_one(&mut conn).await.unwrap_or_default();
            conn.close().await.map_err(Fault::Sql)?;
            tries = if now > reached { 0 } else { tries + 1 };
            reached = reached.max(now);
            match ran {
                Err(_) if tries < MIGRATE_TRIES => {}
                ran => return ran.map_err(|e| not_migrated(e, |e| Fault::Sql(e).into())),
            }
        }
    }

    /// All rows that a read answers, given up after [`PATIENCE`].
    pub(crate) async fn read(
        &self,
        name: &'static str,
        query: &Query,
    ) -> Result<Vec<Row>, StoreError> {
        self.read_within(name, query, PATIENCE).await
    }

    async fn read_within(
        &self,
        name: &'static str,
        query: &Query,
        patience: Duration,
    ) -> Result<Vec<Row>, StoreError> {
        let mut conn = self.reader().await?;
        let end = Instant::now() + patience;
        conn.lock_handle()
            .await
            .map_err(Fault::Sql)?
            .set_progress_handler(STEPS_BETWEEN_LOOKS, move || Instant::now() < end);
        let query = query.at(clock::now())?;
        let rows = query.fetch_all(&mut *conn).await.map_err(Fault::Sql);
        conn.lock_handle().await.map_err(Fault::Sql)?.remove_progress_handler();
        match rows {
            Ok(rows) => Ok(rows.into_iter().map(Row::Sqlite).collect()),
            Err(fault) => match fault.into() {
                StoreError::Slow(why) => Err(StoreError::Slow(format!("{name}: {why}"))),
                other => Err(other),
            },
        }
    }

    /// Asks the writer, because a store that only reads is not ready.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        self.write((), |(), turn| Box::pin(ping(turn))).await
    }

    pub(crate) fn oldest_step(&self) -> Option<(&'static str, Duration)> {
        self.0.writer.oldest_step()
    }

    /// Since when the file takes nothing, if so.
    pub(crate) fn failing_step(&self) -> Option<(&'static str, Duration)> {
        self.0.writer.failing_step()
    }

    /// Closes the file after what is under way, or leaves it to the end of the process: somebody
    /// else may hold the file's lock for as long as they like.
    pub(crate) async fn close(&self) {
        let closing = async {
            self.0.readers.close().await;
            self.0.writer.close().await;
        };
        if timeout(CLOSE_TIMEOUT, closing).await.is_err() {
            tracing::warn!("store.not_closed_in_time");
        }
    }

    /// Runs `step` in a turn of the writer; see [`Writer::run`].
    pub(crate) async fn write<A, T, F>(&self, args: A, step: F) -> Result<T, StoreError>
    where
        A: Send + 'static,
        T: Send + 'static,
        F: for<'a> Fn(&'a A, &'a mut Turn) -> BoxFuture<'a, Result<T, Fault>> + Send + 'static,
    {
        self.0.writer.run(args, step).await
    }

    #[expect(clippy::disallowed_methods, reason = "a file answers or fails")]
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
