//! L1-L3, L10.

use postrider_store::{Lease, LimitedClaim};

use crate::acts::*;
use crate::{HotStore, World};

pub async fn one_leader_at_a_time(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &limited("a")).await;
    accept(store, &one, 1).await;
    let first = take_lead(store, one.lane_id, worker(), MOMENT).await.unwrap();
    assert_eq!(take_lead(store, one.lane_id, worker(), HOUR).await, None);
    let second = wait_until(store, "the lease ends", async || {
        take_lead(store, one.lane_id, worker(), HOUR).await
    })
    .await;
    assert!(second.epoch > first.epoch);
    assert!(store.renew(&[first], HOUR).await.unwrap().is_empty(), "lost");
    store.give_up(&[first]).await.unwrap();
    assert!(lane(store, one.lane_id).await.limit.leased, "not his to give");
    store.give_up(&[second]).await.unwrap();
    assert!(!lane(store, one.lane_id).await.limit.leased);
}

pub async fn a_lane_without_work_is_not_led(world: &impl World) {
    let store = world.store();
    let idle = put(store, "idle", &limited("idle")).await;
    assert_eq!(take_lead(store, idle.lane_id, worker(), HOUR).await, None);
    let free = put(store, "free", &unlimited("free")).await;
    accept(store, &free, 1).await;
    assert_eq!(take_lead(store, free.lane_id, worker(), HOUR).await, None, "unlimited");
    assert!(store.hold_by_hand("idle").await.unwrap());
    assert!(take_lead(store, idle.lane_id, worker(), HOUR).await.is_some(), "held");
}

/// OWNER_NEW: a worker that takes its own lane again is a new leader.
pub async fn each_acquisition_raises_the_epoch(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &limited("a")).await;
    accept(store, &one, 1).await;
    let me = worker();
    let first = take_lead(store, one.lane_id, me, ms(20)).await.unwrap();
    let second =
        wait_until(store, "the lease ends", async || take_lead(store, one.lane_id, me, HOUR).await)
            .await;
    assert!(second.epoch > first.epoch);
    assert!(store.renew(&[first], HOUR).await.unwrap().is_empty());
    let old = claim_as(store, first, MINUTE).await;
    assert!(matches!(old, LimitedClaim::NotPermitted), "{old:?}");
    assert_eq!(claimed(claim_as(store, second, MINUTE).await).len(), 1);
}

pub async fn renewal_needs_owner_and_epoch(world: &impl World) {
    let store = world.store();
    let mut leases = Vec::new();
    for name in ["a", "b", "c"] {
        let webhook = put(store, name, &limited(name)).await;
        accept(store, &webhook, 1).await;
        leases.push(lead(store, webhook.lane_id).await);
    }
    let wrong_owner = Lease { worker: worker(), ..leases[0] };
    let wrong_epoch = Lease { epoch: leases[1].epoch + 1, ..leases[1] };
    let kept = store.renew(&[wrong_owner, wrong_epoch, leases[2]], HOUR).await.unwrap();
    assert_eq!(kept, [leases[2]]);
    let mut all = store.renew(&leases, HOUR).await.unwrap();
    all.sort_by_key(|lease| lease.limit);
    assert_eq!(all, leases);
    assert!(store.renew(&[], HOUR).await.unwrap().is_empty());
}

pub async fn a_change_of_kind_ends_the_lease(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &limited("a")).await;
    accept(store, &one, 1).await;
    let lease = lead(store, one.lane_id).await;
    let mut faster = limited("a");
    faster.limits.burst = 9;
    assert_eq!(store.sync_lanes(&[faster]).await.unwrap(), 1);
    assert_eq!(store.renew(&[lease], HOUR).await.unwrap(), [lease], "a new rate keeps it");
    store.sync_lanes(&[unlimited("a")]).await.unwrap();
    assert!(store.renew(&[lease], HOUR).await.unwrap().is_empty());
    assert!(!lane(store, one.lane_id).await.limit.leased);
}
