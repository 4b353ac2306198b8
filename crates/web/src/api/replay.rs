//! Final deliveries sent once more, and waiting ones discarded, as many as a filter names.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use jiff::Timestamp;
use postrider_api::{
    DeliveryFilter, DiscardPlan, DiscardRequest, ReplayLane, ReplayPlan, ReplayRequest,
};
use postrider_domain::DeliveryId;
use postrider_http_server::Problem;
use postrider_http_server::json::kind;
use postrider_http_server::openapi::{Operation, Tag};
use postrider_store::{BulkKind, BulkPlan, LaneInfo, Store};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::api::body::{flag, read_object};
use crate::api::deliveries::{ID, existing};
use crate::api::example::{LANE, UUID};
use crate::api::filter;
use crate::api::params::Segment;
use crate::app::{App, Changes};

const NAMES: &[&str] = DeliveryFilter::NAMES;

/// Ids in one call.
const MAX_IDS: usize = 10_000;

/// `POST /api/v1/deliveries/replay`.
pub(super) async fn replay(
    State(app): State<App>,
    Changes(changes): Changes,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let known = [NAMES, &["ids", "dry_run", "forget_marks", "id", "resume"]].concat();
    let object = read_object(&app, &headers, body, &known).await?;
    flag(&object, "forget_marks")?;
    let request: ReplayRequest = typed(object)?;
    let ReplayRequest { ids, dry_run, forget_marks, id, resume, filter } = request;
    let (dry_run, which) = (dry_run.unwrap_or_default(), Which { ids, filter, id });
    let kind = BulkKind::Replay { forget_marks: forget_marks.unwrap_or_default() };
    let (plan, lanes) = act((&app, &changes), kind, dry_run, resume, which).await?;
    if !dry_run {
        let touched = lanes.iter().filter(|lane| count(&plan, &lane.name) > 0);
        app.wake(touched.map(|lane| lane.id).collect());
    }
    let plan = ReplayPlan {
        id: plan.id,
        dry_run,
        deliveries: total(&plan),
        done: plan.done,
        finished: plan.is_finished,
        lanes: by_lane(&plan, &lanes, dry_run),
        open: plan.left_alone,
        without_webhook: plan.without_webhook,
    };
    Ok(Json(plan).into_response())
}

pub(super) fn replay_described() -> Operation {
    let example = json!({
        "id": null, "dry_run": true, "deliveries": 3, "done": 0, "finished": true,
        "lanes": [{"lane": LANE, "deliveries": 3, "drain_seconds": 3}],
        "open": 0, "without_webhook": 0,
    });
    Operation::new(Tag::Operations, "replayDeliveries", "Send final deliveries once more")
        .description("With `dry_run` it only tells what it would do.")
        .takes::<ReplayRequest>(json!({"status": "failed", "since": "2h", "dry_run": true}))
        .answers::<ReplayPlan>(200, "Fine.")
        .example(200, example)
}

/// `POST /api/v1/deliveries/discard`.
pub(super) async fn discard(
    State(app): State<App>,
    Changes(changes): Changes,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let known = [NAMES, &["ids", "dry_run", "id", "resume"]].concat();
    let object = read_object(&app, &headers, body, &known).await?;
    let DiscardRequest { ids, dry_run, id, resume, filter } = typed(object)?;
    let (dry_run, which) = (dry_run.unwrap_or_default(), Which { ids, filter, id });
    let (plan, lanes) = act((&app, &changes), BulkKind::Discard, dry_run, resume, which).await?;
    Ok(Json(discarded(&plan, &lanes, dry_run)).into_response())
}

/// `POST /api/v1/deliveries/{id}/discard`.
pub(super) async fn discard_one(
    State(app): State<App>,
    Changes(changes): Changes,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    let ids = Some(vec![existing(&app, &id).await?]);
    let which = Which { ids, filter: DeliveryFilter::default(), id: None };
    let (plan, lanes) = act((&app, &changes), BulkKind::Discard, false, None, which).await?;
    Ok(Json(discarded(&plan, &lanes, false)).into_response())
}

pub(super) fn discard_one_described() -> Operation {
    let example = json!({
        "id": UUID, "dry_run": false, "deliveries": 1, "done": 1, "finished": true,
        "lanes": [{"lane": LANE, "deliveries": 1, "drain_seconds": 0}],
        "not_waiting": 0,
    });
    Operation::new(Tag::Operations, "discardDelivery", "Discard a delivery that waits")
        .description("One that is final, or being sent, is left alone: `not_waiting` is 1 then.")
        .path("id", ID, &json!({"type": "string"}))
        .answers::<DiscardPlan>(200, "Fine.")
        .example(200, example)
        .refuses(404, "NotFound")
}

fn discarded(plan: &BulkPlan, lanes: &[LaneInfo], dry_run: bool) -> DiscardPlan {
    DiscardPlan {
        id: plan.id,
        dry_run,
        deliveries: total(plan),
        done: plan.done,
        finished: plan.is_finished,
        lanes: by_lane(plan, lanes, dry_run),
        not_waiting: plan.left_alone,
    }
}

