//! Conditions that a person should know of.

use jiff::Timestamp;
use postrider_domain::{IncidentKind, Severity};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::page::{NextPage, Page};
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

/// Which incidents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct IncidentQuery {
    /// Leave the resolved ones out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(nullable = false, default = false)]
    pub open: Option<bool>,
    /// Incidents of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = words::IncidentKind, required = false)]
    pub kind: Option<IncidentKind>,
}

/// A page of incidents, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IncidentList {
    /// The incidents.
    pub incidents: Vec<Incident>,
    /// Where the next page begins.
    #[schema(required)]
    pub next: NextPage,
}

impl Page for IncidentList {
    type Row = Incident;

    fn into_parts(self) -> (Vec<Incident>, NextPage) {
        (self.incidents, self.next)
    }
}
