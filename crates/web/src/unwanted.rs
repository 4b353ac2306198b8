//! Why webhooks did not want an event.

use std::cmp::Reverse;
use std::sync::Arc;

use postrider_api::UnwantedBy;
use postrider_domain::{Event, distance, unwanted};
use postrider_store::StoredWebhook;

use crate::broker_api::display_description;

/// Webhooks that are told of.
const MOST: usize = 50;

/// Why each of these does not want an event, those first that come closest.
pub(crate) fn nearest(webhooks: &[Arc<StoredWebhook>], event: &Event) -> Vec<UnwantedBy> {
    let mut near: Vec<&StoredWebhook> = webhooks.iter().map(AsRef::as_ref).collect();
    near.sort_by_key(|stored| (distance(&stored.webhook, event), Reverse(stored.id.0)));
    let told = |stored: &StoredWebhook| UnwantedBy {
        webhook_uuid: stored.webhook.uuid.clone(),
        description: display_description(&stored.webhook),
        reason: unwanted(&stored.webhook, event).map(|why| why.to_string()),
    };
    near.into_iter().take(MOST).map(told).collect()
}
