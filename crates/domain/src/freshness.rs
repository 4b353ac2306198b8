//! Whether the verification of a contract is as fresh as it should be.
//!
//! One pair of a consumer and a provider at one broker is judged from a handful of facts:
//!
//! | state | when |
//! |---|---|
//! | `unknown` | neither a publication nor a verification is known |
//! | `stale` | a verification is owed for longer than the pair's threshold |
//! | `silent` | nothing is owed, and the newest verification is older than the threshold: no data is a state of its own |
//! | `fresh` | else, also while a verification is owed that is not late yet |
//!
//! A verification is owed since the first publication after the newest verification that wants
//! one; a pair that was never verified owes one since its first publication of any kind. It is
//! freshness that is judged, not success: a failed verification is one, too.
//!
//! A broker that can't be asked never makes a pair late: see [`BrokerReach`].

mod key;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{EventName, QuietDays};

pub use key::{InvalidPairKey, PairKey};

/// The oldest age that is told apart, which bounds the walk over its quiet days.
const OLDEST: SignedDuration = SignedDuration::from_hours(24 * 3650);
/// Publications that are remembered of a pair that owes a verification.
const OWING_MOST: usize = 16;

/// A verification's result as far as it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// When it was published.
    pub at: Timestamp,
    /// Whether it succeeded; `None` when that was not told.
    pub success: Option<bool>,
}

/// What is known of a pair. Folding the same thing in twice, or things out of order, comes to
/// the same facts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PairFacts {
    /// The oldest publication known.
    pub first_publication: Option<Timestamp>,
    /// The newest publication.
    pub last_publication: Option<Timestamp>,
    /// Publications after the newest verification that want one, oldest first. Of many the
    /// oldest and the newest are kept.
    pub owing: Vec<Timestamp>,
    /// The newest verification.
    pub last_verification: Option<Verified>,
    /// When a delivery was last taken by its target.
    pub last_dispatch: Option<Timestamp>,
}

impl PairFacts {
    /// A pact was published; `wants` says whether it waits for a verification.
    pub fn published(&mut self, at: Timestamp, wants: bool) {
        let at = as_kept(at);
        self.first_publication = Some(self.first_publication.map_or(at, |first| first.min(at)));
        self.last_publication = self.last_publication.max(Some(at));
        let is_late = self.last_verification.is_none_or(|newest| at > newest.at);
        if !wants || !is_late {
            return;
        }
        if let Err(place) = self.owing.binary_search(&at) {
            self.owing.insert(place, at);
            if self.owing.len() > OWING_MOST {
                self.owing.remove(OWING_MOST - 1);
            }
        }
    }

    /// A verification result was published.
    pub fn verified(&mut self, at: Timestamp, success: Option<bool>) {
        let at = as_kept(at);
        let newest = self.last_verification.get_or_insert(Verified { at, success });
        if at > newest.at {
            *newest = Verified { at, success };
        } else if at == newest.at {
            // Of two words on one instant the one that tells a result counts, and a failure most.
            newest.success = match (newest.success, success) {
                (Some(known), Some(told)) => Some(known && told),
                (known, told) => known.or(told),
            };
        }
        let newest = newest.at;
        self.owing.retain(|owing| *owing > newest);
    }

    /// A delivery was taken by its target.
    pub fn dispatched(&mut self, at: Timestamp) {
        self.last_dispatch = self.last_dispatch.max(Some(as_kept(at)));
    }

    /// What an event tells of its pair.
    pub fn told(&mut self, event: EventName, at: Timestamp, success: Option<bool>) {
        match event {
            EventName::ContractPublished => self.published(at, false),
            EventName::ContractContentChanged
            | EventName::ContractRequiringVerificationPublished => self.published(at, true),
            EventName::ProviderVerificationPublished => self.verified(at, success),
            EventName::ProviderVerificationSucceeded => self.verified(at, Some(true)),
            EventName::ProviderVerificationFailed => self.verified(at, Some(false)),
            // Somebody tries a webhook: nothing was published.
            EventName::Test => {}
        }
    }

    /// Adds what somebody else knows of the same pair.
    pub fn absorb(&mut self, other: &Self) {
        if let Some(newest) = other.last_verification {
            self.verified(newest.at, newest.success);
        }
        for at in other.first_publication.into_iter().chain(other.last_publication) {
            self.published(at, false);
        }
        for at in &other.owing {
            self.published(*at, true);
        }
        self.last_dispatch = self.last_dispatch.max(other.last_dispatch);
    }

    /// Since when a verification is owed; `None` when none is.
    pub fn owed_since(&self) -> Option<Timestamp> {
        match self.last_verification {
            None => self.first_publication,
            Some(_) => self.owing.first().copied(),
        }
    }
}

/// The instant in whole microseconds: rows keep no more, and what is told again has to be the same.
fn as_kept(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}

