//! Reading webhooks from a running postrider.

use futures_util::{StreamExt, TryStreamExt, stream};
use postrider_api::{Delivery, DeliveryList};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::broker_webhooks::linked_uuids;
use crate::{Api, Body, Failure, cell};

/// Documents fetched at a time: a collection only links to them.
pub(super) const PARALLEL: usize = 8;

/// The uuids that the collection links to.
pub(crate) async fn uuids(api: &Api) -> Result<Vec<String>, Failure> {
    let collection: Value = api.get(&["webhooks"], &[]).await?;
    linked_uuids(collection).ok_or_else(|| api.other_server(StatusCode::OK))
}

/// One webhook, as it is told.
pub(super) async fn webhook(api: &Api, uuid: &str) -> Result<Value, Failure> {
    let document: Value = api.get(&["webhooks", uuid], &[]).await?;
    let is_webhook = document.get("request").is_some_and(Value::is_object);
    if is_webhook { Ok(document) } else { Err(api.other_server(StatusCode::OK)) }
}

/// All webhooks in the collection's order; one that is deleted meanwhile is left out.
pub(crate) async fn documents(api: &Api, uuids: &[String]) -> Result<Vec<Value>, Failure> {
    let fetched: Vec<Option<Value>> = stream::iter(uuids)
        .map(|uuid| async move {
            let answer = api.call(Method::GET, &["webhooks", uuid], &[], Body::None).await?;
            if answer.status.as_u16() == 404 { Ok(None) } else { api.ok(answer).map(Some) }
        })
        .buffered(PARALLEL)
        .try_collect()
        .await?;
    Ok(fetched.into_iter().flatten().collect())
}

/// The newest delivery of a webhook, if there is one.
pub(super) async fn last_delivery(api: &Api, webhook: &Value) -> Result<Option<Delivery>, Failure> {
    let query = [("webhook", cell(webhook, "uuid")), ("limit", "1".to_owned())];
    let page: DeliveryList = api.get(&["api", "v1", "deliveries"], &query).await?;
    Ok(page.deliveries.into_iter().next())
}
