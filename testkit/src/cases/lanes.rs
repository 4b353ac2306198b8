//! L4-L10, without leases.

use std::time::Duration;

use postrider_domain::{DeliveryStatus, LaneState, Refusal};
use postrider_store::{Lease, ProbeClaim};

use crate::acts::*;
use crate::{HotStore, World};

/// RELEASE_GEN: a probe starts; the lane is held anew meanwhile; the probe comes back good.
pub async fn a_probe_opens_only_its_own_hold(world: &impl World) {
    let store = world.store();
    let one = put_write(store, &write(webhook("one"), &unlimited("a"), &["token"])).await;
    hold_with(store, &one).await;
    let stale = store.claim_probe(one.lane_id, None, Duration::ZERO).await.unwrap().unwrap();
    assert!(store.release_by_hand("a").await.unwrap());
    hold_with(store, &one).await;
    assert!(!store.release_probed(one.lane_id, stale).await.unwrap(), "another hold");
    let fresh = store.claim_probe(one.lane_id, None, Duration::ZERO).await.unwrap().unwrap();
    assert!(fresh.hold_gen > stale.hold_gen);
    let older = ProbeClaim { secret_rev: fresh.secret_rev - 1, ..fresh };
    assert!(!store.release_probed(one.lane_id, older).await.unwrap(), "another secret");
    assert!(store.release_probed(one.lane_id, fresh).await.unwrap());
    assert!(!store.release_probed(one.lane_id, fresh).await.unwrap(), "open already");
    assert_eq!(lane(store, one.lane_id).await.state, LaneState::Open);
}

/// One delivery of a held lane, for the holder of its probe alone.
pub async fn the_canary_is_the_probes_alone(world: &impl World) {
    let store = world.store();
    let one = put_write(store, &write(webhook("one"), &unlimited("a"), &["token"])).await;
    let id = hold_with(store, &one).await;
    let probe = store.claim_probe(one.lane_id, None, Duration::ZERO).await.unwrap().unwrap();
    let probe_of = async |probe| probe_claim(store, one.lane_id, probe, None).await;
    let earlier = ProbeClaim { hold_gen: probe.hold_gen - 1, ..probe };
    assert!(probe_of(earlier).await.is_none(), "another hold");
    let older = ProbeClaim { secret_rev: probe.secret_rev - 1, ..probe };
    assert!(probe_of(older).await.is_none(), "another secret");
    assert!(due(store, one.lane_id).await.is_empty(), "closed for everybody else");
    let claim = probe_of(probe).await.unwrap();
    assert_eq!(claim.id, id);
    assert!(probe_of(probe).await.is_none(), "it is claimed already");
    record(store, &[delivered(&claim)]).await;
    assert_eq!(status(store, id).await, DeliveryStatus::Delivered);
    assert!(store.release_probed(one.lane_id, probe).await.unwrap());
    accept(store, &one, 1).await;
    assert!(probe_of(probe).await.is_none(), "the lane is open");
}

/// A limited lane's probe delivery is its leader's; a hold by hand has none.
pub async fn the_canary_of_a_limited_lane_is_its_leaders(world: &impl World) {
    let store = world.store();
    let one = put_write(store, &write(webhook("one"), &limited("a"), &["token"])).await;
    accept(store, &one, 1).await;
    let lease = lead(store, one.lane_id).await;
    let claim = claimed(claim_as(store, lease, MINUTE).await).remove(0);
    record(store, &[rejected(&claim, Refusal::AtGithub)]).await;
    let probe = store.claim_probe(one.lane_id, Some(lease), Duration::ZERO).await.unwrap().unwrap();
    let probe_of = async |lease| probe_claim(store, one.lane_id, probe, lease).await;
    assert!(probe_of(None).await.is_none(), "no leader");
    let former = Lease { epoch: lease.epoch - 1, ..lease };
    assert!(probe_of(Some(former)).await.is_none(), "a former leader");
    let claim = probe_of(Some(lease)).await.unwrap();
    record(store, &[released(&claim)]).await;
    assert!(store.hold_by_hand("a").await.unwrap());
    assert!(probe_of(Some(lease)).await.is_none(), "held by hand");
}

/// PROBE_CLAIM, PROBE_ANY.
pub async fn one_probe_an_interval(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    assert_eq!(store.claim_probe(one.lane_id, None, MINUTE).await.unwrap(), None, "open");
    hold_with(store, &one).await;
    assert!(lane(store, one.lane_id).await.probe_due);
    let probe = store.claim_probe(one.lane_id, None, MOMENT).await.unwrap();
    assert!(probe.is_some());
    assert_eq!(store.claim_probe(one.lane_id, None, MOMENT).await.unwrap(), None);
    let next = wait_until(store, "the interval ends", async || {
        store.claim_probe(one.lane_id, None, HOUR).await.unwrap()
    });
    assert_eq!(Some(next.await), probe, "the same hold, the same secret");
    let later = lane(store, one.lane_id).await;
    assert!(!later.probe_due && later.probe_in.is_some_and(|left| left > MINUTE), "{later:?}");
}

/// PROBE_CLAIM on a limited lane.
pub async fn limited_lanes_are_probed_by_their_leader(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &limited("a")).await;
    accept(store, &one, 1).await;
    let old = lead(store, one.lane_id).await;
    let claim = claimed(claim_as(store, old, MINUTE).await).remove(0);
    record(store, &[rejected(&claim, Refusal::AtGithub)]).await;
    store.give_up(&[old]).await.unwrap();
    let lease = lead(store, one.lane_id).await;
    for wrong in [None, Some(old)] {
        let probe = store.claim_probe(one.lane_id, wrong, MINUTE).await.unwrap();
        assert_eq!(probe, None);
    }
    assert!(store.claim_probe(one.lane_id, Some(lease), MINUTE).await.unwrap().is_some());
}

/// VERSION_IN_COMMIT is for what matching reads: a limit's numbers are not.
pub async fn caches_are_told_where_a_kind_changes(world: &impl World) {
    let store = world.store();
    put(store, "one", &limited("a")).await;
    let before = version(store).await;
    let mut slower = limited("a");
    slower.limits.concurrency += 1;
    assert_eq!(store.sync_lanes(&[slower.clone()]).await.unwrap(), 1);
    assert_eq!(store.sync_lanes(&[slower]).await.unwrap(), 0);
    assert_eq!(version(store).await, before, "only numbers changed");
    assert_eq!(store.sync_lanes(&[unlimited("a")]).await.unwrap(), 1);
    assert_eq!(version(store).await, before + 1);
    store.sync_lanes(&[joined("a", "shared", unlimited("a").limits)]).await.unwrap();
    assert_eq!(version(store).await, before + 2, "a lane that moves may change its kind");
}
