//! Retention and T12.

use std::time::{Duration, Instant};

use postrider_domain::{DeliveryId, DeliveryStatus};
use postrider_store::{BulkKind, DeliveryFilter, IntakeResult};
use postrider_testkit::acts::*;

use crate::acts::view;
use crate::harness::World;

const REPLAY: BulkKind = BulkKind::Replay { forget_marks: false };

fn only(ids: &[DeliveryId]) -> DeliveryFilter {
    DeliveryFilter { ids: Some(ids.to_vec()), ..DeliveryFilter::default() }
}

pub(crate) async fn final_deliveries_go_and_open_ones_stay(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let accepted = accept(store, &one, 5).await;
    let claims = by_message(store, &accepted[..4]).await;
    let outcomes =
        [delivered(&claims[0]), failed(&claims[1]), retry(&claims[2], Duration::ZERO, false)];
    record(store, &outcomes).await;
    assert_eq!(store.prune(HOUR, HOUR, 100).await.unwrap(), 0, "nothing is old enough");
    assert_eq!(store.prune(Duration::ZERO, Duration::ZERO, 1).await.unwrap(), 2);
    for id in &accepted[..2] {
        assert!(store.delivery(*id).await.unwrap().is_none());
    }
    assert_eq!(view(store, accepted[2]).await.attempts.len(), 1, "kept with its attempts");
    assert!(record(store, &[delivered(&claims[3])]).await.late.is_empty());
    let rest = due(store, one.lane_id).await;
    let mut kept = ids(&rest);
    kept.sort();
    assert_eq!(kept, [accepted[2], accepted[4]]);
    assert!(rest.iter().all(|claim| !claim.event.is_empty()), "their events stay");
}

pub(crate) async fn history_is_kept_from_the_outcome_on(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let accepted = accept(store, &one, 2).await;
    let made = Instant::now();
    let claims = by_message(store, &accepted).await;
    record(store, &[delivered(&claims[0])]).await;
    wait_until(store, "time passes", async || (made.elapsed() > 2 * MOMENT).then_some(())).await;
    record(store, &[delivered(&claims[1])]).await;
    assert_eq!(store.prune(MOMENT, HOUR, 100).await.unwrap(), 1);
    assert!(store.delivery(accepted[0]).await.unwrap().is_none());
    assert_eq!(view(store, accepted[1]).await.attempts.len(), 1, "accepted long ago, but young");
}

pub(crate) async fn keys_outlive_nothing_open(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let new = entry(Some("k"), &[&one]);
    let id = new.deliveries[0].id;
    commit(store, vec![new.clone()]).await;
    let repeat = async || commit(store, vec![entry(Some("k"), &[&one])]).await.remove(0);
    store.prune(Duration::ZERO, Duration::ZERO, 10).await.unwrap();
    assert!(matches!(repeat().await, IntakeResult::Duplicate(_)), "its delivery is open");
    let claim = by_message(store, &[id]).await.remove(0);
    record(store, &[delivered(&claim)]).await;
    store.prune(Duration::ZERO, HOUR, 10).await.unwrap();
    let IntakeResult::Duplicate(known) = repeat().await else { panic!("the key is young") };
    assert_eq!((known.event_id, known.fingerprint), (new.event.id, new.event.fingerprint));
    assert!(known.deliveries.is_empty(), "its delivery is gone");
    store.prune(Duration::ZERO, Duration::ZERO, 10).await.unwrap();
    assert_eq!(repeat().await, IntakeResult::Accepted);
}

/// More keys of one instant stay than are looked at in one statement; what lies behind them goes
/// all the same.
pub(crate) async fn keys_that_stay_keep_no_others(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    commit(store, (0..5).map(|n| entry(Some(&format!("open-{n}")), &[&one])).collect()).await;
    commit(store, vec![entry(Some("behind"), &[])]).await;
    store.prune(Duration::ZERO, Duration::ZERO, 2).await.unwrap();
    let repeat = commit(store, vec![entry(Some("behind"), &[]), entry(Some("open-3"), &[])]).await;
    assert_eq!(repeat[0], IntakeResult::Accepted, "its key is free again");
    assert!(matches!(repeat[1], IntakeResult::Duplicate(_)), "its delivery is open");
}

