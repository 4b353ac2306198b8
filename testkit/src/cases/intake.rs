//! T1, T1c, T2.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use postrider_domain::{ClaimNo, DeliveryId, DeliveryStatus};
use postrider_store::{IntakeBatch, IntakeEntry, IntakeResult};

use crate::acts::*;
use crate::{HotStore, World};

/// How many deliveries there are, as long as none was claimed.
async fn count(store: &impl HotStore) -> u32 {
    store.count_unclaimed(1_000).await.unwrap()
}

pub async fn an_event_that_nobody_wants_is_recorded(world: &impl World) {
    let store = world.store();
    let new = entry(Some("k"), &[]);
    commit(store, vec![new.clone()]).await;
    let result = commit(store, vec![entry(Some("k"), &[])]).await.remove(0);
    let IntakeResult::Duplicate(found) = result else { panic!("accepted twice") };
    assert_eq!(found.event_id, new.event.id);
    assert!(found.deliveries.is_empty());
    assert_eq!(found.fingerprint, new.event.fingerprint);
}

pub async fn a_commit_under_an_old_version_writes_nothing(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let old = version(store).await;
    put(store, "two", &unlimited("a")).await;
    let new = entry(Some("k"), &[&one]);
    let mut batch = IntakeBatch { webhooks_version: old, entries: vec![new.clone()].into() };
    assert_eq!(store.commit_events(&batch).await.unwrap(), None);
    assert_eq!(count(store).await, 0);
    batch.webhooks_version = version(store).await;
    // The key is still free: nothing of the first try was kept.
    assert_eq!(store.commit_events(&batch).await.unwrap(), Some(vec![IntakeResult::Accepted]));
}

/// T1c.
pub async fn a_commit_claims_what_a_message_could(world: &impl World) {
    let store = &world.another(HOUR).await;
    let open = put(store, "open", &unlimited("open")).await;
    let held = put(store, "held", &unlimited("held")).await;
    let limited = put(store, "limited", &limited("limited")).await;
    assert!(store.hold_by_hand("held").await.unwrap());
    let entries = vec![entry(Some("k"), &[&open, &held, &limited]), entry(None, &[&open])];
    let made: Vec<DeliveryId> =
        entries.iter().flat_map(|entry| &entry.deliveries).map(|made| made.id).collect();
    let batch = IntakeBatch { webhooks_version: version(store).await, entries: entries.into() };
    // The last one may wait.
    let entered = store.commit_events_claiming(&batch, &made[..3], terms(HOUR)).await;
    let (results, claims) = entered.unwrap().unwrap();
    assert_eq!(results, [IntakeResult::Accepted, IntakeResult::Accepted]);
    let [claim] = claims.as_slice() else { panic!("{claims:?}") };
    assert_eq!(claim.id, made[0]);
    assert_eq!((claim.claim_no, claim.attempt, claim.number), (ClaimNo(1), 1, 1));
    assert_eq!((claim.maybe_sent, claim.lost_claims, claim.execution), (false, 0, false));
    assert_eq!(claim.event, batch.entries[0].event.event.text());
    assert_eq!(claim.lane_id, open.lane_id);
    assert!(by_message(store, &made[..1]).await.is_empty(), "it is claimed");
    assert_eq!(ids(&by_message(store, &made).await), made[3..]);
    record(store, &[delivered(claim)]).await;
    let row = store.seen(claim.id).await.unwrap().unwrap();
    assert_eq!(row.status, DeliveryStatus::Delivered);
    // What it could not claim does not wait for its sweep.
    assert!(store.release_by_hand("held").await.unwrap());
    assert_eq!(ids(&due(store, held.lane_id).await), made[1..2]);
}

pub async fn a_commit_that_enters_nothing_claims_nothing(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let first = entry(Some("k"), &[&one]);
    let old = version(store).await;
    commit(store, vec![first.clone()]).await;
    let repeat = IntakeEntry { event: first.event.clone(), ..entry(Some("k"), &[&one]) };
    let id = repeat.deliveries[0].id;
    let batch = IntakeBatch { webhooks_version: old, entries: vec![repeat].into() };
    let entered = store.commit_events_claiming(&batch, &[id], terms(HOUR)).await;
    let (results, claims) = entered.unwrap().unwrap();
    assert!(matches!(results.as_slice(), [IntakeResult::Duplicate(_)]), "{results:?}");
    assert!(claims.is_empty() && store.seen(id).await.unwrap().is_none());
    put(store, "two", &unlimited("a")).await;
    let entered = store.commit_events_claiming(&batch, &[id], terms(HOUR)).await.unwrap();
    assert!(entered.is_none(), "the webhooks have changed");
}

pub async fn every_write_to_webhooks_raises_the_version(world: &impl World) {
    let store = world.store();
    let mut versions = vec![version(store).await];
    let one = put(store, "one", &unlimited("a")).await;
    versions.push(version(store).await);
    put(store, "one", &unlimited("b")).await;
    versions.push(version(store).await);
    store.sync_lanes(&[limited("b")]).await.unwrap();
    versions.push(version(store).await);
    assert!(store.delete_webhook(&one.webhook.uuid).await.unwrap());
    versions.push(version(store).await);
    assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
}

pub async fn a_repeated_key_answers_the_first(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let first = entry(Some("k"), &[&one]);
    commit(store, vec![first.clone()]).await;
    let result = commit(store, vec![entry(Some("k"), &[&one])]).await.remove(0);
    let IntakeResult::Duplicate(winner) = result else { panic!("accepted twice") };
    assert_eq!(winner.event_id, first.event.id);
    assert_eq!(winner.fingerprint, first.event.fingerprint);
    assert_eq!(winner.deliveries, [(first.deliveries[0].id, one.webhook.uuid.clone())]);
    assert_eq!(count(store).await, 1);
}

