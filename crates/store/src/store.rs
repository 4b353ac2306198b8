//! The store: which database is behind it, how it is opened and closed, and how it is.

use std::sync::Arc;
use std::time::Duration;

use postrider_telemetry::Supervisor;

use crate::hot::postgres::PostgresStore;
use crate::hot::sqlite::{self, SqliteStore};
use crate::{Author, StoreConfig, StoreError, Target};

/// Hands a call to the backend in use.
macro_rules! dispatch {
    ($store:expr, $method:ident($($arg:expr),*)) => {
        match &$store.0 {
            crate::store::Backend::Postgres(pg) => pg.$method($($arg),*).await,
            crate::store::Backend::Sqlite(lite) => lite.$method($($arg),*).await,
        }
    };
}
pub(crate) use dispatch;

/// How the database's schema compares with this binary's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// They agree.
    Current,
    /// Migrations are missing (all of them in an empty database).
    Behind,
    /// A newer binary migrated it; this one must not touch it.
    Newer,
}

/// The store, and on whose behalf it is changed. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct Store(pub(crate) Backend, pub(crate) Option<Arc<Author>>);

/// The database behind it.
#[derive(Debug, Clone)]
pub(crate) enum Backend {
    Postgres(PostgresStore),
    Sqlite(SqliteStore),
}

impl Store {
    /// Opens the store without touching its schema. Waits up to `patience` for a database that
    /// can't be reached yet.
    pub async fn connect(config: &StoreConfig, patience: Duration) -> Result<Self, StoreError> {
        Self::supervised(config, patience, &Supervisor::default()).await
    }

    /// As [`Store::connect`]; `supervisor` learns when a task of the store can't go on.
    pub async fn supervised(
        config: &StoreConfig,
        patience: Duration,
        supervisor: &Supervisor,
    ) -> Result<Self, StoreError> {
        let backend = match &config.target {
            Target::Postgres { url, max_connections } => Backend::Postgres(
                PostgresStore::connect(url, *max_connections, config, patience).await?,
            ),
            Target::Sqlite { path } => {
                let lite = SqliteStore::connect(path, config, patience, supervisor).await?;
                Backend::Sqlite(lite)
            }
        };
        Ok(Self(backend, None))
    }

    /// Whether the connections to the database are encrypted; `None` for a file.
    pub async fn is_encrypted(&self) -> Result<Option<bool>, StoreError> {
        match &self.0 {
            Backend::Postgres(pg) => pg.is_encrypted().await.map(Some),
            Backend::Sqlite(_) => Ok(None),
        }
    }

    /// Which database it is: `postgres` or `sqlite`.
    pub fn kind(&self) -> &'static str {
        match &self.0 {
            Backend::Postgres(_) => "postgres",
            Backend::Sqlite(_) => "sqlite",
        }
    }

    /// One round trip, for readiness.
    pub async fn ping(&self) -> Result<(), StoreError> {
        dispatch!(self, ping())
    }

    /// Name and age of the step on deliveries that has been under way for the longest time.
    /// None is under way for long while the database answers.
    pub fn oldest_step(&self) -> Option<(&'static str, Duration)> {
        match &self.0 {
            Backend::Postgres(pg) => pg.oldest_step(),
            Backend::Sqlite(lite) => lite.oldest_step(),
        }
    }

    /// The step on deliveries that the database has refused each time for longest, and for how
    /// long. None is refused for long while it takes what is written: it is full, read-only, or
    /// somebody holds a lock.
    pub fn failing_step(&self) -> Option<(&'static str, Duration)> {
        match &self.0 {
            Backend::Postgres(pg) => pg.failing_step(),
            Backend::Sqlite(lite) => lite.failing_step(),
        }
    }

    /// Connections to the database by what they are for: how many, and how many of them idle. None
    /// for a file.
    pub fn connections(&self) -> Vec<(&'static str, u32, u32)> {
        match &self.0 {
            Backend::Postgres(pg) => pg.connections(),
            Backend::Sqlite(_) => Vec::new(),
        }
    }

    /// That step, when its deadline has passed and it still has not ended: this process hangs.
    pub fn overdue_step(&self) -> Option<(&'static str, Duration)> {
        let deadline = match &self.0 {
            Backend::Postgres(pg) => pg.deadline(),
            Backend::Sqlite(_) => sqlite::DEADLINE,
        };
        self.oldest_step().filter(|(_, age)| *age > deadline)
    }

    /// Closes connections after what is under way; for SQLite checkpoints the log.
    pub async fn close(&self) {
        dispatch!(self, close());
    }
}
