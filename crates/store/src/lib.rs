//! The only crate that knows SQL: Postgres and SQLite behind one type, [`Store`].
//!
//! The store is the truth. Every transition of the delivery protocol is one atomic step here
//! and carries its letter in its documentation: T1-T12 move a delivery, J1-J4 are the
//! janitor's, L1-L10 move a lane, E1-E6 an execution, which tests a webhook. Names in capitals (FENCE, CLAIM_NO, ...) are the protocol's
//! rules. Every instant in a row is written and compared by the database's clock (DB_CLOCK);
//! only durations come from outside.

/// Hands a call to the backend in use.
macro_rules! dispatch {
    ($store:expr, $method:ident($($arg:expr),*)) => {
        match &$store.0 {
            crate::Backend::Postgres(pg) => pg.$method($($arg),*).await,
            crate::Backend::Sqlite(lite) => lite.$method($($arg),*).await,
        }
    };
}

mod claims;
mod codec;
mod error;
mod executions;
mod incidents;
mod intake;
mod lanes;
mod list;
mod postgres;
mod record;
mod seal;
mod secrets;
mod sqlite;
mod webhooks;

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

pub use claims::{Claim, ClaimTerms, Expired, LimitedClaim, WorkerId};
pub use error::StoreError;
pub use executions::{ExecutionView, LaneStop, NewExecution, Started, Subject, SweptExecutions};
pub use incidents::{
    Incident, IncidentFinding, IncidentKind, MonitorFacts, MonitorLease, StreakFact,
};
pub use intake::{Committed, IntakeBatch, IntakeEntry, IntakeResult, NewDelivery, NewEvent};
pub use lanes::{LaneInfo, LaneSpec, LaneView, Lease, ProbeClaim};
pub use list::{
    AttemptView, Cursor, DeliveryFilter, DeliveryRow, DeliveryView, Page, ReplayPlan, Stats,
};
pub use record::{AttemptRow, HoldProof, RecordReport, Recorded, Transition};
pub use seal::MasterKey;
pub use secrets::{SecretInfo, SecretPut, SecretValues, SecretWrite};
pub use webhooks::{Put, StoredWebhook, WebhookTable, WebhookWrite};

/// Where the store is.
#[derive(Debug, Clone)]
pub enum Target {
    /// Postgres 14 or later.
    Postgres {
        /// Connection URL; may hold a password.
        url: SecretString,
        /// Connections of this process, at least 4.
        max_connections: u32,
    },
    /// A SQLite file, made when missing.
    Sqlite {
        /// Path of the file.
        path: PathBuf,
    },
}

/// What a store needs to know.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// Where it is.
    pub target: Target,
    /// Seals secrets and inline credentials at rest.
    pub master_key: MasterKey,
    /// A fresh delivery of an unlimited lane that nobody claimed by then is claimed from the
    /// store; zero where there is no road (embedded).
    pub sweep_after: Duration,
    /// How long a statement may run before the database cancels it.
    pub statement_timeout: Duration,
}

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

/// The store. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct Store(Backend);

#[derive(Debug, Clone)]
enum Backend {
    Postgres(postgres::Pg),
    Sqlite(sqlite::Lite),
}

impl Store {
    /// Opens the store without touching its schema. Waits up to `patience` for a database that
    /// can't be reached yet.
    pub async fn connect(config: &StoreConfig, patience: Duration) -> Result<Self, StoreError> {
        let backend = match &config.target {
            Target::Postgres { url, max_connections } => Backend::Postgres(
                postgres::Pg::connect(url, *max_connections, config, patience).await?,
            ),
            Target::Sqlite { path } => {
                Backend::Sqlite(sqlite::Lite::connect(path, config, patience).await?)
            }
        };
        Ok(Self(backend))
    }

    /// How the schema compares with this binary's.
    pub async fn schema(&self) -> Result<Schema, StoreError> {
        dispatch!(self, schema())
    }

    /// Brings the schema up to date; names of the migrations that ran.
    pub async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        dispatch!(self, migrate())
    }

    /// Whether the master key opens what is stored; remembers its key id at first use.
    pub async fn check_key(&self) -> Result<(), StoreError> {
        dispatch!(self, check_key())
    }

    /// One round trip, for readiness.
    pub async fn ping(&self) -> Result<(), StoreError> {
        dispatch!(self, ping())
    }

    /// Closes connections after what is under way; for SQLite checkpoints the log.
    pub async fn close(&self) {
        dispatch!(self, close());
    }
}
