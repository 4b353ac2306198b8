//! One delivery: what it is about, and everything that was tried.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use jiff::Timestamp;
use postrider_api::{Attempt, DeliveryDetail, RequestOrigin};
use postrider_domain::DeliveryStatus;

use crate::page::answer::{Fault, shown};
use crate::page::show::{self, Moment, lasting};
use crate::page::visit::{Frame, Visit};
use crate::page::words::{Words, segment};

/// An attempt as it is shown.
#[derive(Debug)]
struct Try {
    number: u32,
    /// How long nothing was done before it, where that can be seen.
    waited: Option<String>,
    started: Moment,
    took_ms: u64,
    outcome: &'static str,
    tone: &'static str,
    code: Option<u16>,
    github_id: Option<String>,
    may_repeat: bool,
    is_capped: bool,
    request: String,
    /// It was not kept, but made again from event and webhook.
    is_rendered: bool,
    note: Option<String>,
    curl: Option<String>,
    response: String,
    /// The run's page and id.
    run: Option<(String, u64)>,
}

#[derive(Template)]
#[template(path = "delivery.html")]
struct DeliveryView {
    frame: Frame,
    id: String,
    status: &'static str,
    tone: &'static str,
    event: &'static str,
    event_id: String,
    broker: String,
    consumer: String,
    provider: String,
    webhook: String,
    lane: String,
    lane_view: String,
    of_event: String,
    accepted: Moment,
    updated: Moment,
    next: Option<Moment>,
    tries: Vec<Try>,
    event_text: String,
    /// Addresses in the event that lead somewhere.
    links: Vec<(&'static str, String)>,
    /// What can be done with it, and the plan of that.
    act: &'static str,
    plan: String,
}

/// `GET /ui/deliveries/{id}`.
pub(super) async fn show(visit: Visit, Path(id): Path<String>) -> Result<Response, Fault> {
    let path = format!("/api/v1/deliveries/{}", segment(&id));
    let detail: DeliveryDetail = visit.get(&path).await?;
    shown(&DeliveryView::of(detail, visit.frame))
}

impl DeliveryView {
    fn of(detail: DeliveryDetail, frame: Frame) -> Self {
        let now = frame.now;
        let id = detail.id.to_string();
        let (act, word) = act(detail.status);
        let plan = Words::from([("act", word), ("ids", id.as_str())]).at("/ui/deliveries/plan");
        let event_id = detail.event_id.to_string();
        Self {
            act,
            plan,
            status: detail.status.as_str(),
            tone: show::of_delivery(detail.status),
            event: detail.event_name.as_str(),
            of_event: Words::from([("event_id", event_id.as_str())]).at("/ui/deliveries"),
            event_id,
            broker: detail.broker,
            consumer: detail.consumer,
            provider: detail.provider,
            webhook: detail.webhook_uuid.to_string(),
            lane_view: Words::from([("name", detail.lane.as_str())]).at("/ui/lanes"),
            lane: detail.lane,
            accepted: Moment::of(detail.created_at, now),
            updated: Moment::of(detail.updated_at, now),
            next: Moment::if_any(detail.next_attempt_at, now),
            tries: tries(&detail.attempts, detail.created_at, now),
            links: links(&detail.event),
            event_text: show::document(&detail.event),
            id,
            frame,
        }
    }
}

/// What can be done with a delivery, in words and as the API calls it.
fn act(status: DeliveryStatus) -> (&'static str, &'static str) {
    match status {
        DeliveryStatus::Delivered | DeliveryStatus::Failed | DeliveryStatus::Discarded => {
            ("Send once more …", "replay")
        }
        DeliveryStatus::Queued | DeliveryStatus::Retrying | DeliveryStatus::Held => {
            ("Discard …", "discard")
        }
    }
}

fn tries(attempts: &[Attempt], accepted_at: Timestamp, now: Timestamp) -> Vec<Try> {
    let mut free_since = accepted_at;
    let mut tries = Vec::with_capacity(attempts.len());
    for attempt in attempts {
        let waited = attempt.started_at.duration_since(free_since);
        let waited = u64::try_from(waited.as_secs()).unwrap_or_default();
        let took = std::time::Duration::from_millis(attempt.duration_ms);
        free_since = attempt.started_at.saturating_add(took).unwrap_or(attempt.started_at);
        tries.push(Try {
            number: attempt.number,
            waited: (waited > 0).then(|| lasting(waited)),
            started: Moment::of(attempt.started_at, now),
            took_ms: attempt.duration_ms,
            outcome: attempt.outcome.as_str(),
            tone: show::of_outcome(attempt.outcome),
            code: attempt.status_code,
            github_id: attempt.github_request_id.clone(),
            may_repeat: attempt.possible_duplicate,
            is_capped: attempt.retry_after_capped,
            request: show::document(&attempt.request),
            is_rendered: attempt.request_origin == Some(RequestOrigin::Rendered),
            note: attempt.request_note.clone(),
            curl: show::curl(&attempt.request),
            response: show::document(&attempt.response),
            run: attempt.run.as_ref().and_then(|run| Some((show::link(&run.url)?, run.id))),
        });
    }
    tries
}

fn links(event: &serde_json::Value) -> Vec<(&'static str, String)> {
    let known = [
        ("Pact", "pact_url"),
        ("Verification result", "verification_result_url"),
        ("Build", "build_url"),
    ];
    let found = known.map(|(word, name)| Some((word, show::link(event[name].as_str()?)?)));
    found.into_iter().flatten().collect()
}
