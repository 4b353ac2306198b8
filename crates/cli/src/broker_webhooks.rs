//! The webhooks of a Pact Broker or PactFlow.

use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;
use postrider_broker::{Broker, path};
use serde::Deserialize;
use serde_json::Value;

use super::broker::failure;
use crate::{Exit, Failure, printable};

/// Documents fetched at a time: a collection only links to them.
const PARALLEL: usize = 8;

/// Where a webhook is, below the broker's address. Its links may name another address, at which
/// the broker believes to be.
pub(crate) fn webhook_path(uuid: &str) -> String {
    path(&["webhooks", uuid])
}

/// All webhooks of a broker, in its order.
pub(crate) async fn webhooks(broker: &Broker) -> Result<Vec<Value>, Failure> {
    let collection = broker.get_json("/webhooks").await.and_then(|answer| broker.ok(answer));
    let collection: Value = collection.map_err(|error| failure(&error))?;
    let uuids = linked_uuids(collection).ok_or_else(|| {
        let what = format!("{} is no Pact Broker: it lists no webhooks", broker.address());
        Failure::new(Exit::Unreachable, printable(&what))
            .fix("give the broker's own address, as its other clients use it")
    })?;
    let progress = ProgressBar::new(uuids.len() as u64);
    let counted = &progress;
    let fetched: Vec<Option<Value>> = stream::iter(&uuids)
        .map(|uuid| async move {
            let answer =
                broker.get_json(&webhook_path(uuid)).await.map_err(|error| failure(&error))?;
            counted.inc(1);
            // Deleted meanwhile.
            if answer.status.as_u16() == 404 {
                return Ok::<_, Failure>(None);
            }
            broker.ok(answer).map(Some).map_err(|error| failure(&error))
        })
        .buffered(PARALLEL)
        .try_collect()
        .await?;
    progress.finish_and_clear();
    Ok(fetched.into_iter().flatten().collect())
}

/// A collection of webhooks, as far as it is read.
#[derive(Deserialize)]
struct Collection {
    #[serde(rename = "_links")]
    links: Links,
}

#[derive(Deserialize)]
struct Links {
    #[serde(rename = "pb:webhooks")]
    webhooks: Vec<Link>,
}

#[derive(Deserialize)]
struct Link {
    href: String,
}

/// The uuids that a collection of webhooks links to; `None` when the document is no such
/// collection.
pub(crate) fn linked_uuids(document: Value) -> Option<Vec<String>> {
    let collection: Collection = serde_json::from_value(document).ok()?;
    let uuid = |link: Link| link.href.trim_end_matches('/').rsplit('/').next().map(str::to_owned);
    Some(collection.links.webhooks.into_iter().filter_map(uuid).collect())
}
