//! What a broker says of a pair, as it is kept between two looks.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::owed::{Contract, Counted, Debt, Due, FailedResult, HeldBack, Judged, Role};
use crate::{QuietDays, age};

/// A broker repeats a call that was not taken for 42 minutes (Pact Broker 2.120): what it told
/// nobody of after that it tells nobody of any more.
const TELLING: SignedDuration = SignedDuration::from_hours(1);
/// Of a pair that was deleted.
const GONE: &str = "the broker does not name this pair any more";
/// Whoever tells of a publication may do so by a clock that is so much behind the broker's.
const CLOCKS: SignedDuration = SignedDuration::from_mins(10);

/// What a broker says of a pair by the rule of [`owed`](crate::owed).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerSays {
    /// When it was first asked about the pair.
    pub first_asked_at: Timestamp,
    /// When it last told.
    pub told_at: Timestamp,
    /// When the newest contract of a line was published; `None` when no line has one.
    pub published_at: Option<Timestamp>,
    /// Whether any version of the provider counts, or there is nothing to count for.
    pub is_guarded: bool,
    /// Debts, oldest first.
    pub owes: Vec<SaidDebt>,
    /// Failures.
    pub failed: Vec<SaidFailure>,
    /// Deployed contents that hold the provider's main head back.
    pub holds_back: Vec<SaidHold>,
    /// Why it could not tell when it was asked last; what else stands here is from before.
    pub trouble: Option<String>,
}

/// A provider version that owes a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaidDebt {
    /// The consumer version that published the contract.
    pub consumer_version: String,
    /// The lines that it is the newest contract of, e.g. `main`, `deployed:prod`.
    pub lines: Vec<String>,
    /// The version that owes.
    pub provider_version: String,
    /// Its main branch, if it counts as its head.
    pub branch: Option<String>,
    /// Why it counts, e.g. `main`, `deployed:prod`, `released:prod`.
    pub because: Vec<String>,
    /// Whether the broker should have told of it.
    pub due: Due,
    /// Whether it stops a deployment now.
    pub blocking: bool,
    /// Since when the line owes to the role without a break.
    pub since: Timestamp,
    /// There was a result right before that.
    #[serde(default)]
    pub is_begin_seen: bool,
}

/// A provider version that does not keep a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaidFailure {
    /// The consumer version that published the contract.
    pub consumer_version: String,
    /// The lines that it is the newest contract of.
    pub lines: Vec<String>,
    /// The version that failed.
    pub provider_version: String,
    /// Why it counts.
    pub because: Vec<String>,
    /// When it failed.
    pub failed_at: Timestamp,
}

/// A deployed content that the provider's main head has no result for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaidHold {
    /// The consumer version that published the contract.
    pub consumer_version: String,
    /// Where it is deployed or supported.
    pub lines: Vec<String>,
    /// The provider's main head.
    pub provider_version: String,
    /// Since when there is none.
    pub since: Timestamp,
}

impl BrokerSays {
    /// What a look at `now` found.
    pub fn of(judged: &Judged, contracts: &[Contract], counts: &[Counted], now: Timestamp) -> Self {
        Self {
            first_asked_at: now,
            told_at: now,
            published_at: contracts.iter().map(|contract| contract.published_at).max(),
            is_guarded: contracts.is_empty() || !counts.is_empty(),
            owes: judged.owes.iter().map(SaidDebt::of).collect(),
            failed: judged.failed.iter().map(SaidFailure::of).collect(),
            holds_back: judged.holds_back.iter().map(SaidHold::of).collect(),
            trouble: None,
        }
    }

    /// A look at `now` that found nothing out.
    pub fn troubled(before: Option<Self>, trouble: String, now: Timestamp) -> Self {
        let nothing = || Self {
            first_asked_at: now,
            told_at: now,
            published_at: None,
            is_guarded: true,
            owes: Vec::new(),
            failed: Vec::new(),
            holds_back: Vec::new(),
            trouble: None,
        };
        Self { trouble: Some(trouble), ..before.unwrap_or_else(nothing) }
    }

    /// What is left of a pair that the broker does not name any more: nothing is owed, and nobody
    /// can tell how fresh it is.
    #[must_use]
    pub fn gone(self) -> Self {
        Self {
            published_at: None,
            owes: Vec::new(),
            failed: Vec::new(),
            holds_back: Vec::new(),
            trouble: Some(GONE.to_owned()),
            ..self
        }
    }

    /// Keeps what only the look before knew: when the first one was, and since when a line has
    /// been owing that owed then and has been owing since. Of a debt whose beginning is seen it
    /// knew nothing more: a result has come meanwhile of what it saw owed before.
    #[must_use]
    pub fn after(mut self, before: &Self) -> Self {
        self.first_asked_at = before.first_asked_at;
        for debt in &mut self.owes {
            if debt.since > before.told_at || debt.is_begin_seen {
                continue;
            }
            let same = before.owes.iter().filter(|other| debt.is_of_line_of(other));
            debt.since =
                same.map(|other| other.since).chain([debt.since]).min().unwrap_or(debt.since);
        }
        self
    }

    /// The beginning of the oldest debt.
    pub fn owed_since(&self) -> Option<Timestamp> {
        self.owes.iter().map(|debt| debt.since).min()
    }

    /// Whether a debt was older than `max_age` already when the broker was first asked about the
    /// pair: that it is late is no news.
    pub fn was_late_when_met(&self, max_age: Duration, quiet: &QuietDays) -> bool {
        let late = |since| age(quiet, since, self.first_asked_at) > max_age;
        self.owed_since().is_some_and(late)
    }

    /// A publication that came after the first look, and that no event told of although it is
    /// time: `told` is the newest one that an event told of.
    pub fn untold(&self, told: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        let at = self.published_at.filter(|at| *at > self.first_asked_at)?;
        let is_time = now.duration_since(at) > TELLING;
        let is_told = told.is_some_and(|told| at.duration_since(told) <= CLOCKS);
        (is_time && !is_told).then_some(at)
    }
}

impl SaidDebt {
    fn of(debt: &Debt) -> Self {
        Self {
            consumer_version: debt.consumer_version.clone(),
            lines: texts(&debt.lines),
            provider_version: debt.provider.version.clone(),
            branch: debt.provider.main_branch.clone(),
            because: texts(&debt.provider.roles()),
            due: debt.due,
            blocking: debt.blocking,
            since: debt.since,
            is_begin_seen: debt.is_begin_seen,
        }
    }

    fn is_of_line_of(&self, other: &Self) -> bool {
        let share = |a: &[String], b: &[String]| a.iter().any(|one| b.contains(one));
        share(&self.lines, &other.lines) && share(&self.because, &other.because)
    }
}

impl SaidFailure {
    fn of(failed: &FailedResult) -> Self {
        Self {
            consumer_version: failed.consumer_version.clone(),
            lines: texts(&failed.lines),
            provider_version: failed.provider.version.clone(),
            because: texts(&failed.provider.roles()),
            failed_at: failed.at,
        }
    }
}

impl SaidHold {
    fn of(held: &HeldBack) -> Self {
        Self {
            consumer_version: held.consumer_version.clone(),
            lines: texts(&held.lines),
            provider_version: held.provider_version.clone(),
            since: held.since,
        }
    }
}

fn texts(roles: &[Role]) -> Vec<String> {
    roles.iter().map(ToString::to_string).collect()
}
