//! Webhooks: a list, one with its last deliveries, its test, the end of its hold.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::Uri;
use postrider_api::broker::{Execution, Link, PacticipantSelector, Webhook, WebhookCollection};
use postrider_api::{Delivery, DeliveryList, LaneList, WebhookCheck};
use postrider_domain::DeliveryStatus;
use serde_json::{Value, json};

use crate::page::answer::{Fault, on_to, shown};
use crate::page::deliveries::DeliveryLine;
use crate::page::lanes::{LaneRow, ParkedRow};
use crate::page::show;
use crate::page::visit::{Frame, Visit};
use crate::page::words::{Words, segment};

pub(super) const WEBHOOKS: &str = "/ui/webhooks";

/// Webhooks of a page: each is read by itself.
const PAGE: usize = 25;
/// Of these, so many are read at a time.
const PARALLEL: usize = 4;

/// A webhook in the list.
#[derive(Debug)]
struct Line {
    uuid: String,
    description: String,
    scope: String,
    events: String,
    method: String,
    url: String,
    is_enabled: bool,
    last: Option<DeliveryLine>,
}

#[derive(Template)]
#[template(path = "webhooks.html")]
struct WebhooksView {
    frame: Frame,
    search: String,
    lines: Vec<Line>,
    total: usize,
    earlier: Option<String>,
    later: Option<String>,
}

/// `GET /ui/webhooks`.
pub(super) async fn list(visit: Visit, uri: Uri) -> Result<Response, Fault> {
    let words = Words::of(&uri)?.only(&["search", "page"]);
    let search = words.or_empty("search");
    let page: usize = words.get("page").and_then(|page| page.parse().ok()).unwrap_or(0);
    let all: WebhookCollection = visit.get("/webhooks").await?;
    let mut found = all.links.webhooks;
    let holds = |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains(&search));
    found.retain(|link| search.is_empty() || holds(&link.name) || holds(&link.title));
    let shown_ones = found.iter().skip(page.saturating_mul(PAGE)).take(PAGE);
    let uuid = |link: &Link| link.href.rsplit('/').next().unwrap_or_default().to_owned();
    let uuids: Vec<String> = shown_ones.map(uuid).collect();
    let lines = stream::iter(uuids).map(async |uuid| line(&visit, &uuid).await);
    let lines: Vec<Line> = lines.buffered(PARALLEL).try_collect().await?;
    let at = |page: usize| words.with("page", &page.to_string()).at(WEBHOOKS);
    let is_last = found.len() <= page.saturating_add(1).saturating_mul(PAGE);
    shown(&WebhooksView {
        frame: visit.frame,
        search,
        lines,
        total: found.len(),
        earlier: page.checked_sub(1).map(at),
        later: (!is_last).then(|| at(page + 1)),
    })
}

async fn line(visit: &Visit, uuid: &str) -> Result<Line, Fault> {
    let webhook: Webhook = visit.get(&format!("/webhooks/{uuid}")).await?;
    let newest = newest(visit, uuid, "1").await?;
    Ok(Line {
        last: newest.deliveries.first().map(|one| DeliveryLine::of(one, &visit.frame)),
        uuid: webhook.uuid.to_string(),
        scope: scope(&webhook),
        events: events(&webhook),
        description: webhook.description,
        method: webhook.request.method,
        url: webhook.request.url,
        is_enabled: webhook.enabled,
    })
}

/// The newest deliveries of a webhook.
async fn newest(visit: &Visit, uuid: &str, limit: &str) -> Result<DeliveryList, Fault> {
    visit.get(&Words::from([("webhook", uuid), ("limit", limit)]).at("/api/v1/deliveries")).await
}

fn scope(webhook: &Webhook) -> String {
    let side = |selector: &Option<PacticipantSelector>| match selector {
        None => "any".to_owned(),
        Some(PacticipantSelector { name: Some(name), .. }) => name.clone(),
        Some(PacticipantSelector { label: Some(label), .. }) => format!("labeled {label}"),
        Some(PacticipantSelector { name: None, label: None }) => "none".to_owned(),
    };
    format!("{} → {}", side(&webhook.consumer), side(&webhook.provider))
}

