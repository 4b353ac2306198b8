//! What people change: kinds of things, and what is done to them.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What kind of thing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditKind {
    /// A webhook, by its uuid.
    Webhook,
    /// A secret, by its name.
    Secret,
    /// A lane, by its name.
    Lane,
    /// What a limit allows, by its name.
    Limit,
    /// An incident, by its id.
    Incident,
    /// Deliveries: the one, by its id, or all that an act is about, by the act's.
    Delivery,
}

impl AuditKind {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::Webhook, Self::Secret, Self::Lane, Self::Limit, Self::Incident, Self::Delivery];

    /// Its name in rows and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Secret => "secret",
            Self::Lane => "lane",
            Self::Limit => "limit",
            Self::Incident => "incident",
            Self::Delivery => "delivery",
        }
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditAction {
    /// It is new.
    Created,
    /// It was replaced.
    Changed,
    /// It is gone.
    Deleted,
    /// A webhook was sent to see what comes of it.
    Tested,
    /// A lane was held by hand.
    Held,
    /// A hold was ended by hand.
    Released,
    /// An incident was seen by somebody.
    Acknowledged,
    /// Final deliveries are sent again.
    Replayed,
    /// Waiting deliveries are not sent.
    Discarded,
    /// An act that was interrupted went on.
    Resumed,
    /// A value is there that is to follow a secret's.
    Prepared,
    /// It is there no more, unused.
    Dropped,
    /// It has taken the place of the one before.
    Switched,
    /// A secret's value was tried by reads.
    Probed,
}

impl AuditAction {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Created,
        Self::Changed,
        Self::Deleted,
        Self::Tested,
        Self::Held,
        Self::Released,
        Self::Acknowledged,
        Self::Replayed,
        Self::Discarded,
        Self::Resumed,
        Self::Prepared,
        Self::Dropped,
        Self::Switched,
        Self::Probed,
    ];

    /// Its name in rows and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Deleted => "deleted",
            Self::Tested => "tested",
            Self::Held => "held",
            Self::Released => "released",
            Self::Acknowledged => "acknowledged",
            Self::Replayed => "replayed",
            Self::Discarded => "discarded",
            Self::Resumed => "resumed",
            Self::Prepared => "prepared",
            Self::Dropped => "dropped",
            Self::Switched => "switched",
            Self::Probed => "probed",
        }
    }
}

/// The text is no such word.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown word of the audit log")]
pub struct UnknownAuditWord;

impl FromStr for AuditKind {
    type Err = UnknownAuditWord;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownAuditWord)
    }
}

impl FromStr for AuditAction {
    type Err = UnknownAuditWord;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|action| action.as_str() == text).ok_or(UnknownAuditWord)
    }
}
