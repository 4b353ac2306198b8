//! What is known of the brokers' own webhooks that relay to here.

use jiff::Timestamp;
use postrider_domain::RelayState;

/// A broker's relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerRelay {
    /// The broker's name here.
    pub broker: String,
    /// The webhook's uuid there.
    pub uuid: String,
    /// How it is.
    pub state: RelayState,
    /// Since when that is known.
    pub since: Timestamp,
}

/// Calls of a broker's relays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayCalls {
    /// The broker's name, as the calls said it.
    pub broker: String,
    /// When one was last taken.
    pub taken_at: Option<Timestamp>,
    /// Those that were refused for their token, each since one of the same relay was taken.
    pub refused: Option<RefusedCalls>,
}

/// Calls that were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusedCalls {
    /// When the first was.
    pub since: Timestamp,
    /// When the last was.
    pub last_at: Timestamp,
    /// How many they are.
    pub count: u64,
}
