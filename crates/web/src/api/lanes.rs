//! Lanes: listing, hold and release by hand.

use std::collections::HashMap;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use postrider_api::{HeldWebhook, Lane, LaneList, LaneName};
use postrider_domain::suggestions;
use postrider_domain::{LaneLimits, LaneState};
use postrider_http_server::Problem;
use postrider_http_server::openapi::{Operation, Tag};
use postrider_store::{LaneInfo, ParkedWebhook};
use serde_json::{Value, json};

use crate::api::example::{LANE, TIME};
use crate::api::{read_object, required_text};
use crate::server::{App, Changes};

/// `GET /api/v1/lanes`.
pub(super) async fn list(State(app): State<App>) -> Result<Response, Problem> {
    let lanes = app.store().lanes().await?;
    let now = Timestamp::now();
    // Lanes of one limit go out in turn.
    let mut waiting: HashMap<&str, u64> = HashMap::new();
    for lane in &lanes {
        *waiting.entry(&lane.limit).or_default() += lane.backlog;
    }
    let of_limit = |lane: &LaneInfo| waiting.get(lane.limit.as_str()).copied().unwrap_or_default();
    let parked = app.store().parked_webhooks().await?;
    let lanes = lanes.iter().map(|lane| document(lane, &parked, of_limit(lane), now)).collect();
    Ok(Json(LaneList { lanes }).into_response())
}

pub(super) fn list_described() -> Operation {
    Operation::new(Tag::Operations, "listLanes", "List lanes")
        .answers::<LaneList>(200, "Fine.")
        .example(200, json!({"lanes": [example()]}))
}

fn example() -> Value {
    json!({
        "name": LANE,
        "limit": LANE,
        "state": "held",
        "cause": "credential",
        "since": TIME,
        "held_webhooks": [],
        "rate": "75/min",
        "burst": 1,
        "concurrency": 1,
        "per_hour": null,
        "backlog": 12,
        "backlog_is_exact": true,
        "oldest_at": TIME,
        "paused_until": null,
        "drain_seconds": 9,
    })
}

/// `POST /api/v1/lanes/hold`.
pub(super) async fn hold(
    State(app): State<App>,
    Changes(changes): Changes,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let name = lane_name(&app, &headers, body).await?;
    match changes.hold_by_hand(&name).await? {
        Some(lane) => shown(&app, &lane).await,
        None => Err(unknown(&app, &name).await?),
    }
}

pub(super) fn hold_described() -> Operation {
    Operation::new(Tag::Operations, "holdLane", "Hold a lane by hand")
        .description("Its deliveries wait until somebody releases it.")
        .takes::<LaneName>(json!({"lane": LANE}))
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
    Lane {
        name: lane.name.clone(),
        limit: lane.limit.clone(),
        state,
        cause,
        since: lane.held_since,
        held_webhooks,
        rate: lane.limits.rate.to_string(),
        burst: lane.limits.burst,
        concurrency: lane.limits.concurrency,
        per_hour: lane.limits.per_hour,
        backlog: lane.backlog,
        backlog_is_exact: lane.backlog_is_exact,
        oldest_at: lane.oldest_at,
        paused_until,
        drain_seconds: if lane.backlog == 0 { 0 } else { drain_seconds(&lane.limits, of_limit) },
    }
}

/// How long the limits make `waiting` deliveries take; 0 without a limit.
pub(super) fn drain_seconds(limits: &LaneLimits, waiting: u64) -> u64 {
    let interval = limits.rate.interval_with_burst(limits.burst);
    let by_rate = interval.map_or(0, |interval| {
        let nanos = interval.as_nanos().saturating_mul(u128::from(waiting));
        u64::try_from(nanos.div_ceil(1_000_000_000)).unwrap_or(u64::MAX)
    });
    let by_hour = limits.per_hour.map_or(0, |per_hour| {
        let full_hours = waiting.saturating_sub(1) / u64::from(per_hour.max(1));
        full_hours.saturating_mul(3_600)
    });
    by_rate.max(by_hour)
}
