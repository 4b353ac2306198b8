//! Conditions that a person should know of.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, Uri};
use jiff::Timestamp;
use postrider_store::{Acknowledged, Incident, IncidentCursor, IncidentFilter, IncidentKind};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::api::params::{Params, Segment, cursor_of, cursor_text, wrong};
use crate::problem::Problem;
use crate::server::App;

/// `GET /api/v1/incidents`, newest first; `open=true` leaves the resolved ones out.
pub(super) async fn list(State(app): State<App>, uri: Uri) -> Result<Response, Problem> {
    let params = Params::of(&uri, &["open", "kind", "limit", "cursor"])?;
    let kinds = IncidentKind::ALL.map(IncidentKind::as_str).join(", ");
    let filter = IncidentFilter {
        open_only: params.parsed("open", "true or false")?.unwrap_or(false),
        kind: params.parsed("kind", &format!("one of {kinds}"))?,
    };
    let cursor = params.get("cursor").map(read_cursor).transpose()?;
    let page = app.store().incidents(filter, cursor, params.limit()?).await?;
    let incidents: Vec<_> = page.incidents.iter().map(document).collect();
    let next = page.next.map(|IncidentCursor { opened_at, id }| {
        cursor_text(&format!("{} {id}", opened_at.as_microsecond()))
    });
    Ok(Json(json!({"incidents": incidents, "next": next})).into_response())
}

/// `GET /api/v1/incidents/{id}`.
pub(super) async fn show(
    State(app): State<App>,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    let found = app.store().incident(read_id(&id)?).await?;
    let incident = found.ok_or_else(unknown)?;
    Ok(Json(document(&incident)).into_response())
}

/// `POST /api/v1/incidents/{id}/ack`: somebody has seen it. It stays open and nothing else
/// changes; the first time counts.
pub(super) async fn acknowledge(
    State(app): State<App>,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    match app.store().acknowledge_incident(read_id(&id)?).await? {
        Acknowledged::Yes(incident) => Ok(Json(document(&incident)).into_response()),
        Acknowledged::Resolved(incident) => {
            let at = incident.resolved_at.unwrap_or(incident.updated_at);
            let detail = format!("the incident is over since {at}: nothing is left to acknowledge");
            Err(Problem::new(StatusCode::CONFLICT, detail))
        }
        Acknowledged::Unknown => Err(unknown()),
    }
}

fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "there is no incident with this id")
}

fn read_id(text: &str) -> Result<Uuid, Problem> {
    text.parse().map_err(|_| unknown())
}

fn read_cursor(text: &str) -> Result<IncidentCursor, Problem> {
    let read = || {
        let text = cursor_of(text)?;
        let (micros, id) = text.split_once(' ')?;
        let opened_at = Timestamp::from_microsecond(micros.parse().ok()?).ok()?;
        Some(IncidentCursor { opened_at, id: id.parse().ok()? })
    };
    read().ok_or_else(|| wrong("cursor", "must be the member next of an earlier page"))
}

fn document(incident: &Incident) -> Value {
    json!({
        "id": incident.id,
        "kind": incident.kind.as_str(),
        "subject": incident.subject,
        "cause": incident.cause,
        "severity": incident.severity.as_str(),
        "summary": incident.summary,
        "next": incident.next,
        "opened_at": incident.opened_at,
        "updated_at": incident.updated_at,
        "acknowledged_at": incident.acknowledged_at,
        "resolved_at": incident.resolved_at,
    })
}
