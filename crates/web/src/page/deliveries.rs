//! Deliveries in a list, by filters that stand in the address.

use askama::Template;
use axum::response::Response;
use http::Uri;
use postrider_api::{Delivery, DeliveryFilter, DeliveryList};
use postrider_domain::{DeliveryStatus, EventName};

use crate::page::answer::{Fault, shown};
use crate::page::show::{self, Moment};
use crate::page::visit::{Frame, Visit};
use crate::page::words::Words;

/// Where they are.
pub(super) const DELIVERIES: &str = "/ui/deliveries";

/// Rows of a page.
const PAGE: &str = "50";

/// Filters that are typed, with what they are called.
const TYPED: [(&str, &str); 9] = [
    ("consumer", "Consumer"),
    ("provider", "Provider"),
    ("webhook", "Webhook"),
    ("lane", "Lane"),
    ("broker", "Broker"),
    ("event_id", "Event id"),
    ("incident", "Incident"),
    ("since", "Since"),
    ("until", "Until"),
];

/// A delivery as a list shows it.
#[derive(Debug, Clone)]
pub(super) struct DeliveryLine {
    pub(super) id: String,
    /// The end of the id: what differs between deliveries of one moment.
    pub(super) short: String,
    pub(super) status: &'static str,
    pub(super) tone: &'static str,
    pub(super) event: &'static str,
    pub(super) consumer: String,
    pub(super) provider: String,
    pub(super) lane: String,
    pub(super) attempts: u32,
    pub(super) outcome: Option<&'static str>,
    pub(super) code: Option<u16>,
    pub(super) created: Moment,
    pub(super) next: Option<Moment>,
}

impl DeliveryLine {
    pub(super) fn of(delivery: &Delivery, frame: &Frame) -> Self {
        let id = delivery.id.to_string();
        let short = id.rsplit('-').next().unwrap_or_default().to_owned();
        Self {
            id,
            short,
            status: delivery.status.as_str(),
            tone: show::of_delivery(delivery.status),
            event: delivery.event_name.as_str(),
            consumer: delivery.consumer.clone(),
            provider: delivery.provider.clone(),
            lane: delivery.lane.clone(),
            attempts: delivery.attempts,
            outcome: delivery.last_outcome.map(postrider_domain::Outcome::as_str),
            code: delivery.last_status_code,
            created: Moment::of(delivery.created_at, frame.now),
            next: Moment::if_any(delivery.next_attempt_at, frame.now),
        }
    }
}

/// A filter that is set.
#[derive(Debug)]
struct Chip {
    name: String,
    value: String,
    /// The view without it.
    without: String,
}

/// A field of the form.
#[derive(Debug)]
struct Field {
    name: &'static str,
    label: &'static str,
    value: String,
}

#[derive(Template)]
#[template(path = "deliveries.html")]
struct DeliveriesView {
    frame: Frame,
    chips: Vec<Chip>,
    fields: Vec<Field>,
    status: String,
    event: String,
    statuses: [&'static str; DeliveryStatus::ALL.len()],
    events: Vec<&'static str>,
    lines: Vec<DeliveryLine>,
    total: u64,
    total_is_exact: bool,
    next: Option<String>,
    /// Plans for all that the filters name; none without a filter.
    plans: Option<[String; 2]>,
}

/// `GET /ui/deliveries`.
pub(super) async fn list(visit: Visit, uri: Uri) -> Result<Response, Fault> {
    let asked = Words::of(&uri)?;
    let words = asked.only(DeliveryFilter::NAMES);
    let mut call = words.with("limit", PAGE);
    if let Some(cursor) = asked.get("cursor") {
        call = call.with("cursor", cursor);
    }
    let list: DeliveryList = visit.get(&call.at("/api/v1/deliveries")).await?;
    let frame = visit.frame;
    let chips = words.iter().map(|(name, value)| Chip {
        name: name.to_owned(),
        value: value.to_owned(),
        without: words.without(name).at(DELIVERIES),
    });
    let field = |(name, label)| Field { name, label, value: words.or_empty(name) };
    let plan = |act: &str| words.with("act", act).at("/ui/deliveries/plan");
    let names = EventName::ALL.into_iter().chain([EventName::Test]);
    shown(&DeliveriesView {
        chips: chips.collect(),
        fields: TYPED.map(field).into(),
        status: words.or_empty("status"),
        event: words.or_empty("event"),
        statuses: DeliveryStatus::ALL.map(DeliveryStatus::as_str),
        events: names.map(EventName::as_str).collect(),
        lines: list.deliveries.iter().map(|one| DeliveryLine::of(one, &frame)).collect(),
        total: list.total,
        total_is_exact: list.total_is_exact,
        next: list.next.0.map(|cursor| words.with("cursor", &cursor).at(DELIVERIES)),
        plans: (!words.is_empty()).then(|| [plan("replay"), plan("discard")]),
        frame,
    })
}
