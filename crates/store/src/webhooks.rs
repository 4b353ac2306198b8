//! Webhooks: each write raises `webhooks_version`, which intake commits are conditional on.

use std::collections::BTreeSet;
use std::sync::Arc;

use postrider_domain::{LaneId, Webhook, WebhookId, WebhookState, WebhookUuid};

use crate::{LaneSpec, Store, StoreError};

/// A webhook with what the store knows of it.
#[derive(Debug, Clone)]
pub struct StoredWebhook {
    /// Row number.
    pub id: WebhookId,
    /// Grows with each change.
    pub rev: i64,
    /// Enabled, disabled or deleted.
    pub state: WebhookState,
    /// Its lane.
    pub lane_id: LaneId,
    /// Its lane's name.
    pub lane: String,
    /// Whether its lane is limited.
    pub lane_limited: bool,
    /// Names of the secrets that it uses.
    pub secret_names: BTreeSet<String>,
    /// What its owner wrote, inline credentials in clear.
    pub webhook: Webhook,
}

/// All webhooks that are not deleted, at one version.
#[derive(Debug, Clone)]
pub struct WebhookTable {
    /// Version of the whole table.
    pub version: i64,
    /// The webhooks.
    pub webhooks: Vec<Arc<StoredWebhook>>,
}

/// A webhook to write.
#[derive(Debug, Clone)]
pub struct WebhookWrite {
    /// The document; `created_at` and `updated_at` are set by the store.
    pub webhook: Webhook,
    /// Its lane; made when missing.
    pub lane: LaneSpec,
    /// Secrets that it names.
    pub secret_names: BTreeSet<String>,
}

/// What a write came to.
#[derive(Debug, Clone)]
pub enum Put {
    /// It is new.
    Created(StoredWebhook),
    /// It replaced one.
    Replaced(StoredWebhook),
}

impl Store {
    /// The table, or `None` when it is still at `known`.
    pub async fn webhook_table(
        &self,
        known: Option<i64>,
    ) -> Result<Option<WebhookTable>, StoreError> {
        dispatch!(self, webhook_table(known))
    }

    /// One webhook; deleted ones are not found.
    pub async fn webhook(&self, uuid: &WebhookUuid) -> Result<Option<StoredWebhook>, StoreError> {
        dispatch!(self, webhook(uuid))
    }

    /// Webhooks by row number, deleted ones included.
    pub async fn webhooks_by_id(
        &self,
        ids: &[WebhookId],
    ) -> Result<Vec<StoredWebhook>, StoreError> {
        dispatch!(self, webhooks_by_id(ids))
    }

    /// Creates or replaces. What waits for it follows to its new lane (J3).
    pub async fn put_webhook(&self, write: &WebhookWrite) -> Result<Put, StoreError> {
        dispatch!(self, put_webhook(write))
    }

    /// Deletes softly; `false` when there is none. What waits for it is discarded (J4).
    pub async fn delete_webhook(&self, uuid: &WebhookUuid) -> Result<bool, StoreError> {
        dispatch!(self, delete_webhook(uuid))
    }
}
