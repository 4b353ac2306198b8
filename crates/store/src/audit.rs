//! Who changed what.

use jiff::Timestamp;
use postrider_domain::{AuditAction, AuditKind};
use uuid::Uuid;

/// On whose behalf a store changes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// The name of the token that was used, `local` where none is needed, `settings` for what
    /// follows from settings.
    pub who: String,
    /// Over which way: method and path of the request.
    pub route: String,
}

/// A change as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Which.
    pub id: Uuid,
    /// When, by the database's clock.
    pub at: Timestamp,
    /// By whom.
    pub who: String,
    /// Over which way.
    pub route: String,
    /// What kind of thing was changed.
    pub kind: AuditKind,
    /// Which one.
    pub object: String,
    /// What was done to it.
    pub action: AuditAction,
    /// A few words on it; no secret.
    pub detail: String,
}

/// Which changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// By this one.
    pub who: Option<String>,
    /// Of this kind.
    pub kind: Option<AuditKind>,
    /// Of the thing of exactly this name or id.
    pub object: Option<String>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

/// Where a page ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditCursor {
    /// Instant of the last one.
    pub at: Timestamp,
    /// Its id.
    pub id: Uuid,
}

/// One page, newest first.
#[derive(Debug, Clone)]
pub struct AuditPage {
    /// Rows.
    pub entries: Vec<AuditEntry>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<AuditCursor>,
}

impl AuditPage {
    /// A page of `limit` out of rows that were read with one more than that.
    pub(crate) fn of(mut entries: Vec<AuditEntry>, limit: u32) -> Self {
        let shown = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = entries.len() > shown;
        entries.truncate(shown);
        let last = entries.last().filter(|_| more);
        let next = last.map(|last| AuditCursor { at: last.at, id: last.id });
        Self { entries, next }
    }
}
