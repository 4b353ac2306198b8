//! T3, T4.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join;
use postrider_domain::{ClaimNo, DeliveryId, DeliveryStatus, WebhookId};
use postrider_store::HoldProof;
use uuid::Uuid;

use crate::acts::*;
use crate::harness::{World, wait_until};

pub(crate) async fn the_road_claims_a_fresh_delivery_once(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let accepted = accept(store, &one, 3).await;
    let claims = road(store, &accepted).await;
    assert_eq!(ids(&claims), accepted);
    assert!(claims.iter().all(|claim| claim.claim_no == ClaimNo(1) && claim.attempt == 1));
    assert!(road(store, &accepted).await.is_empty(), "a second copy");
    assert!(road(store, &[DeliveryId(Uuid::now_v7())]).await.is_empty(), "a stranger");
    assert!(road(store, &[]).await.is_empty());
}

pub(crate) async fn the_road_never_claims_a_second_time(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let accepted = accept(store, &one, 3).await;
    let claims = road(store, &accepted).await;
    let outcomes =
        [retry(&claims[0], Duration::ZERO, false), released(&claims[1]), delivered(&claims[2])];
    record(store, &outcomes).await;
    assert!(road(store, &accepted).await.is_empty(), "ROAD_FRESH");
    let again = due(store, one.lane_id).await;
    assert_eq!(ids(&again).iter().collect::<HashSet<_>>(), accepted[..2].iter().collect());
}

pub(crate) async fn the_road_leaves_closed_lanes_alone(world: World) {
    let store = world.another(HOUR).await;
    let held = put(&store, "held", &unlimited("held")).await;
    let paused = put(&store, "paused", &unlimited("paused")).await;
    let open = put(&store, "open", &unlimited("open")).await;
    let mut all = Vec::new();
    for webhook in [&held, &paused, &open] {
        all.extend(accept(&store, webhook, 1).await);
    }
    store.hold_by_hand("held").await.unwrap().unwrap();
    store.pause(paused.lane_id, MOMENT).await.unwrap();
    assert_eq!(ids(&road(&store, &all).await), all[2..]);
    store.release_by_hand("held").await.unwrap().unwrap();
    // What the road could not claim does not wait for its sweep.
    assert_eq!(ids(&due(&store, held.lane_id).await), all[..1]);
    let later = wait_until("the pause ends", async || {
        Some(due(&store, paused.lane_id).await).filter(|claims| !claims.is_empty())
    });
    assert_eq!(ids(&later.await), all[1..2]);
    store.close().await;
}

pub(crate) async fn the_road_leaves_limited_lanes_alone(world: World) {
    let store = world.store();
    let one = put(store, "one", &limited("a")).await;
    let accepted = accept(store, &one, 1).await;
    assert!(road(store, &accepted).await.is_empty());
    assert!(due(store, one.lane_id).await.is_empty(), "T4 is for unlimited lanes too");
    assert_eq!(status(store, accepted[0]).await, DeliveryStatus::Queued);
}

pub(crate) async fn the_road_leaves_webhooks_out_of_place_alone(world: World) {
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
        assert!(road(store, &accepted).await.is_empty(), "{uuid}");
        assert!(due(store, webhook.lane_id).await.is_empty(), "{uuid}");
    }
}

pub(crate) async fn due_deliveries_are_claimed_oldest_first(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let accepted = accept(store, &one, 5).await;
    let first = store.claim_due(one.lane_id, 3, false, terms(MINUTE)).await.unwrap();
    assert_eq!(ids(&first), accepted[..3]);
    assert_eq!(ids(&due(store, one.lane_id).await), accepted[3..]);
    assert!(due(store, one.lane_id).await.is_empty());
}

pub(crate) async fn what_is_not_due_is_not_claimed(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let accepted = accept(store, &one, 2).await;
    let claims = road(store, &accepted).await;
    record(store, &[retry(&claims[0], HOUR, false), retry(&claims[1], MOMENT, false)]).await;
    assert!(due(store, one.lane_id).await.is_empty());
    let later = wait_until("the shorter wait ends", async || {
        Some(due(store, one.lane_id).await).filter(|claims| !claims.is_empty())
    });
    let claims = later.await;
    assert_eq!(ids(&claims), accepted[1..]);
    assert_eq!(claims[0].attempt, 2);
}

