//! Reading: deliveries for people and programs, replay, figures, retention.

use std::time::Duration;

use jiff::Timestamp;
use postrider_domain::{
    DeliveryId, DeliveryStatus, EventId, EventName, Outcome, WebhookId, WebhookUuid,
};

use crate::{Store, StoreError};

/// How far back [`Store::newest_deliveries`] looks, so that it ends soon for a webhook that has
/// sent millions for other pairs.
pub(crate) const LOOKED_BACK: u32 = 10_000;

/// Six events of each make less than one page.
const MAX_WEBHOOKS: usize = 150;

/// Which deliveries. Empty fields don't filter.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Shown status.
    pub status: Option<DeliveryStatus>,
    /// Of this webhook.
    pub webhook: Option<WebhookUuid>,
    /// Consumer's name.
    pub consumer: Option<String>,
    /// Provider's name.
    pub provider: Option<String>,
    /// Of events of this name; `Test` names executions, which lists leave out unless they, an
    /// event or deliveries are named.
    pub event: Option<EventName>,
    /// Of exactly this event.
    pub event_id: Option<EventId>,
    /// In this lane (by name).
    pub lane: Option<String>,
    /// Made at or after.
    pub since: Option<Timestamp>,
    /// Made before.
    pub until: Option<Timestamp>,
    /// Only these.
    pub ids: Option<Vec<DeliveryId>>,
}

/// Where a page ended; opaque text outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub DeliveryId);

/// One page, newest first.
#[derive(Debug, Clone)]
pub struct Page {
    /// Rows.
    pub deliveries: Vec<DeliveryRow>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<Cursor>,
}

/// A delivery in a list.
#[derive(Debug, Clone)]
pub struct DeliveryRow {
    /// Its id.
    pub id: DeliveryId,
    /// Its event.
    pub event_id: EventId,
    /// The event's name.
    pub event_name: EventName,
    /// The event's broker.
    pub broker: String,
    /// Its webhook (deleted ones too).
    pub webhook_uuid: WebhookUuid,
    /// Consumer's name.
    pub consumer: String,
    /// Provider's name.
    pub provider: String,
    /// Shown status.
    pub status: DeliveryStatus,
    /// Lane's name.
    pub lane: String,
    /// Attempts recorded.
    pub attempts: u32,
    /// What the last attempt came to.
    pub last_outcome: Option<Outcome>,
    /// HTTP status of the last attempt.
    pub last_status_code: Option<u16>,
    /// When it is looked at again; `None` when final, held, or waiting for its turn in a lane.
    pub next_attempt_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A delivery with everything.
#[derive(Debug, Clone)]
pub struct DeliveryView {
    /// As in a list.
    pub row: DeliveryRow,
    /// The event, JSON of `postrider_domain::Event`.
    pub event: String,
    /// Its attempts, oldest first.
    pub attempts: Vec<AttemptView>,
}

/// An attempt as kept.
#[derive(Debug, Clone)]
pub struct AttemptView {
    /// Place in the schedule, from 1.
    pub number: u32,
    /// When it started.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// What it came to.
    pub outcome: Outcome,
    /// HTTP status.
    pub status_code: Option<u16>,
    /// GitHub's request id.
    pub github_request_id: Option<String>,
    /// An earlier attempt may have arrived already.
    pub possible_duplicate: bool,
    /// JSON, redacted; empty when nothing was sent.
    pub request: String,
    /// JSON, redacted.
    pub response: String,
}

/// What a replay would do, or did.
#[derive(Debug, Clone, Default)]
pub struct ReplayPlan {
    /// Final deliveries that it touches, by lane name.
    pub by_lane: Vec<(String, u64)>,
    /// Open ones among those asked for: left alone (they are on their way already).
    pub open: u64,
    /// Those whose webhook is deleted or disabled: left alone.
    pub without_webhook: u64,
}

/// Figures for metrics and `/api/v1/stats`.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// Waiting deliveries by lane name.
    pub backlog: Vec<(String, u64)>,
    /// Deliveries that are claimed now.
    pub sending: u64,
    /// Age of the oldest open delivery in a lane that is open.
    pub oldest_pending: Option<Duration>,
}

impl DeliveryFilter {
    /// Whether executions are among what is asked for.
    pub(crate) fn shows_executions(&self) -> bool {
        self.event == Some(EventName::Test) || self.event_id.is_some() || self.ids.is_some()
    }
}

impl Store {
    /// A page of deliveries, newest first, `limit` 1 to 1,000.
    pub async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page, StoreError> {
        dispatch!(self, deliveries(filter, after, limit))
    }

    /// One delivery with its event and attempts.
    pub async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryView>, StoreError> {
        dispatch!(self, delivery(id))
    }

    /// Of each of these webhooks (at most 150) and each event the newest delivery for the pair,
    /// oldest first, among the newest 10,000 deliveries of the webhook.
    pub async fn newest_deliveries(
        &self,
        webhooks: &[WebhookId],
        consumer: &str,
        provider: &str,
    ) -> Result<Vec<DeliveryRow>, StoreError> {
        let webhooks = webhooks.get(..MAX_WEBHOOKS).unwrap_or(webhooks);
        let ids = dispatch!(self, newest_deliveries(webhooks, consumer, provider))?;
        let filter = DeliveryFilter { ids: Some(ids), ..DeliveryFilter::default() };
        let mut page = self.deliveries(&filter, None, 1_000).await?;
        page.deliveries.reverse();
        Ok(page.deliveries)
    }

    /// T12. Final deliveries of the filter, executions aside, wait again (attempt 0, claim number
    /// kept, marks kept
    /// unless `forget_marks`), at most 100,000 in chunks; with `act` false only counts.
    pub async fn replay(
        &self,
        filter: &DeliveryFilter,
        forget_marks: bool,
        act: bool,
    ) -> Result<ReplayPlan, StoreError> {
        dispatch!(self, replay(filter, forget_marks, act))
    }

    /// Figures of this moment.
    pub async fn stats(&self) -> Result<Stats, StoreError> {
        dispatch!(self, stats())
    }

    /// Retention: drops final deliveries, their events and attempts older than `keep`, and
    /// idempotency keys older than `keep_keys` whose event has nothing open; in chunks of
    /// `limit`; makes the attempts' partitions of the coming days. Open deliveries stay,
    /// however old. Returns how many deliveries went.
    pub async fn prune(
        &self,
        keep: Duration,
        keep_keys: Duration,
        limit: u32,
    ) -> Result<u64, StoreError> {
        dispatch!(self, prune(keep, keep_keys, limit))
    }
}
