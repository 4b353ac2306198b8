//! Lanes: listing, hold and release by hand.

use std::collections::HashMap;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode, Uri};
use jiff::Timestamp;
use postrider_api::{HeldWebhook, HoldLane, Lane, LaneList, LaneName, ShortPageQuery};
use postrider_domain::suggestions;
use postrider_domain::{LaneId, LaneState};
use postrider_http_server::Problem;
use postrider_http_server::openapi::{Operation, Tag};
use postrider_store::{LaneInfo, ManualHold, ParkedWebhook, StoreError};
use serde_json::{Map, Value, json};

use crate::api::body::{optional_text, read_object, required_text};
use crate::api::example::{LANE, TIME};
use crate::api::params::{Params, ShortPage};
use crate::app::{App, Changes};

/// Characters of a reason, at most.
const REASON_MOST: usize = 500;

/// `GET /api/v1/lanes`, by name.
pub(super) async fn list(State(app): State<App>, uri: Uri) -> Result<Response, Problem> {
    let params = Params::of(&uri, &[ShortPageQuery::NAMES])?;
    let (lanes, _) = all(&app, Timestamp::now()).await?;
    let ShortPage { rows: lanes, next, total } = ShortPage::of(lanes, |lane| &lane.name, &params)?;
    Ok(Json(LaneList { lanes, next, total, total_is_exact: true }).into_response())
}

/// All lanes, busiest first, and those of them in which something is open.
pub(super) async fn all(app: &App, now: Timestamp) -> Result<(Vec<Lane>, Vec<LaneId>), StoreError> {
    let lanes = app.store().lanes().await?;
    // Lanes of one limit go out in turn.
    let mut waiting: HashMap<&str, u64> = HashMap::new();
    for lane in &lanes {
        *waiting.entry(&lane.limit).or_default() += lane.backlog;
    }
    let of_limit = |lane: &LaneInfo| waiting.get(lane.limit.as_str()).copied().unwrap_or_default();
    let parked = app.store().parked_webhooks().await?;
    let documents = lanes.iter().map(|lane| document(lane, &parked, of_limit(lane), now)).collect();
    let busy = lanes.iter().filter(|lane| lane.backlog + lane.sending > 0);
    Ok((documents, busy.map(|lane| lane.id).collect()))
}

pub(super) fn list_described() -> Operation {
    Operation::new(Tag::Operations, "listLanes", "List lanes")
        .query::<ShortPageQuery>()
        .answers::<LaneList>(200, "Fine.")
        .example(
            200,
            json!({"lanes": [example()], "next": null, "total": 1, "total_is_exact": true}),
        )
}

fn example() -> Value {
    json!({
        "name": LANE,
        "limit": LANE,
        "state": "held",
        "cause": "credential",
        "since": TIME,
        "reason": null,
        "until": null,
        "held_webhooks": [],
        "rate": "75/min",
        "burst": 1,
        "concurrency": 1,
        "per_hour": null,
        "backlog": 12,
        "backlog_is_exact": true,
        "oldest_at": TIME,
        "paused_until": null,
        "drain_seconds": null,
    })
}

/// `POST /api/v1/lanes/hold`.
pub(super) async fn hold(
    State(app): State<App>,
    Changes(changes): Changes,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let object = read_object(&app, &headers, body, &["lane", "reason", "until"]).await?;
    let name = required_text(&object, "lane")?;
    let hold = ManualHold { reason: reason(&object)?, until: until(&object, Timestamp::now())? };
    match changes.hold_by_hand(name, &hold).await? {
        Some(lane) => shown(&app, &lane).await,
        None => Err(unknown(&app, name).await?),
    }
}

/// Why it is held, fit for a line of a log or a table.
fn reason(object: &Map<String, Value>) -> Result<Option<String>, Problem> {
    let Some(text) = optional_text(object, "reason")?.map(str::trim) else { return Ok(None) };
    if text.chars().count() > REASON_MOST || text.chars().any(char::is_control) {
        let detail = format!("must be one line of at most {REASON_MOST} characters");
        return Err(Problem::bad("/reason", detail));
    }
    Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
}

