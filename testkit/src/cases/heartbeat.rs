//! HEARTBEAT, AHEAD: what dead workers leave is given back as soon as it has ended.

use std::time::Duration;

use postrider_domain::{DeliveryId, LaneId};
use postrider_store::{Beat, ClaimTerms, GivenBack, UnclaimNo, WorkerId};

use crate::acts::*;
use crate::{HotStore, World};

pub async fn beat(store: &impl HotStore, worker: WorkerId, claim: Duration) {
    store.beat(of(worker, claim)).await.unwrap();
}

pub fn of(worker: WorkerId, claim: Duration) -> Beat {
    let unclaimed = UnclaimNo::default();
    Beat { worker, claim, lease: Duration::from_secs(1), unclaimed, trouble: None }
}

/// Fresh deliveries whose sweep is far away, claimed by this worker.
pub async fn claimed_by(
    store: &impl HotStore,
    worker: WorkerId,
    length: Duration,
    n: usize,
) -> (LaneId, Vec<DeliveryId>) {
    let one = put(store, "one", &unlimited("a")).await;
    let ids = accept(store, &one, n).await;
    let terms = ClaimTerms { worker, timeout: length, margin: Duration::ZERO };
    let claims = store.claim_fresh(&ids, terms).await.unwrap();
    assert_eq!(claims.len(), n);
    (one.lane_id, ids)
}

/// Gives back until the worker's row is gone; what it had.
pub async fn give_back_all(store: &impl HotStore, worker: WorkerId, limit: u32) -> Vec<DeliveryId> {
    let mut all = Vec::new();
    wait_until(store, "the worker's row is gone", async || {
        let GivenBack { worker: silent, expired, complete } =
            store.give_back(None, limit).await.unwrap()?;
        assert_eq!(silent, worker);
        assert!(expired.given_back.len() <= limit as usize);
        all.extend(expired.given_back);
        complete.then_some(())
    })
    .await;
    assert_eq!(store.give_back(None, limit).await.unwrap(), None);
    all.sort_unstable();
    all
}

pub async fn a_dead_workers_claims_come_back_before_their_sweep(world: &impl World) {
    let store = &world.another(HOUR).await;
    let dead = worker();
    beat(store, dead, ms(100)).await;
    let (lane, ids) = claimed_by(store, dead, ms(100), 3).await;
    assert_eq!(give_back_all(store, dead, 2).await, ids, "in chunks");
    assert_eq!(store.expire_claims(100).await.unwrap(), postrider_store::Expired::default());
    let again = due(store, lane).await;
    assert_eq!(crate::acts::ids(&again), ids);
    assert!(again.iter().all(|claim| claim.maybe_sent && claim.lost_claims == 1));
}

pub async fn a_silent_worker_keeps_claims_that_have_not_ended(world: &impl World) {
    let store = &world.another(HOUR).await;
    let (dead, later) = (worker(), worker());
    beat(store, dead, MOMENT).await;
    let (_, ids) = claimed_by(store, dead, ms(2900), 1).await;
    let first = wait_until(store, "it counts as silent", async || {
        store.give_back(None, 100).await.unwrap()
    })
    .await;
    assert!(!first.complete && first.expired.given_back.is_empty(), "{first:?}");
    // It was alive after all: what it says now counts.
    beat(store, dead, MINUTE).await;
    assert_eq!(store.give_back(None, 100).await.unwrap(), None);
    beat(store, dead, MOMENT).await;
    beat(store, later, MINUTE).await;
    assert_eq!(give_back_all(store, dead, 100).await, ids);
}

/// A webhook may have a longer time-out than the setting that the worker beats with.
pub async fn a_silent_worker_keeps_the_claim_of_a_slow_webhook(world: &impl World) {
    let store = &world.another(HOUR).await;
    let silent = worker();
    beat(store, silent, ms(100)).await;
    claimed_by(store, silent, MINUTE, 1).await;
    let found = wait_until(store, "it counts as silent", async || {
        store.give_back(None, 100).await.unwrap()
    })
    .await;
    assert!(!found.complete && found.expired.given_back.is_empty(), "{found:?}");
}

pub async fn a_claim_that_ends_too_far_ahead_has_ended(world: &impl World) {
    let store = &world.another(HOUR).await;
    let dead = worker();
    beat(store, dead, ms(100)).await;
    let (_, ids) = claimed_by(store, dead, HOUR, 1).await;
    assert_eq!(give_back_all(store, dead, 100).await, ids);
}
