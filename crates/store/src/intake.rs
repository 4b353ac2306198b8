//! T1, T1c, T2: an event and its deliveries enter.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use postrider_domain::{DeliveryId, Event, EventId, EventSource, LaneId, WebhookId, WebhookUuid};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::store::{Backend, dispatch};
use crate::{Claim, ClaimTerms, Store, StoreError, StoredWebhook, codec};

/// Events to commit in one statement.
#[derive(Debug, Clone)]
pub struct IntakeBatch {
    /// The `webhooks_version` that the entries were matched with (VERSION_IN_COMMIT).
    pub webhooks_version: i64,
    /// At most 1,000 events; shared, because SQLite commits them in its writer's task.
    pub entries: Arc<Vec<IntakeEntry>>,
}

/// One event with what it leads to.
#[derive(Debug, Clone)]
pub struct IntakeEntry {
    /// The event.
    pub event: NewEvent,
    /// One for each webhook that wants it; may be empty.
    pub deliveries: Vec<NewDelivery>,
}

/// An event to accept.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Its new id (UUIDv7).
    pub id: EventId,
    /// How it came in.
    pub source: EventSource,
    /// The sender's idempotency key, scoped by the caller (e.g. `header:...`); `None` = none.
    pub key: Option<String>,
    /// When the key stops standing for this event; `None` = never.
    pub term: Option<KeyTerm>,
    /// Hash of the content, to tell a repeat from another event under the same key.
    pub fingerprint: [u8; 16],
    /// The content.
    pub event: EventDocument,
    /// W3C `traceparent` of the accepting span.
    pub traceparent: Option<String>,
}

/// An event with the text that is kept of it, which is written once.
#[derive(Debug, Clone)]
pub struct EventDocument {
    event: Event,
    text: String,
}

impl EventDocument {
    /// Writes an event down. Fails only when it can't be written as JSON.
    pub fn new(event: Event) -> Result<Self, StoreError> {
        let text = codec::event_text(&event)?;
        Ok(Self { event, text })
    }

    /// The event.
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// Its JSON, as the store keeps it and a claim returns it: the same for equal events.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// The term of a key that the receiver made of an event's content, as the relay does: its
/// senders can't say which of two equal calls is a repeat.
///
/// The key stands for its event until [`Store::free_key`], and for `longest` at most. A call
/// that arrived before that is a repeat, whenever its commit comes; a later one makes a new
/// event and takes the key over. Arrivals are told as durations and compared by the database's
/// clock (DB_CLOCK); what the way there takes makes a call look later, so it is never a call
/// after the answer that is taken for a repeat.
#[derive(Debug, Clone, Copy)]
pub struct KeyTerm {
    /// When the call that carries the event arrived.
    pub arrived: Instant,
    /// From then on the key stands for the event at most this long.
    pub longest: Duration,
}

/// A delivery to make.
#[derive(Debug, Clone, Copy)]
pub struct NewDelivery {
    /// Its new id (UUIDv7).
    pub id: DeliveryId,
    /// For which webhook.
    pub webhook_id: WebhookId,
    /// The webhook's lane as the caller's table knows it.
    pub lane_id: LaneId,
}

impl NewDelivery {
    /// A delivery for this webhook.
    pub fn of(webhook: &StoredWebhook) -> Self {
        let StoredWebhook { id, lane_id, .. } = *webhook;
        Self { id: DeliveryId(Uuid::now_v7()), webhook_id: id, lane_id }
    }
}

/// The right to claim deliveries with the commit that makes them (T1c): a scheduler of this
/// process keeps permits for them and waits for what comes of it. One that is dropped before the
/// commit came to an end leaves it to give back what may have been claimed (UNCLAIM).
pub struct ClaimsAtIntake {
    ids: Vec<DeliveryId>,
    terms: ClaimTerms,
    answer: Box<dyn FnOnce(ClaimsCame<'_>) + Send>,
}

/// What was claimed, or why the commit failed.
pub type ClaimsCame<'a> = Result<Vec<Claim>, &'a StoreError>;

impl ClaimsAtIntake {
    /// The right to claim these on these terms; `answer` is told what came of it.
    pub fn new(
        ids: Vec<DeliveryId>,
        terms: ClaimTerms,
        answer: impl FnOnce(ClaimsCame<'_>) + Send + 'static,
    ) -> Self {
        Self { ids, terms, answer: Box::new(answer) }
    }

    /// Nothing was committed under it.
    pub fn not_used(self) {
        self.came(Ok(Vec::new()));
    }

    fn came(self, came: ClaimsCame<'_>) {
        (self.answer)(came);
    }
}

impl fmt::Debug for ClaimsAtIntake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClaimsAtIntake").field("ids", &self.ids).finish_non_exhaustive()
    }
}

/// Which deliveries a commit may claim, and how.
#[derive(Debug, Clone)]
pub(crate) struct WantedClaims {
    pub(crate) ids: HashSet<DeliveryId>,
    pub(crate) terms: ClaimTerms,
}

/// A commit that was made.
#[derive(Debug)]
pub struct Entered {
    /// What became of the entries, in their order.
    pub results: Vec<IntakeResult>,
    /// What was claimed with it.
    pub claimed: HashSet<DeliveryId>,
}

/// What became of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntakeResult {
    /// On disk now.
    Accepted,
    /// The key was used before (or earlier in this batch); nothing was written.
    Duplicate(Committed),
}