fn events(webhook: &Webhook) -> String {
    webhook.events.iter().map(|event| event.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// What came of a test.
#[derive(Debug)]
struct Tested {
    is_good: bool,
    trouble: Option<String>,
    status: Option<u16>,
    logs: String,
}

#[derive(Template)]
#[template(path = "webhook.html")]
struct WebhookView {
    frame: Frame,
    uuid: String,
    description: String,
    scope: String,
    events: String,
    is_enabled: bool,
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: String,
    rules: String,
    created: String,
    updated: Option<String>,
    parked: Option<ParkedRow>,
    /// Of its newest deliveries so many were not taken, one after the other.
    streak: usize,
    /// What the server would say of it if it were written now.
    warnings: Vec<String>,
    lines: Vec<DeliveryLine>,
    deliveries: String,
    tested: Option<Tested>,
}

/// `GET /ui/webhooks/{uuid}`.
pub(super) async fn show(visit: Visit, Path(uuid): Path<String>) -> Result<Response, Fault> {
    let view = view(&visit, &uuid).await?;
    shown(&view)
}

async fn view(visit: &Visit, uuid: &str) -> Result<WebhookView, Fault> {
    let webhook: Webhook = visit.get(&format!("/webhooks/{}", segment(uuid))).await?;
    let list = newest(visit, uuid, "10").await?;
    let check: WebhookCheck = visit.post("/api/v1/webhooks/check", &json!(webhook)).await?;
    let lanes = visit.all::<LaneList>("/api/v1/lanes").await?;
    let frame = visit.frame.clone();
    let holds = |lane: &&postrider_api::Lane| {
        lane.held_webhooks.iter().any(|held| held.webhook_uuid.as_str() == uuid)
    };
    let lane = lanes.iter().find(holds).map(|lane| LaneRow::of(lane, &frame));
    let parked = lane.and_then(|lane| lane.parked.into_iter().find(|held| held.uuid == uuid));
    let rules = webhook.postrider.as_ref().map(|rules| show::document(&json!(rules)));
    Ok(WebhookView {
        uuid: uuid.to_owned(),
        scope: scope(&webhook),
        events: events(&webhook),
        description: webhook.description,
        is_enabled: webhook.enabled,
        method: webhook.request.method,
        url: webhook.request.url,
        headers: webhook.request.headers.into_iter().collect(),
        body: webhook.request.body.as_ref().map(show::document).unwrap_or_default(),
        rules: rules.unwrap_or_default(),
        created: webhook.created_at,
        updated: webhook.updated_at,
        parked,
        streak: streak(&list.deliveries),
        warnings: check.warnings,
        lines: list.deliveries.iter().map(|one| DeliveryLine::of(one, &frame)).collect(),
        deliveries: Words::from([("webhook", uuid)]).at("/ui/deliveries"),
        tested: None,
        frame,
    })
}

/// How many of these, newest first, no target took, up to the first that one did.
fn streak(newest: &[Delivery]) -> usize {
    use DeliveryStatus::{Delivered, Discarded, Failed, Held, Queued, Retrying};
    let ended = newest.iter().filter(|one| !matches!(one.status, Queued | Discarded));
    ended
        .take_while(|one| match one.status {
            Failed | Retrying | Held => one.last_outcome.is_some(),
            Delivered | Queued | Discarded => false,
        })
        .count()
}

/// `POST /ui/webhooks/{uuid}/execute`: sends a test, and tells what came of it.
pub(super) async fn execute(visit: Visit, Path(uuid): Path<String>) -> Result<Response, Fault> {
    let path = format!("/webhooks/{}/execute", segment(&uuid));
    let made: Execution = visit.post(&path, &json!({})).await?;
    let tested = Tested {
        is_good: made.success,
        trouble: made.error.map(|error| error.message),
        status: made.response.and_then(|response| response.status),
        logs: made.logs,
    };
    shown(&WebhookView { tested: Some(tested), ..view(&visit, &uuid).await? })
}

/// `POST /ui/webhooks/{uuid}/release`.
pub(super) async fn release(visit: Visit, Path(uuid): Path<String>) -> Result<Response, Fault> {
    let uuid = segment(&uuid);
    let _released: Value =
        visit.post(&format!("/api/v1/webhooks/{uuid}/release"), &json!({})).await?;
    Ok(on_to(&format!("{WEBHOOKS}/{uuid}")))
}
