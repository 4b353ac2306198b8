//! Webhooks.

use postrider_domain::{Body, BodyMode, Selector, Webhook, WebhookState};
use postrider_store::Put;
use postrider_testkit::acts::*;
use serde_json::json;

use crate::harness::{Kind, World};

pub(crate) async fn a_webhook_comes_back_as_written(world: World) {
    let store = world.store();
    let mut full = webhook("full");
    full.consumer = Some(Selector::Name("C".to_owned()));
    full.provider = Some(Selector::Label("team".to_owned()));
    "https://me:secret@host/x".clone_into(&mut full.request.url);
    full.request.headers.push(("authorization".to_owned(), "Bearer abc".to_owned()));
    full.request.body = Some(Body::Json(json!({"b": 1, "a": {"d": [null], "c": "é"}})));
    full.request.body_mode = BodyMode::Raw;
    full.request.username = Some("u".to_owned());
    full.request.password = Some("pw".to_owned());
    full.team_uuid = Some("team".to_owned());
    let written = write(full.clone(), &unlimited("a"), &["token", "other"]);
    let Put::Created(created) = store.put_webhook(&written).await.unwrap() else {
        panic!("it is new")
    };
    assert_eq!(created.webhook.created_at, created.webhook.updated_at);
    let stamps = |webhook: &Webhook| Webhook {
        created_at: webhook.created_at,
        updated_at: webhook.updated_at,
        ..full.clone()
    };
    assert_eq!(created.webhook, stamps(&created.webhook));
    assert_eq!(created.secret_names, written.secret_names);
    assert_eq!((created.lane.as_str(), created.state), ("a", WebhookState::Enabled));
    let Body::Json(body) = created.webhook.request.body.clone().unwrap() else { panic!() };
    assert_eq!(body.to_string(), r#"{"b":1,"a":{"d":[null],"c":"é"}}"#, "keys keep their order");
    let read = store.webhook(&full.uuid).await.unwrap().unwrap();
    assert_eq!((read.webhook.clone(), read.rev), (created.webhook, created.rev));
    let Put::Replaced(replaced) = store.put_webhook(&written).await.unwrap() else {
        panic!("it was there")
    };
    assert!(replaced.rev > read.rev && replaced.id == read.id);
    assert_eq!(replaced.webhook.created_at, read.webhook.created_at);
    assert!(replaced.webhook.updated_at > read.webhook.updated_at);
}

pub(crate) async fn a_deleted_webhook_is_found_by_number_only(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    assert!(store.delete_webhook(&one.webhook.uuid).await.unwrap());
    assert!(!store.delete_webhook(&one.webhook.uuid).await.unwrap());
    assert!(store.webhook(&one.webhook.uuid).await.unwrap().is_none());
    let found = store.webhooks_by_id(&[one.id]).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].state, WebhookState::Deleted);
    assert!(found[0].rev > one.rev);
    assert!(store.lane_webhook(one.lane_id).await.unwrap().is_none());
}

pub(crate) async fn a_deleted_uuid_can_be_used_again(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    store.delete_webhook(&one.webhook.uuid).await.unwrap();
    let write = write(webhook("one"), &unlimited("a"), &[]);
    let Put::Created(again) = store.put_webhook(&write).await.unwrap() else {
        panic!("it is new again")
    };
    assert_eq!(store.webhook(&one.webhook.uuid).await.unwrap().unwrap().id, again.id);
}

/// Credentials are starred in all documents, also in the one in force.
pub(crate) async fn a_superseded_request_can_be_read_again(world: World) {
    let store = world.store();
    let mut one = webhook("one");
    one.request.headers.push(("authorization".to_owned(), "Bearer first-token".to_owned()));
    one.request.body = Some(Body::Text("first first-token".to_owned()));
    let put = async |webhook: &Webhook| {
        put_write(store, &write(webhook.clone(), &unlimited("a"), &[])).await
    };
    let first = put(&one).await;
    let same = put(&Webhook { description: None, ..one.clone() }).await;
    one.request.body = Some(Body::Text("second".to_owned()));
    let second = put(&one).await;
    assert!(first.rev < same.rev && same.rev < second.rev);
    for (rev, body) in
        [(first.rev, "first ********"), (same.rev, "first ********"), (second.rev, "second")]
    {
        let request = store.request_at(first.id, rev).await.unwrap().unwrap();
        assert!(request.body == Some(Body::Text(body.to_owned())), "revision {rev}");
        let values: Vec<&str> = request.headers.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, ["*/*", "********"]);
        assert_eq!((request.method.as_str(), &request.url), ("POST", &one.request.url));
    }
    store.delete_webhook(&one.uuid).await.unwrap();
    assert!(store.request_at(first.id, first.rev).await.unwrap().is_some(), "outlives its webhook");
    let unknown = postrider_domain::WebhookId(first.id.0 + 1);
    assert!(store.request_at(unknown, 1).await.unwrap().is_none());
}

pub(crate) async fn revisions_go_with_the_attempts_that_used_them(world: World) {
    let store = world.store();
    let first = put(store, "one", &unlimited("a")).await;
    let old = accept(store, &first, 1).await;
    let claims = by_message(store, &old).await;
    record(store, &[delivered(&claims[0])]).await;
    let mut changed = webhook("one");
    changed.request.body = Some(Body::Text("other".to_owned()));
    put_write(store, &write(changed, &unlimited("a"), &[])).await;
    let body = async || {
        let request = store.request_at(first.id, first.rev).await.unwrap().unwrap();
        match request.body.unwrap() {
            Body::Text(text) => text,
            Body::Json(value) => panic!("{value}"),
        }
    };
    assert_eq!(body().await, "x");
    store.prune(HOUR, HOUR, 10).await.unwrap();
    assert_eq!(body().await, "x", "an attempt may have used it");
    let long_ago = match world.kind() {
        Kind::Postgres => "update webhook_revisions set superseded_at = now() - interval '9 days'",
        Kind::Sqlite => "update webhook_revisions set superseded_at = 0",
    };
    world.raw(long_ago).await;
    store.prune(HOUR, HOUR, 10).await.unwrap();
    assert_eq!(body().await, "other", "superseded before the day of the oldest attempt");
}
