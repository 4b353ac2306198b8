//! What the watch of a broker keeps between two looks.

use jiff::Timestamp;
use postrider_domain::owed::Dispatched;
use postrider_domain::{EventId, EventSource, Learned, PairKey, WebhookUuid};

/// How far a broker was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerWalk {
    /// When the first walk began that came to its end.
    pub first_contact_at: Timestamp,
    /// When the last one began.
    pub began_at: Timestamp,
    /// Consumer and provider of the pairs that changed last, newest change first.
    pub changed_last: Vec<(String, String)>,
}

/// Why a debt needs no event any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyKnown {
    /// An event told of it: of a relay, of a caller, of `reconcile`.
    Told,
    /// The watch made an event of it.
    Watch,
    /// It was owed already when the broker was first read.
    FirstContact,
    /// The watch only looked on when it was found.
    Observed,
}

impl WhyKnown {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Told, Self::Watch, Self::FirstContact, Self::Observed];

    /// Its name in rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Told => "told",
            Self::Watch => "watch",
            Self::FirstContact => "first_contact",
            Self::Observed => "observed",
        }
    }
}

/// A provider version that owes a result for a contract of a pair, and needs no event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownDebt {
    /// The consumer version that published the contract.
    pub consumer_version: String,
    /// The version that owes.
    pub provider_version: String,
    /// When the contract was published; `None` of debts that an earlier release noted.
    pub published_at: Option<Timestamp>,
    /// Why it needs none.
    pub why: WhyKnown,
    /// The event that told of it; `None` when none did.
    pub event: Option<EventId>,
    /// How often it was dispatched again because nothing came of it.
    pub again: u32,
}

/// A debt that an event told of, and that was owed when it was last looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldDebt {
    /// Its pair.
    pub key: PairKey,
    /// The consumer version that published the contract.
    pub consumer_version: String,
    /// The version that owes.
    pub provider_version: String,
    /// When the contract was published; `None` of debts that an earlier release noted.
    pub published_at: Option<Timestamp>,
    /// The event that told of it.
    pub event: EventId,
    /// How often it was dispatched again.
    pub again: u32,
    /// By which event the last time.
    pub again_event: Option<EventId>,
    /// When it was last seen at the broker.
    pub seen_at: Timestamp,
    /// What is learned of its provider.
    pub learned: Option<Learned>,
}

impl KnownDebt {
    /// Whether it is of the contract that was published then, and not of one that another took the
    /// place of since.
    pub fn is_of(&self, published_at: Timestamp) -> bool {
        is_of(self.published_at, published_at)
    }
}

/// What is overwritten is published later, by whole seconds as a broker tells them.
fn is_of(noted: Option<Timestamp>, published_at: Timestamp) -> bool {
    noted.is_none_or(|noted| published_at.as_second() <= noted.as_second())
}

impl ToldDebt {
    /// Whether it is of the contract that was published then, and not of one that another took the
    /// place of since.
    pub fn is_of(&self, published_at: Timestamp) -> bool {
        is_of(self.published_at, published_at)
    }

    /// The event that dispatched it last.
    pub fn newest(&self) -> EventId {
        self.again_event.unwrap_or(self.event)
    }
}

/// What became of an event's deliveries; those that were discarded are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventFate {
    /// The event.
    pub event: EventId,
    /// Whether one of them is still on its way.
    pub is_open: bool,
    /// When the last of them ended, taken or failed.
    pub ended_at: Option<Timestamp>,
    /// When the last was taken by its target.
    pub delivered_at: Option<Timestamp>,
    /// The webhooks of those that failed, and when.
    pub failed: Vec<(WebhookUuid, Timestamp)>,
}

impl EventFate {
    /// An event that no webhook wanted.
    pub fn of(event: EventId) -> Self {
        Self { event, is_open: false, ended_at: None, delivered_at: None, failed: Vec::new() }
    }

    /// What that means for a debt that it told of.
    pub fn dispatched(&self) -> Dispatched {
        match self.ended_at {
            _ if self.is_open => Dispatched::Open,
            Some(at) => Dispatched::Ended(at),
            None => Dispatched::Unwanted,
        }
    }
}

/// What an event that asks for a verification told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldVersion {
    /// The event.
    pub event: EventId,
    /// The consumer version that published the contract.
    pub consumer_version: String,
    /// The version that owes; empty when the event stands for all that counted then.
    pub provider_version: String,
    /// Where the contract can be read; empty when unknown.
    pub pact_url: String,
    /// Who brought it; `None` of events from before that was noted.
    pub source: Option<EventSource>,
}
