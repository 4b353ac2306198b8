//! Lanes: what may go out and what waits, and holds by hand.

use askama::Template;
use axum::body::Body;
use axum::response::Response;
use http::Uri;
use jiff::SignedDuration;
use postrider_api::{HeldWebhook, Lane, LaneList, LaneState};
use serde_json::{Value, json};

use crate::page::answer::{Fault, on_to, shown};
use crate::page::budget;
use crate::page::show::{self, Moment, lasting, quoted};
use crate::page::visit::{Frame, Visit};
use crate::page::words::Words;

const LANES: &str = "/ui/lanes";

/// Lanes in one view, and those of them that GitHub's budget is looked for.
const SHOWN: usize = 200;
const BUDGETS: usize = 10;

/// The rate of a lane that has no limit.
const UNLIMITED: &str = "unlimited";

/// A lane as it is shown.
#[derive(Debug, Clone)]
pub(super) struct LaneRow {
    pub(super) name: String,
    /// The limit, where it is not the lane's own.
    pub(super) joined: Option<String>,
    pub(super) state: &'static str,
    pub(super) tone: &'static str,
    pub(super) cause: Option<&'static str>,
    pub(super) since: Option<Moment>,
    /// When the hold or the pause ends.
    pub(super) until: Option<Moment>,
    /// What whoever holds it says.
    pub(super) reason: Option<String>,
    /// Rate, burst, requests at once, hourly budget.
    pub(super) limits: String,
    pub(super) backlog: String,
    pub(super) oldest: Option<Moment>,
    /// How long the backlog takes.
    pub(super) drains: Option<String>,
    /// What GitHub said is left of its own limit.
    pub(super) budget: Option<String>,
    pub(super) is_held: bool,
    pub(super) is_open: bool,
    pub(super) parked: Vec<ParkedRow>,
    /// The command that opens it.
    pub(super) release: String,
    /// What waits in it.
    pub(super) deliveries: String,
}

/// A webhook that is held by itself.
#[derive(Debug, Clone)]
pub(super) struct ParkedRow {
    pub(super) uuid: String,
    pub(super) cause: &'static str,
    pub(super) since: Moment,
    pub(super) backlog: u64,
    pub(super) probe: Option<Moment>,
}

impl LaneRow {
    pub(super) fn of(lane: &Lane, frame: &Frame) -> Self {
        let now = frame.now;
        let more = if lane.backlog_is_exact { "" } else { " or more" };
        let parked = lane.held_webhooks.iter().map(|parked| ParkedRow::of(parked, frame));
        Self {
            name: lane.name.clone(),
            joined: (lane.limit != lane.name).then(|| lane.limit.clone()),
            state: lane.state.as_str(),
            tone: tone(lane),
            cause: lane.cause.map(postrider_domain::HoldCause::as_str),
            since: Moment::if_any(lane.since, now),
            until: Moment::if_any(lane.until.or(lane.paused_until), now),
            reason: lane.reason.clone(),
            limits: limits(lane),
            backlog: format!("{}{more}", lane.backlog),
            oldest: Moment::if_any(lane.oldest_at, now),
            budget: None,
            drains: lane.drain_seconds.filter(|needed| *needed > 0).map(lasting),
            is_held: lane.state == LaneState::Held,
            is_open: lane.state == LaneState::Open,
            parked: parked.collect(),
            release: format!("postrider lanes release {}", quoted(&lane.name)),
            deliveries: Words::from([("lane", lane.name.as_str())]).at("/ui/deliveries"),
        }
    }
}

impl ParkedRow {
    fn of(parked: &HeldWebhook, frame: &Frame) -> Self {
        Self {
            uuid: parked.webhook_uuid.to_string(),
            cause: parked.cause.as_str(),
            since: Moment::of(parked.since, frame.now),
            backlog: parked.backlog,
            probe: Moment::if_any(parked.next_probe_at, frame.now),
        }
    }
}

