//! The verdict on a pair.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::contract::{Contract, Debt, FailedResult, HeldBack};
use super::standing::Counted;
use crate::QuietDays;

/// How a pair is, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairState {
    /// A version that counts does not keep a contract of a line.
    Failed,
    /// A debt of a line is late.
    Stale,
    /// No version of the provider counts, so that nobody is ever told of a contract.
    Unguarded,
    /// A debt of a line is not late yet.
    Owing,
    /// Every version that counts has a result for every line.
    Fresh,
}

impl PairState {
    /// Its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Stale => "stale",
            Self::Unguarded => "unguarded",
            Self::Owing => "owing",
            Self::Fresh => "fresh",
        }
    }
}

/// What the rule finds about a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The verdict.
    pub state: PairState,
    /// Debts of the lines, oldest first.
    pub owes: Vec<Debt>,
    /// Failures of the lines.
    pub failed: Vec<FailedResult>,
    /// Deployed contents that hold the provider's main head back; no part of the verdict.
    pub holds_back: Vec<HeldBack>,
}

impl Judged {
    /// What a pair's contracts owe to the versions that count. Nothing is late yet: see
    /// [`judge_pair`].
    pub fn of(contracts: &[Contract], counts: &[Counted]) -> Self {
        let mut owes: Vec<Debt> = contracts.iter().flat_map(|one| one.owes(counts)).collect();
        owes.sort_by_key(|debt| debt.since);
        let failed: Vec<FailedResult> =
            contracts.iter().flat_map(|one| one.failed(counts)).collect();
        let holds_back = contracts.iter().filter_map(|one| one.holds_back(counts)).collect();
        let state = match (contracts.is_empty(), counts.is_empty()) {
            (false, true) => PairState::Unguarded,
            _ if !failed.is_empty() => PairState::Failed,
            _ if !owes.is_empty() => PairState::Owing,
            _ => PairState::Fresh,
        };
        Self { state, owes, failed, holds_back }
    }

    /// The age of the oldest debt, without quiet days.
    pub fn oldest(&self, quiet: &QuietDays, now: Timestamp) -> Option<Duration> {
        let since = self.owes.iter().map(|debt| debt.since).min()?;
        Some(crate::age(quiet, since, now))
    }
}

/// Calls a pair stale whose oldest debt is older than `max_age`; a debt of exactly that age is
/// not late.
pub fn judge_pair(judged: &mut Judged, max_age: Duration, quiet: &QuietDays, now: Timestamp) {
    let is_late = judged.oldest(quiet, now).is_some_and(|age| age > max_age);
    if judged.state == PairState::Owing && is_late {
        judged.state = PairState::Stale;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::owed::{Role, VersionResult};

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + hour * 3_600).unwrap()
    }

    /// Of main, with this result of the version that counts.
    fn contract(success: Option<bool>) -> Contract {
        let result = |success| VersionResult { provider_version: "p".into(), success, at: at(1) };
        Contract {
            consumer_version: "c".to_owned(),
            lines: vec![Role::Main],
            published_at: at(0),
            placed_since: None,
            results: success.map(result).into_iter().collect(),
        }
    }

    fn counts() -> Vec<Counted> {
        let because = vec![(Role::Main, at(0))];
        vec![Counted { version: "p".to_owned(), main_branch: Some("main".to_owned()), because }]
    }

    #[test]
    fn the_worst_there_is_is_the_verdict() {
        let state =
            |contracts: &[Contract], counts: &[Counted]| Judged::of(contracts, counts).state;
        let (kept, broken, owed) = (contract(Some(true)), contract(Some(false)), contract(None));
        assert_eq!(state(&[], &[]), PairState::Fresh, "there is nothing to keep");
        assert_eq!(state(&[], &counts()), PairState::Fresh);
        assert_eq!(state(std::slice::from_ref(&owed), &[]), PairState::Unguarded);
        assert_eq!(state(std::slice::from_ref(&kept), &counts()), PairState::Fresh);
        assert_eq!(state(&[kept.clone(), owed.clone()], &counts()), PairState::Owing);
        assert_eq!(state(&[kept, owed, broken], &counts()), PairState::Failed);
    }

    #[test]
    fn only_what_is_owed_becomes_stale_and_not_at_its_very_age() {
        let hour = Duration::from_hours(1);
        let judged = |contracts: &[Contract], now| {
            let mut judged = Judged::of(contracts, &counts());
            judge_pair(&mut judged, hour, &QuietDays::none(), now);
            judged.state
        };
        assert_eq!(judged(&[contract(None)], at(1)), PairState::Owing);
        assert_eq!(judged(&[contract(None)], at(2)), PairState::Stale);
        assert_eq!(judged(&[contract(None), contract(Some(false))], at(2)), PairState::Failed);
        assert_eq!(judged(&[contract(Some(true))], at(2)), PairState::Fresh);
    }
}
