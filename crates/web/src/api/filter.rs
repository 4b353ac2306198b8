//! Which deliveries are meant: the same words in a list's query and in a replay's body.

use std::fmt::Display;
use std::str::FromStr;

use jiff::Timestamp;
use postrider_domain::{DeliveryId, DeliveryStatus, EventName, PairKey};
use postrider_http_server::Problem;
use postrider_store::{DeliveryFilter, DeliveryScope, Incident, IncidentKind, Store};
use uuid::Uuid;

use crate::api::params::instant;

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
        scope: None,
        broker: owned("broker"),
        webhook: parsed(&get, &fault, "webhook")?,
        consumer: owned("consumer"),
        provider: owned("provider"),
        version: owned("version"),
        event: event_name(&get, &fault)?,
        event_id: parsed(&get, &fault, "event_id")?,
        lane: owned("lane"),
        since: time("since")?,
        until: time("until")?,
        ids: None,
    };
    if let Some(id) = get("incident") {
        let missing = || fault("incident", "must be the id of an incident in the list".to_owned());
        let id: Uuid = id.parse().map_err(|_| missing())?;
        let found = store.incident(id).await?;
        narrow(&mut filter, &found.ok_or_else(missing)?)?;
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

/// An event's name, or `test`: lists leave tests out unless they are asked for. The error tells
/// what would be one.
pub(super) fn named_event(text: &str) -> Result<EventName, String> {
    if text == EventName::Test.as_str() {
        return Ok(EventName::Test);
    }
    let names = EventName::ALL.map(EventName::as_str).join(", ");
    text.parse().map_err(|_| format!("must be one of {names}"))
}

fn event_name<'a>(
    get: &impl Fn(&str) -> Option<&'a str>,
    fault: &impl Fn(&str, String) -> Problem,
) -> Result<Option<EventName>, Problem> {
    let read = get("event").map(named_event).transpose();
    read.map_err(|detail| fault("event", detail))
}

/// What the incident is about narrows the filter: a failing webhook's deliveries that were
/// attempted without success so far, what waits in a held lane or for a parked webhook, the poisoned delivery, all
/// deliveries of a late pair or of an unreachable broker, what is open because a worker can't
/// send.
fn narrow(filter: &mut DeliveryFilter, incident: &Incident) -> Result<(), Problem> {
    let subject = incident.subject.as_str();
    match incident.kind {
        IncidentKind::SustainedFailures => {
            filter.webhook = Some(subject.parse().map_err(|_| Problem::internal())?);
            filter.scope = Some(DeliveryScope::Failing);
        }
        IncidentKind::OwedAfterFailure => {
            filter.webhook = Some(subject.parse().map_err(|_| Problem::internal())?);
            filter.status = Some(DeliveryStatus::Failed);
        }
        IncidentKind::WebhookHeld => {
            filter.webhook = Some(subject.parse().map_err(|_| Problem::internal())?);
            filter.scope = Some(DeliveryScope::Open);
        }
        // A limit that lanes share has another name than they: then the list is empty.
        IncidentKind::LaneHeld | IncidentKind::LaneLate => {
            filter.lane = Some(subject.to_owned());
            filter.scope = Some(DeliveryScope::Open);
        }
        IncidentKind::Poison => {
            let id: DeliveryId = subject.parse().map_err(|_| Problem::internal())?;
            filter.ids = Some(vec![id]);
        }
        IncidentKind::VerificationStale
        | IncidentKind::VerificationSilent
        | IncidentKind::HoldsBack
        | IncidentKind::RedispatchGaveUp => {
            let pair: PairKey = subject.parse().map_err(|_| Problem::internal())?;
            filter.broker = Some(pair.broker);
            filter.consumer = Some(pair.consumer);
            filter.provider = Some(pair.provider);
        }
        IncidentKind::BrokerUnreachable
        | IncidentKind::FirstContact
        | IncidentKind::RelayGone
        | IncidentKind::RelayRefused => {
            filter.broker = Some(subject.to_owned());
        }
        // They are about no deliveries.
        IncidentKind::FactUnreadable
        | IncidentKind::PairsFull
        | IncidentKind::CredentialExpiring => filter.ids = Some(Vec::new()),
        IncidentKind::LocalTrouble => filter.scope = Some(DeliveryScope::Open),
    }
    Ok(())
}