/// An event that was accepted earlier under the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Its id.
    pub event_id: EventId,
    /// Its deliveries.
    pub deliveries: Vec<(DeliveryId, WebhookUuid)>,
    /// Hash of its content.
    pub fingerprint: [u8; 16],
}

impl Store {
    /// T1. Commits keys, events and deliveries in one atomic statement (ATOMIC_KEY) on the
    /// condition that the webhooks are still at `batch.webhooks_version`; `Ok(None)` when they
    /// are not: nothing was written, reload the table, match again. Results in the order of the
    /// entries. A delivery's first `next_at` is now for a limited lane, else
    /// now + `sweep_after` (SWEEP, LIMITED_LEFT).
    pub async fn commit_events(
        &self,
        batch: &IntakeBatch,
    ) -> Result<Option<Vec<IntakeResult>>, StoreError> {
        dispatch!(self, commit_events(batch))
    }

    /// [`commit_events`](Self::commit_events) that claims in the same step what it may of the
    /// deliveries that it makes (T1c): those whose lane is open, not paused and not limited, and
    /// whose webhook is enabled and still of that lane. The scheduler that gave the right is told
    /// what came of it. Without a right nothing is claimed, nor over Postgres: only an
    /// embedded store claims so.
    pub async fn commit_events_claiming(
        &self,
        batch: &IntakeBatch,
        claims: Option<ClaimsAtIntake>,
    ) -> Result<Option<Entered>, StoreError> {
        let (sqlite, claims) = match (&self.0, claims) {
            (Backend::Sqlite(sqlite), Some(claims)) => (sqlite, claims),
            (Backend::Sqlite(_) | Backend::Postgres(_), claims) => {
                if let Some(claims) = claims {
                    claims.not_used();
                }
                let results = self.commit_events(batch).await?;
                return Ok(results.map(|results| Entered { results, claimed: HashSet::new() }));
            }
        };
        let ids = claims.ids.iter().copied().collect();
        let wanted = WantedClaims { ids, terms: claims.terms };
        match sqlite.enter(batch, Some(wanted)).await {
            Ok(Some((results, came))) => {
                let claimed = came.iter().map(|claim| claim.id).collect();
                claims.came(Ok(came));
                Ok(Some(Entered { results, claimed }))
            }
            Ok(None) => {
                claims.not_used();
                Ok(None)
            }
            Err(error) => {
                claims.came(Err(&error));
                Err(error)
            }
        }
    }

    /// Runs `work` while no process writes webhooks: for a commit that their changes would keep from
    /// coming to its end (VERSION_IN_COMMIT). Where they can't be kept still `work` runs all the
    /// same, and they are let go after some seconds: what it commits is conditional still. An
    /// embedded store has no other process.
    pub async fn while_webhooks_stand_still<T>(&self, work: impl Future<Output = T>) -> T {
        let Backend::Postgres(postgres) = &self.0 else { return work.await };
        let (still, over) = (Notify::new(), CancellationToken::new());
        let hold = async {
            if let Err(error) = postgres.hold_webhooks(&still, &over).await {
                tracing::warn!(%error, "webhooks.not_still");
            }
            still.notify_one();
        };
        let work = async {
            still.notified().await;
            let done = work.await;
            over.cancel();
            done
        };
        tokio::join!(hold, work).1
    }

    /// T2. No message will bring these, or nobody can take them now: waiting deliveries that were
    /// never claimed become due now.
    pub async fn make_due(&self, ids: &[DeliveryId]) -> Result<(), StoreError> {
        dispatch!(self, make_due(ids))
    }

    /// Deliveries that wait and were never claimed, counted up to `limit`.
    pub async fn count_unclaimed(&self, limit: u32) -> Result<u32, StoreError> {
        dispatch!(self, count_unclaimed(limit))
    }

    /// Ends the term of a key that stands for `event`: calls that arrive from now on find it
    /// free. A key without a term, or one that stands for another event by now, stays.
    pub async fn free_key(&self, key: &str, event: EventId) -> Result<(), StoreError> {
        dispatch!(self, free_key(key, event))
    }
}
