//! Conditions that a person should know of.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::Uri;
use postrider_store::Incident;
use serde_json::{Value, json};

use crate::api::params::Params;
use crate::problem::Problem;
use crate::server::App;

/// `GET /api/v1/incidents`, newest first; `open=true` leaves the resolved ones out.
pub(super) async fn list(State(app): State<App>, uri: Uri) -> Result<Response, Problem> {
    let params = Params::of(&uri, &["open", "limit"])?;
    let open_only = params.parsed("open", "true or false")?.unwrap_or(false);
    let incidents = app.store().incidents(open_only, params.limit()?).await?;
    let incidents: Vec<_> = incidents.iter().map(document).collect();
    Ok(Json(json!({"incidents": incidents})).into_response())
}

fn document(incident: &Incident) -> Value {
    json!({
        "id": incident.id,
        "kind": incident.kind.as_str(),
        "subject": incident.subject,
        "summary": incident.summary,
        "next": incident.next,
        "opened_at": incident.opened_at,
        "updated_at": incident.updated_at,
        "resolved_at": incident.resolved_at,
    })
}
