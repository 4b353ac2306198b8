//! The store in memory, for one thread: what the steps of `postrider_store` that deliveries
//! depend on do to rows, in the fewest words. Each step is atomic; [`Model::set_now`] is its clock.
//!
//! The conformance suite holds it to the same answers as Postgres and SQLite. Streaks, lists,
//! tests of webhooks, retention and sealing are left out.

mod claims;
mod intake;
mod janitor;
mod lanes;
mod leases;
mod limits;
mod parked;
mod record;
mod webhooks;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use postrider_domain::{
    ClaimNo, DeliveryId, DeliveryStatus, EventId, HoldCause, LaneId, LaneLimits, LastOutcome,
    LimitId, RowFacts, StoredStatus, Webhook, WebhookId, WebhookState,
};
use postrider_store::{AttemptRow, UnclaimNo, WorkerId};
use postrider_testkit::Seen;

/// Microseconds, as the databases keep instants and durations.
pub type Micros = i64;

/// A delivery's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its event.
    pub event: EventId,
    /// Its webhook.
    pub webhook: WebhookId,
    /// Its lane.
    pub lane: LaneId,
    /// Its state.
    pub status: StoredStatus,
    /// Places in the schedule that were used.
    pub attempt: u32,
    /// Claims so far.
    pub claim_no: ClaimNo,
    /// Who holds it, while it is sending.
    pub claimed_by: Option<WorkerId>,
    /// Under which lease it was claimed last; 0: none.
    pub claim_epoch: i64,
    /// When its claim ends.
    pub claimed_until: Option<Micros>,
    /// When it is looked at again; `None` when final.
    pub next_at: Option<Micros>,
    /// The mark (STICKY).
    pub maybe_sent: bool,
    /// Claims that were lost.
    pub lost_claims: u32,
    /// Rejected credentials in a row that held nothing.
    pub rejections: u32,
    /// Attempts that were recorded.
    pub attempts: u32,
    /// What the last one came to.
    pub last: Option<LastOutcome>,
    /// When it was made.
    pub created_at: Micros,
    /// When it last changed.
    pub updated_at: Micros,
}

impl Row {
    fn facts(&self) -> RowFacts {
        RowFacts { rejections: self.rejections, lost_claims: self.lost_claims, is_test: false }
    }

    /// Waits, and no claim was ever made of it.
    pub fn is_fresh(&self) -> bool {
        self.status == StoredStatus::Waiting && self.claim_no == ClaimNo(0)
    }
}

/// A lane's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// Its name.
    pub name: String,
    /// Its limit.
    pub limit: LimitId,
    /// Why it is held.
    pub hold: Option<HoldCause>,
    /// Since when.
    pub held_since: Option<Micros>,
    /// Counts holds.
    pub hold_gen: i64,
    /// Revision of its secret.
    pub secret_rev: i64,
    /// When it is probed next.
    pub next_probe_at: Option<Micros>,
    parked_webhook: Option<WebhookId>,
    probes: Probes,
}

/// What of a lane or a webhook was probed (`PROBE_TURN`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Probes {
    /// In vain so far.
    in_vain: u32,
    newest: Option<DeliveryId>,
    last: Option<DeliveryId>,
}

/// A limit's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Its name.
    pub name: String,
    /// What it allows.
    pub limits: LaneLimits,
    /// Who leads.
    pub owner: Option<WorkerId>,
    /// Which acquisition.
    pub epoch: i64,
    /// Until when.
    pub lease_until: Option<Micros>,
    /// Until when it is paused.
    pub pause_until: Option<Micros>,
    pause_step: u32,
    /// When the request after all that were claimed is in its turn.
    pub next_send_at: Micros,
    /// Claims by the minute.
    minutes: BTreeMap<i64, u32>,
}

impl Limit {
    /// Whether a pause is in force.
    pub fn is_paused(&self, now: Micros) -> bool {
        self.pause_until.is_some_and(|until| until > now)
    }
}

