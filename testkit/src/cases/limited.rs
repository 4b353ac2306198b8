//! T5: the claim, not the lease, is the permission to send.

use std::time::Duration;

use postrider_domain::LaneLimits;
use postrider_store::{LaneSpec, Lease, LimitedClaim};

use crate::acts::*;
use crate::{HotStore, World};

fn is_refused(claim: &LimitedClaim) -> bool {
    matches!(claim, LimitedClaim::NotPermitted)
}

pub async fn only_the_leader_claims(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &limited("a")).await;
    let accepted = accept(store, &one, 1).await;
    let lease = lead(store, one.lane_id).await;
    let other = Lease { worker: worker(), ..lease };
    let older = Lease { epoch: lease.epoch - 1, ..lease };
    for wrong in [other, older] {
        assert!(is_refused(&claim_as(store, wrong, MINUTE).await));
    }
    assert_eq!(ids(&claimed(claim_as(store, lease, MINUTE).await)), accepted);
    assert!(claimed(claim_as(store, lease, MINUTE).await).is_empty());
}

pub async fn an_expired_lease_claims_nothing(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &limited("a")).await;
    accept(store, &one, 1).await;
    let lease = take_lead(store, one.lane_id, worker(), ms(30)).await.unwrap();
    wait_until(store, "the lease ends", async || {
        (!lane(store, one.lane_id).await.limit.leased).then_some(())
    })
    .await;
    assert!(is_refused(&claim_as(store, lease, MINUTE).await));
    assert_eq!(store.renew(&[lease], HOUR).await.unwrap(), [lease], "nobody took it");
    assert_eq!(claimed(claim_as(store, lease, MINUTE).await).len(), 1);
}

pub async fn a_closed_lane_claims_nothing(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &limited("a")).await;
    accept(store, &one, 1).await;
    let lease = lead(store, one.lane_id).await;
    assert!(store.hold_by_hand("a").await.unwrap());
    assert!(is_refused(&claim_as(store, lease, MINUTE).await), "held");
    assert!(store.release_by_hand("a").await.unwrap());
    store.pause(one.lane_id, MOMENT).await.unwrap();
    assert!(is_refused(&claim_as(store, lease, MINUTE).await), "paused");
    wait_until(store, "the pause ends", async || match claim_as(store, lease, MINUTE).await {
        LimitedClaim::Claimed(claims) => (claims.len() == 1).then_some(()),
        LimitedClaim::OldClaims | LimitedClaim::HourFull { .. } | LimitedClaim::NotPermitted => {
            None
        }
    })
    .await;
}

pub async fn claims_of_the_old_leader_are_waited_for(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &limited("a")).await;
    let accepted = accept(store, &one, 2).await;
    let old = lead(store, one.lane_id).await;
    let first = store.claim_limited(unpaced(old, 1, terms(MOMENT))).await.unwrap();
    assert_eq!(ids(&claimed(first)), accepted[..1]);
    store.give_up(&[old]).await.unwrap();
    let new = lead(store, one.lane_id).await;
    assert!(new.epoch > old.epoch);
    let waiting = claim_as(store, new, MINUTE).await;
    assert!(matches!(waiting, LimitedClaim::OldClaims), "{waiting:?}");
    let after = wait_until(store, "the old claim ends", async || {
        match claim_as(store, new, MINUTE).await {
            LimitedClaim::Claimed(claims) => Some(claims),
            LimitedClaim::OldClaims => None,
            other @ (LimitedClaim::HourFull { .. } | LimitedClaim::NotPermitted) => {
                panic!("{other:?}")
            }
        }
    });
    assert_eq!(ids(&after.await), accepted[1..], "the expired one is the janitor's");
}

pub async fn claims_from_before_the_lane_was_limited_are_waited_for(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let accepted = accept(store, &one, 2).await;
    let claim = by_message(store, &accepted[..1]).await.remove(0);
    assert_eq!(store.sync_lanes(&[limited("a")]).await.unwrap(), 1);
    let lease = lead(store, one.lane_id).await;
    let waiting = claim_as(store, lease, MINUTE).await;
    assert!(matches!(waiting, LimitedClaim::OldClaims), "{waiting:?}");
    record(store, &[delivered(&claim)]).await;
    assert_eq!(ids(&claimed(claim_as(store, lease, MINUTE).await)), accepted[1..]);
}

