//! T1, T2.

use std::time::{Duration, Instant};

use futures_util::future::join;
use postrider_store::{
    Committed, DeliveryFilter, IntakeBatch, IntakeEntry, IntakeResult, KeyTerm, Store,
    StoredWebhook,
};

use crate::acts::*;
use crate::harness::{World, wait_until};

async fn count(store: &Store) -> usize {
    store.deliveries(&DeliveryFilter::default(), None, 1000).await.unwrap().deliveries.len()
}

pub(crate) async fn an_event_and_its_deliveries_enter_together(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let two = put(store, "two", &limited("b")).await;
    let new = entry(Some("k"), &[&one, &two]);
    assert_eq!(commit(store, vec![new.clone()]).await, [IntakeResult::Accepted]);
    for delivery in &new.deliveries {
        let view = view(store, delivery.id).await;
        assert_eq!(view.row.event_id, new.event.id);
        assert_eq!(view.row.consumer, "C");
        let event: postrider_domain::Event = serde_json::from_str(&view.event).unwrap();
        assert_eq!(event, new.event.event);
    }
    assert_eq!(count(store).await, 2);
}

pub(crate) async fn an_event_that_nobody_wants_is_recorded(world: World) {
    let store = world.store();
    let new = entry(Some("k"), &[]);
    commit(store, vec![new.clone()]).await;
    let result = commit(store, vec![entry(Some("k"), &[])]).await.remove(0);
    let IntakeResult::Duplicate(found) = result else { panic!("accepted twice") };
    assert_eq!(found.event_id, new.event.id);
    assert!(found.deliveries.is_empty());
    assert_eq!(found.fingerprint, new.event.fingerprint);
}

pub(crate) async fn a_commit_under_an_old_version_writes_nothing(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let old = version(store).await;
    put(store, "two", &unlimited("a")).await;
    let new = entry(Some("k"), &[&one]);
    let mut batch = IntakeBatch { webhooks_version: old, entries: vec![new.clone()] };
    assert_eq!(store.commit_events(&batch).await.unwrap(), None);
    assert_eq!(count(store).await, 0);
    batch.webhooks_version = version(store).await;
    // The key is still free: nothing of the first try was kept.
    assert_eq!(store.commit_events(&batch).await.unwrap(), Some(vec![IntakeResult::Accepted]));
}

