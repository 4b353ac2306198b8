//! What somebody should look at now.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use postrider_api::{
    FreshnessList, HourStats, Incident, IncidentList, LaneList, LaneState, PairFreshness, Stats,
};
use postrider_domain::FreshnessState;
use serde_json::{Value, json};

use crate::page::answer::{Fault, on_to, shown};
use crate::page::gate::HOME;
use crate::page::lanes::LaneRow;
use crate::page::pairs::PairRow;
use crate::page::show::{self, Moment, lasting};
use crate::page::visit::{Frame, Visit};
use crate::page::words::{Words, segment};

/// Incidents, lanes, and pairs of one state in the view.
const INCIDENTS: &str = "100";
const LANES: usize = 20;
const PAIRS: &str = "10";

/// States of pairs that somebody should look at.
const LATE: [FreshnessState; 3] =
    [FreshnessState::Failed, FreshnessState::Stale, FreshnessState::Silent];

/// An incident as it is shown.
#[derive(Debug)]
struct Card {
    id: String,
    kind: &'static str,
    tone: &'static str,
    severity: &'static str,
    summary: String,
    next: String,
    opened: Moment,
    acknowledged: Option<Moment>,
    deliveries: String,
}

impl Card {
    fn of(incident: &Incident, frame: &Frame) -> Self {
        let id = incident.id.to_string();
        Self {
            deliveries: Words::from([("incident", id.as_str())]).at("/ui/deliveries"),
            id,
            kind: incident.kind.as_str(),
            tone: show::of_severity(incident.severity),
            severity: incident.severity.as_str(),
            summary: incident.summary.clone(),
            next: incident.next.clone(),
            opened: Moment::of(incident.opened_at, frame.now),
            acknowledged: Moment::if_any(incident.acknowledged_at, frame.now),
        }
    }
}

#[derive(Template)]
#[template(path = "now.html", blocks = ["view"])]
struct NowView {
    frame: Frame,
    incidents: Vec<Card>,
    more_incidents: bool,
    /// Lanes that are held or paused, or have webhooks that are held by themselves.
    lanes: Vec<LaneRow>,
    more_lanes: usize,
    pairs: Vec<PairRow>,
    waiting: u64,
    sending: u64,
    oldest: Option<String>,
    hours: Vec<Hour>,
    /// Deliveries of the busiest hour.
    most: u64,
}

/// What became of an hour's deliveries.
#[derive(Debug)]
struct Hour {
    begins: Moment,
    delivered: u64,
    failed: u64,
    waiting: u64,
}

impl Hour {
    fn of(stats: &HourStats, frame: &Frame) -> Self {
        Self {
            begins: Moment::of(stats.hour, frame.now),
            delivered: stats.delivered,
            failed: stats.failed,
            waiting: stats.queued + stats.retrying + stats.held,
        }
    }

    fn all(&self) -> u64 {
        self.delivered + self.failed + self.waiting
    }
}

impl NowView {
    fn is_quiet(&self) -> bool {
        self.incidents.is_empty() && self.lanes.is_empty() && self.pairs.is_empty()
    }
}

/// `GET /ui`.
pub(super) async fn show(visit: Visit) -> Result<Response, Fault> {
    let open = Words::from([("open", "true"), ("limit", INCIDENTS)]);
    let open = open.at("/api/v1/incidents");
    let (incidents, mut lanes, stats, pairs) = tokio::try_join!(
        visit.get::<IncidentList>(&open),
        visit.all::<LaneList>("/api/v1/lanes"),
        visit.get::<Stats>("/api/v1/stats?by=hour"),
        late(&visit),
    )?;
    lanes.retain(|lane| lane.state != LaneState::Open || !lane.held_webhooks.is_empty());
    lanes.sort_by_key(|lane| std::cmp::Reverse(lane.backlog));
    let frame = visit.frame;
    let hours = stats.hours.iter().flatten().map(|hour| Hour::of(hour, &frame));
    let hours: Vec<Hour> = hours.filter(|hour| hour.all() > 0).collect();
    let is_fragment = frame.is_fragment;
    let view = NowView {
        most: hours.iter().map(Hour::all).max().unwrap_or_default(),
        hours,
        incidents: incidents.incidents.iter().map(|incident| Card::of(incident, &frame)).collect(),
        more_incidents: incidents.next.0.is_some(),
        more_lanes: lanes.len().saturating_sub(LANES),
        lanes: lanes.iter().take(LANES).map(|lane| LaneRow::of(lane, &frame)).collect(),
        pairs: pairs.iter().map(|pair| PairRow::of(pair, &frame)).collect(),
        waiting: stats.backlog.iter().map(|lane| lane.waiting).sum(),
        sending: stats.sending,
        oldest: stats.oldest_pending_seconds.map(lasting),
        frame,
    };
    if is_fragment { shown(&view.as_view()) } else { shown(&view) }
}

/// Late pairs, worst first.
async fn late(visit: &Visit) -> Result<Vec<PairFreshness>, Fault> {
    let mut pairs = Vec::new();
    for state in LATE {
        let of_state = Words::from([("state", state.as_str()), ("limit", PAIRS)]);
        let list: FreshnessList = visit.get(&of_state.at("/api/v1/freshness")).await?;
        pairs.extend(list.pairs);
    }
    Ok(pairs)
}

/// `POST /ui/incidents/{id}/ack`.
pub(super) async fn acknowledge(visit: Visit, Path(id): Path<String>) -> Result<Response, Fault> {
    let path = format!("/api/v1/incidents/{}/ack", segment(&id));
    let _incident: Value = visit.post(&path, &json!({})).await?;
    Ok(on_to(HOME))
}
