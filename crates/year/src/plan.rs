//! What is planted when, and within which bound it has to be found.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use crate::chance::{Chance, rounded};
use crate::time::{DAY, HOUR, Millis, SECOND};

/// How often brokers are looked at, and facts are judged. The first is longer than the 5 s that
/// are usual: a year takes a sixth of the time.
pub(crate) const LOOK_EVERY: Millis = 30 * SECOND;
pub(crate) const JUDGE_EVERY: Millis = 15 * SECOND;
/// Rounds don't meet looks.
pub(crate) const JUDGE_OFFSET: Millis = 7 * SECOND;
/// How often it is looked whether a broker's relay is there, and at pairs whose delivery failed.
pub(crate) const RELAY_EVERY: Millis = 600 * SECOND;
pub(crate) const FAILED_EVERY: Millis = 6 * LOOK_EVERY;
/// A look and a round may lie between what happens and what is told.
pub(crate) const SLACK: Millis = LOOK_EVERY + JUDGE_EVERY;
/// Lanes: each stands for the token of a team.
pub(crate) const LANES: usize = 4;

/// A year, or less of it.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Which one.
    pub seed: u64,
    /// How many days of 2026.
    pub days: u16,
    /// Pairs of a consumer and a provider.
    pub pairs: usize,
    /// The busiest pair's publications in an hour of work.
    pub fastest: f64,
    /// The runs that one publication starts are slow together or not at all, as they are where
    /// they wait for the same machines.
    pub is_slow_together: bool,
    /// Judges at every round, whether anything can have changed or not.
    pub at_every_round: bool,
}

impl Plan {
    /// A whole year of 500 pairs, the busiest of which publishes 100 times a minute.
    pub fn year(seed: u64) -> Self {
        let fastest = 6_000.0;
        Self {
            seed,
            days: 365,
            pairs: 500,
            fastest,
            is_slow_together: false,
            at_every_round: false,
        }
    }

    /// A short one: 30 days of 60 pairs.
    pub fn month(seed: u64) -> Self {
        Self { days: 30, pairs: 60, fastest: 60.0, ..Self::year(seed) }
    }

    pub(crate) fn end(&self) -> Millis {
        Millis::from(self.days) * DAY
    }

    /// Providers: one for about eight pairs.
    pub(crate) fn providers(&self) -> usize {
        (self.pairs / 8).max(8)
    }

    /// Providers of one seldom pair each, the last ones.
    pub(crate) fn is_lonely(&self, provider: usize) -> bool {
        provider + self.providers() / 6 >= self.providers()
    }

    /// Targets are lost of the later half of providers, whose token lives.
    pub(crate) fn keeps_its_token(&self, provider: usize) -> bool {
        provider >= self.providers() / 2
    }
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// A token is revoked.
    DeadCredential,
    /// One pair's runs give no results any more.
    DeadPair,
    /// None of a provider's runs does.
    DeadProvider,
    /// A dispatch is taken, and no run follows.
    LostDispatch,
    /// The same, of the version that is deployed, while main's is verified.
    LostForDeployed,
    /// The broker's webhook is switched off.
    RelayOff,
    /// The broker can't be reached for a day.
    BrokerAway,
    /// The repository that a webhook dispatches to is gone.
    TargetGone,
    /// The first delivery of such a webhook that failed for good.
    FinalFailure,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::DeadCredential,
        Self::DeadPair,
        Self::DeadProvider,
        Self::LostDispatch,
        Self::LostForDeployed,
        Self::RelayOff,
        Self::BrokerAway,
        Self::TargetGone,
        Self::FinalFailure,
    ];

    /// How often in a year, and for how long.
    fn usual(self) -> (f64, Millis) {
        match self {
            Self::DeadCredential => (9.0, 6 * HOUR),
            Self::DeadPair => (20.0, 10 * DAY),
            Self::DeadProvider => (12.0, 3 * DAY),
            Self::LostDispatch | Self::LostForDeployed => (40.0, Millis::MAX / 4),
            Self::RelayOff => (6.0, DAY),
            Self::BrokerAway => (3.0, DAY),
            Self::TargetGone => (12.0, 120 * DAY),
            // They come with targets that are gone.
            Self::FinalFailure => (0.0, 0),
        }
    }

    /// Whether its delay is the age of a debt, in which quiet days don't count.
    pub(crate) fn is_of_age(self) -> bool {
        match self {
            Self::DeadPair | Self::DeadProvider | Self::LostDispatch | Self::LostForDeployed => {
                true
            }
            Self::DeadCredential
            | Self::RelayOff
            | Self::BrokerAway
            | Self::TargetGone
            | Self::FinalFailure => false,
        }
    }
}