pub(crate) async fn replay_starts_over(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let accepted = accept(store, &one, 3).await;
    let claims = by_message(store, &accepted).await;
    let outcomes = [failed(&claims[0]), delivered(&claims[1]), retry(&claims[2], HOUR, true)];
    record(store, &outcomes).await;
    let failed_ones =
        DeliveryFilter { status: Some(DeliveryStatus::Failed), ..DeliveryFilter::default() };
    let plan = store.plan_bulk(REPLAY, &failed_ones).await.unwrap();
    assert_eq!((plan.by_lane, plan.left_alone), (vec![("a".to_owned(), 1)], 0));
    assert_eq!(status(store, accepted[0]).await, DeliveryStatus::Failed, "only counted");
    let moved = put(store, "one", &unlimited("b")).await;
    let plan = store.bulk(REPLAY, &failed_ones).await.unwrap();
    assert_eq!(plan.by_lane, [("b".to_owned(), 1)]);
    let again = due(store, moved.lane_id).await;
    assert_eq!(ids(&again), accepted[..1], "in the lane of today, at once");
    assert_eq!((again[0].attempt, again[0].claim_no.0), (1, 2));
    assert_eq!(view(store, accepted[0]).await.attempts.len(), 1, "the old attempt stays");
    // The claim of before does not count any more.
    assert_eq!(record(store, &[delivered(&claims[0])]).await.late.len(), 1);
    assert!(record(store, &[delivered(&again[0])]).await.late.is_empty());
}

pub(crate) async fn replay_leaves_open_ones_and_lost_webhooks(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let gone = put(store, "gone", &unlimited("a")).await;
    let mut accepted = accept(store, &one, 2).await;
    accepted.extend(accept(store, &gone, 1).await);
    let claims = by_message(store, &accepted).await;
    record(store, &[delivered(&claims[0]), retry(&claims[1], HOUR, false), failed(&claims[2])])
        .await;
    store.delete_webhook(&gone.webhook.uuid).await.unwrap();
    for act in [false, true] {
        let (all, plan) = (only(&accepted), BulkKind::Replay { forget_marks: false });
        let plan =
            if act { store.bulk(plan, &all).await } else { store.plan_bulk(plan, &all).await };
        let plan = plan.unwrap();
        assert_eq!(plan.by_lane, [("a".to_owned(), 1)]);
        assert_eq!((plan.left_alone, plan.without_webhook), (1, 1));
    }
    let again = due(store, one.lane_id).await;
    assert_eq!(ids(&again), accepted[..1], "the open one keeps its wait");
    let plan = store.bulk(REPLAY, &only(&accepted)).await.unwrap();
    assert!(plan.by_lane.is_empty());
    assert_eq!((plan.left_alone, plan.without_webhook), (2, 1));
}

pub(crate) async fn replay_may_forget_marks(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let accepted = accept(store, &one, 1).await;
    let mut claim = by_message(store, &accepted).await.remove(0);
    for (forget, marked) in [(false, true), (true, false)] {
        let uncertain = recorded(
            &claim,
            postrider_store::Transition::Failed { uncertain: !forget },
            postrider_domain::Outcome::Timeout,
        );
        record(store, &[uncertain]).await;
        store.bulk(BulkKind::Replay { forget_marks: forget }, &only(&accepted)).await.unwrap();
        claim = due(store, one.lane_id).await.remove(0);
        assert_eq!(claim.maybe_sent, marked);
    }
}

/// What was first made is first sent again, however the filter finds it.
pub(crate) async fn replay_is_oldest_first(world: World) {
    let store = world.store();
    let one = put(store, "one", &limited("a")).await;
    let accepted = accept(store, &one, 5).await;
    let lease = lead(store, one.lane_id).await;
    let claims = some_as(store, lease, 5).await;
    let outcomes: Vec<_> = claims.iter().map(failed).collect();
    record(store, &outcomes).await;
    let failed_ones =
        DeliveryFilter { status: Some(DeliveryStatus::Failed), ..DeliveryFilter::default() };
    let plan = store.bulk(REPLAY, &failed_ones).await.unwrap();
    assert_eq!((plan.by_lane, plan.is_finished), (vec![("a".to_owned(), 5)], true));
    assert_eq!(ids(&some_as(store, lease, 5).await), accepted);
    let none = store.plan_bulk(REPLAY, &failed_ones).await.unwrap();
    assert!(none.by_lane.is_empty(), "what was sent again is not among the failed any more");
}

