//! Events in lists and one by one.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, Uri};
use jiff::Timestamp;
use postrider_api::{
    EventDetail, EventFilter, EventList, EventSummary, MergedCalls, NextPage, PageQuery,
};
use postrider_domain::{Event, EventId};
use postrider_http_server::Problem;
use postrider_http_server::openapi::{Operation, Tag};
use postrider_store::{EventCursor, EventRow};
use serde_json::json;

use crate::api::deliveries::{document, embedded};
use crate::api::example::{TIME, UUID};
use crate::api::filter::named_event;
use crate::api::params::{Params, Segment, id_cursor, instant, read_id_cursor, wrong};
use crate::app::App;
use crate::unwanted::nearest;

/// `GET /api/v1/events`, newest first.
pub(super) async fn list(State(app): State<App>, uri: Uri) -> Result<Response, Problem> {
    let params = Params::of(&uri, &[EventFilter::NAMES, PageQuery::NAMES])?;
    let filter = filter(&params, Timestamp::now())?;
    let cursor = params.get("cursor").map(read_id_cursor).transpose()?;
    let cursor = cursor.map(|id| EventCursor(EventId(id)));
    let page = app.store().events(&filter, cursor, params.limit()?).await?;
    let total = app.store().count_events(&filter).await?;
    let list = EventList {
        events: page.events.into_iter().map(summary).collect(),
        next: NextPage(page.next.map(|cursor| id_cursor(cursor.0.0))),
        total: total.count,
        total_is_exact: total.is_exact,
    };
    Ok(Json(list).into_response())
}

pub(super) fn list_described() -> Operation {
    let example = json!({
        "id": UUID,
        "event_name": "contract_requiring_verification_published",
        "broker": "default",
        "consumer": "checkout",
        "consumer_version": "1.4.2",
        "provider": "billing",
        "provider_version": "5f0c1d9",
        "source": "relay",
        "received_at": TIME,
        "deliveries": 1,
    });
    let example = json!({"events": [example], "next": null, "total": 1, "total_is_exact": true});
    Operation::new(Tag::Operations, "listEvents", "List what came in")
        .description("Newest first. Empty parameters count as not given; unknown ones are refused.")
        .query::<EventFilter>()
        .query::<PageQuery>()
        .answers::<EventList>(200, "Fine.")
        .example(200, example)
}

fn filter(params: &Params, now: Timestamp) -> Result<postrider_store::EventFilter, Problem> {
    let owned = |name: &str| params.get(name).map(str::to_owned);
    let time = |name: &str| {
        let read = params.get(name).map(|text| instant(text, now));
        read.transpose().map_err(|detail| wrong(name, detail))
    };
    let event = params.get("event").map(named_event).transpose();
    Ok(postrider_store::EventFilter {
        broker: owned("broker"),
        consumer: owned("consumer"),
        provider: owned("provider"),
        version: owned("version"),
        event: event.map_err(|detail| wrong("event", detail))?,
        unmatched: params.parsed("unmatched", "true or false")?.unwrap_or(false),
        since: time("since")?,
        until: time("until")?,
    })
}

/// `GET /api/v1/events/{id}`.
pub(super) async fn show(
    State(app): State<App>,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    let missing = || Problem::new(StatusCode::NOT_FOUND, "there is no event with this id");
    let id: EventId = id.parse().map_err(|_| missing())?;
    let view = app.store().event(id).await?.ok_or_else(missing)?;
    let table = app.store().webhook_table(None).await?;
    let webhooks = table.map(|table| table.webhooks).unwrap_or_default();
    let unwanted_by = match serde_json::from_str::<Event>(&view.event) {
        Ok(event) if view.deliveries.is_empty() => nearest(&webhooks, &event),
        Ok(_) | Err(_) => Vec::new(),
    };
    let detail = EventDetail {
        id: view.row.id,
        source: view.row.source,
        received_at: view.row.received_at,
        event: embedded(&view.event),
        deliveries: view.deliveries.into_iter().map(document).collect(),
        unwanted_by,
        webhooks: webhooks.len() as u64,
        merged: view.merged.map(|merged| MergedCalls {
            calls: merged.calls,
            last_at: merged.last_at,
            because: merged.because,
        }),
    };
    Ok(Json(detail).into_response())
}

pub(super) fn show_described() -> Operation {
    Operation::new(Tag::Operations, "showEvent", "Show an event and what it led to")
        .description(
            "Where it led to nothing, the answer names the webhooks that there are and why none \
             of them wants it.",
        )
        .path("id", "The event.", &json!({"type": "string", "format": "uuid"}))
        .answers::<EventDetail>(200, "Fine.")
        .refuses(404, "NotFound")
}

fn summary(row: EventRow) -> EventSummary {
    EventSummary {
        id: row.id,
        event_name: row.event_name,
        broker: row.broker,
        consumer: row.consumer,
        consumer_version: row.consumer_version,
        provider: row.provider,
        provider_version: row.provider_version,
        source: row.source,
        received_at: row.received_at,
        deliveries: row.deliveries,
    }
}
