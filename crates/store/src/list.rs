//! Deliveries for people and programs, and figures.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use postrider_domain::{
    DeliveryId, DeliveryStatus, EventId, EventName, LaneState, Outcome, WebhookId, WebhookUuid,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::id_time::first_id;
use crate::{AttemptRow, LaneInfo};

/// How far back [`Store::newest_deliveries`](crate::Store::newest_deliveries) looks, so that it ends soon for a webhook that has
/// sent millions for other pairs.
pub(crate) const LOOKED_BACK: u32 = 10_000;

/// Six events of each make less than one page.
pub(crate) const MAX_WEBHOOKS: usize = 150;

/// Deliveries in one condition, whatever their status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryScope {
    /// Still on their way.
    Open,
    /// Attempted without success so far: they failed for good, or will be tried again.
    Failing,
}

/// Which deliveries. Empty fields don't filter.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Shown status.
    pub status: Option<DeliveryStatus>,
    /// In this condition.
    pub scope: Option<DeliveryScope>,
    /// Of this broker.
    pub broker: Option<String>,
    /// Of this webhook.
    pub webhook: Option<WebhookUuid>,
    /// Consumer's name.
    pub consumer: Option<String>,
    /// Provider's name.
    pub provider: Option<String>,
    /// Version number of the consumer.
    pub version: Option<String>,
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

/// How many rows a filter names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// So many at least.
    pub count: u64,
    /// No more than that.
    pub is_exact: bool,
}

impl Total {
    /// How far a list is counted.
    pub const MOST: u64 = 10_000;

    /// Of so many that were found, looking for one more than [`Total::MOST`].
    pub fn of(found: u64) -> Self {
        Self { count: found.min(Self::MOST), is_exact: found <= Self::MOST }
    }

    /// As [`Total::of`], among so many that were looked at, again one more at most.
    pub(crate) fn among(found: u64, seen: u64) -> Self {
        let total = Self::of(found);
        Self { is_exact: total.is_exact && seen <= Self::MOST, ..total }
    }
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
    /// Version number of the consumer; empty when the event has none.
    pub consumer_version: String,
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
    /// Its webhook's row number.
    pub webhook_id: WebhookId,
    /// The event, JSON of `postrider_domain::Event`.
    pub event: String,
    /// W3C `traceparent` of the intake.
    pub traceparent: Option<String>,
    /// Its attempts, oldest first.
    pub attempts: Vec<AttemptRow>,
}

/// What is done to all deliveries that a filter names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkKind {
    /// Final ones wait again (T12).
    Replay {
        /// Marks of earlier attempts that may have arrived are taken off.
        forget_marks: bool,
    },
    /// Waiting ones are discarded.
    Discard,
}

impl BulkKind {
    /// Its name in rows.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Replay { .. } => "replay",
            Self::Discard => "discard",
        }
    }
}

/// What a replay or a discard would do, or did.
#[derive(Debug, Clone, Default)]
pub struct BulkPlan {
    /// Which act; `None` when nothing was to be done.
    pub id: Option<Uuid>,
    /// Deliveries that this call changed, or would change, by lane name.
    pub by_lane: Vec<(String, u64)>,
    /// Of those asked for: on their way already (replay), not waiting (discard).
    pub left_alone: u64,
    /// A replay's whose webhook is deleted or disabled: left alone.
    pub without_webhook: u64,
    /// Deliveries that the act has changed in all its calls.
    pub done: u64,
    /// Whether everything was looked at; else the act can be gone on with.
    pub is_finished: bool,
}

/// Deliveries that one hour brought, by the status that they have now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HourCounts {
    /// When the hour begins.
    pub start: Timestamp,
    /// In the order of [`DeliveryStatus::ALL`].
    counts: [u64; DeliveryStatus::ALL.len()],
    /// There are no more than those counted.
    pub is_exact: bool,
}

impl HourCounts {
    /// How long it is.
    pub(crate) const LENGTH: SignedDuration = SignedDuration::from_hours(1);

    pub(crate) fn new(start: Timestamp) -> Self {
        Self { start, counts: [0; DeliveryStatus::ALL.len()], is_exact: true }
    }

    pub(crate) fn add(&mut self, status: DeliveryStatus, deliveries: u64) {
        let all = DeliveryStatus::ALL.iter().zip(&mut self.counts);
        if let Some((_, count)) = all.into_iter().find(|(known, _)| **known == status) {
            *count += deliveries;
        }
    }

    /// How many of them have this status.
    pub fn of(&self, status: DeliveryStatus) -> u64 {
        let all = DeliveryStatus::ALL.into_iter().zip(self.counts);
        all.filter(|(known, _)| *known == status).map(|(_, count)| count).sum()
    }

    /// How many they are.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
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

impl Stats {
    pub(crate) fn of(lanes: &[LaneInfo], now: Timestamp) -> Self {
        let open = lanes.iter().filter(|lane| lane.state == LaneState::Open);
        let oldest = open.filter_map(|lane| lane.open_since).min();
        let age = |oldest| Duration::try_from(now.duration_since(oldest)).unwrap_or_default();
        Self {
            backlog: lanes.iter().map(|lane| (lane.name.clone(), lane.backlog)).collect(),
            sending: lanes.iter().map(|lane| lane.sending).sum(),
            oldest_pending: oldest.map(age),
        }
    }
}

impl DeliveryFilter {
    /// Whether it names a delivery that was read already.
    pub fn names(&self, row: &DeliveryRow) -> bool {
        let Self {
            status,
            scope,
            broker,
            webhook,
            consumer,
            provider,
            version,
            event,
            event_id,
            lane,
            since,
            until,
            ids,
        } = self;
        let same = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|w| w == is);
        let is_open = matches!(
            row.status,
            DeliveryStatus::Queued | DeliveryStatus::Retrying | DeliveryStatus::Held
        );
        let in_scope = match scope {
            None => true,
            Some(DeliveryScope::Open) => is_open,
            Some(DeliveryScope::Failing) => {
                row.status != DeliveryStatus::Delivered && row.last_outcome.is_some()
            }
        };
        in_scope
            && (self.shows_executions() || row.event_name != EventName::Test)
            && status.is_none_or(|status| status == row.status)
            && webhook.as_ref().is_none_or(|webhook| *webhook == row.webhook_uuid)
            && same(broker, &row.broker)
            && same(consumer, &row.consumer)
            && same(provider, &row.provider)
            && same(version, &row.consumer_version)
            && same(lane, &row.lane)
            && event.is_none_or(|event| event == row.event_name)
            && event_id.is_none_or(|event| event == row.event_id)
            && since.is_none_or(|since| row.id.0 >= first_id(since))
            && until.is_none_or(|until| row.id.0 < first_id(until))
            && ids.as_ref().is_none_or(|ids| ids.contains(&row.id))
    }

    /// Whether executions are among what is asked for.
    pub(crate) fn shows_executions(&self) -> bool {
        self.event == Some(EventName::Test) || self.event_id.is_some() || self.ids.is_some()
    }
}
