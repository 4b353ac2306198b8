use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use postrider_domain::{EventId, Outcome, PairKey, QuietDays};
use postrider_store::StreakFact;
use uuid::Uuid;

use super::*;
use crate::{Facts, Rules, evaluate};

const HOOK: &str = "aaaaaaaaaaaaaaaa";

/// So many minutes before now.
fn ago(minutes: i64) -> Timestamp {
    let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
    now - SignedDuration::from_mins(minutes)
}

fn rules(redispatch: RedispatchMode) -> Rules {
    Rules {
        sustained_failures: 3,
        sustained_for: Duration::from_mins(10),
        delivery_objective: Duration::from_mins(5),
        freshness: FreshnessRules {
            max_age: Some(Duration::from_mins(30)),
            quiet: QuietDays::none(),
            pairs: Vec::new(),
            is_watched: true,
        },
        broker_interval: Duration::from_secs(5),
        redispatch,
    }
}

fn fate(delivered: Option<i64>, failed: Option<i64>) -> EventFate {
    EventFate {
        ended_at: delivered.or(failed).map(ago),
        delivered_at: delivered.map(ago),
        failed: failed.map(|at| (HOOK.parse().unwrap(), ago(at))).into_iter().collect(),
        ..EventFate::of(EventId(Uuid::nil()))
    }
}

/// A debt that was seen a minute ago.
fn debt(consumer: &str, times: u32, first: EventFate, newest: Option<EventFate>) -> DebtFact {
    let debt = ToldDebt {
        key: PairKey {
            broker: "default".to_owned(),
            consumer: consumer.to_owned(),
            provider: "billing app".to_owned(),
        },
        consumer_version: "1".to_owned(),
        provider_version: "p".to_owned(),
        published_at: Some(ago(2)),
        event: first.event,
        again: times,
        again_event: newest.as_ref().map(|fate| fate.event),
        seen_at: ago(1),
        learned: None,
    };
    DebtFact { debt, first: Some(first), again: newest }
}

fn found(facts: &Facts, mode: RedispatchMode) -> Vec<IncidentFinding> {
    evaluate(&rules(mode), facts, ago(0))
}

fn facts(debts: Vec<DebtFact>) -> Facts {
    Facts { debts, ..Facts::default() }
}

#[test]
fn what_failed_and_is_still_owed_is_one_incident_of_its_webhook() {
    let failed = |consumer: &str| debt(consumer, 0, fate(None, Some(5)), None);
    let found = found(&facts(vec![failed("web"), failed("app")]), RedispatchMode::Off);
    let [incident] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((incident.kind, incident.subject.as_str()), (IncidentKind::OwedAfterFailure, HOOK));
    assert!(incident.summary.starts_with("2 verifications are owed that webhook"), "{incident:?}");
    assert!(incident.summary.contains(r#"of "web" 1 with "billing app" p at"#), "{incident:?}");
}

#[test]
fn what_was_taken_or_not_looked_at_since_is_none() {
    for (first, newest) in [
        // Failed just now: it is not known yet whether it is owed still.
        (fate(None, Some(0)), None),
        (fate(Some(5), None), None),
        // Taken by one of two targets, or the second time.
        (fate(Some(5), Some(5)), None),
        (fate(None, Some(50)), Some(fate(Some(10), None))),
    ] {
        let found = found(&facts(vec![debt("web", 1, first, newest)]), RedispatchMode::Off);
        assert!(found.is_empty(), "{found:?}");
    }
    // Under way once more, or failed again: it stays.
    let open = EventFate { is_open: true, ..EventFate::of(EventId(Uuid::nil())) };
    for newest in [open, fate(None, Some(3))] {
        let again = debt("web", 1, fate(None, Some(50)), Some(newest));
        assert_eq!(found(&facts(vec![again]), RedispatchMode::On).len(), 1);
    }
}

#[test]
fn a_webhook_that_fails_as_a_whole_is_told_of_once() {
    let streak = StreakFact {
        webhook: HOOK.parse().unwrap(),
        description: String::new(),
        lane: "h/none".to_owned(),
        failures: 9,
        deliveries: 9,
        since: Some(ago(60)),
        last_outcome: Some(Outcome::ServerError),
        last_status_code: Some(500),
        last_success_at: None,
    };
    let mut facts = facts(vec![debt("web", 0, fate(None, Some(5)), None)]);
    facts.store.streaks.push(streak);
    let kinds: Vec<IncidentKind> =
        found(&facts, RedispatchMode::Off).iter().map(|found| found.kind).collect();
    assert_eq!(kinds, [IncidentKind::SustainedFailures]);
}

#[test]
fn what_was_dispatched_as_often_as_it_may_be_is_given_up() {
    let lost = |times, minutes| {
        debt("-web", times, fate(Some(300), None), Some(fate(Some(minutes), None)))
    };
    for (mode, times, minutes, expected) in [
        (RedispatchMode::On, 2, 32, 1),
        (RedispatchMode::On, 2, 31, 0),
        (RedispatchMode::On, 1, 100, 0),
        (RedispatchMode::DryRun, 2, 32, 0),
    ] {
        let found = found(&facts(vec![lost(times, minutes)]), mode);
        assert_eq!(found.len(), expected, "{mode} {times} {minutes}: {found:?}");
        for incident in found {
            assert_eq!(incident.kind, IncidentKind::RedispatchGaveUp);
            assert_eq!(incident.subject, "default/-web/billing app");
            let next = "postrider doctor --consumer=-web --version=1 --provider='billing app'";
            assert_eq!(incident.next, next);
        }
    }
}
