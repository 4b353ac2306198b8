//! L4-L10, without leases.

use std::time::Duration;

use postrider_domain::{DeliveryStatus, HoldCause, LaneState};
use postrider_store::{HoldProof, LaneSpec, Lease, ProbeClaim};

use crate::acts::*;
use crate::harness::{World, wait_until};

pub(crate) async fn a_survey_tells_what_a_worker_needs(world: World) {
    let store = world.another(HOUR).await;
    let spec = LaneSpec {
        limits: postrider_domain::LaneLimits { per_hour: Some(7), burst: 2, ..limited("a").limits },
        ..limited("a")
    };
    let one = put(&store, "one", &spec).await;
    let seen = lane(&store, one.lane_id).await;
    assert_eq!((seen.name.as_str(), seen.limits), ("a", spec.limits));
    assert_eq!((seen.state, seen.hold_gen, seen.paused_for), (LaneState::Open, 0, None));
    assert!(!(seen.due || seen.open || seen.leased || seen.probe_due));
    accept(&store, &one, 1).await;
    let seen = lane(&store, one.lane_id).await;
    assert!(seen.due && seen.open && !seen.leased);
    let lease = lead(&store, one.lane_id).await;
    assert!(lane(&store, one.lane_id).await.leased);
    let claim = claimed(claim_as(&store, lease, MINUTE).await).remove(0);
    let seen = lane(&store, one.lane_id).await;
    assert!(!seen.due && seen.open, "sending is open");
    record(&store, &[delivered(&claim)]).await;
    assert!(!lane(&store, one.lane_id).await.open);
    let info = store.lanes().await.unwrap().remove(0);
    assert!(info.last_send_at.is_some() && info.backlog == 0 && info.oldest_at.is_none());
    store.close().await;
}

pub(crate) async fn a_manual_hold_is_opened_by_hand_only(world: World) {
    let store = world.store();
    let one = put_write(store, &write(webhook("one"), &unlimited("a"), &["token"])).await;
    hold_with(store, &one).await;
    let held = store.hold_by_hand("a").await.unwrap().unwrap();
    assert_eq!(held.state, LaneState::Held(HoldCause::Manual));
    assert!(held.held_since.is_some());
    assert_eq!(held.backlog, 1);
    let (_, opened) = store.set_secret("token", &"new".into()).await.unwrap();
    assert!(opened.is_empty());
    assert_eq!(store.claim_probe(one.lane_id, None, MINUTE).await.unwrap(), None);
    let seen = lane(store, one.lane_id).await;
    assert!(!seen.probe_due);
    let probe = ProbeClaim { hold_gen: seen.hold_gen, secret_rev: seen.secret_rev };
    assert!(!store.release_probed(one.lane_id, probe).await.unwrap());
    let open = store.release_by_hand("a").await.unwrap().unwrap();
    assert_eq!((open.state, open.held_since), (LaneState::Open, None));
    assert_eq!(due(store, one.lane_id).await.len(), 1);
    assert!(store.hold_by_hand("unknown").await.unwrap().is_none());
    assert!(store.release_by_hand("unknown").await.unwrap().is_none());
}

