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

mod alert;
mod attempts;
mod audit;
mod claims;
mod codec;
mod cold;
mod credentials;
mod error;
mod event_key;
mod events;
mod executions;
mod fault;
mod heartbeat;
mod hot;
mod id_time;
mod incidents;
mod intake;
mod lanes;
mod list;
mod notifications;
mod outstanding;
mod pairs;
mod record;
mod relays;
mod revisions;
mod seal;
mod secrets;
mod unclaim;
mod watch;
mod webhooks;
mod worker_id;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use postrider_telemetry::Supervisor;
use secrecy::SecretString;

pub use alert::{AlertChannel, AlertStatus};
pub use attempts::{AttemptRow, AttemptView, KeptRequest, Rendition};
pub use audit::{AuditCursor, AuditEntry, AuditFilter, AuditPage, Author};
pub use claims::{Claim, ClaimTerms, Expired, LaneShare, LimitedClaim};
pub use credentials::{
    CredentialNews, CredentialRow, GithubFacts, PendingPut, ProbeAsked, ProbeFindings, ProbeRow,
    ProbeTask, ProbedRepository, Switched,
};
pub use error::StoreError;
pub use event_key::EventKey;
pub use events::{
    EventCursor, EventFilter, EventPage, EventRow, EventView, MergedCalls, RunAnswer,
};
pub use executions::{ExecutionView, LaneStop, NewExecution, Started, Subject, SweptExecutions};
pub use heartbeat::{Beat, GivenBack, Trouble, TroubledWorker};
pub use incidents::{
    Acknowledged, Incident, IncidentCursor, IncidentFilter, IncidentFinding, IncidentKind,
    IncidentPage, IncidentSync, MonitorLease, Severity, StreakFact,
};
pub use intake::{
    ClaimsAtIntake, ClaimsCame, Committed, Entered, EventDocument, IntakeBatch, IntakeEntry,
    IntakeResult, KeyTerm, NewDelivery, NewEvent,
};
pub use lanes::{
    LaneInfo, LanePage, LaneSpec, LaneStatus, Lease, LimitStatus, ManualHold, Poll, ProbeClaim,
};
pub use list::{
    BulkKind, BulkPlan, Cursor, DeliveryFilter, DeliveryRow, DeliveryScope, DeliveryView,
    HourCounts, Page, Stats, Total,
};
pub use notifications::{AlertResult, Notification, UnseenIncident};
pub use pairs::{
    BrokerRead, BrokerTrouble, DispatchFact, PairFilter, PairRow, ToldEvents, ToldPage,
};
pub use postrider_domain::{Refusal, Transition};
pub use record::{RecordReport, Recorded};
pub use relays::{BrokerRelay, RefusedCalls, RelayCalls};
pub use seal::MasterKey;
pub use secrets::{
    AppSecret, SecretContent, SecretInfo, SecretPut, SecretValues, SecretWrite, Secrets,
};
pub use unclaim::{Kept, UnclaimNo, Unsettled};
pub use watch::{BrokerWalk, EventFate, KnownDebt, ToldDebt, ToldVersion, WhyKnown};
pub use webhooks::{ParkedWebhook, Put, StoredWebhook, WebhookTable, WebhookWrite};
pub use worker_id::WorkerId;

/// Where the store is.
#[derive(Debug, Clone)]
pub enum Target {
    /// Postgres 14 or later.
    Postgres {
        /// Connection URL; may hold a password.
        url: SecretString,
        /// Connections of this process on which deliveries depend, at least 2; three more are
        /// for what people ask.
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
    /// store; zero where there is no dispatch queue (embedded).
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

/// The store, and on whose behalf it is changed. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct Store(Backend, Option<Arc<Author>>);

#[derive(Debug, Clone)]
enum Backend {
    Postgres(hot::postgres::PostgresStore),
    Sqlite(hot::sqlite::SqliteStore),
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
                hot::postgres::PostgresStore::connect(url, *max_connections, config, patience)
                    .await?,
            ),
            Target::Sqlite { path } => {
                let lite =
                    hot::sqlite::SqliteStore::connect(path, config, patience, supervisor).await?;
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
            Backend::Sqlite(_) => hot::sqlite::DEADLINE,
        };
        self.oldest_step().filter(|(_, age)| *age > deadline)
    }

    /// Closes connections after what is under way; for SQLite checkpoints the log.
    pub async fn close(&self) {
        dispatch!(self, close());
    }
}