pub(crate) async fn every_write_to_webhooks_raises_the_version(world: World) {
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

pub(crate) async fn a_repeated_key_answers_the_first(world: World) {
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

pub(crate) async fn a_key_twice_in_a_batch_counts_once(world: World) {
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

pub(crate) async fn events_without_key_are_never_repeats(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let first = entry(None, &[&one]);
    let mut second = entry(None, &[&one]);
    second.event.fingerprint = first.event.fingerprint;
    commit(store, vec![first.clone()]).await;
    assert_eq!(commit(store, vec![second.clone()]).await, [IntakeResult::Accepted]);
    assert_eq!(count(store).await, 2);
}

pub(crate) async fn one_key_at_two_handles_at_once_makes_one_event(world: World) {
    let (left, right) = (world.store(), world.another(Duration::ZERO).await);
    let one = put(left, "one", &unlimited("a")).await;
    let version = version(left).await;
    for round in 0..200 {
        let key = format!("k{round}");
        let batch =
            || IntakeBatch { webhooks_version: version, entries: vec![entry(Some(&key), &[&one])] };
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
    right.close().await;
}

pub(crate) async fn batches_with_keys_crossed_both_end(world: World) {
    let (left, right) = (world.store(), world.another(Duration::ZERO).await);
    let version = version(left).await;
    for round in 0..30 {
        let batch = |order: &[usize]| IntakeBatch {
            webhooks_version: version,
            entries: order.iter().map(|n| entry(Some(&format!("{round}-{n}")), &[])).collect(),
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
    right.close().await;
}

pub(crate) async fn a_fresh_delivery_waits_for_its_sweep(world: World) {
    let store = world.another(HOUR).await;
    let one = put(&store, "one", &unlimited("a")).await;
    let id = accept(&store, &one, 1).await[0];
    assert!(due(&store, one.lane_id).await.is_empty(), "the road has it");
    assert!(!lane(&store, one.lane_id).await.due);
    assert!(lane(&store, one.lane_id).await.open);
    assert_eq!(ids(&road(&store, &[id]).await), [id]);
    // Without a road the sweep is at once.
    let id = accept(world.store(), &one, 1).await[0];
    assert_eq!(ids(&due(world.store(), one.lane_id).await), [id]);
    store.close().await;
}

pub(crate) async fn hurry_makes_never_claimed_deliveries_due(world: World) {
    let store = world.another(HOUR).await;
    let one = put(&store, "one", &unlimited("a")).await;
    let accepted = accept(&store, &one, 2).await;
    let claim = road(&store, &accepted[..1]).await.remove(0);
    record(&store, &[retry(&claim, HOUR, false)]).await;
    store.hurry(&accepted).await.unwrap();
    assert_eq!(ids(&due(&store, one.lane_id).await), accepted[1..], "the other waits to retry");
    store.close().await;
}

pub(crate) async fn a_limited_lane_has_no_sweep(world: World) {
    let store = world.another(HOUR).await;
    let one = put(&store, "one", &limited("a")).await;
    let accepted = accept(&store, &one, 2).await;
    let lease = lead(&store, one.lane_id).await;
    assert_eq!(ids(&claimed(claim_as(&store, lease, MINUTE).await)), accepted);
    store.close().await;
}

pub(crate) async fn unclaimed_deliveries_are_counted(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let two = put(store, "two", &limited("b")).await;
    let accepted = accept(store, &one, 5).await;
    accept(store, &two, 2).await;
    assert_eq!(store.count_unclaimed(100).await.unwrap(), 7);
    assert_eq!(store.count_unclaimed(3).await.unwrap(), 3);
    let claims = road(store, &accepted[..2]).await;
    record(store, &[delivered(&claims[0]), released(&claims[1])]).await;
    assert_eq!(store.count_unclaimed(100).await.unwrap(), 5);
}

/// An event under a key that the receiver made of its content, of a call that arrived just now.
fn content_entry(webhooks: &[&StoredWebhook], longest: Duration) -> IntakeEntry {
    let mut entry = entry(Some("relay:1"), webhooks);
    entry.event.fingerprint = [1; 16];
    entry.event.term = Some(KeyTerm { arrived: Instant::now(), longest });
    entry
}

/// Commits one event; the earlier one that it repeats.
async fn repeated(store: &Store, entry: &IntakeEntry) -> Option<Committed> {
    match commit(store, vec![entry.clone()]).await.remove(0) {
        IntakeResult::Accepted => None,
        IntakeResult::Duplicate(first) => Some(first),
    }
}

pub(crate) async fn a_key_with_a_term_holds_until_it_is_freed(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let first = content_entry(&[&one], HOUR);
    assert_eq!(repeated(store, &first).await, None);
    let again = repeated(store, &content_entry(&[&one], HOUR)).await.unwrap();
    assert_eq!(again.event_id, first.event.id);
    assert_eq!(again.deliveries, [(first.deliveries[0].id, one.webhook.uuid.clone())]);
    store.free_key("relay:1", first.event.id).await.unwrap();
    let second = content_entry(&[&one], HOUR);
    assert_eq!(repeated(store, &second).await, None, "the first was answered before");
    // Freeing it late, a second time, does not end the term of the next event.
    store.free_key("relay:1", first.event.id).await.unwrap();
    let again = repeated(store, &content_entry(&[&one], HOUR)).await.unwrap();
    assert_eq!(again.event_id, second.event.id);
    assert_eq!(count(store).await, 2);
}

pub(crate) async fn a_call_that_arrived_before_the_answer_is_a_repeat(world: World) {
    let (left, right) = (world.store(), world.another(Duration::ZERO).await);
    let first = content_entry(&[], HOUR);
    let slow = content_entry(&[], HOUR);
    assert_eq!(repeated(left, &first).await, None);
    left.free_key("relay:1", first.event.id).await.unwrap();
    let again = repeated(&right, &slow).await.unwrap();
    assert_eq!(again.event_id, first.event.id, "it arrived before the first was answered");
    right.close().await;
}

pub(crate) async fn a_term_ends_by_itself(world: World) {
    let store = world.store();
    let first = content_entry(&[], MOMENT);
    assert_eq!(repeated(store, &first).await, None);
    assert!(repeated(store, &content_entry(&[], MOMENT)).await.is_some());
    wait_until("the term to end", async || {
        let late = repeated(store, &content_entry(&[], MOMENT)).await;
        late.is_none().then_some(())
    })
    .await;
}

pub(crate) async fn a_senders_key_is_never_freed(world: World) {
    let store = world.store();
    let first = entry(Some("k"), &[]);
    commit(store, vec![first.clone()]).await;
    store.free_key("k", first.event.id).await.unwrap();
    let again = repeated(store, &entry(Some("k"), &[])).await.unwrap();
    assert_eq!(again.event_id, first.event.id);
}

pub(crate) async fn equal_content_at_two_handles_at_once_makes_one_event(world: World) {
    let (left, right) = (world.store(), world.another(Duration::ZERO).await);
    let version = version(left).await;
    for round in 0..100 {
        let (a, b) = (content_batch(version, round), content_batch(version, round));
        let (x, y) = join(left.commit_events(&a), right.commit_events(&b)).await;
        let both = [x.unwrap().unwrap().remove(0), y.unwrap().unwrap().remove(0)];
        let accepted = both.iter().filter(|result| **result == IntakeResult::Accepted).count();
        assert_eq!(accepted, 1, "round {round}: {both:?}");
    }
    right.close().await;
}

fn content_batch(webhooks_version: i64, round: u8) -> IntakeBatch {
    let mut entry = content_entry(&[], HOUR);
    entry.event.key = Some(format!("relay:{round}"));
    IntakeBatch { webhooks_version, entries: vec![entry] }
}

pub(crate) async fn equal_content_in_a_batch_counts_once(world: World) {
    let store = world.store();
    let (first, second) = (content_entry(&[], HOUR), content_entry(&[], HOUR));
    let results = commit(store, vec![first.clone(), second]).await;
    assert_eq!(results[0], IntakeResult::Accepted);
    let IntakeResult::Duplicate(winner) = &results[1] else { panic!("accepted twice") };
    assert_eq!(winner.event_id, first.event.id);
}
