//! Webhooks.

use std::time::Duration;

use postrider_domain::{Body, BodyMode, Selector, Webhook, WebhookState};
use postrider_store::Put;
use serde_json::json;

use crate::acts::*;
use crate::harness::World;

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

pub(crate) async fn the_table_is_read_once_a_version(world: World) {
    let store = world.store();
    assert!(store.webhook_table(None).await.unwrap().unwrap().webhooks.is_empty());
    put(store, "one", &unlimited("a")).await;
    let deleted = put(store, "two", &limited("b")).await;
    store.delete_webhook(&deleted.webhook.uuid).await.unwrap();
    disable(store, "three", &limited("b")).await;
    let table = store.webhook_table(None).await.unwrap().unwrap();
    assert!(store.webhook_table(Some(table.version)).await.unwrap().is_none());
    let other = world.another(Duration::ZERO).await;
    assert!(other.webhook_table(Some(table.version - 1)).await.unwrap().is_some());
    other.close().await;
    let names: Vec<_> = table.webhooks.iter().map(|each| each.webhook.uuid.as_str()).collect();
    assert_eq!(names, ["one-------------", "three-----------"]);
    let kinds: Vec<_> = table.webhooks.iter().map(|w| (w.lane_limited, w.state)).collect();
    assert_eq!(kinds, [(false, WebhookState::Enabled), (true, WebhookState::Disabled)]);
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
