//! What the monitor reads and writes.

use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use postrider_domain::{HoldCause, Outcome, WebhookUuid};
use uuid::Uuid;

use crate::{AlertChannel, Store, StoreError, WorkerId};

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
    /// A verification is owed for too long.
    VerificationStale,
    /// Nothing was heard of a pair's verification for too long.
    VerificationSilent,
    /// A broker that should be asked does not answer.
    BrokerUnreachable,
}

impl IncidentKind {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::SustainedFailures,
        Self::LaneHeld,
        Self::Poison,
        Self::VerificationStale,
        Self::VerificationSilent,
        Self::BrokerUnreachable,
    ];

    /// Its name in rows, JSON and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SustainedFailures => "sustained_failures",
            Self::LaneHeld => "lane_held",
            Self::Poison => "poison",
            Self::VerificationStale => "verification_stale",
            Self::VerificationSilent => "verification_silent",
            Self::BrokerUnreachable => "broker_unreachable",
        }
    }
}

/// The text is no kind of incident.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind of incident")]
pub struct UnknownIncidentKind;

impl FromStr for IncidentKind {
    type Err = UnknownIncidentKind;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownIncidentKind)
    }
}

/// How soon somebody has to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Now.
    Critical,
    /// Today.
    Warning,
}

impl Severity {
    /// Its name in rows, JSON and alerts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
        }
    }
}

/// A condition that holds now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentFinding {
    /// What kind.
    pub kind: IncidentKind,
    /// What it is about: a webhook uuid, a lane name, a delivery id, a pair, a broker.
    pub subject: String,
    /// The class of what is wrong, e.g. an outcome; never empty.
    pub cause: &'static str,
    /// How bad it is; kept as it was when the incident was opened.
    pub severity: Severity,
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
    /// The class of what is wrong; empty in incidents from before there were causes.
    pub cause: String,
    /// How bad it is.
    pub severity: Severity,
    /// One sentence.
    pub summary: String,
    /// The command to run next.
    pub next: String,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When its summary last changed.
    pub updated_at: Timestamp,
    /// When somebody said that they have seen it.
    pub acknowledged_at: Option<Timestamp>,
    /// When the condition ended; `None` while it is open.
    pub resolved_at: Option<Timestamp>,
}

/// What a round of the monitor came to.
#[derive(Debug, Clone, Default)]
pub struct IncidentSync {
    /// All conditions that hold now, of the kinds that were judged.
    pub findings: Vec<IncidentFinding>,
    /// Kinds that were judged: an open incident of these without a finding is over.
    pub judged: Vec<IncidentKind>,
    /// Where openings and resolutions are to be told.
    pub channels: Vec<AlertChannel>,
}

/// Which incidents. Empty fields don't filter.
#[derive(Debug, Clone, Copy, Default)]
pub struct IncidentFilter {
    /// Only those that are not resolved.
    pub open_only: bool,
    /// Of this kind.
    pub kind: Option<IncidentKind>,
}

/// Where a page of incidents ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IncidentCursor {
    /// Instant of the last one.
    pub opened_at: Timestamp,
    /// Its id.
    pub id: Uuid,
}

/// One page, newest first.
#[derive(Debug, Clone)]
pub struct IncidentPage {
    /// Rows.
    pub incidents: Vec<Incident>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<IncidentCursor>,
}

impl IncidentPage {
    /// A page of `limit` out of rows that were read with one more than that.
    pub(crate) fn of(mut incidents: Vec<Incident>, limit: u32) -> Self {
        let shown = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = incidents.len() > shown;
        incidents.truncate(shown);
        let last = incidents.last().filter(|_| more);
        let next = last.map(|last| IncidentCursor { opened_at: last.opened_at, id: last.id });
        Self { incidents, next }
    }
}

/// What became of a wish to acknowledge an incident.
#[derive(Debug, Clone)]
pub enum Acknowledged {
    /// It is acknowledged, now or since earlier.
    Yes(Incident),
    /// It is over already; nothing was changed.
    Resolved(Incident),
    /// There is none.
    Unknown,
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

    /// Makes the open incidents of the judged kinds exactly the findings: opens, updates,
    /// resolves, and writes a notification for each channel with it; only under a valid lease
    /// (`Ok(None)` otherwise). Returns those opened and those resolved.
    pub async fn sync_incidents(
        &self,
        lease: MonitorLease,
        sync: &IncidentSync,
    ) -> Result<Option<(Vec<Incident>, Vec<Incident>)>, StoreError> {
        dispatch!(self, sync_incidents(lease, sync))
    }

    /// A page of incidents, newest first; `limit` 1 to 1,000.
    pub async fn incidents(
        &self,
        filter: IncidentFilter,
        after: Option<IncidentCursor>,
        limit: u32,
    ) -> Result<IncidentPage, StoreError> {
        dispatch!(self, incidents(filter, after, limit.clamp(1, 1_000)))
    }

    /// One incident.
    pub async fn incident(&self, id: Uuid) -> Result<Option<Incident>, StoreError> {
        dispatch!(self, incident(id))
    }

    /// Notes that somebody has seen an open incident; the first time counts.
    pub async fn acknowledge_incident(&self, id: Uuid) -> Result<Acknowledged, StoreError> {
        let acknowledged = dispatch!(self, acknowledge_incident(id))?;
        Ok(match acknowledged {
            None => Acknowledged::Unknown,
            Some(incident) if incident.acknowledged_at.is_some() => Acknowledged::Yes(incident),
            Some(incident) => Acknowledged::Resolved(incident),
        })
    }

    /// How many incidents are open, by kind; kinds without any are left out.
    pub async fn open_incidents(&self) -> Result<Vec<(IncidentKind, u64)>, StoreError> {
        dispatch!(self, open_incidents())
    }

    /// Retention: drops notifications made before `keep` ago, and incidents that were resolved
    /// before that, `limit` of each at most. Returns how many rows went.
    pub async fn prune_incidents(&self, keep: Duration, limit: u32) -> Result<u64, StoreError> {
        dispatch!(self, prune_incidents(keep, limit))
    }
}
