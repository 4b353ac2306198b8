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

/// A monitor that died between writing and sending, or another one, writes nothing twice.
pub(crate) async fn each_reminder_is_written_once(world: World) {
    let store = world.store();
    let lease = lease(store).await;
    told(store, lease, &["a", "b"]).await;
    let unseen = store.unseen_incidents().await.unwrap();
    assert_eq!(unseen.iter().map(|one| one.reminders).collect::<Vec<_>>(), [0, 0]);
    let remind = async |due| store.remind(lease, due, &[SLACK]).await.unwrap();
    assert_eq!(remind(&unseen).await, Some(2));
    assert_eq!(remind(&unseen).await, Some(0), "they are written");
    let again = store.unseen_incidents().await.unwrap();
    assert!(again.iter().all(|one| one.reminders == 1), "{again:?}");
    assert!(again.iter().zip(&unseen).all(|(now, before)| now.told_at >= before.told_at));
    let old = MonitorLease { epoch: lease.epoch - 1, ..lease };
    assert_eq!(store.remind(old, &again, &[SLACK]).await.unwrap(), None);
    let opening = claim(store, lease, HOUR).await;
    let results: Vec<_> =
        opening.iter().map(|each| (each.id, each.tries, AlertResult::Delivered)).collect();
    store.settle_notifications(&results).await.unwrap();
    let reminders = claim(store, lease, HOUR).await;
    assert_eq!(texts(&reminders), ["a firing 1", "b firing 1"]);
    assert!(reminders.iter().all(|each| each.reminder == 1));
    assert!(opening.iter().all(|each| each.reminder == 0));
    let other = store.claim_notifications(lease, ALERTMANAGER, 9, HOUR).await.unwrap().unwrap();
    assert_eq!(texts(&other), ["a firing 1", "b firing 1"], "their openings");
    assert_eq!(other[0].reminder, 0);
}

pub(crate) async fn nobody_is_reminded_of_what_is_seen_or_over(world: World) {
    let store = world.store();
    let lease = lease(store).await;
    told(store, lease, &["a", "b", "c"]).await;
    let opening = claim(store, lease, HOUR).await;
    let results: Vec<_> =
        opening.iter().map(|each| (each.id, each.tries, AlertResult::Delivered)).collect();
    store.settle_notifications(&results).await.unwrap();
    let unseen = store.unseen_incidents().await.unwrap();
    store.remind(lease, &unseen, &[SLACK]).await.unwrap();
    // Slack is away; meanwhile somebody sees one, and another ends.
    store.acknowledge_incident(opening[0].incident.id).await.unwrap();
    told(store, lease, &["a", "c"]).await;
    let unseen = store.unseen_incidents().await.unwrap();
    assert_eq!(unseen.len(), 1);
    store.remind(lease, &[], &[SLACK]).await.unwrap();
    let left = claim(store, lease, HOUR).await;
    let mut texts = texts(&left);
    texts.sort();
    assert_eq!(texts, ["b resolved 1", "c firing 1"]);
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

/// One digest a day, whoever sends it and however often it is tried.
pub(crate) async fn a_day_has_one_digest(world: World) {
    let store = world.store();
    let lease = lease(store).await;
    let take = async |day| store.take_digest(lease, day, HOUR).await.unwrap();
    let settle = async |day, tries, result| store.settle_digest(day, tries, result).await.unwrap();
    assert_eq!(take("2026-11-27").await, Some(1));
    assert_eq!(take("2026-11-27").await, None, "taken");
    settle("2026-11-27", 1, AlertResult::Retry(Duration::ZERO)).await;
    assert_eq!(take("2026-11-27").await, Some(2));
    settle("2026-11-27", 1, AlertResult::Retry(Duration::ZERO)).await;
    assert_eq!(take("2026-11-27").await, None, "the first try comes back too late");
    settle("2026-11-27", 2, AlertResult::Delivered).await;
    assert_eq!(take("2026-11-27").await, None, "sent");
    assert_eq!(take("2026-11-30").await, Some(1));
    settle("2026-11-30", 1, AlertResult::GivenUp).await;
    assert_eq!(take("2026-11-30").await, None, "given up");
    assert_eq!(take("2026-11-29").await, None, "a day that is over");
    let old = MonitorLease { epoch: lease.epoch - 1, ..lease };
    assert_eq!(store.take_digest(old, "2026-12-01", HOUR).await.unwrap(), None);
    assert_eq!(store.take_digest(lease, "2026-12-01", ms(1)).await.unwrap(), Some(1));
    let again = wait_until(store, "the hold to end", async || take("2026-12-01").await).await;
    assert_eq!(again, 2, "whoever took it and died leaves it to another");
}
