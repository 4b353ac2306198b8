//! Alerts: written with the incident, taken by one, settled once.

use std::time::Duration;

use postrider_store::{
    AlertChannel, AlertResult, AlertStatus, IncidentFilter, IncidentSync, MonitorLease,
    Notification, Store,
};
use postrider_testkit::acts::*;

use crate::harness::World;
use crate::incidents::{finding, round};

const SLACK: AlertChannel = AlertChannel::Slack;
const ALERTMANAGER: AlertChannel = AlertChannel::Alertmanager;

async fn lease(store: &Store) -> MonitorLease {
    store.monitor_lease(worker(), None, HOUR).await.unwrap().unwrap()
}

/// Incidents with these subjects are open, and channels are told what that changes.
async fn told(store: &Store, lease: MonitorLease, subjects: &[&str]) {
    let findings: Vec<_> = subjects.iter().map(|subject| finding(subject, "1")).collect();
    let sync = IncidentSync { channels: vec![SLACK, ALERTMANAGER], ..round(&findings) };
    store.sync_incidents(lease, &sync).await.unwrap().unwrap();
}

async fn claim(store: &Store, lease: MonitorLease, hold: Duration) -> Vec<Notification> {
    store.claim_notifications(lease, SLACK, 100, hold).await.unwrap().expect("the lease is valid")
}

fn texts(claimed: &[Notification]) -> Vec<String> {
    let text = |each: &Notification| {
        format!("{} {} {}", each.incident.subject, each.status.as_str(), each.tries)
    };
    claimed.iter().map(text).collect()
}

pub(crate) async fn each_channel_is_told_once(world: World) {
    let store = world.store();
    let lease = lease(store).await;
    told(store, lease, &["a", "b"]).await;
    told(store, lease, &["a", "b"]).await;
    let claimed = claim(store, lease, HOUR).await;
    assert_eq!(texts(&claimed), ["a firing 1", "b firing 1"]);
    assert!(claim(store, lease, HOUR).await.is_empty(), "taken");
    let results: Vec<_> =
        claimed.iter().map(|each| (each.id, each.tries, AlertResult::Delivered)).collect();
    store.settle_notifications(&results).await.unwrap();
    assert!(claim(store, lease, HOUR).await.is_empty(), "delivered");
    let other = store.claim_notifications(lease, ALERTMANAGER, 1, HOUR).await.unwrap().unwrap();
    assert_eq!(texts(&other), ["a firing 1"], "each channel for itself, the oldest first");
    let webhook = store.claim_notifications(lease, AlertChannel::Webhook, 9, HOUR).await.unwrap();
    assert!(webhook.unwrap().is_empty());
}

pub(crate) async fn nobody_tells_without_the_lease(world: World) {
    let store = world.store();
    let lease = lease(store).await;
    told(store, lease, &["a"]).await;
    let old = MonitorLease { epoch: lease.epoch - 1, ..lease };
    assert!(store.claim_notifications(old, SLACK, 9, HOUR).await.unwrap().is_none());
    store.monitor_give_up(lease).await.unwrap();
    assert!(store.claim_notifications(lease, SLACK, 9, HOUR).await.unwrap().is_none());
}

/// Whoever took an alert and died leaves it to another.
pub(crate) async fn what_was_taken_and_not_settled_is_taken_again(world: World) {
    let store = world.store();
    let lease = lease(store).await;
    told(store, lease, &["a"]).await;
    let first = claim(store, lease, ms(1)).await;
    let again = wait_until(store, "the hold to end", async || {
        Some(claim(store, lease, HOUR).await).filter(|claimed| !claimed.is_empty())
    })
    .await;
    assert_eq!(texts(&again), ["a firing 2"]);
    assert_eq!(again[0].id, first[0].id, "the same alert");
    // The first one comes back: too late to say anything.
    store.settle_notifications(&[(first[0].id, 1, AlertResult::GivenUp)]).await.unwrap();
    store
        .settle_notifications(&[(again[0].id, 2, AlertResult::Retry(Duration::ZERO))])
        .await
        .unwrap();
    assert_eq!(texts(&claim(store, lease, HOUR).await), ["a firing 3"]);
}

pub(crate) async fn a_resolution_waits_for_its_opening(world: World) {
    let store = world.store();
    let lease = lease(store).await;
    told(store, lease, &["a"]).await;
    told(store, lease, &[]).await;
    let first = claim(store, lease, HOUR).await;
    assert_eq!(texts(&first), ["a firing 1"]);
    assert!(first[0].incident.resolved_at.is_some(), "as it reads now");
    store.settle_notifications(&[(first[0].id, 1, AlertResult::Retry(HOUR))]).await.unwrap();
    assert!(claim(store, lease, HOUR).await.is_empty(), "not before the opening");
    store.settle_notifications(&[(first[0].id, 1, AlertResult::GivenUp)]).await.unwrap();
    let second = claim(store, lease, HOUR).await;
    assert_eq!(texts(&second), ["a resolved 1"]);
    assert_eq!(second[0].status, AlertStatus::Resolved);
}

pub(crate) async fn old_incidents_and_alerts_go(world: World) {
    let store = world.store();
    let lease = lease(store).await;
    told(store, lease, &["a", "b"]).await;
    told(store, lease, &["b"]).await;
    assert_eq!(store.prune_incidents(HOUR, 100).await.unwrap(), 0);
    // Six alerts and the one that is over; the open one stays.
    assert_eq!(store.prune_incidents(Duration::ZERO, 100).await.unwrap(), 7);
    let left = store.incidents(IncidentFilter::default(), None, 10).await.unwrap().incidents;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].subject, "b");
    assert!(claim(store, lease, HOUR).await.is_empty());
}
