//! T1, T2.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use futures_util::future::join;
use postrider_store::{
    ClaimsAtIntake, Committed, DeliveryFilter, IntakeBatch, IntakeEntry, IntakeResult, KeyTerm,
    Store, StoredWebhook,
};
use postrider_testkit::acts::*;
use tokio::sync::Notify;

use crate::acts::view;
use crate::harness::{Kind, World};

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
        assert_eq!(&event, new.event.event.event());
    }
    assert_eq!(count(store).await, 2);
}

/// T1c: a file has one process, which may claim as it commits; with several over Postgres each
/// claims for itself.
pub(crate) async fn only_an_embedded_store_claims_as_it_commits(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let entries = vec![entry(None, &[&one])];
    let id = entries[0].deliveries[0].id;
    let batch = IntakeBatch { webhooks_version: version(store).await, entries: entries.into() };
    let (came, claims) = mpsc::channel();
    let right = ClaimsAtIntake::new(vec![id], terms(HOUR), move |claims| {
        came.send(claims.unwrap().len()).unwrap();
    });
    let entered = store.commit_events_claiming(&batch, Some(right)).await.unwrap().unwrap();
    let claimed = usize::from(matches!(world.kind(), Kind::Sqlite));
    assert_eq!((entered.claimed.len(), claims.recv().unwrap()), (claimed, claimed));
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
    wait_until(store, "the term to end", async || {
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
    IntakeBatch { webhooks_version, entries: vec![entry].into() }
}

pub(crate) async fn equal_content_in_a_batch_counts_once(world: World) {
    let store = world.store();
    let (first, second) = (content_entry(&[], HOUR), content_entry(&[], HOUR));
    let results = commit(store, vec![first.clone(), second]).await;
    assert_eq!(results[0], IntakeResult::Accepted);
    let IntakeResult::Duplicate(winner) = &results[1] else { panic!("accepted twice") };
    assert_eq!(winner.event_id, first.event.id);
}

/// Another process's write waits until it is done.
pub(crate) async fn webhooks_stand_still_while_a_commit_needs_it(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let other = world.another(HOUR).await;
    let known = version(store).await;
    let still = Notify::new();
    let work = async {
        still.notify_one();
        wait_until(store, "the other write waits", async || {
            world.somebody_waits().await.then_some(())
        })
        .await;
        commit(store, vec![entry(None, &[&one])]).await
    };
    let write = async {
        still.notified().await;
        put(&other, "two", &unlimited("a")).await
    };
    let work = Box::pin(store.while_webhooks_stand_still(work));
    let (results, _) = tokio::join!(work, Box::pin(write));
    assert_eq!(results, [IntakeResult::Accepted]);
    assert!(version(store).await > known, "it came through");
}
