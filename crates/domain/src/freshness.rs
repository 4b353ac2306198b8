//! Whether the verification of a contract is as fresh as it should be.
//!
//! One pair of a consumer and a provider at one broker is judged by what the broker says, by the
//! rule of [`owed`](crate::owed). Worst first:
//!
//! | state | when |
//! |---|---|
//! | `failed` | a version that counts does not keep a line's contract |
//! | `stale` | a verification is owed for longer than the pair's threshold |
//! | `unguarded` | no version of the provider counts, so that nobody is ever told of a contract |
//! | `silent` | a publication that no event told of, where none is made of it: the broker's webhook does not reach us |
//! | `unknown` | the broker could not tell of the pair, or nothing is known of it |
//! | `owing` | a verification is owed, and not late yet |
//! | `fresh` | else: a contract that is verified and does not change is fresh for ever |
//!
//! Where no broker is asked, events are all there is. They can't tell which versions count: a
//! verification is owed since the first publication after the newest verification that wants one;
//! a pair that was never verified owes one since its first publication of any kind. Then there is
//! `stale`, `unknown`, `owing` and `fresh`.
//!
//! A broker that can't be asked never makes a pair late: see [`BrokerReach`].

mod key;
mod learned;
mod says;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::owed::Due;
use crate::{EventName, QuietDays, age};

pub use key::{InvalidPairKey, PairKey};
pub use learned::{Learned, ResultTimes, Silence, ThresholdFrom};
pub use says::{BrokerSays, SaidDebt, SaidFailure, SaidHold};

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
    /// The newest publication that an event told of.
    pub told_publication: Option<Timestamp>,
    /// What the broker says; `None` while it was not asked.
    pub says: Option<BrokerSays>,
    /// What is learned of the provider, over all its pairs.
    pub learned: Option<Learned>,
}

