//! What an incident is read from, wherever one is read.

use super::row::Row;
use crate::fault::Fault;
use crate::{Incident, codec};

/// What an incident is read from. Alias `i`.
macro_rules! columns {
    () => {
        "i.id as incident_id, i.kind, i.subject, i.cause, i.severity, i.summary, i.next_step, \
         i.opened_at, i.updated_at, i.acknowledged_at, i.resolved_at"
    };
}
pub(crate) use columns;

/// Reads a row that has these columns.
pub(crate) fn incident(row: &Row) -> Result<Incident, Fault> {
    Ok(Incident {
        id: row.uuid("incident_id")?,
        kind: codec::incident_kind(row.text("kind")?)?,
        subject: row.string("subject")?,
        cause: row.string("cause")?,
        severity: codec::severity(row.text("severity")?)?,
        summary: row.string("summary")?,
        next: row.string("next_step")?,
        opened_at: row.at("opened_at")?,
        updated_at: row.at("updated_at")?,
        acknowledged_at: row.at_opt("acknowledged_at")?,
        resolved_at: row.at_opt("resolved_at")?,
    })
}
