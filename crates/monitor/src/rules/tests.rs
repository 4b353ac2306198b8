use postrider_domain::owed::Due;
use postrider_domain::{BrokerSays, EventName, Outcome, PairFacts, PairRule, QuietDays, SaidDebt};

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
        deliveries: failures,
        since: Some(at("2026-11-18T09:00:00Z")),
        last_outcome: Some(Outcome::NotFound),
        last_status_code: Some(404),
        last_success_at: Some(at("2026-11-17T09:00:00Z")),
    }
}

fn rules(threshold: u64) -> Rules {
    Rules {
        sustained_failures: threshold,
        sustained_for: Duration::from_mins(10),
        delivery_objective: Duration::from_mins(5),
        freshness: FreshnessRules {
            max_age: None,
            quiet: QuietDays::none(),
            pairs: Vec::new(),
            is_watched: false,
        },
        broker_interval: Duration::from_mins(5),
        redispatch: RedispatchMode::On,
    }
}

const NOW: &str = "2026-11-20T09:30:00Z";

fn judge(store: &MonitorFacts, threshold: u64) -> Vec<IncidentFinding> {
    let facts = Facts { store: store.clone(), ..Facts::default() };
    evaluate(&rules(threshold), &facts, at(NOW))
}

#[test]
fn a_streak_opens_at_the_threshold_and_not_before() {
    for (failures, threshold, open) in [(0, 3, false), (2, 3, false), (3, 3, true), (9, 3, true)] {
        let facts = MonitorFacts { streaks: vec![streak(failures)], ..MonitorFacts::default() };
        assert_eq!(judge(&facts, threshold).len(), usize::from(open), "{failures} of {threshold}");
    }
}

/// One delivery that is retried for half an hour is no target that fails, nor are many that fail
/// within a minute.
#[test]
fn a_streak_needs_different_deliveries_and_time() {
    for (deliveries, minutes, open) in
        [(2, 60, false), (3, 9, false), (3, 10, true), (9, 0, false), (9, 2 * 24 * 60, true)]
    {
        let since = at(NOW).checked_sub(SignedDuration::from_mins(minutes)).unwrap();
        let streak = StreakFact { deliveries, since: Some(since), ..streak(40) };
        let facts = MonitorFacts { streaks: vec![streak], ..MonitorFacts::default() };
        assert_eq!(judge(&facts, 3).len(), usize::from(open), "{deliveries} in {minutes} min");
    }
}

/// What holds the lane or the webhook has an incident of its own, and is the same cause.
#[test]
fn a_streak_behind_a_hold_is_not_told_twice() {
    let streaks = vec![streak(5)];
    let lane = streaks[0].lane.clone();
    let held = vec![(lane, HoldCause::Credential, at(NOW), 3)];
    let found = judge(&MonitorFacts { streaks, held, ..MonitorFacts::default() }, 3);
    let kinds: Vec<IncidentKind> = found.iter().map(|found| found.kind).collect();
    assert_eq!(kinds, [IncidentKind::LaneHeld]);
}

/// Whoever held it by hand knows.
#[test]
fn a_hold_by_hand_is_no_incident() {
    let lane = |cause| ("a/t".to_owned(), cause, at(NOW), 3);
    let judged = |cause| {
        judge(&MonitorFacts { held: vec![lane(cause)], ..MonitorFacts::default() }, 3).len()
    };
    for cause in HoldCause::ALL {
        assert_eq!(judged(cause), usize::from(cause != HoldCause::Manual), "{cause:?}");
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
        "Webhook \"Notify billing\" has failed 3 times in a row for 48h 30m: the target does not \
         exist or is hidden from the credential: check the URL, whether the repository was \
         renamed or deleted, and whether the token can see it (last: 404, not_found; last \
         success 2026-11-17T09:00:00Z; lane api.github.com/githubToken)"
    );
    assert_eq!(found[0].next, "postrider webhooks show aaaaaaaaaaaaaaaa");
    assert_eq!(found[0].cause, "not_found");
}

#[test]
fn every_class_of_failure_has_its_own_advice() {
    let set = "postrider secrets set githubToken < new-token";
    let show = "postrider webhooks show aaaaaaaaaaaaaaaa";
    let list = "postrider deliveries list --webhook aaaaaaaaaaaaaaaa --limit 5";
    for (outcome, told, next) in [
        (Outcome::Credential, "refuses the credential", set),
        (Outcome::SecretMissing, "has no value", "postrider secrets set githubToken < token"),
        (Outcome::NotFound, "renamed or deleted", show),
        (Outcome::Permission, "contents: write", list),
        (Outcome::Invalid, "never take this request", list),
        (Outcome::Redirected, "has moved", show),
        (Outcome::Blocked, "POSTRIDER_WEBHOOK_ALLOW_NETWORKS", show),
        (Outcome::RenderError, "template", show),
        (Outcome::ServerError, "errors of its own", list),
        (Outcome::Timeout, "in time", list),
        (Outcome::ConnectError, "can't be connected to", list),
        (Outcome::Unreadable, "does not answer in HTTP", list),
        (Outcome::Lost, "differs", list),
    ] {
        let streak = StreakFact { last_outcome: Some(outcome), ..streak(5) };
        let facts = MonitorFacts { streaks: vec![streak], ..MonitorFacts::default() };
        let found = &judge(&facts, 3)[0];
        assert!(found.summary.contains(told), "{outcome}: {}", found.summary);
        assert_eq!((found.next.as_str(), found.cause), (next, outcome.as_str()));
    }
}

