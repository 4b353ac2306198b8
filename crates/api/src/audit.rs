//! Who changed what.

use jiff::Timestamp;
use postrider_domain::{AuditAction, AuditKind};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::page::{NextPage, Page};
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

/// Which changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Changes by this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(nullable = false)]
    pub who: Option<String>,
    /// Changes of this kind of thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = words::AuditKind, required = false)]
    pub kind: Option<AuditKind>,
    /// Changes of the thing of exactly this name or id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(nullable = false)]
    pub object: Option<String>,
    /// Not before: a time as in RFC 3339, or back from now, such as `2h` or `3d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(nullable = false)]
    pub since: Option<String>,
    /// Before: likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(nullable = false)]
    pub until: Option<String>,
}

/// A page of the audit log, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditList {
    /// The changes.
    pub entries: Vec<AuditEntry>,
    /// Where the next page begins.
    #[schema(required)]
    pub next: NextPage,
    /// How many there are, counted up to 10,000.
    #[schema(minimum = 0)]
    pub total: u64,
    /// There are no more than `total`.
    pub total_is_exact: bool,
}

impl Page for AuditList {
    type Row = AuditEntry;

    fn into_parts(self) -> (Vec<AuditEntry>, NextPage) {
        (self.entries, self.next)
    }
}
