//! What the monitor keeps, as the operations API shows it.

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use postrider_domain::owed::Due;
use postrider_domain::{BrokerSays, EventName, PairFacts, PairKey, SaidDebt};
use postrider_store::{
    BrokerRead, BrokerTrouble, IncidentFinding, IncidentKind, IncidentSync, MonitorLease, PairRow,
    Severity, Store, WorkerId,
};
use serde_json::{Value, json};

use crate::harness::{Harness, event, hook};

const HOUR: std::time::Duration = std::time::Duration::from_hours(1);

pub(crate) async fn lease(store: &Store) -> MonitorLease {
    let owner = WorkerId(uuid::Uuid::now_v7());
    store.monitor_lease(owner, None, HOUR).await.unwrap().unwrap()
}

fn ago(hours: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_hours(hours)
}

pub(crate) fn pair(broker: &str, consumer: &str, told: &[(EventName, i64)]) -> PairRow {
    let mut facts = PairFacts::default();
    for (event, hours) in told {
        facts.told(*event, ago(*hours), None);
    }
    let key = PairKey {
        broker: broker.to_owned(),
        consumer: consumer.to_owned(),
        provider: "P".to_owned(),
    };
    PairRow { key, facts, watched: Vec::new() }
}

const WANTS: EventName = EventName::ContractRequiringVerificationPublished;
const GOOD: EventName = EventName::ProviderVerificationSucceeded;

