//! What the monitor reads and writes.

use std::time::Duration;

use jiff::Timestamp;
use postrider_domain::{HoldCause, Outcome, WebhookUuid};
use uuid::Uuid;

use crate::{Store, StoreError, WorkerId};

/// The one active monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MonitorLease {
    /// Who.
    pub owner: WorkerId,
    /// Which acquisition.
    pub epoch: i64,
}

/// Failures of one webhook since its last success.
#[derive(Debug, Clone)]
pub struct StreakFact {
    /// The webhook.
    pub webhook: WebhookUuid,
    /// What it is called.
    pub description: String,
    /// Its lane.
    pub lane: String,
    /// Attempts that failed since the last success; rate limits don't count.
    pub failures: u64,
    /// When the first of them happened.
    pub since: Option<Timestamp>,
    /// What the newest came to.
    pub last_outcome: Option<Outcome>,
    /// Its HTTP status.
    pub last_status_code: Option<u16>,
    /// When it last succeeded.
    pub last_success_at: Option<Timestamp>,
}

/// All that the monitor judges, read in one go.
#[derive(Debug, Clone, Default)]
pub struct MonitorFacts {
    /// Every webhook that is not deleted and was ever attempted.
    pub streaks: Vec<StreakFact>,
    /// Held lanes: name, cause, since, backlog.
    pub held: Vec<(String, HoldCause, Timestamp, u64)>,
    /// Poisoned deliveries of the last seven days: id and webhook.
    pub poisoned: Vec<(Uuid, WebhookUuid)>,
}

/// What kind of condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IncidentKind {
    /// A webhook fails again and again.
    SustainedFailures,
    /// A lane is held.
    LaneHeld,
    /// A delivery took workers down.
    Poison,
}

impl IncidentKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::SustainedFailures, Self::LaneHeld, Self::Poison];

    /// Its name in rows, JSON and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SustainedFailures => "sustained_failures",
            Self::LaneHeld => "lane_held",
            Self::Poison => "poison",
        }
    }
}

/// A condition that holds now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentFinding {
    /// What kind.
    pub kind: IncidentKind,
    /// What it is about: a webhook uuid, a lane name, a delivery id.
    pub subject: String,
    /// One sentence for a person: what, since when, cause.
    pub summary: String,
    /// The command to run next.
    pub next: String,
}

/// An incident as kept.
#[derive(Debug, Clone)]
pub struct Incident {
    /// Its id.
    pub id: Uuid,
    /// What kind.
    pub kind: IncidentKind,
    /// What it is about.
    pub subject: String,
    /// One sentence.
    pub summary: String,
    /// The command to run next.
    pub next: String,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When its summary last changed.
    pub updated_at: Timestamp,
    /// When the condition ended; `None` while it is open.
    pub resolved_at: Option<Timestamp>,
}

impl Store {
    /// Takes or renews the monitor's lease; `None` while another's is valid. The epoch is kept
    /// on renewal and raised on acquisition.
    pub async fn monitor_lease(
        &self,
        owner: WorkerId,
        held: Option<MonitorLease>,
        length: Duration,
    ) -> Result<Option<MonitorLease>, StoreError> {
        dispatch!(self, monitor_lease(owner, held, length))
    }

    /// Gives the monitor's lease up.
    pub async fn monitor_give_up(&self, lease: MonitorLease) -> Result<(), StoreError> {
        dispatch!(self, monitor_give_up(lease))
    }

    /// What there is to judge.
    pub async fn monitor_facts(&self) -> Result<MonitorFacts, StoreError> {
        dispatch!(self, monitor_facts())
    }

    /// Makes the open incidents exactly the findings: opens, updates, resolves; only under a
    /// valid lease (`Ok(None)` otherwise). Returns those opened and those resolved.
    pub async fn sync_incidents(
        &self,
        lease: MonitorLease,
        findings: &[IncidentFinding],
    ) -> Result<Option<(Vec<Incident>, Vec<Incident>)>, StoreError> {
        dispatch!(self, sync_incidents(lease, findings))
    }

    /// Incidents, newest first; with `open_only` those not resolved; `limit` 1 to 1,000.
    pub async fn incidents(
        &self,
        open_only: bool,
        limit: u32,
    ) -> Result<Vec<Incident>, StoreError> {
        dispatch!(self, incidents(open_only, limit))
    }
}
