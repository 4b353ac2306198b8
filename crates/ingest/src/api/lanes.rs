//! Lanes: listing, hold and release by hand.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use postrider_domain::{LaneLimits, LaneState};
use postrider_store::LaneInfo;
use serde_json::{Value, json};

use crate::api::{read_object, required_text};
use crate::near;
use crate::problem::Problem;
use crate::server::App;

/// `GET /api/v1/lanes`.
pub(super) async fn list(State(app): State<App>) -> Result<Response, Problem> {
    let lanes = app.store().lanes().await?;
    let now = Timestamp::now();
    let lanes: Vec<_> = lanes.iter().map(|lane| document(lane, now)).collect();
    Ok(Json(json!({"lanes": lanes})).into_response())
}

/// `POST /api/v1/lanes/hold`.
pub(super) async fn hold(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let name = lane_name(&app, &headers, body).await?;
    match app.store().hold_by_hand(&name).await? {
        Some(lane) => Ok(Json(document(&lane, Timestamp::now())).into_response()),
        None => Err(unknown(&app, &name).await?),
    }
}

/// `POST /api/v1/lanes/release`.
pub(super) async fn release(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let name = lane_name(&app, &headers, body).await?;
    match app.store().release_by_hand(&name).await? {
        Some(lane) => {
            app.parts.dispatcher.wake(&[lane.id]);
            Ok(Json(document(&lane, Timestamp::now())).into_response())
        }
        None => Err(unknown(&app, &name).await?),
    }
}

async fn lane_name(app: &App, headers: &HeaderMap, body: Body) -> Result<String, Problem> {
    let object = read_object(app, headers, body, &["lane"]).await?;
    required_text(&object, "lane").map(str::to_owned)
}

async fn unknown(app: &App, name: &str) -> Result<Problem, Problem> {
    let lanes = app.store().lanes().await?;
    let hint = near::hint(name, lanes.iter().map(|lane| lane.name.as_str()));
    let mut problem = Problem::bad("/lane", format!("is no known lane{hint}"));
    problem.status = StatusCode::NOT_FOUND;
    Ok(problem)
}

fn document(lane: &LaneInfo, now: Timestamp) -> Value {
    let paused_until = lane.paused_until.filter(|until| *until > now);
    let (state, cause) = match lane.state {
        LaneState::Held(cause) => ("held", Some(cause)),
        LaneState::Open if paused_until.is_some() => ("paused", None),
        LaneState::Open => ("open", None),
    };
    json!({
        "name": lane.name,
        "state": state,
        "cause": cause,
        "since": lane.held_since,
        "rate": lane.limits.rate.to_string(),
        "burst": lane.limits.burst,
        "concurrency": lane.limits.concurrency,
        "per_hour": lane.limits.per_hour,
        "backlog": lane.backlog,
        "oldest_at": lane.oldest_at,
        "paused_until": paused_until,
        "drain_seconds": drain_seconds(&lane.limits, lane.backlog),
    })
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