/// A webhook's row.
#[derive(Debug, Clone)]
struct Hook {
    webhook: Webhook,
    rev: i64,
    state: WebhookState,
    lane: LaneId,
    secrets: BTreeSet<String>,
    /// Why it is parked.
    parked: Option<HoldCause>,
    /// Counts parks.
    hold_gen: i64,
    /// The `hold_gen` at which something was accepted last.
    good_gen: i64,
    secrets_rev: i64,
    next_probe_at: Option<Micros>,
    probes: Probes,
}

#[derive(Debug, Clone)]
struct EventRow {
    body: String,
    traceparent: Option<String>,
}

#[derive(Debug, Clone)]
struct Key {
    event: EventId,
    fingerprint: [u8; 16],
    free_at: Option<Micros>,
}

#[derive(Debug, Clone, Copy)]
struct Beat {
    at: Micros,
    claim: Duration,
    lease: Duration,
    unclaimed: UnclaimNo,
}

/// The store in memory.
#[derive(Debug, Clone, Default)]
pub struct Model {
    now: Micros,
    sweep_after: Duration,
    version: i64,
    hooks: BTreeMap<WebhookId, Hook>,
    secrets: BTreeSet<String>,
    lanes: BTreeMap<LaneId, Lane>,
    limits: BTreeMap<LimitId, Limit>,
    events: BTreeMap<EventId, EventRow>,
    keys: BTreeMap<String, Key>,
    rows: BTreeMap<DeliveryId, Row>,
    /// Rows that are not final, by lane and the instant at which they are looked at again.
    open: BTreeSet<(LaneId, Micros, DeliveryId)>,
    attempts: BTreeMap<(DeliveryId, ClaimNo), AttemptRow>,
    workers: BTreeMap<uuid::Uuid, Beat>,
}

impl Model {
    /// An empty store whose clock stands at `now`.
    pub fn new(now: Micros, sweep_after: Duration) -> Self {
        Self { now, sweep_after, ..Self::default() }
    }

    /// Its clock, which may also go back.
    pub fn set_now(&mut self, now: Micros) {
        self.now = now;
    }

    /// What its clock says.
    pub fn now(&self) -> Micros {
        self.now
    }

    /// For how long fresh deliveries are left to their messages.
    pub fn set_sweep_after(&mut self, sweep_after: Duration) {
        self.sweep_after = sweep_after;
    }

    /// A delivery's row.
    pub fn row(&self, id: DeliveryId) -> Option<&Row> {
        self.rows.get(&id)
    }

    /// All deliveries.
    pub fn rows(&self) -> impl Iterator<Item = (DeliveryId, &Row)> {
        self.rows.iter().map(|(id, row)| (*id, row))
    }

    /// Deliveries that are not final.
    pub fn open_rows(&self) -> impl Iterator<Item = &Row> {
        self.open.iter().filter_map(|(_, _, id)| self.rows.get(id))
    }

    /// How many deliveries are not final.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// A lane.
    pub fn lane(&self, id: LaneId) -> Option<&Lane> {
        self.lanes.get(&id)
    }

    /// All limits.
    pub fn limits(&self) -> impl Iterator<Item = (LimitId, &Limit)> {
        self.limits.iter().map(|(id, limit)| (*id, limit))
    }

    /// All lanes.
    pub fn all_lanes(&self) -> impl Iterator<Item = (LaneId, &Lane)> {
        self.lanes.iter().map(|(id, lane)| (*id, lane))
    }

    /// A delivery's attempts, by their claims.
    pub fn attempts(&self, id: DeliveryId) -> impl Iterator<Item = (ClaimNo, &AttemptRow)> {
        let all = (id, ClaimNo(i64::MIN))..=(id, ClaimNo(i64::MAX));
        self.attempts.range(all).map(|((_, claim_no), attempt)| (*claim_no, attempt))
    }

    /// The state that people are shown.
    pub fn shown(&self, id: DeliveryId) -> Option<DeliveryStatus> {
        let row = self.rows.get(&id)?;
        let is_held = self.lanes.get(&row.lane).is_some_and(|lane| lane.hold.is_some())
            || self.is_parked(row.webhook);
        Some(DeliveryStatus::shown(row.status, is_held, row.attempts))
    }

