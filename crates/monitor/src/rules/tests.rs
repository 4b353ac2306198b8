use postrider_domain::Outcome;
use uuid::Uuid;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn streak(failures: u64) -> StreakFact {
    StreakFact {
        webhook: "aaaaaaaaaaaaaaaa".parse().unwrap(),
        description: "Notify billing".to_owned(),
        lane: "api.github.com/githubToken".to_owned(),
        failures,
        since: Some(at("2026-11-18T09:00:00Z")),
        last_outcome: Some(Outcome::NotFound),
        last_status_code: Some(404),
        last_success_at: Some(at("2026-11-17T09:00:00Z")),
    }
}

fn judge(facts: &MonitorFacts, threshold: u64) -> Vec<IncidentFinding> {
    evaluate(Rules { sustained_failures: threshold }, facts, at("2026-11-20T09:30:00Z"))
}

#[test]
fn a_streak_opens_at_the_threshold_and_not_before() {
    for (failures, threshold, open) in [(0, 3, false), (2, 3, false), (3, 3, true), (9, 3, true)] {
        let facts = MonitorFacts { streaks: vec![streak(failures)], ..MonitorFacts::default() };
        assert_eq!(judge(&facts, threshold).len(), usize::from(open), "{failures} of {threshold}");
    }
}

#[test]
fn a_threshold_of_zero_does_not_alarm_without_a_failure() {
    let facts = MonitorFacts { streaks: vec![streak(0)], ..MonitorFacts::default() };
    assert_eq!(judge(&facts, 0), Vec::new());
}

#[test]
fn a_streak_names_cause_age_and_the_next_command() {
    let facts = MonitorFacts { streaks: vec![streak(3)], ..MonitorFacts::default() };
    let found = judge(&facts, 3);
    assert_eq!(
        found[0].summary,
        "Webhook \"Notify billing\" has failed 3 times in a row for 48h 30m (last: 404, \
         not_found; last success 2026-11-17T09:00:00Z; lane api.github.com/githubToken)"
    );
    assert_eq!(found[0].next, "postrider deliveries list --webhook aaaaaaaaaaaaaaaa --limit 5");
}

#[test]
fn every_cause_of_a_hold_has_its_own_next_step() {
    let lane = "api.github.com/githubToken".to_owned();
    let since = at("2026-11-20T09:29:30Z");
    let next = |cause| {
        let facts =
            MonitorFacts { held: vec![(lane.clone(), cause, since, 7)], ..MonitorFacts::default() };
        let found = judge(&facts, 3);
        assert!(found[0].summary.contains("7 deliveries wait"), "{}", found[0].summary);
        assert!(found[0].summary.contains("30s"), "{}", found[0].summary);
        found[0].next.clone()
    };
    assert_eq!(next(HoldCause::Credential), "postrider secrets set githubToken < new-token");
    assert_eq!(next(HoldCause::SecretMissing), "postrider secrets set githubToken < token");
    assert_eq!(next(HoldCause::Manual), "postrider lanes release api.github.com/githubToken");
}

#[test]
fn a_poisoned_delivery_is_an_incident_of_its_own() {
    let facts = MonitorFacts {
        poisoned: vec![(Uuid::nil(), "aaaaaaaaaaaaaaaa".parse().unwrap())],
        ..MonitorFacts::default()
    };
    let found = judge(&facts, 3);
    assert_eq!(found[0].kind, IncidentKind::Poison);
    assert_eq!(found[0].subject, Uuid::nil().to_string());
}
