//! Conditions that a person should know of.

use jiff::Timestamp;
use postrider_domain::{IncidentKind, Severity};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::page::list;
use crate::query::query;
use crate::words;

/// A condition that a person should know of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Incident {
    /// The incident.
    pub id: Uuid,
    /// What kind of condition it is.
    #[schema(value_type = words::IncidentKind)]
    pub kind: IncidentKind,
    /// What it is about: a webhook's uuid, a lane, a delivery, `broker/consumer/provider`, a
    /// broker.
    pub subject: String,
    /// The class of what is wrong.
    pub cause: String,
    /// How bad it is.
    #[schema(value_type = words::Severity)]
    pub severity: Severity,
    /// One sentence for a person.
    pub summary: String,
    /// The command to go on with.
    pub next: String,
    /// When it began.
    pub opened_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When somebody first said to have seen it.
    #[schema(required)]
    pub acknowledged_at: Option<Timestamp>,
    /// When it was over.
    #[schema(required)]
    pub resolved_at: Option<Timestamp>,
}

query! {
    /// Which incidents.
    pub struct IncidentQuery {
        /// Leave the resolved ones out.
        open: bool { default = false },
        /// Incidents of this kind.
        kind: IncidentKind as words::IncidentKind,
    }
}

list! {
    /// A page of incidents, newest first.
    pub struct IncidentList {
        /// The incidents.
        incidents: Incident,
        /// How many there are, counted up to 10,000.
        total,
    }
}
