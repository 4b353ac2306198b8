//! L1-L3, L10.

use postrider_store::Lease;

use crate::acts::*;
use crate::harness::{World, wait_until};

pub(crate) async fn one_leader_at_a_time(world: World) {
    let store = world.store();
    let one = put(store, "one", &limited("a")).await;
    accept(store, &one, 1).await;
    let first = store.acquire(one.lane_id, worker(), MOMENT).await.unwrap().unwrap();
    assert_eq!(store.acquire(one.lane_id, worker(), HOUR).await.unwrap(), None);
    let second = wait_until("the lease ends", async || {
        store.acquire(one.lane_id, worker(), HOUR).await.unwrap()
    })
    .await;
    assert_eq!(second.epoch, first.epoch + 1);
    assert!(store.renew(&[first], HOUR).await.unwrap().is_empty(), "lost");
    store.give_up(&[first]).await.unwrap();
    assert!(lane(store, one.lane_id).await.leased, "not his to give");
    store.give_up(&[second]).await.unwrap();
    assert!(!lane(store, one.lane_id).await.leased);
}

pub(crate) async fn a_lane_without_work_is_not_led(world: World) {
    let store = world.store();
    let idle = put(store, "idle", &limited("idle")).await;
    assert_eq!(store.acquire(idle.lane_id, worker(), HOUR).await.unwrap(), None);
    let free = put(store, "free", &unlimited("free")).await;
    accept(store, &free, 1).await;
    assert_eq!(store.acquire(free.lane_id, worker(), HOUR).await.unwrap(), None, "unlimited");
    store.hold_by_hand("idle").await.unwrap().unwrap();
    assert!(store.acquire(idle.lane_id, worker(), HOUR).await.unwrap().is_some(), "held");
}

/// OWNER_NEW: a worker that takes its own lane again is a new leader.
pub(crate) async fn each_acquisition_raises_the_epoch(world: World) {
    let store = world.store();
    let one = put(store, "one", &limited("a")).await;
    accept(store, &one, 1).await;
    let me = worker();
    let first = store.acquire(one.lane_id, me, ms(20)).await.unwrap().unwrap();
    let second =
        wait_until("the lease ends", async || store.acquire(one.lane_id, me, HOUR).await.unwrap())
            .await;
    assert!(second.epoch > first.epoch);
    assert!(store.renew(&[first], HOUR).await.unwrap().is_empty());
    let old = claim_as(store, first, MINUTE).await;
    assert!(matches!(old, postrider_store::LimitedClaim::NotPermitted), "{old:?}");
    assert_eq!(claimed(claim_as(store, second, MINUTE).await).len(), 1);
}

pub(crate) async fn renewal_needs_owner_and_epoch(world: World) {
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
    all.sort_by_key(|lease| lease.lane_id);
    assert_eq!(all, leases);
    assert!(store.renew(&[], HOUR).await.unwrap().is_empty());
}

pub(crate) async fn a_change_of_kind_ends_the_lease(world: World) {
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
    assert!(!lane(store, one.lane_id).await.leased);
}
