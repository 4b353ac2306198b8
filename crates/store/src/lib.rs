//! The only crate that knows SQL: Postgres and SQLite behind one type, [`Store`].
//!
//! The store is the truth. Every transition of the delivery protocol is one atomic step here
//! and carries its letter in its documentation: T1-T12 move a delivery, J1-J6 are the
//! janitor's, L1-L10 move a lane, W1-W5 a webhook's own hold, E1-E6 an execution, which
//! tests a webhook. Names in capitals (FENCE, CLAIM_NO, ...) are the protocol's rules. Every
//! instant in a row is written and compared by the database's clock (DB_CLOCK); only durations
//! come from outside.

mod alert;
mod attempts;
mod audit;
mod claims;
mod codec;
mod cold;
mod config;
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
mod store;
mod unclaim;
mod watch;
mod webhooks;
mod worker_id;

pub use alert::{AlertChannel, AlertStatus};
pub use attempts::{AttemptRow, KeptRequest, Rendition};
pub use audit::{AuditCursor, AuditEntry, AuditFilter, AuditPage, Author};
pub use claims::{
    Claim, ClaimLimited, ClaimProbeDelivery, ClaimTerms, Expired, LaneShare, LimitedClaim,
};
pub use config::{StoreConfig, Target};
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
pub use store::{Schema, Store};
pub use unclaim::{Kept, Unclaim, UnclaimNo, Unsettled};
pub use watch::{BrokerWalk, EventFate, KnownDebt, ToldDebt, ToldVersion, WhyKnown};
pub use webhooks::{ParkedWebhook, Put, StoredWebhook, WebhookTable, WebhookWrite};
pub use worker_id::WorkerId;
