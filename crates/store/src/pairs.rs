//! Facts of consumers and providers, folded together from events and from the brokers.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use postrider_domain::{BrokerReach, EventId, EventName, PairFacts, PairKey};

/// An event can't be dated back further than this before it was received.
const OLDEST_EVENT: SignedDuration = SignedDuration::from_hours(24 * 365);

/// A pair with what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairRow {
    /// Which pair.
    pub key: PairKey,
    /// What is known.
    pub facts: PairFacts,
    /// Events whose deliveries tell of the last dispatch.
    pub watched: Vec<EventId>,
}

/// Which pairs. Empty fields don't filter.
#[derive(Debug, Clone, Default)]
pub struct PairFilter {
    /// At this broker.
    pub broker: Option<String>,
    /// Of this consumer.
    pub consumer: Option<String>,
    /// Of this provider.
    pub provider: Option<String>,
}

/// Events of one name, of one pair and of one second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldEvents {
    /// Their pair.
    pub key: PairKey,
    /// Their name.
    pub event: EventName,
    /// What they say of the verification's result.
    pub success: Option<bool>,
    /// When the first of them happened.
    pub first_at: Timestamp,
    /// When the last of them happened.
    pub last_at: Timestamp,
    /// The newest of them that had deliveries.
    pub dispatched: Option<EventId>,
}

/// A stretch of the events.
#[derive(Debug, Clone)]
pub struct ToldPage {
    /// What they tell.
    pub told: Vec<ToldEvents>,
    /// The last of them; `None` when there are none.
    pub last: Option<EventId>,
    /// How many they are.
    pub count: u64,
}

/// What became of an event's deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DispatchFact {
    /// The event.
    pub event: EventId,
    /// Whether one of them is still on its way.
    pub open: bool,
    /// When one was last taken by its target.
    pub delivered_at: Option<Timestamp>,
}

/// Why a broker could not be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokerTrouble {
    /// It is not there, or answers with errors.
    Away,
    /// It refuses the credential.
    Credential,
    /// It asks for less.
    RateLimited,
    /// It answers something else than a Pact Broker.
    Unexpected,
}

impl BrokerTrouble {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Away, Self::Credential, Self::RateLimited, Self::Unexpected];

    /// Its name in rows and incidents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Away => "away",
            Self::Credential => "credential",
            Self::RateLimited => "rate_limited",
            Self::Unexpected => "unexpected",
        }
    }
}

/// Whether a broker that should be asked does answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerRead {
    /// Its name here.
    pub broker: String,
    /// When it last answered everything.
    pub answered_at: Option<Timestamp>,
    /// Since when it does not, why, and in what words; `None` while it does.
    pub failing: Option<(Timestamp, BrokerTrouble, String)>,
}

impl BrokerRead {
    /// What it means for the pairs of this broker. An answer counts for `patience`: nobody may
    /// have asked since.
    pub fn reach(&self, now: Timestamp, patience: Duration) -> BrokerReach {
        let patience = SignedDuration::try_from(patience).unwrap_or(SignedDuration::MAX);
        match self.answered_at {
            Some(at) if self.failing.is_none() && now.duration_since(at) <= patience => {
                BrokerReach::Answers
            }
            answered_at => BrokerReach::Away { answered_at },
        }
    }
}

/// When an event happened: what it says itself counts, but no event is of the future.
pub(crate) fn happened(occurred_at: Option<&str>, received_at: Timestamp) -> Timestamp {
    let told = occurred_at.and_then(|text| text.parse::<Timestamp>().ok());
    let oldest = received_at.checked_sub(OLDEST_EVENT).unwrap_or(received_at);
    told.map_or(received_at, |told| told.clamp(oldest, received_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_happen_neither_later_than_received_nor_ages_ago() {
        let received: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        for (told, expected) in [
            (None, "2026-11-22T12:00:00Z"),
            (Some("2026-11-20T12:00:00Z"), "2026-11-20T12:00:00Z"),
            (Some("2026-11-22T12:00:01Z"), "2026-11-22T12:00:00Z"),
            (Some("-000009-01-01T00:00:00Z"), "2025-11-22T12:00:00Z"),
            (Some("yesterday"), "2026-11-22T12:00:00Z"),
        ] {
            assert_eq!(happened(told, received).to_string(), expected, "{told:?}");
        }
    }

    #[test]
    fn an_answer_counts_for_a_while() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let at = |back: i64| Some(now - SignedDuration::from_secs(back));
        let read = |answered_at, failing: bool| BrokerRead {
            broker: "default".to_owned(),
            answered_at,
            failing: failing.then(|| (now, BrokerTrouble::Away, String::new())),
        };
        let reach = |read: BrokerRead| read.reach(now, Duration::from_mins(1));
        assert_eq!(reach(read(at(60), false)), BrokerReach::Answers);
        assert_eq!(reach(read(at(61), false)), BrokerReach::Away { answered_at: at(61) });
        assert_eq!(reach(read(at(1), true)), BrokerReach::Away { answered_at: at(1) });
        assert_eq!(reach(read(None, false)), BrokerReach::Away { answered_at: None });
    }
}
