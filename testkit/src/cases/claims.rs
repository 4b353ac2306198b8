//! T3, T4.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join;
use postrider_domain::{ClaimNo, DeliveryId, DeliveryStatus, Refusal, WebhookId};
use uuid::Uuid;

use crate::acts::*;
use crate::{HotStore, World};

pub async fn a_message_claims_a_fresh_delivery_once(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let accepted = accept(store, &one, 3).await;
    let claims = by_message(store, &accepted).await;
    assert_eq!(ids(&claims), accepted);
    assert!(claims.iter().all(|claim| claim.claim_no == ClaimNo(1) && claim.attempt == 1));
    assert!(by_message(store, &accepted).await.is_empty(), "a second copy");
    assert!(by_message(store, &[DeliveryId(Uuid::now_v7())]).await.is_empty(), "a stranger");
    assert!(by_message(store, &[]).await.is_empty());
}

pub async fn a_message_never_claims_a_second_time(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let accepted = accept(store, &one, 3).await;
    let claims = by_message(store, &accepted).await;
    let outcomes =
        [retry(&claims[0], Duration::ZERO, false), released(&claims[1]), delivered(&claims[2])];
    record(store, &outcomes).await;
    assert!(by_message(store, &accepted).await.is_empty(), "ROAD_FRESH");
    let again = due(store, one.lane_id).await;
    assert_eq!(ids(&again).iter().collect::<HashSet<_>>(), accepted[..2].iter().collect());
}

pub async fn a_message_leaves_closed_lanes_alone(world: &impl World) {
    let store = &world.another(HOUR).await;
    let held = put(store, "held", &unlimited("held")).await;
    let paused = put(store, "paused", &unlimited("paused")).await;
    let open = put(store, "open", &unlimited("open")).await;
    let mut all = Vec::new();
    for webhook in [&held, &paused, &open] {
        all.extend(accept(store, webhook, 1).await);
    }
    assert!(store.hold_by_hand("held").await.unwrap());
    store.pause(paused.lane_id, MOMENT).await.unwrap();
    assert_eq!(ids(&by_message(store, &all).await), all[2..]);
    assert!(store.release_by_hand("held").await.unwrap());
    // What no message could claim does not wait for its sweep.
    assert_eq!(ids(&due(store, held.lane_id).await), all[..1]);
    let later = wait_until(store, "the pause ends", async || {
        Some(due(store, paused.lane_id).await).filter(|claims| !claims.is_empty())
    });
    assert_eq!(ids(&later.await), all[1..2]);
}

pub async fn a_message_leaves_limited_lanes_alone(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &limited("a")).await;
    let accepted = accept(store, &one, 1).await;
    assert!(by_message(store, &accepted).await.is_empty());
    assert!(due(store, one.lane_id).await.is_empty(), "T4 is for unlimited lanes too");
    assert_eq!(status(store, accepted[0]).await, DeliveryStatus::Queued);
}

pub async fn a_message_leaves_webhooks_out_of_place_alone(world: &impl World) {
    let store = world.store();
    let (a, b) = (unlimited("a"), unlimited("b"));
    for (uuid, change) in [("moved", 0), ("disabled", 1), ("deleted", 2)] {
        let webhook = put(store, uuid, &a).await;
        let accepted = accept(store, &webhook, 1).await;
        match change {
            0 => drop(put(store, uuid, &b).await),
            1 => disable(store, uuid, &a).await,
            _ => assert!(store.delete_webhook(&webhook.webhook.uuid).await.unwrap()),
        }
        assert!(by_message(store, &accepted).await.is_empty(), "{uuid}");
        assert!(due(store, webhook.lane_id).await.is_empty(), "{uuid}");
    }
}

pub async fn due_deliveries_are_claimed_oldest_first(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let accepted = accept(store, &one, 5).await;
    let first = some_due(store, one.lane_id, 3).await;
    assert_eq!(ids(&first), accepted[..3]);
    assert_eq!(ids(&due(store, one.lane_id).await), accepted[3..]);
    assert!(due(store, one.lane_id).await.is_empty());
}

pub async fn what_is_not_due_is_not_claimed(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let accepted = accept(store, &one, 2).await;
    let claims = by_message(store, &accepted).await;
    record(store, &[retry(&claims[0], HOUR, false), retry(&claims[1], MOMENT, false)]).await;
    assert!(due(store, one.lane_id).await.is_empty());
    let later = wait_until(store, "the shorter wait ends", async || {
        Some(due(store, one.lane_id).await).filter(|claims| !claims.is_empty())
    });
    let claims = later.await;
    assert_eq!(ids(&claims), accepted[1..]);
    assert_eq!(claims[0].attempt, 2);
}

pub async fn due_deliveries_of_closed_lanes_stay(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let accepted = accept(store, &one, 1).await;
    assert!(store.hold_by_hand("a").await.unwrap());
    assert!(due(store, one.lane_id).await.is_empty(), "held");
    assert!(store.release_by_hand("a").await.unwrap());
    store.pause(one.lane_id, MOMENT).await.unwrap();
    assert!(due(store, one.lane_id).await.is_empty(), "paused");
    let later = wait_until(store, "the pause ends", async || {
        Some(due(store, one.lane_id).await).filter(|claims| !claims.is_empty())
    });
    assert_eq!(ids(&later.await), accepted);
}

pub async fn two_workers_never_share_a_claim(world: &impl World) {
    let (left, right) = (world.store(), &world.another(Duration::ZERO).await);
    let one = put(left, "one", &unlimited("a")).await;
    let accepted = accept(left, &one, 200).await;
    let mut seen: HashSet<(DeliveryId, ClaimNo)> = HashSet::new();
    for _ in 0..20 {
        let (a, b) = join(some_due(left, one.lane_id, 10), some_due(right, one.lane_id, 10)).await;
        for claim in a.iter().chain(&b) {
            assert!(seen.insert((claim.id, claim.claim_no)), "claimed twice: {}", claim.id);
        }
    }
    seen.extend(due(left, one.lane_id).await.iter().map(|claim| (claim.id, claim.claim_no)));
    assert_eq!(seen.len(), accepted.len());
    let copies = accept(left, &one, 100).await;
    let (a, b) = join(by_message(left, &copies), by_message(right, &copies)).await;
    let both: HashSet<_> = ids(&a).into_iter().chain(ids(&b)).collect();
    assert_eq!((a.len() + b.len(), both.len()), (100, 100));
}

pub async fn a_claim_brings_what_its_attempt_needs(world: &impl World) {
    let store = world.store();
    put(store, "one", &unlimited("a")).await;
    let one = put(store, "one", &unlimited("a")).await;
    let mut new = entry(None, &[&one]);
    new.event.traceparent = Some("00-1-2-01".to_owned());
    commit(store, vec![new.clone()]).await;
    let claim = by_message(store, &[new.deliveries[0].id]).await.remove(0);
    let event: postrider_domain::Event = serde_json::from_str(&claim.event).unwrap();
    assert_eq!(&event, new.event.event.event());
    assert_eq!(claim.traceparent.as_deref(), Some("00-1-2-01"));
    assert_eq!((claim.event_id, claim.webhook_id), (new.event.id, one.id));
    assert_eq!((claim.lane_id, claim.webhook_rev), (one.lane_id, one.rev));
    assert_eq!(claim.secret_rev, lane(store, one.lane_id).await.secret_rev);
    assert_eq!((claim.maybe_sent, claim.lost_claims, claim.rejections), (false, 0, 0));
    assert_ne!(claim.webhook_id, WebhookId(0));
    record(store, &[rejected(&claim, Refusal::AtGithub)]).await;
}
