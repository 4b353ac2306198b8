//! Conditions that a person should know of.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, Uri};
use jiff::Timestamp;
use postrider_api::{Incident, IncidentList, IncidentQuery, NextPage, PageQuery};
use postrider_domain::IncidentKind;
use postrider_http_server::Problem;
use postrider_http_server::openapi::{Operation, Tag};
use postrider_store::{Acknowledged, IncidentCursor, IncidentFilter};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::api::example::{LANE, TIME, UUID};
use crate::api::params::{Params, Segment, cursor_of, cursor_text, wrong};
use crate::app::{App, Changes};

/// `GET /api/v1/incidents`, newest first; `open=true` leaves the resolved ones out.
pub(super) async fn list(State(app): State<App>, uri: Uri) -> Result<Response, Problem> {
    let params = Params::of(&uri, &[IncidentQuery::NAMES, PageQuery::NAMES])?;
    let kinds = IncidentKind::ALL.map(IncidentKind::as_str).join(", ");
    let filter = IncidentFilter {
        open_only: params.parsed("open", "true or false")?.unwrap_or(false),
        kind: params.parsed("kind", &format!("one of {kinds}"))?,
    };
    let cursor = params.get("cursor").map(read_cursor).transpose()?;
    let page = app.store().incidents(filter, cursor, params.limit()?).await?;
    let total = app.store().count_incidents(filter).await?;
    let next = page.next.map(|IncidentCursor { opened_at, id }| {
        cursor_text(&format!("{} {id}", opened_at.as_microsecond()))
    });
    let list = IncidentList {
        incidents: page.incidents.into_iter().map(document).collect(),
        next: NextPage(next),
        total: total.count,
        total_is_exact: total.is_exact,
    };
    Ok(Json(list).into_response())
}

pub(super) fn list_described() -> Operation {
    Operation::new(Tag::Operations, "listIncidents", "List incidents")
        .description("Newest first.")
        .query::<IncidentQuery>()
        .query::<PageQuery>()
        .answers::<IncidentList>(200, "Fine.")
        .example(
            200,
            json!({"incidents": [example()], "next": null, "total": 1, "total_is_exact": true}),
        )
}

fn example() -> Value {
    json!({
        "id": UUID,
        "kind": "lane_held",
        "subject": LANE,
        "cause": "credential",
        "severity": "critical",
        "summary": format!("Lane {LANE} is held: its credential was refused"),
        "next": "postrider secrets set githubToken",
        "opened_at": TIME,
        "updated_at": TIME,
        "acknowledged_at": null,
        "resolved_at": null,
    })
}

/// `GET /api/v1/incidents/{id}`.
pub(super) async fn show(
    State(app): State<App>,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    let found = app.store().incident(read_id(&id)?).await?;
    let incident = found.ok_or_else(unknown)?;
    Ok(Json(document(incident)).into_response())
}

pub(super) fn show_described() -> Operation {
    of_one("showIncident", "Show an incident").example(200, example())
}

fn of_one(id: &str, summary: &str) -> Operation {
    Operation::new(Tag::Operations, id, summary)
        .path("id", "The incident.", &json!({"type": "string", "format": "uuid"}))
        .answers::<Incident>(200, "Fine.")
        .refuses(404, "NotFound")
}

/// `POST /api/v1/incidents/{id}/ack`: somebody has seen it. It stays open and nothing else
/// changes; the first time counts.
pub(super) async fn acknowledge(
    Changes(changes): Changes,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    match changes.acknowledge_incident(read_id(&id)?).await? {
        Acknowledged::Yes(incident) => Ok(Json(document(incident)).into_response()),
        Acknowledged::Resolved(incident) => {
            let at = incident.resolved_at.unwrap_or(incident.updated_at);
            let detail = format!("the incident is over since {at}: nothing is left to acknowledge");
            Err(Problem::new(StatusCode::CONFLICT, detail))
        }
        Acknowledged::Unknown => Err(unknown()),
    }
}

pub(super) fn acknowledge_described() -> Operation {
    of_one("acknowledgeIncident", "Acknowledge an incident")
        .description("Somebody has seen it. It stays open; the first time counts.")
        .answers_nothing(409, "The incident is over.")
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

pub(super) fn document(incident: postrider_store::Incident) -> Incident {
    Incident {
        id: incident.id,
        kind: incident.kind,
        subject: incident.subject,
        cause: incident.cause,
        severity: incident.severity,
        summary: incident.summary,
        next: incident.next,
        opened_at: incident.opened_at,
        updated_at: incident.updated_at,
        acknowledged_at: incident.acknowledged_at,
        resolved_at: incident.resolved_at,
    }
}
