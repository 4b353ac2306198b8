//! Retention and T12.

use std::time::{Duration, Instant};

use postrider_domain::{DeliveryId, DeliveryStatus};
use postrider_store::{DeliveryFilter, IntakeResult};

use crate::acts::*;
use crate::harness::{World, wait_until};

fn only(ids: &[DeliveryId]) -> DeliveryFilter {
    DeliveryFilter { ids: Some(ids.to_vec()), ..DeliveryFilter::default() }
}

pub(crate) async fn final_deliveries_go_and_open_ones_stay(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let accepted = accept(store, &one, 5).await;
    let claims = road(store, &accepted[..4]).await;
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
    let claims = road(store, &accepted).await;
    record(store, &[delivered(&claims[0])]).await;
    wait_until("time passes", async || (made.elapsed() > 2 * MOMENT).then_some(())).await;
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
    let claim = road(store, &[id]).await.remove(0);
    record(store, &[delivered(&claim)]).await;
    store.prune(Duration::ZERO, HOUR, 10).await.unwrap();
    let IntakeResult::Duplicate(known) = repeat().await else { panic!("the key is young") };
    assert_eq!((known.event_id, known.fingerprint), (new.event.id, new.event.fingerprint));
    assert!(known.deliveries.is_empty(), "its delivery is gone");
    store.prune(Duration::ZERO, Duration::ZERO, 10).await.unwrap();
    assert_eq!(repeat().await, IntakeResult::Accepted);
}

pub(crate) async fn replay_starts_over(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let accepted = accept(store, &one, 3).await;
    let claims = road(store, &accepted).await;
    let outcomes = [failed(&claims[0]), delivered(&claims[1]), retry(&claims[2], HOUR, true)];
    record(store, &outcomes).await;
    let failed_ones =
        DeliveryFilter { status: Some(DeliveryStatus::Failed), ..DeliveryFilter::default() };
    let plan = store.replay(&failed_ones, false, false).await.unwrap();
    assert_eq!((plan.by_lane, plan.open), (vec![("a".to_owned(), 1)], 0));
    assert_eq!(status(store, accepted[0]).await, DeliveryStatus::Failed, "only counted");
    let moved = put(store, "one", &unlimited("b")).await;
    let plan = store.replay(&failed_ones, false, true).await.unwrap();
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
    let claims = road(store, &accepted).await;
    record(store, &[delivered(&claims[0]), retry(&claims[1], HOUR, false), failed(&claims[2])])
        .await;
    store.delete_webhook(&gone.webhook.uuid).await.unwrap();
    for act in [false, true] {
        let plan = store.replay(&only(&accepted), false, act).await.unwrap();
        assert_eq!(plan.by_lane, [("a".to_owned(), 1)]);
        assert_eq!((plan.open, plan.without_webhook), (1, 1));
    }
    let again = due(store, one.lane_id).await;
    assert_eq!(ids(&again), accepted[..1], "the open one keeps its wait");
    let plan = store.replay(&only(&accepted), false, true).await.unwrap();
    assert!(plan.by_lane.is_empty());
    assert_eq!((plan.open, plan.without_webhook), (2, 1));
}

pub(crate) async fn replay_may_forget_marks(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let accepted = accept(store, &one, 1).await;
    let mut claim = road(store, &accepted).await.remove(0);
    for (forget, marked) in [(false, true), (true, false)] {
        let uncertain = recorded(
            &claim,
            postrider_store::Transition::Failed { uncertain: !forget },
            postrider_domain::Outcome::Timeout,
        );
        record(store, &[uncertain]).await;
        store.replay(&only(&accepted), forget, true).await.unwrap();
        claim = due(store, one.lane_id).await.remove(0);
        assert_eq!(claim.maybe_sent, marked);
    }
}
