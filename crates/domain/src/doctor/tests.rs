//! One story for each verdict: each is told as what it is, and as nothing else.

use std::time::Duration;

use jiff::SignedDuration;

use super::*;
use crate::owed::{Counted, Due, VersionResult};
use crate::{DeliveryId, DeliveryStatus, EventId, EventSource, HoldCause, Outcome};

const NOW: i64 = 1_800_000_000;

fn ago(minutes: i64) -> Timestamp {
    Timestamp::from_second(NOW).unwrap() - SignedDuration::from_mins(minutes)
}

fn result(version: &str, success: bool, minutes: i64) -> VersionResult {
    VersionResult { provider_version: version.to_owned(), success, at: ago(minutes) }
}

fn required(version: &str, roles: &[Role], result: Option<VersionResult>) -> RequiredVersion {
    let because = roles.iter().map(|role| (role.clone(), ago(900))).collect();
    let counted = Counted { version: version.to_owned(), main_branch: None, because };
    RequiredVersion { counted, due: Due::Published, since: ago(60), result }
}

fn delivery(status: DeliveryStatus, outcome: Option<Outcome>) -> DeliveryFacts {
    DeliveryFacts {
        id: DeliveryId(uuid::Uuid::from_u128(7)),
        webhook: "dCGCl-Ba3PqEFJ_iE9mJkQ".parse().unwrap(),
        lane: "api.github.com/pat".to_owned(),
        status,
        is_dispatch: true,
        last_outcome: outcome,
        last_status_code: None,
        next_attempt_at: None,
        hold: None,
        paused_until: None,
        updated_at: ago(50),
        secret: Some("pat".to_owned()),
        was_taken_before: true,
        run: Known::Is(RunFinding::NotAsked),
    }
}

fn event(deliveries: Vec<DeliveryFacts>) -> EventFacts {
    EventFacts {
        id: EventId(uuid::Uuid::from_u128(3)),
        provider_version: "m1".to_owned(),
        received_at: ago(58),
        source: Some(EventSource::Relay),
        deliveries,
        unwanted: Vec::new(),
    }
}

/// A contract that main and production have to verify, with these versions and events.
fn facts(required: Vec<RequiredVersion>, events: Vec<EventFacts>) -> Facts {
    Facts {
        asked: Asked {
            consumer: "C".to_owned(),
            version: None,
            provider: "P".to_owned(),
            environment: None,
            broker: "default".to_owned(),
        },
        now: ago(0),
        patience: Duration::from_mins(15),
        publication: Known::Is(Publication::Is {
            version: "c1".to_owned(),
            at: ago(60),
            url: "https://broker.example/pact".to_owned(),
        }),
        required: Known::Is(required),
        latest: None,
        not_received: Known::Is(NotReceived::NotRun { at: ago(60) }),
        events,
    }
}

fn main_owes(events: Vec<EventFacts>) -> Facts {
    facts(vec![required("m1", &[Role::Main], None)], events)
}

fn failed(outcome: Outcome) -> Facts {
    main_owes(vec![event(vec![delivery(DeliveryStatus::Failed, Some(outcome))])])
}

fn held(cause: HoldCause) -> Facts {
    let hold = Some((cause, ago(40)));
    let waits = DeliveryFacts { hold, ..delivery(DeliveryStatus::Held, None) };
    main_owes(vec![event(vec![waits])])
}

fn taken(run: Known<RunFinding>) -> Facts {
    let taken = delivery(DeliveryStatus::Delivered, Some(Outcome::Accepted));
    main_owes(vec![event(vec![DeliveryFacts { run, ..taken }])])
}

fn run(finding: RunFinding) -> Facts {
    taken(Known::Is(finding))
}

fn published(publication: Publication) -> Facts {
    Facts { publication: Known::Is(publication), ..main_owes(Vec::new()) }
}

fn well(events: Vec<EventFacts>) -> Facts {
    facts(vec![required("m1", &[Role::Main], Some(result("m1", true, 30)))], events)
}

