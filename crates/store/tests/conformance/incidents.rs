//! What the monitor reads and writes.

use postrider_domain::HoldCause;
use postrider_store::{Incident, IncidentFinding, IncidentKind, MonitorLease};

use crate::acts::*;
use crate::harness::{World, wait_until};

pub(crate) async fn one_monitor_at_a_time(world: World) {
    let store = world.store();
    let (me, other) = (worker(), worker());
    let lease = store.monitor_lease(me, None, MOMENT).await.unwrap().unwrap();
    assert_eq!(store.monitor_lease(other, None, HOUR).await.unwrap(), None);
    assert_eq!(store.monitor_lease(me, Some(lease), MOMENT).await.unwrap(), Some(lease));
    let theirs = wait_until("the lease ends", async || {
        store.monitor_lease(other, None, HOUR).await.unwrap()
    })
    .await;
    assert!(theirs.epoch > lease.epoch);
    assert_eq!(store.monitor_lease(me, Some(lease), HOUR).await.unwrap(), None, "lost");
    assert!(store.sync_incidents(lease, &[]).await.unwrap().is_none());
    store.monitor_give_up(lease).await.unwrap();
    assert_eq!(store.monitor_lease(me, None, HOUR).await.unwrap(), None, "not his to give");
    store.monitor_give_up(theirs).await.unwrap();
    assert!(store.monitor_lease(me, None, HOUR).await.unwrap().is_some());
}

fn finding(subject: &str, summary: &str) -> IncidentFinding {
    IncidentFinding {
        kind: IncidentKind::LaneHeld,
        subject: subject.to_owned(),
        summary: summary.to_owned(),
        next: "postrider lanes list".to_owned(),
    }
}

fn subjects(incidents: &[Incident]) -> Vec<&str> {
    incidents.iter().map(|incident| incident.subject.as_str()).collect()
}

pub(crate) async fn incidents_become_the_findings(world: World) {
    let store = world.store();
    let lease = store.monitor_lease(worker(), None, HOUR).await.unwrap().unwrap();
    let sync = async |findings: &[IncidentFinding]| {
        store.sync_incidents(lease, findings).await.unwrap().expect("the lease is valid")
    };
    let (opened, resolved) = sync(&[finding("a", "1"), finding("b", "1")]).await;
    assert_eq!((subjects(&opened), resolved.len()), (vec!["a", "b"], 0));
    let (opened, resolved) = sync(&[finding("b", "2"), finding("c", "1")]).await;
    assert_eq!((subjects(&opened), subjects(&resolved)), (vec!["c"], vec!["a"]));
    assert!(resolved[0].resolved_at.is_some());
    let open = store.incidents(true, 10).await.unwrap();
    assert_eq!(subjects(&open), ["c", "b"], "newest first");
    assert_eq!(open[1].summary, "2");
    assert!(open[1].updated_at > open[1].opened_at);
    let (opened, resolved) = sync(&[finding("b", "2"), finding("c", "1")]).await;
    assert!(opened.is_empty() && resolved.is_empty());
    // The same condition again is a new incident.
    let (opened, _) = sync(&[finding("a", "3"), finding("b", "2"), finding("c", "1")]).await;
    assert_eq!(subjects(&opened), ["a"]);
    assert_eq!(store.incidents(false, 10).await.unwrap().len(), 4);
    assert_eq!(store.incidents(false, 2).await.unwrap().len(), 2);
    let wrong = MonitorLease { epoch: lease.epoch - 1, ..lease };
    assert!(store.sync_incidents(wrong, &[]).await.unwrap().is_none());
    assert_eq!(store.incidents(true, 10).await.unwrap().len(), 3);
}

pub(crate) async fn facts_name_held_lanes(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    put(store, "two", &unlimited("b")).await;
    assert!(store.monitor_facts().await.unwrap().held.is_empty());
    hold_with(store, &one).await;
    accept(store, &one, 2).await;
    let held = store.monitor_facts().await.unwrap().held;
    assert_eq!(held.len(), 1);
    let (name, cause, _, backlog) = &held[0];
    assert_eq!((name.as_str(), *cause, *backlog), ("a", HoldCause::Credential, 3));
}
