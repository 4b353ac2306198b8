//! What a pair owes, by the broker's own rule.

use std::time::Duration;

use jiff::Timestamp;
use postrider_broker::{BrokerError, Pair, PairView, Survey};
use postrider_domain::QuietDays;
use postrider_domain::owed::{
    Counted, Debt, FailedResult, HeldBack, Judged, PairState, Role, judge_pair,
};
use serde_json::{Value, json};

/// What is found about a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owes {
    pub(super) judged: Judged,
    /// Age of the oldest debt, without quiet days.
    pub(super) age: Option<Duration>,
    /// Branches of the versions in `judged.owes` and `judged.failed`, by version.
    branches: Vec<(String, Option<String>)>,
    /// Versions of the provider that count.
    pub(super) counts: Vec<String>,
    /// Neither a contract of a line nor an older one has any result.
    pub(super) is_unverified: bool,
    /// The consumer has no contract with the provider any more.
    pub(super) is_dropped: bool,
}

impl Owes {
    /// Judges what the broker knows; asks for what is only needed where something is owed.
    pub(super) async fn of(
        survey: &Survey<'_>,
        pair: &Pair,
        view: &PairView,
        max_age: Duration,
        quiet: &QuietDays,
        now: Timestamp,
    ) -> Result<Self, BrokerError> {
        let mut judged = Judged::of(&view.contracts, &view.counts);
        for debt in &mut judged.owes {
            survey.refine(pair, debt).await?;
        }
        judged.owes.sort_by_key(|debt| debt.since);
        judge_pair(&mut judged, max_age, quiet, now);
        let mut branches: Vec<(String, Option<String>)> = Vec::new();
        let owing = judged.owes.iter().map(|debt| &debt.provider);
        let failing = judged.failed.iter().map(|failed| &failed.provider);
        for counted in owing.chain(failing) {
            if branches.iter().any(|(known, _)| *known == counted.version) {
                continue;
            }
            let branch = match &counted.main_branch {
                Some(branch) => Some(branch.clone()),
                None => survey.last_branch(&pair.provider, &counted.version).await?,
            };
            branches.push((counted.version.clone(), branch));
        }
        let named =
            |counted: &Counted| format!("{} ({})", counted.version, joined(&counted.roles()));
        Ok(Self {
            age: judged.oldest(quiet, now),
            judged,
            branches,
            counts: view.counts.iter().map(named).collect(),
            is_unverified: false,
            is_dropped: view.contracts.is_empty() && view.is_dropped,
        })
    }

    /// The verdict's name.
    pub(super) fn name(&self) -> &'static str {
        if self.is_unverified { "unverified" } else { self.judged.state.as_str() }
    }

    /// Nothing is late, and nothing failed.
    pub(super) fn is_fine(&self) -> bool {
        !self.is_unverified && matches!(self.judged.state, PairState::Fresh | PairState::Owing)
    }

    fn branch(&self, version: &str) -> Option<&str> {
        let known = self.branches.iter().find(|(known, _)| known == version);
        known.and_then(|(_, branch)| branch.as_deref())
    }

    /// `1.4.3 (main) waits since … for p2 (deployed:prod)`, for each debt or failure.
    pub(super) fn sentences(&self, provider: &str) -> Vec<String> {
        let owes = self.judged.owes.iter().map(|debt| {
            format!(
                "contract {} ({}) waits since {} for a result of {provider} {} ({})",
                debt.consumer_version,
                joined(&debt.lines),
                debt.since,
                debt.provider.version,
                joined(&debt.provider.roles()),
            )
        });
        let failed = self.judged.failed.iter().map(|failed| {
            format!(
                "{provider} {} ({}) does not keep contract {} ({})",
                failed.provider.version,
                joined(&failed.provider.roles()),
                failed.consumer_version,
                joined(&failed.lines),
            )
        });
        failed.chain(owes).collect()
    }

    /// `owes`, `failed`, `holds_back` of the JSON report.
    pub(super) fn lists(&self) -> [(&'static str, Value); 3] {
        let owes = self.judged.owes.iter().map(|debt| self.debt(debt));
        let failed = self.judged.failed.iter().map(|failed| self.failed(failed));
        [
            ("owes", Value::Array(owes.collect())),
            ("failed", Value::Array(failed.collect())),
            ("holds_back", self.judged.holds_back.iter().map(held_back).collect()),
        ]
    }

    fn debt(&self, debt: &Debt) -> Value {
        json!({
            "provider_version": debt.provider.version,
            "branch": self.branch(&debt.provider.version),
            "because": texts(&debt.provider.roles()),
            "due": debt.due.as_str(),
            "blocking": debt.blocking,
            "since": debt.since,
            "consumer_version": debt.consumer_version,
            "lines": texts(&debt.lines),
        })
    }

    fn failed(&self, failed: &FailedResult) -> Value {
        json!({
            "provider_version": failed.provider.version,
            "branch": self.branch(&failed.provider.version),
            "because": texts(&failed.provider.roles()),
            "blocking": failed.provider.is_blocking(),
            "failed_at": failed.at,
            "consumer_version": failed.consumer_version,
            "lines": texts(&failed.lines),
        })
    }
}

fn held_back(held: &HeldBack) -> Value {
    json!({
        "consumer_version": held.consumer_version,
        "lines": texts(&held.lines),
        "provider_version": held.provider_version,
        "since": held.since,
    })
}

fn texts(roles: &[Role]) -> Vec<String> {
    roles.iter().map(ToString::to_string).collect()
}

fn joined(roles: &[Role]) -> String {
    texts(roles).join(", ")
}