fn story(verdict: DoctorVerdict) -> Facts {
    use DoctorVerdict as V;
    let url = || "https://github.com/o/r/actions/runs/1".to_owned();
    let delivered = || delivery(DeliveryStatus::Delivered, Some(Outcome::Accepted));
    match verdict {
        V::AllWell => well(vec![event(vec![delivered()])]),
        V::NothingToVerify => well(Vec::new()),
        V::NotPublished => published(Publication::NoVersion),
        V::ProviderNotThere => facts(Vec::new(), Vec::new()),
        V::EventNotReceived => main_owes(Vec::new()),
        V::NoWebhook => main_owes(vec![event(Vec::new())]),
        V::RenderError => failed(Outcome::RenderError),
        V::SecretMissing => held(HoldCause::SecretMissing),
        V::CredentialDead => held(HoldCause::Credential),
        V::Held => held(HoldCause::Manual),
        V::Limited => {
            let waits = delivery(DeliveryStatus::Retrying, Some(Outcome::RateLimited));
            let paused_until = Some(ago(-30));
            main_owes(vec![event(vec![DeliveryFacts { paused_until, ..waits }])])
        }
        V::Blocked => failed(Outcome::Blocked),
        V::PermissionMissing => failed(Outcome::Permission),
        V::TargetMissing => failed(Outcome::NotFound),
        V::PayloadRejected => failed(Outcome::Invalid),
        V::TargetDown => failed(Outcome::ServerError),
        V::Discarded => main_owes(vec![event(vec![delivery(DeliveryStatus::Discarded, None)])]),
        V::InProgress => main_owes(vec![event(vec![delivery(DeliveryStatus::Queued, None)])]),
        V::NoRun => run(RunFinding::None { reason: NoRun::NotListening }),
        V::RunFailed => run(RunFinding::Failed { url: url(), conclusion: "failure".to_owned() }),
        V::RunWithoutResult => run(RunFinding::Succeeded { url: url() }),
        V::NoResult => taken(Known::Unknown("403".to_owned())),
        V::VerificationFailed => {
            facts(vec![required("m1", &[Role::Main], Some(result("m1", false, 30)))], Vec::new())
        }
        V::WrongProviderVersion => {
            let facts = run(RunFinding::Succeeded { url: url() });
            Facts { latest: Some(result("m0", true, 10)), ..facts }
        }
        V::Unknown => {
            let away = || "the broker is away".to_owned();
            let publication = Known::Unknown(away());
            Facts { publication, required: Known::Unknown(away()), ..main_owes(Vec::new()) }
        }
    }
}

#[test]
fn every_story_is_told_as_what_it_is() {
    for verdict in DoctorVerdict::ALL {
        let told = diagnose(&story(verdict));
        assert_eq!(told.verdict, verdict, "{told:#?}");
        assert!(!told.summary.is_empty(), "{told:#?}");
        assert_eq!(told.hops.len(), Hop::ALL.len(), "{told:#?}");
        let hops: Vec<Hop> = told.hops.iter().map(|report| report.hop).collect();
        assert_eq!(hops, Hop::ALL, "{told:#?}");
        let is_broken = told.hops.iter().any(|report| report.state == HopState::Broken);
        let is_quiet = verdict.is_fine()
            || matches!(verdict, DoctorVerdict::Unknown | DoctorVerdict::InProgress);
        assert_eq!(is_broken, !is_quiet, "{told:#?}");
        assert_eq!(told.next.is_empty(), verdict.is_fine(), "{told:#?}");
        assert_eq!(verdict.as_str().parse(), Ok(verdict));
    }
}

#[test]
fn outcomes_without_a_verdict_of_their_own() {
    for (outcome, verdict) in [
        (Outcome::Redirected, DoctorVerdict::PayloadRejected),
        (Outcome::Poison, DoctorVerdict::PayloadRejected),
        (Outcome::Unreadable, DoctorVerdict::TargetDown),
        (Outcome::Timeout, DoctorVerdict::TargetDown),
        (Outcome::ConnectError, DoctorVerdict::TargetDown),
    ] {
        assert_eq!(diagnose(&failed(outcome)).verdict, verdict, "{outcome:?}");
    }
    assert_eq!(diagnose(&held(HoldCause::SecretUnusable)).verdict, DoctorVerdict::SecretMissing);
}

#[test]
fn the_most_blocking_version_speaks() {
    let prod = || Role::Deployed("prod".to_owned());
    let versions = vec![
        required("m1", &[Role::Main], Some(result("m1", false, 30))),
        required("r1", &[Role::Released("prod".to_owned())], None),
        required("p1", &[prod()], None),
    ];
    let told = diagnose(&facts(versions, Vec::new()));
    assert_eq!(told.verdict, DoctorVerdict::EventNotReceived);
    assert_eq!(told.provider_version.as_deref(), Some("p1"));
    let others: Vec<(&str, DoctorVerdict)> =
        told.others.iter().map(|other| (other.provider_version.as_str(), other.verdict)).collect();
    let failed = ("m1", DoctorVerdict::VerificationFailed);
    assert_eq!(others, [("r1", DoctorVerdict::EventNotReceived), failed]);

    // Main is well, production is not: what is well does not hide it.
    let versions = vec![
        required("m1", &[Role::Main], Some(result("m1", true, 30))),
        required("p1", &[prod()], None),
    ];
    let told = diagnose(&facts(versions, Vec::new()));
    assert_eq!(told.verdict, DoctorVerdict::EventNotReceived);
    assert_eq!(told.provider_version.as_deref(), Some("p1"));
}

