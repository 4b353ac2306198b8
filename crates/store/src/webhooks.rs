//! Webhooks: each write raises `webhooks_version`, which intake commits are conditional on.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use postrider_domain::{HoldCause, LaneId, Webhook, WebhookId, WebhookState, WebhookUuid};

use crate::{LaneSpec, codec};

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

/// A webhook that is parked: what waits for it is held, its lane's other webhooks go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedWebhook {
    /// Which.
    pub uuid: WebhookUuid,
    /// Its lane's name.
    pub lane: String,
    /// Why; never manual.
    pub cause: HoldCause,
    /// Since when.
    pub since: Timestamp,
    /// When one of its deliveries is tried next; `None` where a secret is waited for.
    pub next_probe_at: Option<Timestamp>,
    /// Deliveries that wait for it, counted up to 10,000.
    pub backlog: u64,
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

impl WebhookWrite {
    /// Its own time-out as its row keeps it, because claims last as long.
    pub(crate) fn timeout_millis(&self) -> Option<i64> {
        self.webhook.extensions.timeout.map(codec::millis)
    }
}

/// What a write came to.
#[derive(Debug, Clone)]
pub enum Put {
    /// It is new.
    Created(StoredWebhook),
    /// It replaced one.
    Replaced(StoredWebhook),
}
