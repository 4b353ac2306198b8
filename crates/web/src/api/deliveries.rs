//! Deliveries in lists and one by one.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, Uri};
use jiff::Timestamp;
use postrider_api::{
    Attempt, Delivery, DeliveryDetail, DeliveryFilter, DeliveryList, NextPage, PageQuery, Run,
};
use postrider_domain::DeliveryId;
use postrider_http_server::Problem;
use postrider_http_server::openapi::{Operation, Tag};
use postrider_store::{AttemptRow, Cursor, DeliveryRow};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::api::example::{LANE, TIME, UUID, WEBHOOK};
use crate::api::filter;
use crate::api::params::{Params, Segment, id_cursor, read_id_cursor, wrong};
use crate::app::App;
use crate::shown::{self, ShownRequest};

/// Digits of an id that is cut, at least.
const SHORTEST_ID: usize = 4;

/// `GET /api/v1/deliveries`.
pub(super) async fn list(State(app): State<App>, uri: Uri) -> Result<Response, Problem> {
    let params = Params::of(&uri, &[DeliveryFilter::NAMES, PageQuery::NAMES])?;
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
    let id = match id.parse::<DeliveryId>() {
        Ok(id) => id,
        Err(_) => existing(&app, &id).await?,
    };
    let view = app.store().delivery(id).await?.ok_or_else(missing)?;
    let requests = shown::requests(app.store(), &view, &app.config.redact_more).await?;
    let attempts = view.attempts.into_iter().zip(requests);
    let attempts = attempts.map(|(row, request)| attempt(row, request)).collect();
    let detail = DeliveryDetail::new(document(view.row), attempts, embedded(&view.event));
    Ok(Json(detail).into_response())
}

/// What the segment of a path means that names one.
pub(super) const ID: &str = "The delivery, or how its id begins: 4 digits at least.";

fn missing() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "there is no delivery with this id")
}

/// The delivery with this id, or whose id begins so; a 404 when there is none, a 400 when there
/// are several.
pub(super) async fn existing(app: &App, text: &str) -> Result<DeliveryId, Problem> {
    let (first, last) = id_range(text).ok_or_else(missing)?;
    match app.store().deliveries_between(first, last).await?.as_slice() {
        [] => Err(missing()),
        [id] => Ok(*id),
        _ => {
            let detail = format!("several deliveries begin with {text}: give more of the id");
            Err(Problem::new(StatusCode::BAD_REQUEST, detail))
        }
    }
}

/// The smallest and the largest id that begin with this text.
fn id_range(text: &str) -> Option<(Uuid, Uuid)> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let is_one = (SHORTEST_ID..=32).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let filled =
        |with: &str| format!("{digits}{}", with.repeat(32 - digits.len())).parse::<Uuid>().ok();
    if is_one { filled("0").zip(filled("f")) } else { None }
}

pub(super) fn show_described() -> Operation {
    Operation::new(Tag::Operations, "showDelivery", "Show a delivery with its event and attempts")
        .path("id", ID, &json!({"type": "string"}))
        .answers::<DeliveryDetail>(200, "Fine.")
        .refuses(404, "NotFound")
}

/// A delivery as the API shows it.
pub(super) fn document(row: DeliveryRow) -> Delivery {
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

fn attempt(attempt: AttemptRow, request: ShownRequest) -> Attempt {
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
pub(super) fn embedded(text: &str) -> Value {
    if text.is_empty() {
        return Value::Null;
    }
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

fn write_cursor(cursor: &Cursor) -> String {
    id_cursor(cursor.0.0)
}

fn read_cursor(text: &str) -> Result<Cursor, Problem> {
    read_id_cursor(text).map(|id| Cursor(DeliveryId(id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_id_is_a_range() {
        let (first, last) = id_range("01a228f7-e985-74").unwrap();
        assert_eq!(first.to_string(), "01a228f7-e985-7400-0000-000000000000");
        assert_eq!(last.to_string(), "01a228f7-e985-74ff-ffff-ffffffffffff");
        let whole = "01a228f7-e985-74b5-97fc-febba993c8be";
        assert!(
            id_range(whole)
                .is_some_and(|(first, last)| first == last && first.to_string() == whole)
        );
        for none in ["", "01a", "nothing", "0000-000g"] {
            assert_eq!(id_range(none), None, "{none}");
        }
    }
}
