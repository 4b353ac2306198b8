//! Brokers' own webhooks that don't reach us.

use jiff::{SignedDuration, Timestamp};
use postrider_domain::RelayState;
use postrider_store::{BrokerRelay, IncidentFinding, IncidentKind, RelayCalls, Severity};

use crate::words::{age, quoted};

/// Refused calls of so long ago are nobody's any more: a broker repeats each for 42 minutes (Pact
/// Broker 2.120).
const REFUSED_FOR: SignedDuration = SignedDuration::from_hours(24);
/// Where others of the broker are taken since, a relay that is not refused for so long may be there
/// no more: no call that was refused is repeated any longer.
const REFUSED_BESIDE: SignedDuration = SignedDuration::from_hours(1);

/// The incident of a relay that was there, and is there no more or switched off.
pub(super) fn gone(relay: &BrokerRelay, now: Timestamp) -> Option<IncidentFinding> {
    let BrokerRelay { broker, uuid, state, since } = relay;
    let what = match state {
        RelayState::Enabled => return None,
        RelayState::Disabled => "is switched off",
        RelayState::Removed => "was removed",
    };
    Some(IncidentFinding {
        kind: IncidentKind::RelayGone,
        subject: broker.clone(),
        cause: state.as_str(),
        severity: Severity::Warning,
        summary: format!(
            "Webhook {uuid} of broker \"{broker}\", which relays its events to here, {what}, as far \
             as is known for {}: what the watch does not make up for gets lost",
            age(*since, now)
        ),
        next: connect(broker),
    })
}

/// The incident of calls that were refused for their token, and of whose relay none was taken since.
pub(super) fn refused(calls: &RelayCalls, now: Timestamp) -> Option<IncidentFinding> {
    let refused = calls.refused?;
    let is_beside = calls.taken_at.is_some_and(|at| at > refused.last_at);
    let shown_for = if is_beside { REFUSED_BESIDE } else { REFUSED_FOR };
    if now.duration_since(refused.last_at) > shown_for {
        return None;
    }
    let broker = &calls.broker;
    let (many, verb) = if refused.count == 1 { ("call", "was") } else { ("calls", "were") };
    Some(IncidentFinding {
        kind: IncidentKind::RelayRefused,
        subject: broker.clone(),
        cause: "401",
        severity: Severity::Critical,
        summary: format!(
            "{} {many} of broker \"{broker}\" {verb} refused here for the token (401) in {}, and \
             none of the same webhook was taken since: the broker gives them up",
            refused.count,
            age(refused.since, now)
        ),
        next: format!("{} --rotate-token", connect(broker)),
    })
}

fn connect(broker: &str) -> String {
    let name = match broker {
        "default" => String::new(),
        named => format!(" --name={}", quoted(named)),
    };
    format!("postrider connect --broker URL --public-url URL{name}")
}

#[cfg(test)]
mod tests {
    use postrider_store::RefusedCalls;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-30T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_relay_that_is_there_no_more_is_an_incident() {
        for (state, expected) in [
            (RelayState::Enabled, None),
            (RelayState::Disabled, Some("is switched off")),
            (RelayState::Removed, Some("was removed")),
        ] {
            let since = now() - SignedDuration::from_mins(5);
            let (broker, uuid) = ("team a".to_owned(), "u".to_owned());
            let found = gone(&BrokerRelay { broker, uuid, state, since }, now());
            assert_eq!(found.is_some(), expected.is_some(), "{state:?}");
            let Some(found) = found else { continue };
            assert!(found.summary.contains(expected.unwrap_or_default()), "{found:?}");
            assert!(found.next.ends_with("--name='team a'"), "{found:?}");
        }
    }

    #[test]
    fn calls_that_are_refused_are_an_incident_for_a_day() {
        for (hours, expected) in [(0, true), (24, true), (25, false)] {
            let last_at = now() - SignedDuration::from_hours(hours);
            let refused = RefusedCalls { since: last_at, last_at, count: 3 };
            let (broker, taken_at) = ("default".to_owned(), None);
            let found = refused_of(&RelayCalls { broker, taken_at, refused: Some(refused) });
            assert_eq!(found.is_some(), expected, "{hours} h");
        }
        // Another relay of the broker is taken since.
        for (minutes, expected) in [(0, true), (60, true), (61, false)] {
            let last_at = now() - SignedDuration::from_mins(minutes);
            let refused = RefusedCalls { since: last_at, last_at, count: 3 };
            let taken_at = Some(last_at + SignedDuration::from_secs(1));
            let broker = "default".to_owned();
            let found = refused_of(&RelayCalls { broker, taken_at, refused: Some(refused) });
            assert_eq!(found.is_some(), expected, "{minutes} min");
        }
        let (broker, taken_at) = ("default".to_owned(), Some(now()));
        assert!(refused_of(&RelayCalls { broker, taken_at, refused: None }).is_none());
    }

    fn refused_of(calls: &RelayCalls) -> Option<IncidentFinding> {
        refused(calls, now())
    }
}
