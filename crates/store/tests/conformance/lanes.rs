//! L4-L10, without leases.

use postrider_domain::{HoldCause, LaneState};
use postrider_store::{LaneSpec, ManualHold, ProbeClaim};
use postrider_testkit::acts::*;

use crate::acts::view;
use crate::harness::World;

pub(crate) async fn a_poll_tells_what_a_worker_needs(world: World) {
    let store = world.another(HOUR).await;
    let spec = LaneSpec {
        limits: postrider_domain::LaneLimits { per_hour: Some(7), burst: 2, ..limited("a").limits },
        ..limited("a")
    };
    let one = put(&store, "one", &spec).await;
    let seen = lane(&store, one.lane_id).await;
    assert_eq!((seen.name.as_str(), seen.limit.limits), ("a", spec.limits));
    assert_eq!((seen.state, seen.hold_gen, seen.limit.paused_for), (LaneState::Open, 0, None));
    assert!(!(seen.due || seen.open || seen.limit.leased || seen.probe_due));
    accept(&store, &one, 1).await;
    let seen = lane(&store, one.lane_id).await;
    assert!(seen.due && seen.open && !seen.limit.leased);
    let lease = lead(&store, one.lane_id).await;
    assert!(lane(&store, one.lane_id).await.limit.leased);
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
    let held = store.hold_by_hand("a", &ManualHold::default()).await.unwrap().unwrap();
    assert_eq!(held.state, LaneState::Held(HoldCause::Manual));
    assert!(held.held_since.is_some());
    assert_eq!(held.backlog, 1);
    let (_, opened) = store.set_secret("token", &"new".into()).await.unwrap();
    assert!(opened.is_empty());
    assert_eq!(store.claim_probe(one.lane_id, None, MINUTE).await.unwrap(), None);
    let seen = lane(store, one.lane_id).await;
    assert!(!seen.probe_due);
    let probe = ProbeClaim { webhook: None, hold_gen: seen.hold_gen, secret_rev: seen.secret_rev };
    assert!(!store.release_probed(one.lane_id, probe).await.unwrap());
    let open = store.release_by_hand("a").await.unwrap().unwrap();
    assert_eq!((open.state, open.held_since), (LaneState::Open, None));
    assert_eq!(due(store, one.lane_id).await.len(), 1);
    assert!(store.hold_by_hand("unknown", &ManualHold::default()).await.unwrap().is_none());
    assert!(store.release_by_hand("unknown").await.unwrap().is_none());
}

pub(crate) async fn a_hold_by_hand_may_end_by_itself(world: World) {
    let store = world.store();
    put(store, "one", &unlimited("a")).await;
    put(store, "two", &unlimited("b")).await;
    let now = jiff::Timestamp::now();
    let ends_in = |seconds| ManualHold {
        reason: Some("maintenance".to_owned()),
        until: Some(now + jiff::SignedDuration::from_secs(seconds)),
    };
    let later = ends_in(3_600);
    let held = store.hold_by_hand("a", &later).await.unwrap().unwrap();
    assert_eq!(held.hold.reason, later.reason);
    assert_eq!(held.hold.until.unwrap().as_second(), later.until.unwrap().as_second());
    store.hold_by_hand("b", &ends_in(-3_600)).await.unwrap().unwrap();
    assert_eq!(store.release_due_holds().await.unwrap(), ["b"]);
    assert!(store.release_due_holds().await.unwrap().is_empty());
    let lanes = store.lanes().await.unwrap();
    let of = |name: &str| lanes.iter().find(|lane| lane.name == name).unwrap();
    assert_eq!((of("b").state, &of("b").hold), (LaneState::Open, &ManualHold::default()));
    assert_eq!(of("a").state, LaneState::Held(HoldCause::Manual));
    let open = store.release_by_hand("a").await.unwrap().unwrap();
    assert_eq!(open.hold, ManualHold::default(), "nothing of it stays");
    store.hold_by_hand("a", &ManualHold::default()).await.unwrap().unwrap();
    assert!(store.release_due_holds().await.unwrap().is_empty(), "it has no end");
}

pub(crate) async fn pauses_end_by_themselves(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    store.pause(one.lane_id, MOMENT).await.unwrap();
    let paused = lane(store, one.lane_id).await.limit.paused_for;
    assert!(paused.is_some_and(|left| left <= MOMENT), "{paused:?}");
    let info = store.lanes().await.unwrap().remove(0);
    assert!(info.paused_until.is_some());
    wait_until(store, "the pause ends", async || {
        lane(store, one.lane_id).await.limit.paused_for.is_none().then_some(())
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
    assert_eq!(lane(store, one.lane_id).await.limit.limits, limited("a").limits);
    assert!(store.webhook(&one.webhook.uuid).await.unwrap().unwrap().lane_limited);
    assert!(version(store).await > before, "caches of the kind are reloaded");
    // A webhook that is written brings its lane's limits along.
    put(store, "two", &unlimited("a")).await;
    assert_eq!(lane(store, one.lane_id).await.limit.limits, unlimited("a").limits);
}

pub(crate) async fn what_was_sent_last_is_told(world: World) {
    let store = world.store();
    let one = put(store, "one", &limited("a")).await;
    accept(store, &one, 1).await;
    let sent_at = async || store.lanes().await.unwrap()[0].last_send_at;
    assert_eq!(sent_at().await, None);
    let lease = lead(store, one.lane_id).await;
    let claims = some_as(store, lease, 1).await;
    let at = sent_at().await.unwrap();
    assert!(at >= view(store, claims[0].id).await.row.created_at);
    store.sync_lanes(&[unlimited("a")]).await.unwrap();
    assert_eq!(sent_at().await, Some(at), "settings change nothing of it");
}

pub(crate) async fn a_lane_names_a_webhook_to_probe_with(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let found = store.lane_webhook(one.lane_id).await.unwrap().unwrap();
    assert_eq!(found.webhook, one.webhook);
    disable(store, "one", &unlimited("a")).await;
    assert!(store.lane_webhook(one.lane_id).await.unwrap().is_none());
}