impl PairFacts {
    /// Since when it owes what its provider should have been told of, once for each contract
    /// version: what several versions of the provider owe it was asked for by one publication,
    /// and is late for one reason. The newest of these debts tells when that was: a version may
    /// have been owing for longer. Nothing while the broker can't tell. A debt that came `later`
    /// says nothing of the provider: nobody asked it.
    pub fn asked_since(&self) -> Vec<Timestamp> {
        let says = self.says.iter().filter(|says| says.trouble.is_none());
        let owes = says.flat_map(|says| &says.owes);
        let mut newest = BTreeMap::new();
        for debt in owes.filter(|debt| debt.due == Due::Published) {
            let since = newest.entry(debt.consumer_version.as_str()).or_insert(debt.since);
            *since = debt.since.max(*since);
        }
        newest.into_values().collect()
    }

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
            EventName::ContractPublished => self.told_of_publication(at, false),
            EventName::ContractContentChanged
            | EventName::ContractRequiringVerificationPublished => {
                self.told_of_publication(at, true);
            }
            EventName::ProviderVerificationPublished => self.verified(at, success),
            EventName::ProviderVerificationSucceeded => self.verified(at, Some(true)),
            EventName::ProviderVerificationFailed => self.verified(at, Some(false)),
            // Somebody tries a webhook: nothing was published.
            EventName::Test => {}
        }
    }

    fn told_of_publication(&mut self, at: Timestamp, wants: bool) {
        self.told_publication = self.told_publication.max(Some(as_kept(at)));
        self.published(at, wants);
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
        self.told_publication = self.told_publication.max(other.told_publication);
        self.says = other.says.clone().or_else(|| self.says.take());
    }

    /// The newest publication that an event or the broker told of.
    pub fn newest_publication(&self) -> Option<Timestamp> {
        self.last_publication.max(self.says.as_ref().and_then(|says| says.published_at))
    }

    /// Since when a verification is owed; `None` when none is.
    pub fn owed_since(&self) -> Option<Timestamp> {
        match (&self.says, self.last_verification) {
            (Some(says), _) => says.owed_since(),
            (None, None) => self.first_publication,
            (None, Some(_)) => self.owing.first().copied(),
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
    /// How old a verification, or the lack of one, may get where no rule says otherwise; `None`
    /// where that is learned.
    pub max_age: Option<Duration>,
    /// Days that don't count as age.
    pub quiet: QuietDays,
    /// Exceptions; the first that covers a pair counts.
    pub pairs: Vec<PairRule>,
    /// Whether a publication that no event told of becomes an event by itself: then no pair is
    /// silent.
    pub is_watched: bool,
}

impl FreshnessRules {
    fn rule(&self, pair: &PairKey) -> Option<&PairRule> {
        self.pairs.iter().find(|rule| rule.covers(pair))
    }

    /// How old things of this pair may get, and why: what is of this age now, if anything is.
    pub fn threshold(
        &self,
        pair: &PairKey,
        learned: Option<Learned>,
        age: Option<Duration>,
    ) -> (Duration, ThresholdFrom) {
        match (self.rule(pair).and_then(|rule| rule.max_age), self.max_age) {
            (Some(max_age), _) => (max_age, ThresholdFrom::Pair),
            (None, Some(max_age)) => (max_age, ThresholdFrom::Setting),
            (None, None) => learned::threshold(learned, age),
        }
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

/// How fresh a pair is, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FreshnessState {
    /// A version that counts does not keep the contract.
    Failed,
    /// A verification is owed for too long.
    Stale,
    /// No version of the provider counts.
    Unguarded,
    /// Publications come, and no event tells of them.
    Silent,
    /// There is nothing to judge by.
    Unknown,
    /// A verification is owed, and not late.
    Owing,
    /// Verified.
    Fresh,
}

/// The text is no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown freshness state: use failed, stale, unguarded, silent, unknown, owing or fresh")]
pub struct UnknownFreshnessState;

impl FreshnessState {
    /// All states, worst first.
    pub const ALL: [Self; 7] = [
        Self::Failed,
        Self::Stale,
        Self::Unguarded,
        Self::Silent,
        Self::Unknown,
        Self::Owing,
        Self::Fresh,
    ];

    /// Its name in JSON and settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Stale => "stale",
            Self::Unguarded => "unguarded",
            Self::Silent => "silent",
            Self::Unknown => "unknown",
            Self::Owing => "owing",
            Self::Fresh => "fresh",
        }
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
    /// Why.
    pub from: ThresholdFrom,
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
    let owed = facts.owed_since().map(|since| age(&rules.quiet, since, now));
    let (max_age, from) = rules.threshold(pair, facts.learned, owed);
    let (state, age) = match (&facts.says, reach) {
        (Some(says), BrokerReach::Answers) => by_broker(rules, facts, says, max_age, now),
        (Some(says), BrokerReach::Away { answered_at: Some(then) }) => {
            by_broker(rules, facts, says, max_age, then.min(now))
        }
        (Some(_), BrokerReach::Away { answered_at: None }) => (FreshnessState::Unknown, None),
        (Some(_), BrokerReach::NotAsked) | (None, _) => {
            by_events(rules, facts, max_age, reach, now)
        }
    };
    Verdict { state, age, max_age, from, critical: rules.is_critical(pair) }
}

type StateAndAge = (FreshnessState, Option<Duration>);

/// By what the broker says.
fn by_broker(
    rules: &FreshnessRules,
    facts: &PairFacts,
    says: &BrokerSays,
    max_age: Duration,
    now: Timestamp,
) -> StateAndAge {
    let owed = says.owed_since().map(|since| age(&rules.quiet, since, now));
    let newest = facts.last_verification.map(|newest| age(&rules.quiet, newest.at, now));
    let is_silent = !rules.is_watched && says.untold(facts.told_publication, now).is_some();
    let state = match owed {
        _ if says.trouble.is_some() => FreshnessState::Unknown,
        _ if !says.failed.is_empty() => FreshnessState::Failed,
        Some(age) if age > max_age => FreshnessState::Stale,
        _ if !says.is_guarded => FreshnessState::Unguarded,
        _ if is_silent => FreshnessState::Silent,
        Some(_) => FreshnessState::Owing,
        None => FreshnessState::Fresh,
    };
    (state, owed.or(newest))
}

/// By what events told.
fn by_events(
    rules: &FreshnessRules,
    facts: &PairFacts,
    max_age: Duration,
    reach: BrokerReach,
    now: Timestamp,
) -> StateAndAge {
    let (state, age) = told(rules, facts, max_age, now);
    let was = |then: Timestamp| told(rules, facts, max_age, then).0;
    let state = match reach {
        BrokerReach::Away { answered_at } if state == FreshnessState::Stale => {
            answered_at.map(was).filter(|then| *then == state).unwrap_or(FreshnessState::Unknown)
        }
        BrokerReach::Away { .. } | BrokerReach::NotAsked | BrokerReach::Answers => state,
    };
    (state, age)
}

fn told(
    rules: &FreshnessRules,
    facts: &PairFacts,
    max_age: Duration,
    now: Timestamp,
) -> StateAndAge {
    // The broker, asked before and no more, has no say here.
    let owed = match facts.last_verification {
        None => facts.first_publication,
        Some(_) => facts.owing.first().copied(),
    };
    let Some(since) = owed.or(facts.last_verification.map(|newest| newest.at)) else {
        return (FreshnessState::Unknown, None);
    };
    let age = age(&rules.quiet, since, now);
    let state = match owed {
        Some(_) if age > max_age => FreshnessState::Stale,
        Some(_) => FreshnessState::Owing,
        None => FreshnessState::Fresh,
    };
    (state, Some(age))
}

#[cfg(test)]
mod tests;