#[test]
fn a_credential_that_is_no_secret_is_not_set_as_one() {
    for (lane, next) in [
        ("host/githubToken", "postrider secrets set githubToken < new-token"),
        ("host:8443/inline-token", "postrider secrets set inline-token < new-token"),
        ("host/inline-0011aaff", "postrider webhooks list"),
        ("host/basic-0011aaff", "postrider webhooks list"),
        ("host/none", "postrider webhooks list"),
        ("everything at once", "postrider webhooks list"),
    ] {
        let held = vec![(lane.to_owned(), HoldCause::Credential, at(NOW), 0)];
        let facts = MonitorFacts { held, ..MonitorFacts::default() };
        assert_eq!(judge(&facts, 3)[0].next, next, "{lane}");
    }
}

#[test]
fn an_app_is_mended_by_a_key_and_not_by_a_value() {
    let app = postrider_domain::GithubApp {
        app_id: "12345".to_owned(),
        installation_id: None,
        owner: None,
        per_repository: false,
        api_url: "https://api.github.com".to_owned(),
    };
    let mut secret = credential::tests::credential(None);
    secret.secret.github_app = Some(Box::new(app));
    let held = |backlog| Facts {
        store: MonitorFacts {
            held: vec![(
                "api.github.com/githubToken".to_owned(),
                HoldCause::Credential,
                at(NOW),
                backlog,
            )],
            ..MonitorFacts::default()
        },
        credentials: vec![secret.clone()],
        ..Facts::default()
    };
    let found = &evaluate(&rules(3), &held(1), at(NOW))[0];
    assert_eq!(
        found.next,
        "postrider secrets set githubToken --github-app --app-id 12345 --private-key-file \
         new-key.pem"
    );
    assert!(found.summary.contains("GitHub refused the app"), "{}", found.summary);
    assert!(found.summary.ends_with("1 delivery waits, it is not dropped"), "{}", found.summary);
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

fn key(consumer: &str) -> PairKey {
    PairKey {
        broker: "default".to_owned(),
        consumer: consumer.to_owned(),
        provider: "Order's".to_owned(),
    }
}

fn pair(consumer: &str, told: &[(EventName, &str)]) -> PairRow {
    let mut facts = PairFacts::default();
    for (event, when) in told {
        facts.told(*event, at(when), None);
    }
    PairRow { key: key(consumer), facts, watched: Vec::new() }
}

fn of_pairs(rules: &Rules, pairs: Vec<PairRow>, brokers: Vec<BrokerRead>) -> Vec<IncidentFinding> {
    evaluate(rules, &Facts { pairs, brokers, ..Facts::default() }, at(NOW))
}

const WANTS: EventName = EventName::ContractRequiringVerificationPublished;
const FAILED: EventName = EventName::ProviderVerificationFailed;

#[test]
fn a_late_verification_tells_whether_the_provider_was_told() {
    let mut row = pair("check out", &[(WANTS, "2026-11-18T09:00:00Z")]);
    let found = of_pairs(&rules(3), vec![row.clone()], Vec::new());
    assert_eq!(
        found,
        [IncidentFinding {
            kind: IncidentKind::VerificationStale,
            subject: "default/check out/Order's".to_owned(),
            cause: "not_dispatched",
            severity: Severity::Warning,
            summary: "The contract of \"check out\" with \"Order's\" at broker \"default\" waits \
                      for a verification for 48h 30m, longer than 1d: nothing was delivered for \
                      it since"
                .to_owned(),
            next: r"postrider deliveries list --consumer 'check out' --provider 'Order'\''s'"
                .to_owned(),
        }]
    );
    row.facts.dispatched(at("2026-11-18T09:00:05Z"));
    let found = of_pairs(&rules(3), vec![row], Vec::new());
    assert_eq!(found[0].cause, "not_verified");
    assert!(found[0].summary.contains("told at 2026-11-18T09:00:05Z"), "{}", found[0].summary);
    assert!(found[0].next.starts_with("postrider check verification --consumer"));
}

#[test]
fn a_publication_that_nobody_told_of_is_an_incident_of_its_own() {
    let mut row = pair("-c", &[(WANTS, "2026-11-17T09:00:00Z"), (FAILED, "2026-11-18T09:00:00Z")]);
    let mut rules = rules(3);
    let answers =
        BrokerRead { broker: "default".to_owned(), answered_at: Some(at(NOW)), failing: None };
    let found =
        |rules: &Rules, row: &PairRow| of_pairs(rules, vec![row.clone()], vec![answers.clone()]);
    assert_eq!(found(&rules, &row), [], "verified once");
    let first = at("2026-11-17T08:00:00Z");
    row.facts.says = Some(BrokerSays {
        published_at: Some(at("2026-11-18T08:00:00Z")),
        trouble: None,
        ..BrokerSays::troubled(None, String::new(), first)
    });
    let silent = found(&rules, &row);
    assert_eq!((silent[0].kind, silent[0].cause), (IncidentKind::VerificationSilent, "no_event"));
    assert!(silent[0].summary.contains("published at 2026-11-18T08:00:00Z"), "{silent:?}");
    assert!(silent[0].summary.contains("the last one came at 2026-11-17T09:00:00Z"), "{silent:?}");
    assert_eq!(silent[0].next, "postrider reconcile --since 1d");
    rules.freshness.pairs.push(PairRule {
        broker: None,
        consumer: "-c".to_owned(),
        provider: "Order's".to_owned(),
        max_age: None,
        critical: true,
    });
    assert_eq!(found(&rules, &row)[0].severity, Severity::Critical);
}

#[test]
fn what_the_broker_says_is_late() {
    let mut row = pair("c", &[(FAILED, "2026-11-20T08:00:00Z")]);
    let debt = SaidDebt {
        consumer_version: "1".to_owned(),
        lines: vec!["main".to_owned()],
        provider_version: "p".to_owned(),
        branch: None,
        because: vec!["deployed:prod".to_owned()],
        due: Due::Published,
        blocking: true,
        since: at("2026-11-18T09:00:00Z"),
        is_begin_seen: false,
    };
    row.facts.says = Some(BrokerSays {
        owes: vec![debt],
        trouble: None,
        ..BrokerSays::troubled(None, String::new(), at(NOW))
    });
    let answers =
        BrokerRead { broker: "default".to_owned(), answered_at: Some(at(NOW)), failing: None };
    let found = of_pairs(&rules(3), vec![row], vec![answers]);
    assert_eq!(
        (found[0].kind, found[0].cause),
        (IncidentKind::VerificationStale, "not_dispatched")
    );
    assert!(found[0].summary.contains("waits for a verification for 48h 30m"), "{found:?}");
}

#[test]
fn nothing_is_late_while_its_broker_is_away() {
    let row = pair("c", &[(WANTS, "2026-11-18T09:00:00Z")]);
    let read = |failing| BrokerRead {
        broker: "default".to_owned(),
        answered_at: Some(at("2026-11-18T10:00:00Z")),
        failing,
    };
    let failing = |since: &str, trouble| Some((at(since), trouble, "refused".to_owned()));
    let kinds = |read: BrokerRead| -> Vec<(IncidentKind, &str)> {
        let found = of_pairs(&rules(3), vec![row.clone()], vec![read]);
        found.iter().map(|found| (found.kind, found.cause)).collect()
    };
    let away = (IncidentKind::BrokerUnreachable, "away");
    assert_eq!(kinds(read(failing("2026-11-18T10:05:00Z", BrokerTrouble::Away))), [away]);
    // One failed read is none yet; a refused credential does not mend itself.
    assert_eq!(kinds(read(failing("2026-11-20T09:29:00Z", BrokerTrouble::Away))), []);
    assert_eq!(
        kinds(read(failing("2026-11-20T09:29:59Z", BrokerTrouble::Credential))),
        [(IncidentKind::BrokerUnreachable, "credential")]
    );
    // Nobody asked since: as if it were away.
    assert_eq!(kinds(read(None)), []);
    let answers = BrokerRead { answered_at: Some(at(NOW)), ..read(None) };
    let stale = (IncidentKind::VerificationStale, "not_dispatched");
    assert_eq!(kinds(answers), [stale]);
    // Another broker's troubles are its own.
    let other = BrokerRead {
        broker: "other".to_owned(),
        ..read(failing("2026-11-18T10:05:00Z", BrokerTrouble::Away))
    };
    assert_eq!(kinds(other), [stale, away]);
}

#[test]
fn a_worker_without_descriptors_is_an_incident_of_this_machine_and_of_no_target() {
    let worker = TroubledWorker {
        worker: postrider_store::WorkerId(Uuid::nil()),
        what: "no file descriptors are left".to_owned(),
        since: at(NOW) - SignedDuration::from_mins(3),
    };
    let facts = Facts { troubled: vec![worker], ..Facts::default() };
    let found = evaluate(&rules(3), &facts, at(NOW));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].kind, IncidentKind::LocalTrouble);
    assert!(found[0].summary.contains("for 3m: no file descriptors are left"), "{found:?}");
}
