//! J1-J4.

use std::time::Duration;

use postrider_domain::{DeliveryId, DeliveryStatus, LaneId, Outcome};
use postrider_store::{Claim, Expired, StoredWebhook};

use crate::acts::*;
use crate::{HotStore, World};

/// Claims what is due and lets the claims run out; what the janitor did.
pub async fn lose(
    store: &impl HotStore,
    lane: LaneId,
    suspect: bool,
) -> (Vec<Claim>, Vec<DeliveryId>) {
    let claims = store.claim_due(&[share(lane, 100)], suspect, terms(ms(20))).await.unwrap();
    assert!(!claims.is_empty(), "something is due");
    let (mut back, mut poisoned) = (0, Vec::new());
    wait_until(store, "the claims expire", async || {
        let expired = store.expire_claims(100).await.unwrap();
        back += expired.given_back.len();
        poisoned.extend(expired.poisoned);
        (back + poisoned.len() == claims.len()).then_some(())
    })
    .await;
    (claims, poisoned)
}

pub async fn a_lost_claim_is_given_back_and_marked(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let accepted = accept(store, &one, 2).await;
    lose(store, one.lane_id, false).await;
    let seen = seen(store, accepted[0]).await;
    assert_eq!(seen.status, DeliveryStatus::Retrying);
    assert_eq!((seen.attempts, seen.last_outcome), (1, Some(Outcome::Lost)));
    assert_eq!(seen.made, [(1, Outcome::Lost, false)]);
    let again = due(store, one.lane_id).await;
    assert_eq!(ids(&again), accepted, "oldest first still");
    let marks = again.iter().map(|c| (c.attempt, c.maybe_sent, c.lost_claims));
    assert!(marks.eq([(1, true, 1); 2]));
}

pub async fn a_running_claim_is_left_alone(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let accepted = accept(store, &one, 2).await;
    let claims = by_message(store, &accepted[..1]).await;
    let expired = store.expire_claims(100).await.unwrap();
    assert_eq!(expired, Expired::default());
    assert!(record(store, &[delivered(&claims[0])]).await.late.is_empty());
}

/// EXPIRE, REASSIGN: d0 claimed, its worker dies; d1 is refused and holds the lane; the webhook
/// moves to another secret. Both have to follow.
pub async fn claims_expire_in_a_held_lane_and_follow_their_webhook(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    accept(store, &one, 1).await;
    let dead = due_for(store, one.lane_id, ms(20)).await.remove(0);
    hold_with(store, &one).await;
    let moved = put(store, "one", &unlimited("b")).await;
    assert_ne!(moved.lane_id, one.lane_id);
    wait_until(store, "both have moved", async || {
        store.expire_claims(100).await.unwrap();
        store.reassign_lanes(100).await.unwrap();
        (!lane(store, one.lane_id).await.open).then_some(())
    })
    .await;
    let claims = due(store, moved.lane_id).await;
    assert_eq!(claims.len(), 2);
    assert!(claims.iter().any(|claim| claim.id == dead.id && claim.maybe_sent));
}

pub async fn suspects_are_claimed_alone(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let accepted = accept(store, &one, 2).await;
    for _ in 0..3 {
        lose(store, one.lane_id, false).await;
    }
    let innocent = accept(store, &one, 2).await;
    assert_eq!(ids(&due(store, one.lane_id).await), innocent);
    let suspect = store.claim_due(&[share(one.lane_id, 100)], true, terms(MINUTE)).await.unwrap();
    assert_eq!(ids(&suspect), accepted[..1], "exactly one");
    assert_eq!(suspect[0].lost_claims, 3);
}

pub async fn what_waits_follows_its_webhook_out_of_a_held_lane(world: &impl World) {
    let store = &world.another(HOUR).await;
    let one = put(store, "one", &unlimited("a")).await;
    let fresh = accept(store, &one, 1).await[0];
    let held = hold_with(store, &one).await;
    assert_eq!(store.reassign_lanes(100).await.unwrap(), 0, "everything is in place");
    let moved = put(store, "one", &unlimited("b")).await;
    assert!(due(store, moved.lane_id).await.is_empty());
    assert_eq!(store.reassign_lanes(1).await.unwrap(), 1);
    assert_eq!(store.reassign_lanes(100).await.unwrap(), 1);
    assert_eq!(store.reassign_lanes(100).await.unwrap(), 0);
    let mut both = [fresh, held];
    both.sort();
    assert_eq!(ids(&due(store, moved.lane_id).await), both, "due at once, oldest first");
}

pub async fn waiting(store: &impl HotStore, uuid: &str) -> (StoredWebhook, DeliveryId, DeliveryId) {
    let webhook = put(store, uuid, &unlimited(uuid)).await;
    let held = hold_with(store, &webhook).await;
    let fresh = accept(store, &webhook, 1).await[0];
    (webhook, held, fresh)
}

pub async fn deliveries_of_disabled_webhooks_are_discarded(world: &impl World) {
    let store = world.store();
    let (_, held, fresh) = waiting(store, "one").await;
    disable(store, "one", &unlimited("one")).await;
    assert_eq!(store.discard(100).await.unwrap(), 2);
    for id in [held, fresh] {
        let row = seen(store, id).await;
        assert_eq!(row.last_outcome, Some(Outcome::WebhookDisabled));
    }
    let back = put(store, "one", &unlimited("one")).await;
    assert!(store.release_by_hand("one").await.unwrap());
    let new = accept(store, &back, 1).await;
    assert_eq!(ids(&due(store, back.lane_id).await), new, "enabled again, for what comes now");
}

pub async fn a_claimed_delivery_is_discarded_once_it_waits(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let accepted = accept(store, &one, 2).await;
    let claims = by_message(store, &accepted).await;
    store.delete_webhook(&one.webhook.uuid).await.unwrap();
    assert_eq!(store.discard(100).await.unwrap(), 0, "both are on their way");
    record(store, &[delivered(&claims[0]), retry(&claims[1], Duration::ZERO, false)]).await;
    assert_eq!(store.discard(100).await.unwrap(), 1);
    assert_eq!(status(store, accepted[0]).await, DeliveryStatus::Delivered);
    assert_eq!(status(store, accepted[1]).await, DeliveryStatus::Discarded);
}

pub async fn a_uuid_used_again_revives_nothing(world: &impl World) {
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