pub(crate) async fn due_deliveries_of_closed_lanes_stay(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let accepted = accept(store, &one, 1).await;
    store.hold_by_hand("a").await.unwrap().unwrap();
    assert!(due(store, one.lane_id).await.is_empty(), "held");
    store.release_by_hand("a").await.unwrap().unwrap();
    store.pause(one.lane_id, MOMENT).await.unwrap();
    assert!(due(store, one.lane_id).await.is_empty(), "paused");
    let later = wait_until("the pause ends", async || {
        Some(due(store, one.lane_id).await).filter(|claims| !claims.is_empty())
    });
    assert_eq!(ids(&later.await), accepted);
}

pub(crate) async fn claim_numbers_only_grow(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let id = accept(store, &one, 1).await[0];
    let mut numbers = Vec::new();
    let claim = road(store, &[id]).await.remove(0);
    numbers.push((claim.claim_no.0, claim.attempt));
    record(store, &[released(&claim)]).await;
    let claim = due(store, one.lane_id).await.remove(0);
    numbers.push((claim.claim_no.0, claim.attempt));
    record(store, &[over_limit(&claim, Some(Duration::ZERO))]).await;
    let claim = due_for(store, one.lane_id, ms(50)).await.remove(0);
    numbers.push((claim.claim_no.0, claim.attempt));
    wait_until("the claim expires", async || {
        let expired = store.expire_claims(10).await.unwrap();
        (expired.given_back == [id]).then_some(())
    })
    .await;
    let claim = due(store, one.lane_id).await.remove(0);
    numbers.push((claim.claim_no.0, claim.attempt));
    record(store, &[failed(&claim)]).await;
    store.replay(&by_id(id), false, true).await.unwrap();
    let claim = due(store, one.lane_id).await.remove(0);
    numbers.push((claim.claim_no.0, claim.attempt));
    assert_eq!(numbers, [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1)]);
}

fn by_id(id: DeliveryId) -> postrider_store::DeliveryFilter {
    postrider_store::DeliveryFilter { ids: Some(vec![id]), ..Default::default() }
}

pub(crate) async fn two_workers_never_share_a_claim(world: World) {
    let (left, right) = (world.store(), world.another(Duration::ZERO).await);
    let one = put(left, "one", &unlimited("a")).await;
    let accepted = accept(left, &one, 200).await;
    let mut seen: HashSet<(DeliveryId, ClaimNo)> = HashSet::new();
    for _ in 0..20 {
        let claim = |store| async move {
            let store: &postrider_store::Store = store;
            store.claim_due(one.lane_id, 10, false, terms(MINUTE)).await.unwrap()
        };
        let (a, b) = join(claim(left), claim(&right)).await;
        for claim in a.iter().chain(&b) {
            assert!(seen.insert((claim.id, claim.claim_no)), "claimed twice: {}", claim.id);
        }
    }
    seen.extend(due(left, one.lane_id).await.iter().map(|claim| (claim.id, claim.claim_no)));
    assert_eq!(seen.len(), accepted.len());
    let road_copies = accept(left, &one, 100).await;
    let (a, b) = join(road(left, &road_copies), road(&right, &road_copies)).await;
    let both: HashSet<_> = ids(&a).into_iter().chain(ids(&b)).collect();
    assert_eq!((a.len() + b.len(), both.len()), (100, 100));
    right.close().await;
}

pub(crate) async fn a_claim_brings_what_its_attempt_needs(world: World) {
    let store = world.store();
    put(store, "one", &unlimited("a")).await;
    let one = put(store, "one", &unlimited("a")).await;
    let mut new = entry(None, &[&one]);
    new.event.traceparent = Some("00-1-2-01".to_owned());
    commit(store, vec![new.clone()]).await;
    let claim = road(store, &[new.deliveries[0].id]).await.remove(0);
    let event: postrider_domain::Event = serde_json::from_str(&claim.event).unwrap();
    assert_eq!(event, new.event.event);
    assert_eq!(claim.traceparent.as_deref(), Some("00-1-2-01"));
    assert_eq!((claim.event_id, claim.webhook_id), (new.event.id, one.id));
    assert_eq!((claim.lane_id, claim.webhook_rev), (one.lane_id, one.rev));
    assert_eq!(claim.secret_rev, lane(store, one.lane_id).await.secret_rev);
    assert_eq!((claim.maybe_sent, claim.lost_claims, claim.refusals), (false, 0, 0));
    assert_ne!(claim.webhook_id, WebhookId(0));
    record(store, &[refused(&claim, HoldProof::One)]).await;
}