/// An open lane with webhooks that are held by themselves is not all well.
fn tone(lane: &Lane) -> &'static str {
    if lane.state == LaneState::Open && !lane.held_webhooks.is_empty() {
        show::tone::WARN
    } else {
        show::of_lane(lane.state)
    }
}

fn limits(lane: &Lane) -> String {
    let mut limits = vec![lane.rate.clone()];
    if lane.rate != UNLIMITED && lane.burst > 1 {
        limits.push(format!("burst {}", lane.burst));
    }
    limits.push(format!("{} at once", lane.concurrency));
    if let Some(per_hour) = lane.per_hour {
        limits.push(format!("{per_hour} an hour"));
    }
    limits.join(", ")
}

#[derive(Template)]
#[template(path = "lanes.html", blocks = ["view"])]
struct LanesView {
    frame: Frame,
    lanes: Vec<LaneRow>,
    /// Lanes that are not shown.
    more: usize,
    /// What the names of the lanes have to hold.
    search: String,
}

/// `GET /ui/lanes`: what does not go out first.
pub(super) async fn list(visit: Visit, uri: Uri) -> Result<Response, Fault> {
    let words = Words::of(&uri)?;
    let search = words.or_empty("name");
    let mut lanes = visit.all::<LaneList>("/api/v1/lanes").await?;
    lanes.retain(|lane| lane.name.contains(&search));
    lanes.sort_by_key(|lane| {
        let worst = match lane.state {
            LaneState::Held => 0,
            LaneState::Open if !lane.held_webhooks.is_empty() => 1,
            LaneState::Paused => 2,
            LaneState::Open => 3,
        };
        (worst, std::cmp::Reverse(lane.backlog))
    });
    let more = lanes.len().saturating_sub(SHOWN);
    let of = |lane: &Lane| LaneRow::of(lane, &visit.frame);
    let mut rows: Vec<LaneRow> = lanes.iter().take(SHOWN).map(of).collect();
    // GitHub's lanes have a limit, by default and if anybody is wise.
    let limited = rows.iter_mut().zip(&lanes).filter(|(_, lane)| lane.rate != UNLIMITED);
    for (row, lane) in limited.take(BUDGETS) {
        row.budget = budget::of(&visit, &lane.name).await?;
    }
    let is_fragment = visit.frame.is_fragment;
    let view = LanesView { frame: visit.frame, lanes: rows, more, search };
    if is_fragment { shown(&view.as_view()) } else { shown(&view) }
}

/// `POST /ui/lanes/hold`: with a reason, and for some hours or until somebody releases it.
pub(super) async fn hold(visit: Visit, body: Body) -> Result<Response, Fault> {
    let words = Words::sent(body).await?;
    let hours = words.get("hours").map(|text| text.parse().ok().filter(|h| (1..=168).contains(h)));
    let mut asked = json!({"lane": lane(&words)?});
    if let Some(hours) = hours {
        let hours = hours.ok_or_else(|| Fault::bad("hours must be a number from 1 to 168"))?;
        let until = visit.frame.now.checked_add(SignedDuration::from_hours(hours));
        asked["until"] = json!(until.map_err(|_| Fault::bad("this is too long"))?);
    }
    if let Some(reason) = words.get("reason") {
        asked["reason"] = reason.into();
    }
    change(&visit, "/api/v1/lanes/hold", &words, &asked).await
}

/// `POST /ui/lanes/release`.
pub(super) async fn release(visit: Visit, body: Body) -> Result<Response, Fault> {
    let words = Words::sent(body).await?;
    let asked = json!({"lane": lane(&words)?});
    change(&visit, "/api/v1/lanes/release", &words, &asked).await
}

fn lane(words: &Words) -> Result<&str, Fault> {
    words.get("lane").ok_or_else(|| Fault::bad("the form names no lane"))
}

async fn change(
    visit: &Visit,
    path: &str,
    words: &Words,
    asked: &Value,
) -> Result<Response, Fault> {
    let _lane: Value = visit.post(path, asked).await?;
    Ok(on_to(&Words::from([("name", lane(words)?)]).at(LANES)))
}
