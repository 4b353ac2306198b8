//! Webhooks.

use std::time::Duration;

use postrider_domain::WebhookState;

use crate::acts::*;
use crate::{HotStore, World};

pub async fn the_table_is_read_once_a_version(world: &impl World) {
    let store = world.store();
    assert!(store.webhook_table(None).await.unwrap().unwrap().webhooks.is_empty());
    put(store, "one", &unlimited("a")).await;
    let deleted = put(store, "two", &limited("b")).await;
    store.delete_webhook(&deleted.webhook.uuid).await.unwrap();
    disable(store, "three", &limited("b")).await;
    let table = store.webhook_table(None).await.unwrap().unwrap();
    assert!(store.webhook_table(Some(table.version)).await.unwrap().is_none());
    let other = &world.another(Duration::ZERO).await;
    assert!(other.webhook_table(Some(table.version - 1)).await.unwrap().is_some());
    let names: Vec<_> = table.webhooks.iter().map(|each| each.webhook.uuid.as_str()).collect();
    assert_eq!(names, ["one-------------", "three-----------"]);
    let kinds: Vec<_> = table.webhooks.iter().map(|w| (w.lane_limited, w.state)).collect();
    assert_eq!(kinds, [(false, WebhookState::Enabled), (true, WebhookState::Disabled)]);
}
