//! Deliveries sent once more, or discarded: first what would be done, then the act.

use askama::Template;
use axum::body::Body;
use axum::response::Response;
use http::Uri;
use postrider_api::{DeliveryFilter, DiscardPlan, ReplayLane, ReplayPlan};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::page::answer::{Fault, shown};
use crate::page::show::lasting;
use crate::page::visit::{Frame, Visit};
use crate::page::words::Words;

/// What is done with deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Replay,
    Discard,
}

impl Act {
    fn of(words: &Words) -> Result<Self, Fault> {
        match words.get("act") {
            Some("replay") => Ok(Self::Replay),
            Some("discard") => Ok(Self::Discard),
            Some(_) | None => Err(Fault::bad("act must be replay or discard")),
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Replay => "/api/v1/deliveries/replay",
            Self::Discard => "/api/v1/deliveries/discard",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Discard => "discard",
        }
    }
}

/// What is, or would be, done in a lane.
#[derive(Debug)]
struct LanePart {
    lane: String,
    deliveries: u64,
    drains: Option<String>,
}

impl From<ReplayLane> for LanePart {
    fn from(part: ReplayLane) -> Self {
        let drains = part.drain_seconds.filter(|seconds| *seconds > 0);
        Self { lane: part.lane, deliveries: part.deliveries, drains: drains.map(lasting) }
    }
}

/// What both acts tell.
#[derive(Debug)]
struct Told {
    id: Option<Uuid>,
    deliveries: u64,
    done: u64,
    is_finished: bool,
    lanes: Vec<LanePart>,
    /// What is left alone, and why.
    left: Vec<String>,
}

#[derive(Template)]
#[template(path = "plan.html")]
struct PlanView {
    frame: Frame,
    is_replay: bool,
    act: &'static str,
    told: Told,
    /// It was done; else it would be.
    is_done: bool,
    /// What the form sends to have it done, or gone on with.
    sent: Vec<(String, String)>,
    /// What is meant, in words.
    meant: Vec<(String, String)>,
    ids: usize,
}

/// `GET /ui/deliveries/plan`.
pub(super) async fn show(visit: Visit, uri: Uri) -> Result<Response, Fault> {
    let words = Words::of(&uri)?;
    let act = Act::of(&words)?;
    let mut body = asked(&words)?;
    body.insert("dry_run".to_owned(), true.into());
    let told = call(&visit, act, Value::Object(body)).await?;
    let mut sent = pairs(&meant(&words));
    // The act's own id: a form that is sent twice does it once.
    sent.push(("id".to_owned(), Uuid::now_v7().to_string()));
    shown(&view(visit.frame, act, told, (sent, &words)))
}

/// `POST /ui/deliveries/act`.
pub(super) async fn act(visit: Visit, body: Body) -> Result<Response, Fault> {
    let words = Words::sent(body).await?;
    let act = Act::of(&words)?;
    let body = if let Some(id) = words.get("resume") {
        json!({"resume": id})
    } else {
        let mut body = asked(&words)?;
        let id = words.get("id").ok_or_else(|| Fault::bad("the form names no id"))?;
        body.insert("id".to_owned(), id.into());
        Value::Object(body)
    };
    let told = call(&visit, act, body).await?;
    let resume = told.id.filter(|_| !told.is_finished);
    let sent = resume.map(|id| ("resume".to_owned(), id.to_string()));
    let view = view(visit.frame, act, told, (sent.into_iter().collect(), &words));
    shown(&PlanView { is_done: true, ..view })
}

fn view(
    frame: Frame,
    act: Act,
    told: Told,
    (sent, words): (Vec<(String, String)>, &Words),
) -> PlanView {
    PlanView {
        frame,
        is_replay: act == Act::Replay,
        act: act.word(),
        told,
        is_done: false,
        sent,
        meant: pairs(&words.only(DeliveryFilter::NAMES)),
        ids: words.all("ids").count(),
    }
}

fn meant(words: &Words) -> Words {
    words.only(&[DeliveryFilter::NAMES, &["ids"]].concat())
}

fn pairs(words: &Words) -> Vec<(String, String)> {
    words.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Which deliveries, as the API is told.
fn asked(words: &Words) -> Result<Map<String, Value>, Fault> {
    let mut body = Map::new();
    for (name, value) in words.only(DeliveryFilter::NAMES).iter() {
        body.insert(name.to_owned(), value.into());
    }
    let ids: Vec<&str> = words.all("ids").collect();
    if !ids.is_empty() {
        body.insert("ids".to_owned(), ids.into());
    }
    if body.is_empty() {
        return Err(Fault::bad("nothing is chosen: tick deliveries, or set a filter first"));
    }
    Ok(body)
}

async fn call(visit: &Visit, act: Act, body: Value) -> Result<Told, Fault> {
    let left = |count: u64, why: &str| (count > 0).then(|| format!("{count} {why}"));
    match act {
        Act::Replay => {
            let plan: ReplayPlan = visit.post(act.path(), &body).await?;
            let left = [
                left(plan.open, "left out: still under way"),
                left(plan.without_webhook, "left out: their webhook is gone"),
            ];
            Ok(Told {
                id: plan.id,
                deliveries: plan.deliveries,
                done: plan.done,
                is_finished: plan.finished,
                lanes: plan.lanes.into_iter().map(LanePart::from).collect(),
                left: left.into_iter().flatten().collect(),
            })
        }
        Act::Discard => {
            let plan: DiscardPlan = visit.post(act.path(), &body).await?;
            Ok(Told {
                id: plan.id,
                deliveries: plan.deliveries,
                done: plan.done,
                is_finished: plan.finished,
                lanes: plan.lanes.into_iter().map(LanePart::from).collect(),
                left: left(plan.not_waiting, "left out: they do not wait").into_iter().collect(),
            })
        }
    }
}
