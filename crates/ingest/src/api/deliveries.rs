//! Deliveries in lists and one by one.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{StatusCode, Uri};
use jiff::Timestamp;
use postrider_domain::DeliveryId;
use postrider_store::{AttemptView, Cursor, DeliveryRow};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::api::filter::{self, NAMES};
use crate::api::params::{Params, Segment, wrong};
use crate::problem::Problem;
use crate::server::App;

/// `GET /api/v1/deliveries`.
pub(super) async fn list(State(app): State<App>, uri: Uri) -> Result<Response, Problem> {
    let known = [NAMES.as_slice(), &["limit", "cursor"]].concat();
    let params = Params::of(&uri, &known)?;
    let limit = params.limit()?;
    let cursor = params.get("cursor").map(read_cursor).transpose()?;
    let get = |name: &str| params.get(name);
    let filter = filter::filter(get, wrong, app.store(), Timestamp::now()).await?;
    let page = app.store().deliveries(&filter, cursor.as_ref(), limit).await?;
    let rows: Vec<_> = page.deliveries.iter().map(row).collect();
    let next = page.next.as_ref().map(write_cursor);
    Ok(Json(json!({"deliveries": rows, "next": next})).into_response())
}

/// `GET /api/v1/deliveries/{id}`.
pub(super) async fn show(
    State(app): State<App>,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    let missing = || Problem::new(StatusCode::NOT_FOUND, "there is no delivery with this id");
    let id: DeliveryId = id.parse().map_err(|_| missing())?;
    let view = app.store().delivery(id).await?.ok_or_else(missing)?;
    let mut document = row(&view.row);
    document.insert("event".into(), embedded(&view.event));
    document.insert("attempts".into(), view.attempts.iter().map(attempt).collect());
    Ok(Json(document).into_response())
}

fn row(row: &DeliveryRow) -> Map<String, Value> {
    let members = [
        ("id", json!(row.id)),
        ("event_id", json!(row.event_id)),
        ("event_name", json!(row.event_name)),
        ("broker", json!(row.broker)),
        ("webhook_uuid", json!(row.webhook_uuid)),
        ("consumer", json!(row.consumer)),
        ("provider", json!(row.provider)),
        ("status", json!(row.status)),
        ("lane", json!(row.lane)),
        ("attempts", json!(row.attempts)),
        ("last_outcome", json!(row.last_outcome)),
        ("last_status_code", json!(row.last_status_code)),
        ("next_attempt_at", json!(row.next_attempt_at)),
        ("created_at", json!(row.created_at)),
        ("updated_at", json!(row.updated_at)),
    ];
    members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn attempt(attempt: &AttemptView) -> Value {
    json!({
        "number": attempt.number,
        "started_at": attempt.started_at,
        "duration_ms": u64::try_from(attempt.duration.as_millis()).unwrap_or(u64::MAX),
        "outcome": attempt.outcome,
        "status_code": attempt.status_code,
        "github_request_id": attempt.github_request_id,
        "possible_duplicate": attempt.possible_duplicate,
        "request": embedded(&attempt.request),
        "response": embedded(&attempt.response),
    })
}

/// JSON text as JSON; other text as a string; nothing as null.
fn embedded(text: &str) -> Value {
    if text.is_empty() {
        return Value::Null;
    }
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

fn write_cursor(cursor: &Cursor) -> String {
    URL_SAFE_NO_PAD.encode(cursor.0.0.as_bytes())
}

fn read_cursor(text: &str) -> Result<Cursor, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok();
    let id = bytes.and_then(|bytes| Uuid::from_slice(&bytes).ok());
    id.map(|id| Cursor(DeliveryId(id)))
        .ok_or_else(|| wrong("cursor", "must be the member next of an earlier page"))
}
