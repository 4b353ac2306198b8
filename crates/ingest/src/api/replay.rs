//! Final deliveries sent once more.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use jiff::Timestamp;
use postrider_domain::DeliveryId;
use postrider_store::{DeliveryFilter, LaneInfo, ReplayPlan};
use serde_json::{Map, Value, json};

use crate::api::filter::{self, NAMES};
use crate::api::lanes::drain_seconds;
use crate::api::{flag, read_object};
use crate::json::kind;
use crate::problem::Problem;
use crate::server::App;

/// Ids in one call.
const MAX_IDS: usize = 10_000;

/// `POST /api/v1/deliveries/replay`.
pub(super) async fn replay(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let known = [NAMES.as_slice(), &["ids", "dry_run", "forget_marks"]].concat();
    let object = read_object(&app, &headers, body, &known).await?;
    let (dry_run, forget_marks) = (flag(&object, "dry_run")?, flag(&object, "forget_marks")?);
    let filter = read_filter(&app, &object).await?;
    let plan = app.store().replay(&filter, forget_marks, !dry_run).await?;
    let lanes = app.store().lanes().await?;
    if !dry_run {
        let touched = lanes.iter().filter(|lane| count(&plan, &lane.name) > 0);
        app.parts.dispatcher.wake(&touched.map(|lane| lane.id).collect::<Vec<_>>());
    }
    Ok(Json(document(&plan, &lanes, dry_run)).into_response())
}

async fn read_filter(app: &App, object: &Map<String, Value>) -> Result<DeliveryFilter, Problem> {
    for name in NAMES {
        match object.get(name) {
            None | Some(Value::Null | Value::String(_)) => {}
            Some(other) => {
                let detail = format!("must be a string, not {}", kind(other));
                return Err(Problem::bad(format!("/{name}"), detail));
            }
        }
    }
    let get = |name: &str| object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let fault = |name: &str, detail: String| Problem::bad(format!("/{name}"), detail);
    let ids = object.get("ids").map(read_ids).transpose()?;
    if ids.is_none() && NAMES.iter().all(|name| get(name).is_none()) {
        let detail = format!("must name deliveries: give ids, or one of {}", NAMES.join(", "));
        return Err(Problem::bad("", detail));
    }
    let mut filter = filter::filter(get, fault, app.store(), Timestamp::now()).await?;
    filter.ids = match (filter.ids, ids) {
        (Some(incident), Some(ids)) => {
            Some(ids.into_iter().filter(|id| incident.contains(id)).collect())
        }
        (incident, ids) => ids.or(incident),
    };
    Ok(filter)
}

fn read_ids(value: &Value) -> Result<Vec<DeliveryId>, Problem> {
    let Value::Array(items) = value else {
        return Err(Problem::bad("/ids", format!("must be an array, not {}", kind(value))));
    };
    if items.is_empty() || items.len() > MAX_IDS {
        return Err(Problem::bad("/ids", format!("must hold 1 to {MAX_IDS} ids")));
    }
    let ids = items.iter().enumerate().map(|(i, item)| {
        let id = item.as_str().and_then(|text| text.parse().ok());
        id.ok_or_else(|| Problem::bad(format!("/ids/{i}"), "must be the id of a delivery"))
    });
    ids.collect()
}

fn count(plan: &ReplayPlan, lane: &str) -> u64 {
    plan.by_lane.iter().filter(|(name, _)| name == lane).map(|(_, count)| *count).sum()
}

fn document(plan: &ReplayPlan, lanes: &[LaneInfo], dry_run: bool) -> Value {
    let by_lane: Vec<_> = plan
        .by_lane
        .iter()
        .map(|(name, count)| {
            let lane = lanes.iter().find(|lane| lane.name == *name);
            // After the act the replayed ones are part of the backlog already.
            let waiting = lane.map(|lane| lane.backlog + if dry_run { *count } else { 0 });
            let seconds = lane.zip(waiting).map(|(lane, n)| drain_seconds(&lane.limits, n));
            json!({"lane": name, "deliveries": count, "drain_seconds": seconds})
        })
        .collect();
    json!({
        "dry_run": dry_run,
        "deliveries": plan.by_lane.iter().map(|(_, count)| count).sum::<u64>(),
        "open": plan.open,
        "without_webhook": plan.without_webhook,
        "lanes": by_lane,
    })
}
