//! Which deliveries are meant: the same words in a list's query and in a replay's body.

use std::fmt::Display;
use std::str::FromStr;

use jiff::Timestamp;
use postrider_domain::{DeliveryId, EventName};
use postrider_store::{DeliveryFilter, Incident, IncidentKind, Store};

use crate::api::params::instant;
use crate::problem::Problem;

/// The words that filter.
pub(super) const NAMES: [&str; 10] = [
    "status", "webhook", "consumer", "provider", "event", "event_id", "lane", "incident", "since",
    "until",
];

/// Incidents that are looked through for the one that a filter names.
const INCIDENTS: u32 = 1_000;

/// Builds a filter from texts by name; `fault` makes the 400 that names the place.
pub(super) async fn filter<'a>(
    get: impl Fn(&str) -> Option<&'a str>,
    fault: impl Fn(&str, String) -> Problem,
    store: &Store,
    now: Timestamp,
) -> Result<DeliveryFilter, Problem> {
    let owned = |name: &str| get(name).map(str::to_owned);
    let time = |name: &str| {
        let text = get(name).map(|text| instant(text, now));
        text.transpose().map_err(|detail| fault(name, detail))
    };
    let mut filter = DeliveryFilter {
        status: parsed(&get, &fault, "status")?,
        webhook: parsed(&get, &fault, "webhook")?,
        consumer: owned("consumer"),
        provider: owned("provider"),
        event: event_name(&get, &fault)?,
        event_id: parsed(&get, &fault, "event_id")?,
        lane: owned("lane"),
        since: time("since")?,
        until: time("until")?,
        ids: None,
    };
    if let Some(id) = get("incident") {
        let incidents = store.incidents(false, INCIDENTS).await?;
        let found = incidents.iter().find(|incident| incident.id.to_string() == id);
        let missing = || fault("incident", "must be the id of an incident in the list".to_owned());
        narrow(&mut filter, found.ok_or_else(missing)?)?;
    }
    Ok(filter)
}

fn parsed<'a, T: FromStr<Err: Display>>(
    get: &impl Fn(&str) -> Option<&'a str>,
    fault: &impl Fn(&str, String) -> Problem,
    name: &str,
) -> Result<Option<T>, Problem> {
    let parsed = get(name).map(str::parse::<T>).transpose();
    parsed.map_err(|error| fault(name, format!("is not valid: {error}")))
}

fn event_name<'a>(
    get: &impl Fn(&str) -> Option<&'a str>,
    fault: &impl Fn(&str, String) -> Problem,
) -> Result<Option<EventName>, Problem> {
    let Some(text) = get("event") else {
        return Ok(None);
    };
    // Lists leave tests out unless they are asked for.
    if text == EventName::Test.as_str() {
        return Ok(Some(EventName::Test));
    }
    let names = EventName::ALL.map(EventName::as_str).join(", ");
    text.parse().map(Some).map_err(|_| fault("event", format!("must be one of {names}")))
}

/// What the incident is about narrows the filter.
fn narrow(filter: &mut DeliveryFilter, incident: &Incident) -> Result<(), Problem> {
    let subject = incident.subject.as_str();
    match incident.kind {
        IncidentKind::SustainedFailures => {
            filter.webhook = Some(subject.parse().map_err(|_| Problem::internal())?);
        }
        IncidentKind::LaneHeld => filter.lane = Some(subject.to_owned()),
        IncidentKind::Poison => {
            let id: DeliveryId = subject.parse().map_err(|_| Problem::internal())?;
            filter.ids = Some(vec![id]);
        }
    }
    Ok(())
}
