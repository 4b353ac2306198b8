//! Deliveries in lists and one by one.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{StatusCode, Uri};
use jiff::Timestamp;
use postrider_api::{
    Attempt, Delivery, DeliveryDetail, DeliveryFilter, DeliveryList, NextPage, PageQuery, Run,
};
use postrider_domain::DeliveryId;
use postrider_http_server::Problem;
use postrider_http_server::openapi::{Operation, Tag};
use postrider_store::{AttemptView, Cursor, DeliveryRow};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::api::example::{LANE, TIME, UUID, WEBHOOK};
use crate::api::filter;
use crate::api::params::{Params, Segment, wrong};
use crate::server::App;
use crate::shown::{self, ShownRequest};

/// `GET /api/v1/deliveries`.
pub(super) async fn list(State(app): State<App>, uri: Uri) -> Result<Response, Problem> {
    let known = [DeliveryFilter::NAMES.as_slice(), &["limit", "cursor"]].concat();
    let params = Params::of(&uri, &known)?;
    let limit = params.limit()?;
    let cursor = params.get("cursor").map(read_cursor).transpose()?;
    let filter =
        filter::filter(|name| params.get(name), wrong, app.store(), Timestamp::now()).await?;
    let page = app.store().deliveries(&filter, cursor.as_ref(), limit).await?;
    let total = app.store().count_deliveries(&filter).await?;
    let list = DeliveryList {
        deliveries: page.deliveries.into_iter().map(document).collect(),
        next: NextPage(page.next.as_ref().map(write_cursor)),
        total: total.count,
        total_is_exact: total.is_exact,
    };
    Ok(Json(list).into_response())
}

pub(super) fn list_described() -> Operation {
    let example = json!({
        "id": UUID,
        "event_id": UUID,
        "event_name": "contract_published",
        "broker": "default",
        "webhook_uuid": WEBHOOK,
        "consumer": "checkout",
        "provider": "billing",
        "status": "retrying",
        "lane": LANE,
        "attempts": 2,
        "last_outcome": "server_error",
        "last_status_code": 502,
        "next_attempt_at": TIME,
        "created_at": TIME,
        "updated_at": TIME,
    });
    let example =
        json!({"deliveries": [example], "next": null, "total": 1, "total_is_exact": true});
    Operation::new(Tag::Operations, "listDeliveries", "List deliveries")
        .description("Newest first. Empty parameters count as not given; unknown ones are refused.")
        .query::<DeliveryFilter>()
        .query::<PageQuery>()
        .knows::<DeliveryFilter>()
        .answers::<DeliveryList>(200, "Fine.")
        .example(200, example)
}

/// `GET /api/v1/deliveries/{id}`.
pub(super) async fn show(
    State(app): State<App>,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    let missing = || Problem::new(StatusCode::NOT_FOUND, "there is no delivery with this id");
    let id: DeliveryId = id.parse().map_err(|_| missing())?;
    let view = app.store().delivery(id).await?.ok_or_else(missing)?;
    let requests = shown::requests(app.store(), &view, &app.config.redact_more).await?;
    let attempts = view.attempts.into_iter().zip(requests);
    let attempts = attempts.map(|(row, request)| attempt(row, request)).collect();
    let detail = DeliveryDetail::new(document(view.row), attempts, embedded(&view.event));
    Ok(Json(detail).into_response())
}

pub(super) fn show_described() -> Operation {
    Operation::new(Tag::Operations, "showDelivery", "Show a delivery with its event and attempts")
        .path("id", "The delivery.", &json!({"type": "string", "format": "uuid"}))
        .answers::<DeliveryDetail>(200, "Fine.")
        .refuses(404, "NotFound")
}

fn document(row: DeliveryRow) -> Delivery {
    Delivery {
        id: row.id,
        event_id: row.event_id,
        event_name: row.event_name,
        broker: row.broker,
        webhook_uuid: row.webhook_uuid,
        consumer: row.consumer,
        provider: row.provider,
        status: row.status,
        lane: row.lane,
        attempts: row.attempts,
        last_outcome: row.last_outcome,
        last_status_code: row.last_status_code,
        next_attempt_at: row.next_attempt_at,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

fn attempt(attempt: AttemptView, request: ShownRequest) -> Attempt {
    let mut response = embedded(&attempt.response);
    let run = take_run(&mut response);
    Attempt {
        number: attempt.number,
        started_at: attempt.started_at,
        duration_ms: u64::try_from(attempt.duration.as_millis()).unwrap_or(u64::MAX),
        outcome: attempt.outcome,
        status_code: attempt.status_code,
        github_request_id: attempt.github_request_id,
        possible_duplicate: attempt.possible_duplicate,
        retry_after_capped: attempt.retry_after_capped,
        request: embedded(&request.text),
        request_origin: request.origin,
        request_bytes: request.body_bytes,
        request_note: request.note,
        response,
        run,
    }
}

/// The run that the worker noted beside what it kept of the answer.
fn take_run(response: &mut Value) -> Option<Run> {
    let run = response.as_object_mut()?.shift_remove("run")?;
    serde_json::from_value(run).ok()
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