/// A fault, and when it was found.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    /// A pair, a provider or a lane.
    pub(crate) subject: usize,
    pub(crate) at: Millis,
    pub(crate) until: Millis,
    /// Pairs whose debts are signs of it.
    pub(crate) signs: BTreeSet<usize>,
    /// From when the bound counts; `None` while nothing met the fault.
    pub(crate) clock: Option<Millis>,
    pub(crate) bound: Duration,
    pub(crate) found: Option<Millis>,
    /// When what it did was over.
    pub(crate) over: Option<Millis>,
    /// When negative controls found it.
    pub(crate) by_control: [Option<Millis>; 3],
}

impl Fault {
    pub(crate) fn new(kind: FaultKind, subject: usize, (at, until): (Millis, Millis)) -> Self {
        let bound = match kind {
            FaultKind::DeadCredential | FaultKind::TargetGone => JUDGE_EVERY,
            FaultKind::DeadPair
            | FaultKind::DeadProvider
            | FaultKind::LostDispatch
            | FaultKind::LostForDeployed => DAY,
            FaultKind::RelayOff => RELAY_EVERY + SLACK,
            FaultKind::BrokerAway => LOOK_EVERY + 60 * SECOND + JUDGE_EVERY,
            FaultKind::FinalFailure => FAILED_EVERY + SLACK,
        };
        Self {
            kind,
            subject,
            at,
            until,
            signs: BTreeSet::new(),
            clock: None,
            bound: duration(bound),
            found: None,
            over: None,
            by_control: [None; 3],
        }
    }
}

/// Virtual time as a duration.
pub(crate) fn duration(millis: Millis) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}

/// What is planted. Each stretch of the year gets its share, so that faults of a kind don't meet.
pub(crate) fn planted(plan: &Plan, rates: &[f64], chance: &mut Chance) -> Vec<Fault> {
    let mut faults = Vec::new();
    for kind in FaultKind::ALL {
        let (a_year, length) = kind.usual();
        let share = f64::from(plan.days) / 365.0;
        let many = rounded(a_year * share.sqrt());
        for number in (0..many).filter(|_| a_year > 0.0) {
            // What is planted late is never met, or has no time to be found.
            let stretch = plan.end() * 3 / 4 / many;
            let at = stretch * number + chance.millis(0, stretch / 2);
            let at = at.max(2 * HOUR);
            let subject =
                subject(plan, kind, (usize::try_from(number).unwrap_or(0), rates), chance);
            faults.push(Fault::new(kind, subject, (at, at.saturating_add(length))));
        }
    }
    faults
}

/// Every second dead pair is a busy one.
fn subject(
    plan: &Plan,
    kind: FaultKind,
    (number, rates): (usize, &[f64]),
    chance: &mut Chance,
) -> usize {
    let providers = plan.providers();
    let half = providers / 2;
    match kind {
        FaultKind::DeadCredential => number % (LANES - 1),
        FaultKind::DeadProvider => chance.index(half),
        FaultKind::TargetGone if number.is_multiple_of(2) => {
            providers - 1 - (number / 2) % (providers / 6).max(1)
        }
        FaultKind::TargetGone => half + number % (providers - half),
        FaultKind::DeadPair if number.is_multiple_of(2) => (number / 2) % 15.min(plan.pairs),
        FaultKind::LostForDeployed | FaultKind::LostDispatch | FaultKind::DeadPair => {
            let seldom: Vec<usize> = (0..rates.len()).filter(|pair| rates[*pair] < 0.3).collect();
            seldom.get(chance.index(seldom.len())).copied().unwrap_or_default()
        }
        FaultKind::RelayOff | FaultKind::BrokerAway | FaultKind::FinalFailure => 0,
    }
}
