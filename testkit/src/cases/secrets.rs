//! Secrets and L5.

use postrider_domain::{HoldCause, LaneState, Refusal};

use crate::acts::*;
use crate::{HotStore, World};

pub async fn a_new_value_opens_the_lanes_that_use_it(world: &impl World) {
    let store = world.store();
    let mut lanes = Vec::new();
    for (uuid, secret) in [("one", "token"), ("two", "other"), ("three", "token")] {
        let write = write(webhook(uuid), &unlimited(uuid), &[secret]);
        let stored = put_write(store, &write).await;
        hold_with(store, &stored).await;
        lanes.push(stored.lane_id);
    }
    assert!(store.hold_by_hand("three").await.unwrap());
    let before = lane(store, lanes[0]).await.secret_rev;
    let opened = store.set_secret("token").await.unwrap();
    assert_eq!(opened, ["one"]);
    let after: Vec<_> =
        [lane(store, lanes[0]).await, lane(store, lanes[1]).await, lane(store, lanes[2]).await]
            .iter()
            .map(|lane| (lane.state, lane.secret_rev - before))
            .collect();
    let held = LaneState::Held;
    let expected =
        [(LaneState::Open, 1), (held(HoldCause::Credential), 0), (held(HoldCause::Manual), 1)];
    assert_eq!(after, expected);
    assert_eq!(due(store, lanes[0]).await.len(), 1, "the backlog is due");
    store.delete_secret("token").await.unwrap();
    let gone = lane(store, lanes[0]).await;
    assert_eq!(gone.secret_rev - before, 2, "cached values are reloaded");
    assert_eq!(gone.state, LaneState::Open, "its next send finds no value");
}

/// Refusals of the old value count no more.
pub async fn a_new_value_makes_refusals_start_over(world: &impl World) {
    let store = world.store();
    let one = put_write(store, &write(webhook("one"), &unlimited("a"), &["s"])).await;
    let two = put_write(store, &write(webhook("two"), &unlimited("a"), &["s"])).await;
    let refuse = async |webhook| {
        let accepted = accept(store, webhook, 1).await;
        let claims = by_message(store, &accepted).await;
        record(store, &[rejected(&claims[0], Refusal::Elsewhere)]).await.held
    };
    assert!(refuse(&one).await.is_empty());
    assert!(store.set_secret("s").await.unwrap().is_empty(), "no lane was held");
    assert!(refuse(&two).await.is_empty(), "the first of the new value");
    assert_eq!(refuse(&one).await, [one.lane_id]);
}