pub(super) fn discard_described() -> Operation {
    let example = json!({
        "id": null, "dry_run": true, "deliveries": 3, "done": 0, "finished": true,
        "lanes": [{"lane": LANE, "deliveries": 3, "drain_seconds": 3}],
        "not_waiting": 0,
    });
    Operation::new(Tag::Operations, "discardDeliveries", "Discard waiting deliveries")
        .description(
            "Discards waiting deliveries that the filter names. At most 100,000 in one call; \
             `finished` tells whether there are more, and `resume` goes on.",
        )
        .takes::<DiscardRequest>(json!({"status": "failed", "since": "2h", "dry_run": true}))
        .answers::<DiscardPlan>(200, "Fine.")
        .example(200, example)
}

/// Which deliveries.
struct Which {
    ids: Option<Vec<DeliveryId>>,
    filter: DeliveryFilter,
    /// What the caller calls the act.
    id: Option<Uuid>,
}

/// Does it, or goes on with what an earlier call began, or tells what would be done.
async fn act(
    (app, changes): (&App, &Store),
    kind: BulkKind,
    dry_run: bool,
    resume: Option<Uuid>,
    which: Which,
) -> Result<(BulkPlan, Vec<LaneInfo>), Problem> {
    let plan = if let Some(id) = resume {
        changes.resume_bulk(id).await?.ok_or_else(no_act)?
    } else {
        let id = which.id;
        let filter = which.read(app).await?;
        match id {
            _ if dry_run => app.store().plan_bulk(kind, &filter).await?,
            None => changes.bulk(kind, &filter).await?,
            Some(id) => changes.bulk_as(id, kind, &filter).await?.ok_or_else(other_act)?,
        }
    };
    Ok((plan, app.store().lanes().await?))
}

fn no_act() -> Problem {
    Problem::bad("/resume", "must be the id of an act that was begun")
}

fn other_act() -> Problem {
    let detail = "is that of an act that asked for something else: go on with it by `resume`";
    Problem::bad("/id", detail)
}

/// The request, of which every member is judged in words that name it.
fn typed<T: DeserializeOwned>(object: Map<String, Value>) -> Result<T, Problem> {
    flag(&object, "dry_run")?;
    let uuid = |value: &Value| value.as_str().and_then(|text| text.parse::<Uuid>().ok());
    if let Some(id) = object.get("id") {
        uuid(id).ok_or_else(|| Problem::bad("/id", "must be a UUID"))?;
    }
    if let Some(id) = object.get("resume") {
        if object.len() > 1 {
            let detail = "must stand alone: the act knows what was asked for";
            return Err(Problem::bad("/resume", detail));
        }
        uuid(id).ok_or_else(no_act)?;
    }
    for &name in NAMES {
        match object.get(name) {
            None | Some(Value::Null | Value::String(_)) => {}
            Some(other) => {
                let detail = format!("must be a string, not {}", kind(other));
                return Err(Problem::bad(format!("/{name}"), detail));
            }
        }
    }
    object.get("ids").map(read_ids).transpose()?;
    // All that could be wrong was looked at.
    serde_json::from_value(Value::Object(object)).map_err(|_| Problem::internal())
}

impl Which {
    async fn read(self, app: &App) -> Result<postrider_store::DeliveryFilter, Problem> {
        let Self { ids, filter: words, id: _ } = self;
        let words = words.given();
        if ids.is_none() && words.is_empty() {
            let detail = format!("must name deliveries: give ids, or one of {}", NAMES.join(", "));
            return Err(Problem::bad("", detail));
        }
        let fault = |name: &str, detail: String| Problem::bad(format!("/{name}"), detail);
        let of = |name: &str| words.iter().find(|(given, _)| *given == name);
        let get = |name: &str| of(name).map(|(_, value)| value.as_str());
        let mut filter = filter::filter(get, fault, app.store(), Timestamp::now()).await?;
        filter.ids = match (filter.ids, ids) {
            (Some(incident), Some(ids)) => {
                Some(ids.into_iter().filter(|id| incident.contains(id)).collect())
            }
            (incident, ids) => ids.or(incident),
        };
        Ok(filter)
    }
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

fn count(plan: &BulkPlan, lane: &str) -> u64 {
    plan.by_lane.iter().filter(|(name, _)| name == lane).map(|(_, count)| *count).sum()
}

fn total(plan: &BulkPlan) -> u64 {
    plan.by_lane.iter().map(|(_, count)| count).sum()
}

fn by_lane(plan: &BulkPlan, lanes: &[LaneInfo], dry_run: bool) -> Vec<ReplayLane> {
    let part = |(name, count): &(String, u64)| {
        let lane = lanes.iter().find(|lane| lane.name == *name);
        // After the act the replayed ones are part of the backlog already.
        let waiting = lane.map(|lane| lane.backlog + if dry_run { *count } else { 0 });
        let drain_seconds = lane.zip(waiting).map(|(lane, n)| lane.limits.drain_seconds(n));
        ReplayLane { lane: name.clone(), deliveries: *count, drain_seconds }
    };
    plan.by_lane.iter().map(part).collect()
}