async fn pairs(harness: &Harness, query: &str) -> Vec<Value> {
    let answer = harness.get(&format!("/api/v1/freshness?{query}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()["pairs"].as_array().unwrap().clone()
}

fn names(pairs: &[Value]) -> Vec<String> {
    let name = |pair: &Value| {
        let text = |key: &str| pair[key].as_str().unwrap().to_owned();
        format!("{} {} {}", text("broker"), text("consumer"), text("state"))
    };
    pairs.iter().map(name).collect()
}

const KEYS: [&str; 19] = [
    "broker",
    "consumer",
    "provider",
    "last_publication",
    "last_dispatch",
    "last_verification",
    "last_verification_success",
    "owed_since",
    "threshold_seconds",
    "threshold_from",
    "threshold_reason",
    "age_seconds",
    "state",
    "critical",
    "basis",
    "owes",
    "failed",
    "holds_back",
    "trouble",
];

#[tokio::test]
async fn freshness_is_judged_when_it_is_asked_for() {
    let harness = Harness::start().await;
    let lease = lease(&harness.store).await;
    let rows = [
        pair("a", "fresh", &[(WANTS, 50), (GOOD, 2)]),
        pair("a", "owing \"ü/\"", &[(GOOD, 30), (WANTS, 3)]),
        pair("a", "stale", &[(GOOD, 60), (WANTS, 30)]),
        pair("a", "unknown", &[]),
        pair("b", "fresh", &[(WANTS, 30)]),
    ];
    harness.store.save_pairs(lease, &rows, None).await.unwrap();
    let all = pairs(&harness, "").await;
    assert_eq!(
        names(&all),
        [
            "a fresh fresh",
            "a owing \"ü/\" owing",
            "a stale stale",
            "a unknown unknown",
            "b fresh stale"
        ]
    );
    let stale = all[2].as_object().unwrap();
    let keys: Vec<&str> = stale.keys().map(String::as_str).collect();
    assert_eq!(keys, KEYS);
    assert_eq!(stale["basis"], "relay");
    assert_eq!(stale["threshold_seconds"], 86_400);
    assert_eq!(stale["threshold_from"], "default");
    assert!((108_000..108_100).contains(&stale["age_seconds"].as_u64().unwrap()));
    assert_eq!(stale["owed_since"], stale["last_publication"]);
    assert_eq!(stale["last_verification_success"], true);
    assert_eq!(all[3]["age_seconds"], Value::Null);
    assert_eq!(names(&pairs(&harness, "state=stale").await), ["a stale stale", "b fresh stale"]);
    assert_eq!(names(&pairs(&harness, "broker=b").await), ["b fresh stale"]);
    let odd = pairs(&harness, "consumer=owing+%22%C3%BC%2F%22").await;
    assert_eq!(names(&odd).len(), 1);
    // A broker that can't be asked: what looks late may only look so.
    let away = BrokerRead {
        broker: "b".to_owned(),
        answered_at: None,
        failing: Some((ago(1), BrokerTrouble::Away, String::new())),
    };
    harness.store.save_broker_read(lease, &away).await.unwrap();
    assert_eq!(names(&pairs(&harness, "broker=b").await), ["b fresh unknown"]);
    harness.end().await;
}

#[tokio::test]
async fn what_a_broker_says_is_shown() {
    let harness = Harness::start().await;
    let lease = lease(&harness.store).await;
    let mut row = pair("a", "c", &[(GOOD, 1)]);
    let debt = SaidDebt {
        consumer_version: "7".to_owned(),
        lines: vec!["main".to_owned()],
        provider_version: "p1".to_owned(),
        branch: Some("main".to_owned()),
        because: vec!["main".to_owned(), "deployed:prod".to_owned()],
        due: Due::Later,
        blocking: true,
        since: ago(30),
        is_begin_seen: false,
    };
    row.facts.says = Some(BrokerSays {
        owes: vec![debt],
        ..BrokerSays::troubled(None, "500: oops".to_owned(), ago(0))
    });
    harness.store.save_pairs(lease, &[row], None).await.unwrap();
    let read = BrokerRead { broker: "a".to_owned(), answered_at: Some(ago(0)), failing: None };
    harness.store.save_broker_read(lease, &read).await.unwrap();
    let found = pairs(&harness, "state=unknown").await;
    assert_eq!(found[0]["trouble"], "500: oops");
    assert_eq!(found[0]["basis"], "broker");
    assert_eq!(found[0]["owed_since"], found[0]["owes"][0]["since"]);
    let mut debt = found[0]["owes"][0].clone();
    debt["since"] = json!(null);
    let expected = json!({
        "provider_version": "p1", "branch": "main", "because": ["main", "deployed:prod"],
        "due": "later", "blocking": true, "since": null, "consumer_version": "7",
        "lines": ["main"],
    });
    assert_eq!(debt, expected);
    harness.end().await;
}

#[tokio::test]
async fn freshness_comes_in_pages() {
    let harness = Harness::start().await;
    let lease = lease(&harness.store).await;
    let rows: Vec<PairRow> = (0..25)
        .map(|number| {
            let wants = [(GOOD, 90), (WANTS, 80)];
            let told = if number % 2 == 0 { &wants[..1] } else { &wants[..] };
            pair("a", &format!("c{number:02}"), told)
        })
        .collect();
    harness.store.save_pairs(lease, &rows, None).await.unwrap();
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/api/v1/freshness?state=fresh&limit=4{cursor}");
        let page = harness.get(&path).await.json();
        seen.extend(names(page["pairs"].as_array().unwrap()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let expected: Vec<String> =
        (0..25).step_by(2).map(|number| format!("a c{number:02} fresh")).collect();
    assert_eq!(seen, expected);
    for bad in ["state=late", "cursor=x", "limit=0", "stat=stale"] {
        let answer = harness.get(&format!("/api/v1/freshness?{bad}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad}");
    }
    harness.end().await;
}

pub(crate) fn finding(kind: IncidentKind, subject: &str) -> IncidentFinding {
    IncidentFinding {
        kind,
        subject: subject.to_owned(),
        cause: "credential",
        severity: Severity::Critical,
        summary: "It is so".to_owned(),
        next: "postrider lanes list".to_owned(),
    }
}

pub(crate) async fn open(harness: &Harness, lease: MonitorLease, findings: Vec<IncidentFinding>) {
    let sync = IncidentSync { findings, judged: IncidentKind::ALL.to_vec(), channels: Vec::new() };
    harness.store.sync_incidents(lease, &sync).await.unwrap().unwrap();
}

async fn incidents(harness: &Harness, query: &str) -> Vec<Value> {
    let answer = harness.get(&format!("/api/v1/incidents?{query}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()["incidents"].as_array().unwrap().clone()
}

#[tokio::test]
async fn incidents_are_listed_shown_and_acknowledged() {
    let harness = Harness::with_tokens("read:reader operate:operator").await;
    let as_role = async |role: &str, method: &str, path: &str| {
        let authorization = format!("Bearer {role}");
        harness.call(method, path, &[("authorization", &authorization)], "").await
    };
    let lease = lease(&harness.store).await;
    open(&harness, lease, vec![finding(IncidentKind::LaneHeld, "a/b")]).await;
    let list = as_role("reader", "GET", "/api/v1/incidents?kind=lane_held&limit=1").await.json();
    assert_eq!(list["next"], Value::Null);
    let shown = &list["incidents"][0];
    assert_eq!(shown["cause"], "credential");
    assert_eq!((&shown["severity"], &shown["acknowledged_at"]), (&json!("critical"), &Value::Null));
    let path = format!("/api/v1/incidents/{}", shown["id"].as_str().unwrap());
    assert_eq!(&as_role("reader", "GET", &path).await.json(), shown);
    let ack = format!("{path}/ack");
    assert_eq!(as_role("reader", "POST", &ack).await.status, StatusCode::FORBIDDEN);
    let first = as_role("operator", "POST", &ack).await;
    assert_eq!(first.status, StatusCode::OK);
    assert!(first.json()["acknowledged_at"].is_string() && first.json()["resolved_at"].is_null());
    assert_eq!(as_role("operator", "POST", &ack).await.json(), first.json(), "once is enough");
    open(&harness, lease, vec![finding(IncidentKind::Poison, "x")]).await;
    assert_eq!(as_role("operator", "POST", &ack).await.status, StatusCode::OK, "it was in time");
    for wrong in ["/api/v1/incidents/x", "/api/v1/incidents/01936f2e-7b1c-7cc0-9d5e-0a3f5b6c7d8e"] {
        assert_eq!(as_role("reader", "GET", wrong).await.status, StatusCode::NOT_FOUND);
        let acked = as_role("operator", "POST", &format!("{wrong}/ack")).await;
        assert_eq!(acked.status, StatusCode::NOT_FOUND);
    }
    let other = as_role("reader", "GET", "/api/v1/incidents?open=true").await.json();
    open(&harness, lease, Vec::new()).await;
    let id = other["incidents"][0]["id"].as_str().unwrap();
    let late = as_role("operator", "POST", &format!("/api/v1/incidents/{id}/ack")).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    assert!(late.text.contains("over since"), "{late:?}");
    harness.end().await;
}

#[tokio::test]
async fn incidents_come_in_pages() {
    let harness = Harness::start().await;
    let lease = lease(&harness.store).await;
    let subjects = ["a", "b", "c", "d", "e"];
    let findings = subjects.map(|subject| finding(IncidentKind::LaneHeld, subject));
    open(&harness, lease, findings.to_vec()).await;
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = harness.get(&format!("/api/v1/incidents?limit=2{cursor}")).await.json();
        let rows = page["incidents"].as_array().unwrap();
        seen.extend(rows.iter().map(|row| row["subject"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    seen.sort();
    assert_eq!(seen, subjects);
    for bad in ["kind=held", "cursor=x", "open=perhaps"] {
        let answer = harness.get(&format!("/api/v1/incidents?{bad}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad}");
    }
    harness.end().await;
}

#[tokio::test]
async fn an_incident_narrows_a_list_of_deliveries() {
    let harness = Harness::start().await;
    let uuid = harness.webhook(&hook()).await;
    harness.event(&event()).await;
    let mut elsewhere = event();
    elsewhere["broker"] = "other".into();
    harness.event(&elsewhere).await;
    let lease = lease(&harness.store).await;
    let all = harness.get("/api/v1/deliveries").await.json();
    let lane = all["deliveries"][0]["lane"].as_str().unwrap().to_owned();
    let poisoned = all["deliveries"][1]["id"].as_str().unwrap().to_owned();
    let findings = vec![
        finding(IncidentKind::LaneHeld, &lane),
        finding(IncidentKind::LaneLate, &lane),
        finding(IncidentKind::SustainedFailures, &uuid),
        finding(IncidentKind::Poison, &poisoned),
        finding(IncidentKind::VerificationStale, "other/C/P"),
        finding(IncidentKind::VerificationSilent, "other/C/Q"),
        finding(IncidentKind::BrokerUnreachable, "default"),
        finding(IncidentKind::LocalTrouble, "01936f2e-7b1c-7cc0-9d5e-0a3f5b6c7d8e"),
        finding(IncidentKind::CredentialExpiring, "githubToken"),
        finding(IncidentKind::FirstContact, "other"),
        finding(IncidentKind::HoldsBack, "default/C/P"),
        finding(IncidentKind::OwedAfterFailure, &uuid),
        finding(IncidentKind::RedispatchGaveUp, "default/C/P"),
        finding(IncidentKind::RelayGone, "other"),
        finding(IncidentKind::RelayRefused, "default"),
    ];
    open(&harness, lease, findings).await;
    for (kind, expected) in [
        ("lane_held", 2),
        ("lane_late", 2),
        // Nothing was attempted yet.
        ("sustained_failures", 0),
        ("poison", 1),
        ("verification_stale", 1),
        ("verification_silent", 0),
        ("broker_unreachable", 1),
        ("local_trouble", 2),
        ("credential_expiring", 0),
        ("first_contact", 1),
        ("holds_back", 1),
        ("owed_after_failure", 0),
        ("redispatch_gave_up", 1),
        ("relay_gone", 1),
        ("relay_refused", 1),
    ] {
        let incident = incidents(&harness, &format!("kind={kind}")).await.remove(0);
        let id = incident["id"].as_str().unwrap();
        let found = harness.get(&format!("/api/v1/deliveries?incident={id}")).await.json();
        assert_eq!(found["deliveries"].as_array().unwrap().len(), expected, "{kind}");
    }
    let strange = harness.get("/api/v1/deliveries?incident=01936f2e-7b1c-7cc0-9d5e-0a3f5b6c7d8e");
    assert_eq!(strange.await.status, StatusCode::BAD_REQUEST);
    harness.end().await;
}