#[test]
fn what_came_to_count_later_was_told_to_nobody() {
    let mut version = required("m2", &[Role::Main], None);
    version.due = Due::Later;
    let told = diagnose(&facts(vec![version], vec![event(Vec::new())]));
    assert_eq!(told.verdict, DoctorVerdict::WrongProviderVersion);
    assert_eq!(told.next, ["postrider reconcile --broker default --later --yes"]);
}

#[test]
fn what_is_to_be_done_can_be_done() {
    let next = |status, outcome| {
        diagnose(&main_owes(vec![event(vec![delivery(status, Some(outcome))])])).next
    };
    let has = |next: &[String], words: &str| next.iter().any(|command| command.contains(words));
    let waits = next(DeliveryStatus::Retrying, Outcome::ServerError);
    assert!(!has(&waits, " replay "), "it is tried again by itself: {waits:?}");
    assert!(has(&next(DeliveryStatus::Failed, Outcome::ServerError), " replay "));
    let deleted = next(DeliveryStatus::Discarded, Outcome::WebhookDeleted);
    assert!(!has(&deleted, " replay ") && has(&deleted, " reconcile "), "{deleted:?}");
    let disabled = next(DeliveryStatus::Discarded, Outcome::WebhookDisabled);
    assert!(has(&disabled, " apply ") && has(&disabled, " replay "), "{disabled:?}");

    let mut untold = main_owes(Vec::new());
    untold.not_received = Known::Is(NotReceived::NoRelay);
    untold.asked.broker = "team a".to_owned();
    assert_eq!(
        diagnose(&untold).next,
        [
            "postrider connect --broker URL --public-url URL --name 'team a'",
            "postrider reconcile --broker 'team a' --yes"
        ]
    );
}

#[test]
fn a_while_is_given_to_whatever_was_just_begun() {
    let mut young = required("m1", &[Role::Main], None);
    young.since = ago(1);
    let told = diagnose(&facts(vec![young], Vec::new()));
    assert_eq!(told.verdict, DoctorVerdict::InProgress, "{told:#?}");

    for run in [
        RunFinding::None { reason: NoRun::NoWorkflow },
        RunFinding::NotAsked,
        RunFinding::Unnamed { count: 3 },
        RunFinding::Running { url: String::new() },
    ] {
        let taken = delivery(DeliveryStatus::Delivered, Some(Outcome::Accepted));
        let taken = DeliveryFacts { updated_at: ago(1), run: Known::Is(run), ..taken };
        let told = diagnose(&main_owes(vec![event(vec![taken])]));
        assert_eq!(told.verdict, DoctorVerdict::InProgress, "{told:#?}");
    }
}

#[test]
fn without_the_broker_what_is_broken_here_is_told_all_the_same() {
    let blind = |facts: Facts| {
        let away = || Known::Unknown("away".to_owned());
        let (publication, required) = (away(), Known::Unknown("away".to_owned()));
        diagnose(&Facts { publication, required, ..facts }).verdict
    };
    assert_eq!(blind(held(HoldCause::Credential)), DoctorVerdict::CredentialDead);
    assert_eq!(blind(failed(Outcome::ServerError)), DoctorVerdict::TargetDown);
    let url = String::new();
    assert_eq!(blind(run(RunFinding::Succeeded { url })), DoctorVerdict::Unknown);
    assert_eq!(blind(taken(Known::Unknown("403".to_owned()))), DoctorVerdict::Unknown);
}

#[test]
fn a_404_of_github_may_be_a_lack_of_permission() {
    let of = |was_taken_before: bool| {
        let failed = delivery(DeliveryStatus::Failed, Some(Outcome::NotFound));
        let failed = DeliveryFacts { was_taken_before, ..failed };
        diagnose(&main_owes(vec![event(vec![failed])])).summary
    };
    assert!(of(false).contains("may not see the repository"), "{}", of(false));
    assert!(!of(true).contains("may not see the repository"), "{}", of(true));
}

#[test]
fn links_lead_to_the_web_only() {
    let facts = run(RunFinding::Failed {
        url: "javascript:alert(1)".to_owned(),
        conclusion: "failure".to_owned(),
    });
    let told = diagnose(&facts);
    let links: Vec<&String> = told.hops.iter().flat_map(|report| &report.links).collect();
    assert_eq!(links, ["https://broker.example/pact"]);
}