/// What is expected of one pair, beside the default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairRule {
    /// Only at this broker; at all when `None`.
    pub broker: Option<String>,
    /// The consumer's name.
    pub consumer: String,
    /// The provider's name.
    pub provider: String,
    /// How old things may get; the default when `None`.
    pub max_age: Option<Duration>,
    /// Whether its incidents are critical.
    pub critical: bool,
}

impl PairRule {
    fn covers(&self, pair: &PairKey) -> bool {
        self.consumer == pair.consumer
            && self.provider == pair.provider
            && self.broker.as_ref().is_none_or(|broker| *broker == pair.broker)
    }
}

/// When a pair is late.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreshnessRules {
    /// How old a verification, or the lack of one, may get where no rule says otherwise.
    pub max_age: Duration,
    /// Days that don't count as age.
    pub quiet: QuietDays,
    /// Exceptions; the first that covers a pair counts.
    pub pairs: Vec<PairRule>,
}

impl FreshnessRules {
    /// 24 h.
    pub const MAX_AGE: Duration = Duration::from_hours(24);

    fn rule(&self, pair: &PairKey) -> Option<&PairRule> {
        self.pairs.iter().find(|rule| rule.covers(pair))
    }

    /// How old things of this pair may get.
    pub fn max_age(&self, pair: &PairKey) -> Duration {
        self.rule(pair).and_then(|rule| rule.max_age).unwrap_or(self.max_age)
    }

    /// Whether incidents of this pair are critical.
    pub fn is_critical(&self, pair: &PairKey) -> bool {
        self.rule(pair).is_some_and(|rule| rule.critical)
    }
}

/// Whether the pair's broker tells of verifications when it is asked.
///
/// While a broker can't be asked, a pair may look late only because nobody can see its newest
/// verification. So it is late only if it was so already when the broker last answered; else
/// its state is `unknown`. That the broker is away is an incident of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokerReach {
    /// It is not asked: relayed events are all there is.
    NotAsked,
    /// It answered when it was last asked.
    Answers,
    /// It could not be asked.
    Away {
        /// When it last answered; `None` = never.
        answered_at: Option<Timestamp>,
    },
}

/// How fresh a pair is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FreshnessState {
    /// Verified lately, or waiting for a verification that is not late.
    Fresh,
    /// A verification is owed for too long.
    Stale,
    /// Nothing was heard for too long.
    Silent,
    /// There is nothing to judge by.
    Unknown,
}

/// The text is no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown freshness state: use fresh, stale, silent or unknown")]
pub struct UnknownFreshnessState;

impl FreshnessState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Fresh, Self::Stale, Self::Silent, Self::Unknown];

    /// Its name in JSON and settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Silent => "silent",
            Self::Unknown => "unknown",
        }
    }

    fn is_late(self) -> bool {
        matches!(self, Self::Stale | Self::Silent)
    }
}

impl std::str::FromStr for FreshnessState {
    type Err = UnknownFreshnessState;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(UnknownFreshnessState)
    }
}

/// The verdict on one pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// How fresh it is.
    pub state: FreshnessState,
    /// Age of what is owed, else of the newest verification, without quiet days; `None` when
    /// there is neither.
    pub age: Option<Duration>,
    /// How old it may get.
    pub max_age: Duration,
    /// Whether its incidents are critical.
    pub critical: bool,
}

/// Judges one pair.
pub fn judge(
    rules: &FreshnessRules,
    pair: &PairKey,
    facts: &PairFacts,
    reach: BrokerReach,
    now: Timestamp,
) -> Verdict {
    let max_age = rules.max_age(pair);
    let (state, age) = at(rules, facts, max_age, now);
    let state = match reach {
        BrokerReach::Away { answered_at } if state.is_late() => answered_at
            .map(|then| at(rules, facts, max_age, then).0)
            .filter(|then| *then == state)
            .unwrap_or(FreshnessState::Unknown),
        BrokerReach::Away { .. } | BrokerReach::NotAsked | BrokerReach::Answers => state,
    };
    Verdict { state, age, max_age, critical: rules.is_critical(pair) }
}

fn at(
    rules: &FreshnessRules,
    facts: &PairFacts,
    max_age: Duration,
    now: Timestamp,
) -> (FreshnessState, Option<Duration>) {
    let owed = facts.owed_since();
    let Some(since) = owed.or(facts.last_verification.map(|newest| newest.at)) else {
        return (FreshnessState::Unknown, None);
    };
    let age = age(&rules.quiet, since, now);
    let state = match (age > max_age, owed) {
        (false, _) => FreshnessState::Fresh,
        (true, Some(_)) => FreshnessState::Stale,
        (true, None) => FreshnessState::Silent,
    };
    (state, Some(age))
}

/// Age without quiet days; what lies in the future has none, and nothing is older than ten
/// years.
pub fn age(quiet: &QuietDays, since: Timestamp, now: Timestamp) -> Duration {
    let oldest = now.checked_sub(OLDEST).unwrap_or(since);
    let age = quiet.age(since.max(oldest), now).max(SignedDuration::ZERO);
    Duration::try_from(age).unwrap_or_default()
}

#[cfg(test)]
mod tests;
