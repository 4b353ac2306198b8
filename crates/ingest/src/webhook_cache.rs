//! The cached webhooks: matching needs no trip to the store.
//!
//! A stale copy does no harm: every commit is conditional on the version it was matched with
//! (rule VERSION_IN_COMMIT).

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use postrider_domain::{Event, EventName, LaneId, WebhookId, WebhookUuid, wants};
use postrider_store::{NewDelivery, Store, StoreError, StoredWebhook, WebhookTable};

/// One version of all webhooks, by event name.
#[derive(Debug)]
pub(crate) struct Webhooks {
    pub(crate) version: i64,
    by_event: [Vec<Arc<StoredWebhook>>; EventName::ALL.len()],
    uuids: HashMap<WebhookId, WebhookUuid>,
    limited: HashSet<LaneId>,
}

impl Webhooks {
    fn new(loaded: &WebhookTable) -> Self {
        let subscribed = |name: EventName| {
            let all = loaded.webhooks.iter();
            all.filter(|stored| stored.webhook.events.contains(&name)).cloned().collect()
        };
        let all = loaded.webhooks.iter();
        let limited = loaded.webhooks.iter().filter(|stored| stored.lane_limited);
        Self {
            version: loaded.version,
            by_event: EventName::ALL.map(subscribed),
            uuids: all.map(|stored| (stored.id, stored.webhook.uuid.clone())).collect(),
            limited: limited.map(|stored| stored.lane_id).collect(),
        }
    }

    /// The webhooks that want the event.
    fn wanting<'a>(&'a self, event: &'a Event) -> impl Iterator<Item = &'a StoredWebhook> {
        let place = EventName::ALL.iter().position(|name| *name == event.event_name);
        let subscribed = place.and_then(|place| self.by_event.get(place)).into_iter().flatten();
        subscribed.map(Arc::as_ref).filter(|stored| wants(&stored.webhook, event))
    }

    /// A new delivery for each webhook that wants the event.
    pub(crate) fn deliveries(&self, event: &Event) -> Vec<NewDelivery> {
        self.wanting(event).map(NewDelivery::of).collect()
    }

    /// The public name of a webhook in the table.
    pub(crate) fn uuid(&self, id: WebhookId) -> Option<&WebhookUuid> {
        self.uuids.get(&id)
    }

    pub(crate) fn is_limited(&self, lane: LaneId) -> bool {
        self.limited.contains(&lane)
    }
}

/// The newest version seen.
#[derive(Debug, Default)]
pub(crate) struct WebhookCache(Mutex<Option<Arc<Webhooks>>>);

impl WebhookCache {
    /// The cached table, loaded when there is none.
    pub(crate) async fn get(&self, store: &Store) -> Result<Arc<Webhooks>, StoreError> {
        match self.cached() {
            Some(table) => Ok(table),
            None => self.reload(store).await,
        }
    }

    /// The table as the store has it now.
    pub(crate) async fn reload(&self, store: &Store) -> Result<Arc<Webhooks>, StoreError> {
        let known = self.cached();
        let loaded = store.webhook_table(known.as_ref().map(|table| table.version)).await?;
        match (loaded, known) {
            (None, Some(known)) => Ok(known),
            (None, None) => Err(StoreError::Corrupt("no webhook table".to_owned())),
            (Some(loaded), _) => Ok(self.keep(Arc::new(Webhooks::new(&loaded)))),
        }
    }

    fn cached(&self) -> Option<Arc<Webhooks>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps the newer of two: loads may overtake one another.
    fn keep(&self, table: Arc<Webhooks>) -> Arc<Webhooks> {
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cached.as_ref().is_none_or(|old| old.version < table.version) {
            *cached = Some(Arc::clone(&table));
        }
        table
    }
}
