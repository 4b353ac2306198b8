//! J1-J4.

use std::time::Duration;

use postrider_domain::{DeliveryId, DeliveryStatus, LaneId, Outcome};
use postrider_store::{Claim, DeliveryFilter, Store, StoredWebhook};

use crate::acts::*;
use crate::harness::{World, wait_until};

/// Claims what is due and lets the claims run out; what the janitor did.
async fn lose(store: &Store, lane: LaneId, suspect: bool) -> (Vec<Claim>, Vec<DeliveryId>) {
    let claims = store.claim_due(lane, 100, suspect, terms(ms(20))).await.unwrap();
    assert!(!claims.is_empty(), "something is due");
    let (mut back, mut poisoned) = (0, Vec::new());
    wait_until("the claims expire", async || {
        let expired = store.expire_claims(100).await.unwrap();
        back += expired.given_back.len();
        poisoned.extend(expired.poisoned);
        (back + poisoned.len() == claims.len()).then_some(())
    })
    .await;
    (claims, poisoned)
}

pub(crate) async fn a_lost_claim_is_given_back_and_marked(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let accepted = accept(store, &one, 2).await;
    lose(store, one.lane_id, false).await;
    let view = view(store, accepted[0]).await;
    assert_eq!(view.row.status, DeliveryStatus::Retrying);
    assert_eq!((view.row.attempts, view.row.last_outcome), (1, Some(Outcome::Lost)));
    assert_eq!(view.attempts[0].outcome, Outcome::Lost);
    assert!(!view.attempts[0].possible_duplicate);
    let again = due(store, one.lane_id).await;
    assert_eq!(ids(&again), accepted, "oldest first still");
    let marks = again.iter().map(|c| (c.attempt, c.maybe_sent, c.lost_claims));
    assert!(marks.eq([(1, true, 1); 2]));
    assert!(store.monitor_facts().await.unwrap().streaks.iter().all(|fact| fact.failures == 0));
}

pub(crate) async fn a_running_claim_is_left_alone(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let accepted = accept(store, &one, 2).await;
    let claims = road(store, &accepted[..1]).await;
    let expired = store.expire_claims(100).await.unwrap();
    assert_eq!(expired, postrider_store::Expired::default());
    assert!(record(store, &[delivered(&claims[0])]).await.late.is_empty());
}

/// EXPIRE, REHOME: d0 claimed, its worker dies; d1 is refused and holds the lane; the webhook
/// moves to another secret. Both have to follow.
pub(crate) async fn claims_expire_in_a_held_lane_and_follow_their_webhook(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    accept(store, &one, 1).await;
    let dead = due_for(store, one.lane_id, ms(20)).await.remove(0);
    hold_with(store, &one).await;
    let moved = put(store, "one", &unlimited("b")).await;
    assert_ne!(moved.lane_id, one.lane_id);
    wait_until("both have moved", async || {
        store.expire_claims(100).await.unwrap();
        store.rehome(100).await.unwrap();
        (!lane(store, one.lane_id).await.open).then_some(())
    })
    .await;
    let claims = due(store, moved.lane_id).await;
    assert_eq!(claims.len(), 2);
    assert!(claims.iter().any(|claim| claim.id == dead.id && claim.maybe_sent));
}

pub(crate) async fn five_losses_are_poison(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let id = accept(store, &one, 1).await[0];
    for loss in 1..=5 {
        let (_, poisoned) = lose(store, one.lane_id, loss > 3).await;
        assert_eq!(poisoned, if loss == 5 { vec![id] } else { vec![] }, "loss {loss}");
    }
    let row = view(store, id).await.row;
    assert_eq!((row.status, row.last_outcome), (DeliveryStatus::Failed, Some(Outcome::Poison)));
    let poisoned = store.monitor_facts().await.unwrap().poisoned;
    assert_eq!(poisoned, [(id.0, one.webhook.uuid.clone())]);
    let filter = DeliveryFilter { ids: Some(vec![id]), ..DeliveryFilter::default() };
    store.replay(&filter, false, true).await.unwrap();
    let again = due(store, one.lane_id).await.remove(0);
    assert_eq!((again.lost_claims, again.maybe_sent), (0, true));
    assert!(store.monitor_facts().await.unwrap().poisoned.is_empty());
}

