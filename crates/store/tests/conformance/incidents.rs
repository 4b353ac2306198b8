//! What the monitor reads and writes.

use postrider_domain::HoldCause;
use postrider_store::{
    Acknowledged, Incident, IncidentFilter, IncidentFinding, IncidentKind, IncidentSync,
    MonitorLease, Severity, Store, Total,
};
use postrider_testkit::acts::*;
use uuid::Uuid;

use crate::harness::World;

pub(crate) async fn one_monitor_at_a_time(world: World) {
    let store = world.store();
    let (me, other) = (worker(), worker());
    let lease = store.monitor_lease(me, None, MOMENT).await.unwrap().unwrap();
    assert_eq!(store.monitor_lease(other, None, HOUR).await.unwrap(), None);
    assert_eq!(store.monitor_lease(me, Some(lease), MOMENT).await.unwrap(), Some(lease));
    let theirs = wait_until(store, "the lease ends", async || {
        store.monitor_lease(other, None, HOUR).await.unwrap()
    })
    .await;
    assert!(theirs.epoch > lease.epoch);
    assert_eq!(store.monitor_lease(me, Some(lease), HOUR).await.unwrap(), None, "lost");
    assert!(store.sync_incidents(lease, &round(&[])).await.unwrap().is_none());
    store.monitor_give_up(lease).await.unwrap();
    assert_eq!(store.monitor_lease(me, None, HOUR).await.unwrap(), None, "not his to give");
    store.monitor_give_up(theirs).await.unwrap();
    assert!(store.monitor_lease(me, None, HOUR).await.unwrap().is_some());
}

pub(crate) fn finding(subject: &str, summary: &str) -> IncidentFinding {
    IncidentFinding {
        kind: IncidentKind::LaneHeld,
        subject: subject.to_owned(),
        cause: "credential",
        severity: Severity::Critical,
        summary: summary.to_owned(),
        next: "postrider lanes list".to_owned(),
    }
}

/// A round that judged everything and tells nobody.
pub(crate) fn round(findings: &[IncidentFinding]) -> IncidentSync {
    IncidentSync {
        findings: findings.to_vec(),
        judged: IncidentKind::ALL.to_vec(),
        channels: Vec::new(),
    }
}

fn subjects(incidents: &[Incident]) -> Vec<&str> {
    incidents.iter().map(|incident| incident.subject.as_str()).collect()
}

const ALL: IncidentFilter = IncidentFilter { open_only: false, kind: None };
const OPEN: IncidentFilter = IncidentFilter { open_only: true, kind: None };

async fn list(store: &Store, filter: IncidentFilter) -> Vec<Incident> {
    store.incidents(filter, None, 10).await.unwrap().incidents
}

pub(crate) async fn incidents_become_the_findings(world: World) {
    let store = world.store();
    let lease = store.monitor_lease(worker(), None, HOUR).await.unwrap().unwrap();
    let sync = async |findings: &[IncidentFinding]| {
        store.sync_incidents(lease, &round(findings)).await.unwrap().expect("the lease is valid")
    };
    let (opened, resolved) = sync(&[finding("a", "1"), finding("b", "1")]).await;
    assert_eq!((subjects(&opened), resolved.len()), (vec!["a", "b"], 0));
    let (opened, resolved) = sync(&[finding("b", "2"), finding("c", "1")]).await;
    assert_eq!((subjects(&opened), subjects(&resolved)), (vec!["c"], vec!["a"]));
    assert!(resolved[0].resolved_at.is_some());
    let open = list(store, OPEN).await;
    assert_eq!(subjects(&open), ["c", "b"], "newest first");
    assert_eq!(open[1].summary, "2");
    assert!(open[1].updated_at > open[1].opened_at);
    assert_eq!((open[1].cause.as_str(), open[1].severity), ("credential", Severity::Critical));
    let (opened, resolved) = sync(&[finding("b", "2"), finding("c", "1")]).await;
    assert!(opened.is_empty() && resolved.is_empty());
    // The cause may change while it is open; the severity is that of the opening.
    let changed =
        IncidentFinding { cause: "manual", severity: Severity::Warning, ..finding("b", "2") };
    sync(&[changed.clone(), finding("c", "1")]).await;
    let known = store.incident(open[1].id).await.unwrap().unwrap();
    assert_eq!((known.cause.as_str(), known.severity), ("manual", Severity::Critical));
    // The same condition again is a new incident.
    let (opened, _) = sync(&[finding("a", "3"), finding("b", "2"), finding("c", "1")]).await;
    assert_eq!(subjects(&opened), ["a"]);
    assert_eq!(list(store, ALL).await.len(), 4);
    assert_eq!(store.open_incidents().await.unwrap(), [(IncidentKind::LaneHeld, 3)]);
    let wrong = MonitorLease { epoch: lease.epoch - 1, ..lease };
    assert!(store.sync_incidents(wrong, &round(&[])).await.unwrap().is_none());
    assert_eq!(list(store, OPEN).await.len(), 3);
}

