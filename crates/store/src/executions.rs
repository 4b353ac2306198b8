//! E1-E6: executions, which test a webhook. An execution is a delivery that somebody waits for:
//! it goes the way of all others (claims, limits, holds), with these differences.
//!
//! | | from -> to | who | guard, and what is written |
//! |---|---|---|---|
//! | E1 | - -> waiting | intake | lane open (a held one is told at once, nothing is written); `execution_until` is now and the wait, `next_at` the epoch: before all that wait |
//! | E2 | waiting -> sending | as T3, T4, T5 | as there, but `execution_until > now()` in place of "the webhook is enabled": who waits no longer gets nothing sent. Limits and counts as for any claim (LEASE_IN_CLAIM, COUNT_CLAIM); never the canary |
//! | E3 | sending -> final | as T6-T10 | FENCE, CLAIM_NO; any recorded outcome is final, nothing is given back, no streak. The lane is held or paused as by any other (L4, L7). Not sent (T11): waiting again, first again |
//! | E4 | waiting -> discarded | intake | still waiting: whoever locks the row first, claim or withdrawal, wins |
//! | E5 | sending -> failed | janitor | as J1, outcome `lost`: what may have been sent is not sent again |
//! | E6 | waiting -> discarded; final -> gone | janitor | `execution_until` has passed; an hour later nothing of it is left |
//!
//! J2, J4 and T12 (replay) don't apply; J3 does. A webhook that was never saved is a row that
//! was never listed: written as deleted, dropped by E6. It holds no lane alone: L4 asks for an
//! enabled webhook of the lane, because otherwise nothing would wait in it and nothing open it.

use std::time::Duration;

use jiff::Timestamp;
use postrider_domain::{
    DeliveryId, Event, EventId, LaneId, LaneState, Selector, StoredStatus, WebhookId,
};

use crate::WebhookWrite;

/// How many of the newest events are looked through for one of a pair.
pub(crate) const EVENTS_LOOKED_AT: i64 = 20_000;

/// A test to make.
#[derive(Debug, Clone)]
pub struct NewExecution {
    /// Its new id (UUIDv7).
    pub id: DeliveryId,
    /// Id of the event made for it.
    pub event_id: EventId,
    /// What is rendered; its name is `Test`.
    pub event: Event,
    /// W3C `traceparent` of the request that asks for it.
    pub traceparent: Option<String>,
    /// Which webhook.
    pub subject: Subject,
    /// How long it may wait to be claimed.
    pub wait: Duration,
}

/// Which webhook is tested.
#[derive(Debug, Clone)]
pub enum Subject {
    /// One that is stored; it may be disabled.
    Saved(WebhookId),
    /// One that is not: kept under its uuid until the test is swept, and never listed.
    Unsaved(Box<WebhookWrite>),
}

/// What starting came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Started {
    /// It waits in this lane.
    Waiting(LaneId),
    /// The lane is held, so nothing was written.
    Held(LaneStop),
    /// There is no such webhook.
    Gone,
}

/// A lane as far as it keeps an execution from being sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneStop {
    /// The lane's name.
    pub lane: String,
    /// Open or held.
    pub state: LaneState,
    /// Since when it is held.
    pub held_since: Option<Timestamp>,
    /// Until when it is paused.
    pub paused_until: Option<Timestamp>,
    /// Its limits need a worker that leads it, and none does.
    pub leaderless: bool,
}

/// How an execution stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionView {
    /// Its state.
    pub status: StoredStatus,
    /// Its lane.
    pub lane: LaneStop,
}

/// What the janitor found of executions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SweptExecutions {
    /// Nobody waits for them any more, and they were not sent.
    pub withdrawn: u64,
    /// Dropped with all that belonged to them.
    pub dropped: u64,
}

/// A selector as two parameters: name and label, at most one of them given.
pub(crate) fn sides(selector: Option<&Selector>) -> (Option<&str>, Option<&str>) {
    match selector {
        None => (None, None),
        Some(Selector::Name(name)) => (Some(name), None),
        Some(Selector::Label(label)) => (None, Some(label)),
    }
}