/// An act goes on where it was, and takes each delivery once.
pub(crate) async fn an_act_takes_a_delivery_once(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let accepted = accept(store, &one, 3).await;
    let claims = by_message(store, &accepted[..2]).await;
    record(store, &[failed(&claims[0]), failed(&claims[1])]).await;
    let of_one =
        DeliveryFilter { webhook: Some(one.webhook.uuid.clone()), ..DeliveryFilter::default() };
    let plan = store.bulk(REPLAY, &of_one).await.unwrap();
    assert_eq!((plan.done, plan.left_alone), (2, 1));
    let again = due(store, one.lane_id).await;
    let outcomes: Vec<_> = again.iter().map(failed).collect();
    record(store, &outcomes).await;
    let resumed = store.resume_bulk(plan.id.unwrap()).await.unwrap().unwrap();
    assert_eq!((resumed.by_lane, resumed.done), (vec![], 2), "failed again, and not sent again");
    assert!(store.resume_bulk(uuid::Uuid::now_v7()).await.unwrap().is_none());
}

/// Whoever got no answer says the same again under the same id, and changes nothing twice.
pub(crate) async fn an_act_has_an_id_of_its_callers_own(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let accepted = accept(store, &one, 2).await;
    let claims = by_message(store, &accepted).await;
    record(store, &[failed(&claims[0]), failed(&claims[1])]).await;
    let id = uuid::Uuid::now_v7();
    let of_one =
        DeliveryFilter { webhook: Some(one.webhook.uuid.clone()), ..DeliveryFilter::default() };
    let plan = store.bulk_as(id, REPLAY, &of_one).await.unwrap().unwrap();
    assert_eq!((plan.id, plan.done), (Some(id), 2));
    let again = due(store, one.lane_id).await;
    let outcomes: Vec<_> = again.iter().map(failed).collect();
    record(store, &outcomes).await;
    let plan = store.bulk_as(id, REPLAY, &of_one).await.unwrap().unwrap();
    assert_eq!((plan.by_lane, plan.done), (vec![], 2), "done already");
    assert!(store.bulk_as(id, BulkKind::Discard, &of_one).await.unwrap().is_none());
    assert!(store.bulk_as(id, REPLAY, &DeliveryFilter::default()).await.unwrap().is_none());
}

pub(crate) async fn what_waits_is_discarded_by_filter(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let two = put(store, "two", &unlimited("b")).await;
    let accepted = accept(store, &one, 3).await;
    accept(store, &two, 1).await;
    by_message(store, &accepted[..1]).await;
    let of_lane = DeliveryFilter { lane: Some("a".to_owned()), ..DeliveryFilter::default() };
    let plan = store.plan_bulk(BulkKind::Discard, &of_lane).await.unwrap();
    assert_eq!((plan.by_lane.clone(), plan.id), (vec![("a".to_owned(), 2)], None));
    let plan = store.bulk(BulkKind::Discard, &of_lane).await.unwrap();
    assert_eq!((plan.by_lane, plan.left_alone), (vec![("a".to_owned(), 2)], 1), "one is sent");
    for id in &accepted[1..] {
        assert_eq!(status(store, *id).await, DeliveryStatus::Discarded);
    }
    let discarded =
        DeliveryFilter { status: Some(DeliveryStatus::Discarded), ..DeliveryFilter::default() };
    let total = store.count_deliveries(&discarded).await.unwrap();
    assert_eq!((total.count, total.is_exact), (2, true));
    assert_eq!(due(store, two.lane_id).await.len(), 1, "others wait");
}

/// Deleted webhooks go, with their lanes and limits, once nothing refers to them.
pub(crate) async fn webhooks_and_lanes_that_nothing_refers_to_go(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    put(store, "two", &unlimited("b")).await;
    let accepted = accept(store, &one, 1).await;
    let claims = by_message(store, &accepted).await;
    store.delete_webhook(&one.webhook.uuid).await.unwrap();
    assert_eq!(store.prune_webhooks(Duration::ZERO, 10).await.unwrap(), 0, "it is referred to");
    record(store, &[delivered(&claims[0])]).await;
    store.prune(Duration::ZERO, Duration::ZERO, 10).await.unwrap();
    assert_eq!(store.prune_webhooks(Duration::ZERO, 10).await.unwrap(), 1);
    assert!(store.webhooks_by_id(&[one.id]).await.unwrap().is_empty());
    let lanes = async || {
        let lanes = store.lanes().await.unwrap();
        lanes.into_iter().map(|lane| lane.name).collect::<Vec<_>>()
    };
    assert_eq!(lanes().await, ["a", "b"], "not before a day has passed");
    let earlier = match world.kind() {
        crate::harness::Kind::Postgres => "unused_since - interval '2 days'",
        crate::harness::Kind::Sqlite => "unused_since - 2 * 86400000000",
    };
    world.raw(&format!("update lanes set unused_since = {earlier}")).await;
    store.prune_webhooks(Duration::ZERO, 10).await.unwrap();
    assert_eq!(lanes().await, ["b"]);
}
