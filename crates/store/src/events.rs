//! Events for people and programs.

use jiff::Timestamp;
use postrider_domain::doctor::{Known, RunFinding};
use postrider_domain::{EventId, EventName, EventSource, MergedBecause};

use crate::DeliveryRow;

/// Which events. Empty fields don't filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of this broker.
    pub broker: Option<String>,
    /// Consumer's name.
    pub consumer: Option<String>,
    /// Provider's name.
    pub provider: Option<String>,
    /// The consumer's version.
    pub version: Option<String>,
    /// Of this name; `Test` names executions, which lists leave out unless they are named.
    pub event: Option<EventName>,
    /// Only those that no webhook wanted.
    pub unmatched: bool,
    /// Taken in at or after.
    pub since: Option<Timestamp>,
    /// Taken in before.
    pub until: Option<Timestamp>,
}

/// Where a page ended; opaque text outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventCursor(pub EventId);

/// One page, newest first.
#[derive(Debug, Clone)]
pub struct EventPage {
    /// Rows.
    pub events: Vec<EventRow>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<EventCursor>,
}

/// An event in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// Its id.
    pub id: EventId,
    /// What happened.
    pub event_name: EventName,
    /// Where.
    pub broker: String,
    /// Consumer's name.
    pub consumer: String,
    /// Consumer's version; empty when unknown.
    pub consumer_version: String,
    /// Provider's name.
    pub provider: String,
    /// Provider's version; empty when unknown.
    pub provider_version: String,
    /// How it came in; `None` for those that a version took in that did not keep it.
    pub source: Option<EventSource>,
    /// When it was taken in.
    pub received_at: Timestamp,
    /// How many webhooks wanted it.
    pub deliveries: u32,
}

/// An event with everything.
#[derive(Debug, Clone)]
pub struct EventView {
    /// As in a list.
    pub row: EventRow,
    /// JSON of `postrider_domain::Event`.
    pub event: String,
    /// What it led to, newest first; of very many the newest thousand.
    pub deliveries: Vec<DeliveryRow>,
    /// Calls of a broker that were merged with it; `None` when none was.
    pub merged: Option<MergedCalls>,
}

/// Calls of a broker that were taken for the publication of which an event told already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MergedCalls {
    /// How many.
    pub calls: u64,
    /// When the last one came.
    pub last_at: Timestamp,
    /// Why that one was merged.
    pub because: MergedBecause,
}

/// How a question about a delivery's run stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunAnswer {
    /// Nobody asked.
    NotAsked,
    /// No worker has answered yet.
    Waiting,
    /// What was found, or why it can't be read.
    Is(Known<RunFinding>),
}