    /// A delivery as any store tells it.
    pub fn seen(&self, id: DeliveryId) -> Option<Seen> {
        let row = self.rows.get(&id)?;
        let made = |(_, attempt): (ClaimNo, &AttemptRow)| {
            (attempt.number, attempt.outcome, attempt.possible_duplicate)
        };
        Some(Seen {
            status: self.shown(id)?,
            attempts: row.attempts,
            last_outcome: row.last.map(|last| last.outcome),
            last_status_code: row.last.and_then(|last| last.status_code),
            lane: self.lanes.get(&row.lane)?.name.clone(),
            made: self.attempts(id).map(made).collect(),
        })
    }

    /// Whether a message may still claim a delivery once its lane opens: its webhook is in place.
    pub fn is_in_place(&self, row: &Row) -> bool {
        self.hooks
            .get(&row.webhook)
            .is_some_and(|hook| hook.state == WebhookState::Enabled && hook.lane == row.lane)
    }

    /// Whether a delivery may be claimed as far as its webhook goes.
    fn is_sendable(&self, row: &Row) -> bool {
        self.is_in_place(row) && !self.is_parked(row.webhook)
    }

    /// Changes a row and what finds it.
    fn change(&mut self, id: DeliveryId, change: impl FnOnce(&mut Row)) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        if let Some(at) = row.next_at {
            self.open.remove(&(row.lane, at, id));
        }
        change(row);
        row.updated_at = self.now;
        if let Some(at) = row.next_at {
            self.open.insert((row.lane, at, id));
        }
    }

    fn add_row(&mut self, id: DeliveryId, row: Row) {
        if let Some(at) = row.next_at {
            self.open.insert((row.lane, at, id));
        }
        self.rows.insert(id, row);
    }

    /// Open rows of a lane that are looked at again after `after` and until `until`.
    fn open_between(
        &self,
        lane: LaneId,
        after: Micros,
        until: Micros,
    ) -> impl Iterator<Item = (DeliveryId, &Row)> {
        let (first, last) = (DeliveryId(uuid::Uuid::nil()), DeliveryId(uuid::Uuid::max()));
        self.open
            .range((lane, after.saturating_add(1), first)..=(lane, until, last))
            .filter_map(|(_, _, id)| self.rows.get(id).map(|row| (*id, row)))
    }

    /// Any worker may claim from the lane.
    pub fn is_unlimited(&self, lane: LaneId) -> bool {
        self.limit_of(lane).is_some_and(|limit| !limit.limits.is_limited())
    }

    /// Neither held nor paused.
    fn is_open(&self, lane: LaneId) -> bool {
        let is_held = self.lanes.get(&lane).is_none_or(|lane| lane.hold.is_some());
        !is_held && self.limit_of(lane).is_some_and(|limit| !limit.is_paused(self.now))
    }

    fn limit_of(&self, lane: LaneId) -> Option<&Limit> {
        self.lanes.get(&lane).and_then(|lane| self.limits.get(&lane.limit))
    }

    fn lanes_of(&self, limit: LimitId) -> Vec<LaneId> {
        let of_limit = self.lanes.iter().filter(|(_, lane)| lane.limit == limit);
        of_limit.map(|(id, _)| *id).collect()
    }

    fn lane_named(&self, name: &str) -> Option<LaneId> {
        self.lanes.iter().find(|(_, lane)| lane.name == name).map(|(id, _)| *id)
    }

    fn later(&self, wait: Duration) -> Micros {
        self.now.saturating_add(micros(wait))
    }
}

fn micros(duration: Duration) -> Micros {
    Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX)
}

fn duration(micros: Micros) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or_default())
}

/// What is left until an instant, if it lies ahead.
fn ahead(instant: Option<Micros>, now: Micros) -> Option<Duration> {
    instant.filter(|at| *at > now).map(|at| duration(at - now))
}

fn timestamp(micros: Micros) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or_default()
}
