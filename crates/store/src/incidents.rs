//! What the monitor reads and writes.

use jiff::Timestamp;
use postrider_domain::{Outcome, WebhookUuid};
use uuid::Uuid;

pub use postrider_domain::{IncidentKind, Severity};

use crate::{AlertChannel, WorkerId};

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
    /// Different deliveries among them.
    pub deliveries: u64,
    /// When the first of them happened.
    pub since: Option<Timestamp>,
    /// What the newest came to.
    pub last_outcome: Option<Outcome>,
    /// Its HTTP status.
    pub last_status_code: Option<u16>,
    /// When it last succeeded.
    pub last_success_at: Option<Timestamp>,
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
