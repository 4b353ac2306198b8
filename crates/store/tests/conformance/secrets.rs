//! Secrets and L5.

use std::collections::BTreeSet;

use postrider_domain::{HoldCause, LaneState};
use secrecy::{ExposeSecret, SecretString};

use crate::acts::*;
use crate::harness::World;

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

pub(crate) async fn values_come_back(world: World) {
    let store = world.store();
    assert!(store.secrets().await.unwrap().is_empty());
    let (first, _) = store.set_secret("b", &"one".into()).await.unwrap();
    store.set_secret("a", &"".into()).await.unwrap();
    let (second, _) = store.set_secret("b", &"two".into()).await.unwrap();
    assert_eq!(first.uuid, second.uuid);
    assert!(second.rev > first.rev && second.updated_at > first.updated_at);
    assert_eq!(second.key_id, world.key().id());
    let listed: Vec<_> = store.secrets().await.unwrap().into_iter().map(|s| s.name).collect();
    assert_eq!(listed, ["a", "b"]);
    let values = store.secret_values(&names(&["a", "b", "none"])).await.unwrap();
    let clear: Vec<_> =
        values.iter().map(|(name, value)| (name.as_str(), value.expose_secret())).collect();
    assert_eq!(clear, [("a", ""), ("b", "two")]);
    assert!(store.delete_secret("b").await.unwrap());
    assert!(!store.delete_secret("b").await.unwrap());
    assert!(store.secret_values(&names(&["b"])).await.unwrap().is_empty());
}

pub(crate) async fn a_new_value_opens_the_lanes_that_use_it(world: World) {
    let store = world.store();
    let mut lanes = Vec::new();
    for (uuid, secret) in [("one", "token"), ("two", "other"), ("three", "token")] {
        let write = write(webhook(uuid), &unlimited(uuid), &[secret]);
        let stored = put_write(store, &write).await;
        hold_with(store, &stored).await;
        lanes.push(stored.lane_id);
    }
    store.hold_by_hand("three").await.unwrap().unwrap();
    let before = lane(store, lanes[0]).await.secret_rev;
    let (_, opened) = store.set_secret("token", &"x".into()).await.unwrap();
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

pub(crate) async fn nothing_secret_stands_in_the_rows(world: World) {
    let store = world.store();
    let secret = "s3cr3t-v4lue-that-nobody-reads";
    let mut sealed = webhook("one");
    sealed.request.url = format!("https://user:{secret}@host/x");
    sealed.request.password = Some(secret.to_owned());
    for header in ["authorization", "x-api-token", "proxy-authorization"] {
        sealed.request.headers.push((header.to_owned(), format!("Bearer {secret}")));
    }
    put_write(store, &write(sealed, &unlimited("a"), &["token"])).await;
    store.set_secret("token", &SecretString::from(secret)).await.unwrap();
    store.set_secret("token", &SecretString::from(format!("{secret}2"))).await.unwrap();
    store.check_key().await.unwrap();
    let dump = world.dump().await;
    assert!(dump.contains("webhook one"), "the dump shows rows");
    assert!(!dump.contains(secret));
    let key = world.key().to_base64();
    assert!(!dump.contains(key.expose_secret()));
}