pub(crate) async fn kinds_that_were_not_judged_stay(world: World) {
    let store = world.store();
    let lease = store.monitor_lease(worker(), None, HOUR).await.unwrap().unwrap();
    let stale = IncidentFinding { kind: IncidentKind::VerificationStale, ..finding("p", "1") };
    store.sync_incidents(lease, &round(&[finding("a", "1"), stale])).await.unwrap().unwrap();
    let partly = IncidentSync { judged: vec![IncidentKind::LaneHeld], ..round(&[]) };
    let (_, resolved) = store.sync_incidents(lease, &partly).await.unwrap().unwrap();
    assert_eq!(subjects(&resolved), ["a"]);
    assert_eq!(subjects(&list(store, OPEN).await), ["p"]);
}

pub(crate) async fn incidents_come_in_pages(world: World) {
    let store = world.store();
    let lease = store.monitor_lease(worker(), None, HOUR).await.unwrap().unwrap();
    let mut findings = Vec::new();
    for subject in ["a", "b", "c", "d", "e"] {
        findings.push(finding(subject, "1"));
        store.sync_incidents(lease, &round(&findings)).await.unwrap().unwrap();
    }
    let poison = IncidentFinding { kind: IncidentKind::Poison, ..finding("x", "1") };
    findings.push(poison);
    store.sync_incidents(lease, &round(&findings)).await.unwrap().unwrap();
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = store.incidents(OPEN, after, 4).await.unwrap();
        seen.extend(subjects(&page.incidents).into_iter().map(str::to_owned));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["x", "e", "d", "c", "b", "a"]);
    let poisoned = IncidentFilter { kind: Some(IncidentKind::Poison), ..ALL };
    assert_eq!(subjects(&list(store, poisoned).await), ["x"]);
    let counted = async |filter| store.count_incidents(filter).await.unwrap();
    assert_eq!(counted(ALL).await, Total::of(6));
    assert_eq!(counted(poisoned).await, Total::of(1));
    assert!(store.incidents(ALL, None, 6).await.unwrap().next.is_none(), "a full last page");
}

pub(crate) async fn incidents_can_be_acknowledged(world: World) {
    let store = world.store();
    let lease = store.monitor_lease(worker(), None, HOUR).await.unwrap().unwrap();
    let (opened, _) =
        store.sync_incidents(lease, &round(&[finding("a", "1")])).await.unwrap().unwrap();
    let id = opened[0].id;
    let Acknowledged::Yes(first) = store.acknowledge_incident(id).await.unwrap() else {
        panic!("it is open")
    };
    assert!(first.acknowledged_at.is_some() && first.resolved_at.is_none());
    let Acknowledged::Yes(again) = store.acknowledge_incident(id).await.unwrap() else {
        panic!("it is open")
    };
    assert_eq!(again.acknowledged_at, first.acknowledged_at, "the first time counts");
    let unknown = store.acknowledge_incident(Uuid::now_v7()).await.unwrap();
    assert!(matches!(unknown, Acknowledged::Unknown), "{unknown:?}");
    let (opened, _) =
        store.sync_incidents(lease, &round(&[finding("b", "1")])).await.unwrap().unwrap();
    store.sync_incidents(lease, &round(&[])).await.unwrap().unwrap();
    let late = store.acknowledge_incident(opened[0].id).await.unwrap();
    assert!(matches!(&late, Acknowledged::Resolved(over) if over.acknowledged_at.is_none()));
}

pub(crate) async fn facts_name_held_lanes(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    put(store, "two", &unlimited("b")).await;
    assert!(store.held_lanes().await.unwrap().is_empty());
    hold_with(store, &one).await;
    accept(store, &one, 2).await;
    let held = store.held_lanes().await.unwrap();
    assert_eq!(held.len(), 1);
    let (name, cause, _, backlog) = &held[0];
    assert_eq!((name.as_str(), *cause, *backlog), ("a", HoldCause::Credential, 3));
}
