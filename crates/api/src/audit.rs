//! Who changed what.

use jiff::Timestamp;
use postrider_domain::{AuditAction, AuditKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::page::list;
use crate::query::query;
use crate::words;

/// A change that somebody made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// The entry.
    pub id: Uuid,
    /// When it was made.
    pub at: Timestamp,
    /// The name of the token that was used, or its role and a part of a keyed hash; `local` where
    /// no token is needed, `settings` for what follows from settings.
    pub who: String,
    /// Method and path of the request that made it.
    pub route: String,
    /// What kind of thing was changed.
    #[schema(value_type = words::AuditKind)]
    pub kind: AuditKind,
    /// Which one: a webhook's uuid, the name of a secret, a lane or a limit, the id of an incident,
    /// of a delivery or of an act over many.
    pub object: String,
    /// What was done to it.
    #[schema(value_type = words::AuditAction)]
    pub action: AuditAction,
    /// A few words on it; never a secret.
    pub detail: String,
}

query! {
    /// Which changes.
    pub struct AuditQuery {
        /// Changes by this one.
        who: String,
        /// Changes of this kind of thing.
        kind: AuditKind as words::AuditKind,
        /// Changes of the thing of exactly this name or id.
        object: String,
        /// Not before: a time as in RFC 3339, or back from now, such as `2h` or `3d`.
        since: String,
        /// Before: likewise.
        until: String,
    }
}

list! {
    /// A page of the audit log, newest first.
    pub struct AuditList {
        /// The changes.
        entries: AuditEntry,
        /// How many there are, counted up to 10,000.
        total,
    }
}