/// RELEASE_GEN: a probe starts; the lane is held anew meanwhile; the probe comes back good.
pub(crate) async fn a_probe_opens_only_its_own_hold(world: World) {
    let store = world.store();
    let one = put_write(store, &write(webhook("one"), &unlimited("a"), &["token"])).await;
    hold_with(store, &one).await;
    let stale = store.claim_probe(one.lane_id, None, Duration::ZERO).await.unwrap().unwrap();
    store.release_by_hand("a").await.unwrap().unwrap();
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
pub(crate) async fn the_canary_is_the_probes_alone(world: World) {
    let store = world.store();
    let one = put_write(store, &write(webhook("one"), &unlimited("a"), &["token"])).await;
    let id = hold_with(store, &one).await;
    let probe = store.claim_probe(one.lane_id, None, Duration::ZERO).await.unwrap().unwrap();
    let canary =
        async |probe| store.claim_canary(one.lane_id, probe, None, terms(MINUTE)).await.unwrap();
    let earlier = ProbeClaim { hold_gen: probe.hold_gen - 1, ..probe };
    assert!(canary(earlier).await.is_none(), "another hold");
    let older = ProbeClaim { secret_rev: probe.secret_rev - 1, ..probe };
    assert!(canary(older).await.is_none(), "another secret");
    assert!(due(store, one.lane_id).await.is_empty(), "closed for everybody else");
    let claim = canary(probe).await.unwrap();
    assert_eq!(claim.id, id);
    assert!(canary(probe).await.is_none(), "it is claimed already");
    record(store, &[delivered(&claim)]).await;
    assert_eq!(status(store, id).await, DeliveryStatus::Delivered);
    assert!(store.release_probed(one.lane_id, probe).await.unwrap());
    accept(store, &one, 1).await;
    assert!(canary(probe).await.is_none(), "the lane is open");
}

/// A limited lane's canary is its leader's; a hold by hand has none.
pub(crate) async fn the_canary_of_a_limited_lane_is_its_leaders(world: World) {
    let store = world.store();
    let one = put_write(store, &write(webhook("one"), &limited("a"), &["token"])).await;
    accept(store, &one, 1).await;
    let lease = lead(store, one.lane_id).await;
    let claim = claimed(claim_as(store, lease, MINUTE).await).remove(0);
    record(store, &[refused(&claim, HoldProof::One)]).await;
    let probe = store.claim_probe(one.lane_id, Some(lease), Duration::ZERO).await.unwrap().unwrap();
    let canary =
        async |lease| store.claim_canary(one.lane_id, probe, lease, terms(MINUTE)).await.unwrap();
    assert!(canary(None).await.is_none(), "no leader");
    let former = Lease { epoch: lease.epoch - 1, ..lease };
    assert!(canary(Some(former)).await.is_none(), "a former leader");
    let claim = canary(Some(lease)).await.unwrap();
    record(store, &[released(&claim)]).await;
    store.hold_by_hand("a").await.unwrap().unwrap();
    assert!(canary(Some(lease)).await.is_none(), "held by hand");
}

/// PROBE_CLAIM, PROBE_ANY.
pub(crate) async fn one_probe_an_interval(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    assert_eq!(store.claim_probe(one.lane_id, None, MINUTE).await.unwrap(), None, "open");
    hold_with(store, &one).await;
    assert!(lane(store, one.lane_id).await.probe_due);
    let probe = store.claim_probe(one.lane_id, None, MOMENT).await.unwrap();
    assert!(probe.is_some());
    assert_eq!(store.claim_probe(one.lane_id, None, MOMENT).await.unwrap(), None);
    let next = wait_until("the interval ends", async || {
        store.claim_probe(one.lane_id, None, HOUR).await.unwrap()
    });
    assert_eq!(Some(next.await), probe, "the same hold, the same secret");
    assert!(!lane(store, one.lane_id).await.probe_due);
}

/// PROBE_CLAIM on a limited lane.
pub(crate) async fn limited_lanes_are_probed_by_their_leader(world: World) {
    let store = world.store();
    let one = put(store, "one", &limited("a")).await;
    accept(store, &one, 1).await;
    let old = lead(store, one.lane_id).await;
    let claim = claimed(claim_as(store, old, MINUTE).await).remove(0);
    record(store, &[refused(&claim, HoldProof::One)]).await;
    store.give_up(&[old]).await.unwrap();
    let lease = lead(store, one.lane_id).await;
    for wrong in [None, Some(old)] {
        let probe = store.claim_probe(one.lane_id, wrong, MINUTE).await.unwrap();
        assert_eq!(probe, None);
    }
    assert!(store.claim_probe(one.lane_id, Some(lease), MINUTE).await.unwrap().is_some());
}

pub(crate) async fn pauses_end_by_themselves(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    store.pause(one.lane_id, MOMENT).await.unwrap();
    let paused = lane(store, one.lane_id).await.paused_for;
    assert!(paused.is_some_and(|left| left <= MOMENT), "{paused:?}");
    let info = store.lanes().await.unwrap().remove(0);
    assert!(info.paused_until.is_some());
    wait_until("the pause ends", async || {
        lane(store, one.lane_id).await.paused_for.is_none().then_some(())
    })
    .await;
    assert!(store.lanes().await.unwrap().remove(0).paused_until.is_none());
}

pub(crate) async fn limits_follow_the_settings(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    assert_eq!(store.sync_lanes(&[unlimited("a"), unlimited("unknown")]).await.unwrap(), 0);
    assert_eq!(store.lanes().await.unwrap().len(), 1, "lanes are made by webhooks");
    assert!(!one.lane_limited);
    let before = version(store).await;
    assert_eq!(store.sync_lanes(&[limited("a")]).await.unwrap(), 1);
    assert_eq!(lane(store, one.lane_id).await.limits, limited("a").limits);
    assert!(store.webhook(&one.webhook.uuid).await.unwrap().unwrap().lane_limited);
    assert!(version(store).await > before, "caches of the kind are reloaded");
    // A webhook that is written brings its lane's limits along.
    put(store, "two", &unlimited("a")).await;
    assert_eq!(lane(store, one.lane_id).await.limits, unlimited("a").limits);
}

pub(crate) async fn a_lane_names_a_webhook_to_probe_with(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let found = store.lane_webhook(one.lane_id).await.unwrap().unwrap();
    assert_eq!(found.webhook, one.webhook);
    disable(store, "one", &unlimited("a")).await;
    assert!(store.lane_webhook(one.lane_id).await.unwrap().is_none());
}
