//! What the watch of a broker keeps between two looks.

use jiff::Timestamp;
use postrider_domain::EventId;

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
    /// Why it needs none.
    pub why: WhyKnown,
    /// The event that told of it; `None` when none did.
    pub event: Option<EventId>,
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
}