/// LEASE_IN_CLAIM: limited, unlimited, limited again; the first leader goes on from memory.
pub async fn a_lease_from_before_two_flips_is_worthless(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &limited("a")).await;
    accept(store, &one, 2).await;
    let old = lead(store, one.lane_id).await;
    store.sync_lanes(&[unlimited("a")]).await.unwrap();
    assert!(is_refused(&claim_as(store, old, MINUTE).await), "unlimited");
    store.sync_lanes(&[limited("a")]).await.unwrap();
    assert!(is_refused(&claim_as(store, old, MINUTE).await), "limited again");
    let new = lead(store, one.lane_id).await;
    assert!(is_refused(&claim_as(store, old, MINUTE).await), "led by another");
    assert_eq!(claimed(claim_as(store, new, MINUTE).await).len(), 2);
}

pub async fn oldest_first_and_what_is_given_back_keeps_its_place(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &limited("a")).await;
    let mut accepted = accept(store, &one, 3).await;
    let lease = lead(store, one.lane_id).await;
    let next = async |n| some_as(store, lease, n).await;
    let first = next(2).await;
    assert_eq!(ids(&first), accepted[..2]);
    accepted.extend(accept(store, &one, 1).await);
    let given_back = [over_limit(&first[0], Some(Duration::from_micros(1))), released(&first[1])];
    record(store, &given_back).await;
    let again = next(10).await;
    assert_eq!(ids(&again), accepted);
    assert!(again.iter().all(|claim| claim.attempt == 1));
    record(store, &[retry(&again[0], HOUR, false), released(&again[1])]).await;
    assert_eq!(ids(&next(10).await), accepted[1..2], "a retry waits until it is due");
}

fn per_hour(n: u32) -> LaneSpec {
    let spec = limited("a");
    LaneSpec { limits: LaneLimits { per_hour: Some(n), ..spec.limits }, ..spec }
}

pub async fn an_hours_budget_is_counted_at_the_claim(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &per_hour(3)).await;
    accept(store, &one, 6).await;
    let lease = lead(store, one.lane_id).await;
    let first = some_as(store, lease, 2).await;
    assert_eq!(first.len(), 2);
    let second = claimed(claim_as(store, lease, MINUTE).await);
    assert_eq!(second.len(), 1, "what is left of three");
    assert!(matches!(claim_as(store, lease, MINUTE).await, LimitedClaim::HourFull { .. }));
    record(store, &[delivered(&first[0])]).await;
    assert!(matches!(claim_as(store, lease, MINUTE).await, LimitedClaim::HourFull { .. }));
    record(store, &[released(&second[0])]).await;
    let third = claimed(claim_as(store, lease, MINUTE).await);
    assert_eq!(ids(&third), ids(&second), "what was not sent does not count");
    assert!(matches!(claim_as(store, lease, MINUTE).await, LimitedClaim::HourFull { .. }));
}

pub async fn a_lane_that_becomes_limited_strands_nothing(world: &impl World) {
    let store = &world.another(HOUR).await;
    let one = put(store, "one", &unlimited("a")).await;
    let accepted = accept(store, &one, 3).await;
    assert_eq!(store.sync_lanes(&[limited("a")]).await.unwrap(), 1);
    let lease = lead(store, one.lane_id).await;
    assert_eq!(ids(&claimed(claim_as(store, lease, MINUTE).await)), accepted);
}

pub async fn a_lane_that_becomes_unlimited_strands_nothing(world: &impl World) {
    let store = &world.another(HOUR).await;
    let one = put(store, "one", &limited("a")).await;
    let accepted = accept(store, &one, 3).await;
    assert!(by_message(store, &accepted[..1]).await.is_empty());
    assert_eq!(store.sync_lanes(&[unlimited("a")]).await.unwrap(), 1);
    assert_eq!(ids(&due(store, one.lane_id).await), accepted);
}