/// When it opens by itself.
fn until(object: &Map<String, Value>, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = optional_text(object, "until")? else { return Ok(None) };
    let wrong = || Problem::bad("/until", "must be a time to come, such as 2026-11-30T09:00:00Z");
    let until: Timestamp = text.parse().map_err(|_| wrong())?;
    if until > now { Ok(Some(until)) } else { Err(wrong()) }
}

pub(super) fn hold_described() -> Operation {
    Operation::new(Tag::Operations, "holdLane", "Hold a lane by hand")
        .description("Its deliveries wait until somebody releases it, or until `until`.")
        .takes::<HoldLane>(
            json!({"lane": LANE, "reason": "maintenance", "until": "2099-01-01T00:00:00Z"}),
        )
        .answers::<Lane>(200, "Fine.")
        .example(200, example())
        .refuses(404, "NotFound")
}

/// `POST /api/v1/lanes/release`.
pub(super) async fn release(
    State(app): State<App>,
    Changes(changes): Changes,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let name = lane_name(&app, &headers, body).await?;
    match changes.release_by_hand(&name).await? {
        Some(lane) => {
            app.wake(vec![lane.id]);
            shown(&app, &lane).await
        }
        None => Err(unknown(&app, &name).await?),
    }
}

pub(super) fn release_described() -> Operation {
    Operation::new(Tag::Operations, "releaseLane", "Release a lane")
        .description("Its deliveries go on, whatever held it.")
        .takes::<LaneName>(json!({"lane": LANE}))
        .answers::<Lane>(200, "Fine.")
        .refuses(404, "NotFound")
}

async fn shown(app: &App, lane: &LaneInfo) -> Result<Response, Problem> {
    let parked = app.store().parked_webhooks().await?;
    Ok(Json(document(lane, &parked, lane.backlog, Timestamp::now())).into_response())
}

async fn lane_name(app: &App, headers: &HeaderMap, body: Body) -> Result<String, Problem> {
    let object = read_object(app, headers, body, &["lane"]).await?;
    required_text(&object, "lane").map(str::to_owned)
}

async fn unknown(app: &App, name: &str) -> Result<Problem, Problem> {
    let lanes = app.store().lanes().await?;
    let hint = suggestions::hint(name, lanes.iter().map(|lane| lane.name.as_str()));
    let mut problem = Problem::bad("/lane", format!("is no known lane{hint}"));
    problem.status = StatusCode::NOT_FOUND;
    Ok(problem)
}

/// A lane with its webhooks that are held by themselves, and how many deliveries wait for its
/// limit.
fn document(lane: &LaneInfo, parked: &[ParkedWebhook], of_limit: u64, now: Timestamp) -> Lane {
    let held_webhooks = parked
        .iter()
        .filter(|webhook| webhook.lane == lane.name)
        .map(|webhook| HeldWebhook {
            webhook_uuid: webhook.uuid.clone(),
            cause: webhook.cause,
            since: webhook.since,
            backlog: webhook.backlog,
            next_probe_at: webhook.next_probe_at,
        })
        .collect();
    let paused_until = lane.paused_until.filter(|until| *until > now);
    let (state, cause) = match lane.state {
        LaneState::Held(cause) => (postrider_api::LaneState::Held, Some(cause)),
        LaneState::Open if paused_until.is_some() => (postrider_api::LaneState::Paused, None),
        LaneState::Open => (postrider_api::LaneState::Open, None),
    };
    let drains = matches!(state, postrider_api::LaneState::Open);
    let needed = if lane.backlog == 0 { 0 } else { lane.limits.drain_seconds(of_limit) };
    Lane {
        name: lane.name.clone(),
        limit: lane.limit.clone(),
        state,
        cause,
        since: lane.held_since,
        reason: lane.hold.reason.clone(),
        until: lane.hold.until,
        held_webhooks,
        rate: lane.limits.rate.to_string(),
        burst: lane.limits.burst,
        concurrency: lane.limits.concurrency,
        per_hour: lane.limits.per_hour,
        backlog: lane.backlog,
        backlog_is_exact: lane.backlog_is_exact,
        oldest_at: lane.oldest_at,
        paused_until,
        drain_seconds: drains.then_some(needed),
    }
}