pub async fn a_key_twice_in_a_batch_counts_once(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let first = entry(Some("k"), &[&one]);
    let batch = vec![first.clone(), entry(None, &[&one]), entry(Some("k"), &[&one])];
    let results = commit(store, batch).await;
    assert_eq!(results[..2], [IntakeResult::Accepted, IntakeResult::Accepted]);
    let IntakeResult::Duplicate(winner) = &results[2] else { panic!("accepted twice") };
    assert_eq!(winner.event_id, first.event.id);
    assert_eq!(count(store).await, 2);
}

pub async fn events_without_key_are_never_repeats(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let first = entry(None, &[&one]);
    let mut second = entry(None, &[&one]);
    second.event.fingerprint = first.event.fingerprint;
    commit(store, vec![first.clone()]).await;
    assert_eq!(commit(store, vec![second.clone()]).await, [IntakeResult::Accepted]);
    assert_eq!(count(store).await, 2);
}

pub async fn one_key_at_two_handles_at_once_makes_one_event(world: &impl World) {
    let (left, right) = (world.store(), &world.another(Duration::ZERO).await);
    let one = put(left, "one", &unlimited("a")).await;
    let version = version(left).await;
    for round in 0..200 {
        let key = format!("k{round}");
        let batch = || IntakeBatch {
            webhooks_version: version,
            entries: vec![entry(Some(&key), &[&one])].into(),
        };
        let (a, b) = (batch(), batch());
        let (x, y) = join(left.commit_events(&a), right.commit_events(&b)).await;
        let (x, y) = (x.unwrap().unwrap().remove(0), y.unwrap().unwrap().remove(0));
        let (winner, loser) = match (x, y) {
            (IntakeResult::Accepted, IntakeResult::Duplicate(known)) => (a, known),
            (IntakeResult::Duplicate(known), IntakeResult::Accepted) => (b, known),
            both => panic!("round {round}: {both:?}"),
        };
        assert_eq!(loser.event_id, winner.entries[0].event.id);
        assert_eq!(loser.deliveries[0].0, winner.entries[0].deliveries[0].id);
    }
    assert_eq!(count(left).await, 200);
}

pub async fn batches_with_keys_crossed_both_end(world: &impl World) {
    let (left, right) = (world.store(), &world.another(Duration::ZERO).await);
    let version = version(left).await;
    for round in 0..30 {
        let batch = |order: &[usize]| IntakeBatch {
            webhooks_version: version,
            entries: Arc::new(
                order.iter().map(|n| entry(Some(&format!("{round}-{n}")), &[])).collect(),
            ),
        };
        let up: Vec<usize> = (0..20).collect();
        let down: Vec<usize> = (0..20).rev().collect();
        let (a, b) = (batch(&up), batch(&down));
        let (x, y) = join(left.commit_events(&a), right.commit_events(&b)).await;
        let mut both = x.unwrap().unwrap();
        both.extend(y.unwrap().unwrap());
        let accepted = both.iter().filter(|each| **each == IntakeResult::Accepted).count();
        assert_eq!(accepted, 20, "round {round}");
    }
}

pub async fn a_fresh_delivery_waits_for_its_sweep(world: &impl World) {
    let store = &world.another(HOUR).await;
    let one = put(store, "one", &unlimited("a")).await;
    let id = accept(store, &one, 1).await[0];
    assert!(due(store, one.lane_id).await.is_empty(), "its message has it");
    assert!(!lane(store, one.lane_id).await.due);
    assert!(lane(store, one.lane_id).await.open);
    assert_eq!(ids(&by_message(store, &[id]).await), [id]);
    // Without messages the sweep is at once.
    let id = accept(world.store(), &one, 1).await[0];
    assert_eq!(ids(&due(world.store(), one.lane_id).await), [id]);
}

pub async fn never_claimed_deliveries_can_be_made_due(world: &impl World) {
    let store = &world.another(HOUR).await;
    let one = put(store, "one", &unlimited("a")).await;
    let accepted = accept(store, &one, 2).await;
    let claim = by_message(store, &accepted[..1]).await.remove(0);
    record(store, &[retry(&claim, HOUR, false)]).await;
    store.make_due(&accepted).await.unwrap();
    assert_eq!(ids(&due(store, one.lane_id).await), accepted[1..], "the other waits to retry");
}

pub async fn a_limited_lane_has_no_sweep(world: &impl World) {
    let store = &world.another(HOUR).await;
    let one = put(store, "one", &limited("a")).await;
    let accepted = accept(store, &one, 2).await;
    let lease = lead(store, one.lane_id).await;
    assert_eq!(ids(&claimed(claim_as(store, lease, MINUTE).await)), accepted);
}

pub async fn unclaimed_deliveries_are_counted(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let two = put(store, "two", &limited("b")).await;
    let accepted = accept(store, &one, 5).await;
    accept(store, &two, 2).await;
    assert_eq!(store.count_unclaimed(100).await.unwrap(), 7);
    assert_eq!(store.count_unclaimed(3).await.unwrap(), 3);
    let claims = by_message(store, &accepted[..2]).await;
    record(store, &[delivered(&claims[0]), released(&claims[1])]).await;
    assert_eq!(store.count_unclaimed(100).await.unwrap(), 5);
}