pub(crate) async fn suspects_are_claimed_alone(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let accepted = accept(store, &one, 2).await;
    for _ in 0..3 {
        lose(store, one.lane_id, false).await;
    }
    let innocent = accept(store, &one, 2).await;
    assert_eq!(ids(&due(store, one.lane_id).await), innocent);
    let suspect = store.claim_due(one.lane_id, 100, true, terms(MINUTE)).await.unwrap();
    assert_eq!(ids(&suspect), accepted[..1], "exactly one");
    assert_eq!(suspect[0].lost_claims, 3);
}

pub(crate) async fn what_waits_follows_its_webhook_out_of_a_held_lane(world: World) {
    let store = world.another(HOUR).await;
    let one = put(&store, "one", &unlimited("a")).await;
    let fresh = accept(&store, &one, 1).await[0];
    let held = hold_with(&store, &one).await;
    assert_eq!(store.rehome(100).await.unwrap(), 0, "everything is in place");
    let moved = put(&store, "one", &unlimited("b")).await;
    assert!(due(&store, moved.lane_id).await.is_empty());
    assert_eq!(store.rehome(1).await.unwrap(), 1);
    assert_eq!(store.rehome(100).await.unwrap(), 1);
    assert_eq!(store.rehome(100).await.unwrap(), 0);
    let mut both = [fresh, held];
    both.sort();
    assert_eq!(ids(&due(&store, moved.lane_id).await), both, "due at once, oldest first");
    store.close().await;
}

async fn waiting(store: &Store, uuid: &str) -> (StoredWebhook, DeliveryId, DeliveryId) {
    let webhook = put(store, uuid, &unlimited(uuid)).await;
    let held = hold_with(store, &webhook).await;
    let fresh = accept(store, &webhook, 1).await[0];
    (webhook, held, fresh)
}

pub(crate) async fn deliveries_of_deleted_webhooks_are_discarded(world: World) {
    let store = world.store();
    let (one, held, fresh) = waiting(store, "one").await;
    let other = put(store, "other", &unlimited("one")).await;
    let bystander = accept(store, &other, 1).await[0];
    assert_eq!(store.discard(100).await.unwrap(), 0);
    assert!(store.delete_webhook(&one.webhook.uuid).await.unwrap());
    assert_eq!(store.discard(1).await.unwrap(), 1);
    assert_eq!(store.discard(100).await.unwrap(), 1);
    for id in [held, fresh] {
        let row = view(store, id).await.row;
        assert_eq!(row.status, DeliveryStatus::Discarded);
        assert_eq!(row.last_outcome, Some(Outcome::WebhookDeleted));
        assert_eq!(row.webhook_uuid, one.webhook.uuid);
    }
    assert_eq!(status(store, bystander).await, DeliveryStatus::Held);
}

pub(crate) async fn deliveries_of_disabled_webhooks_are_discarded(world: World) {
    let store = world.store();
    let (_, held, fresh) = waiting(store, "one").await;
    disable(store, "one", &unlimited("one")).await;
    assert_eq!(store.discard(100).await.unwrap(), 2);
    for id in [held, fresh] {
        let row = view(store, id).await.row;
        assert_eq!(row.last_outcome, Some(Outcome::WebhookDisabled));
    }
    let back = put(store, "one", &unlimited("one")).await;
    store.release_by_hand("one").await.unwrap().unwrap();
    let new = accept(store, &back, 1).await;
    assert_eq!(ids(&due(store, back.lane_id).await), new, "enabled again, for what comes now");
}

pub(crate) async fn a_claimed_delivery_is_discarded_once_it_waits(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let accepted = accept(store, &one, 2).await;
    let claims = road(store, &accepted).await;
    store.delete_webhook(&one.webhook.uuid).await.unwrap();
    assert_eq!(store.discard(100).await.unwrap(), 0, "both are on their way");
    record(store, &[delivered(&claims[0]), retry(&claims[1], Duration::ZERO, false)]).await;
    assert_eq!(store.discard(100).await.unwrap(), 1);
    assert_eq!(status(store, accepted[0]).await, DeliveryStatus::Delivered);
    assert_eq!(status(store, accepted[1]).await, DeliveryStatus::Discarded);
}

pub(crate) async fn a_uuid_used_again_revives_nothing(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let accepted = accept(store, &one, 1).await;
    store.delete_webhook(&one.webhook.uuid).await.unwrap();
    let again = put(store, "one", &unlimited("a")).await;
    let new = accept(store, &again, 1).await;
    assert_eq!(ids(&due(store, one.lane_id).await), new);
    assert_eq!(store.discard(100).await.unwrap(), 1);
    assert_eq!(status(store, accepted[0]).await, DeliveryStatus::Discarded);
}
