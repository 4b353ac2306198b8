//! Since when a line has been owing without a break.

use std::collections::BTreeSet;

use jiff::Timestamp;

/// A version that took over at a time, until the next one did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The version.
    pub version: String,
    /// When it became the newest.
    pub at: Timestamp,
}

/// A result between a contract of the line and a version in the role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoricResult {
    /// The consumer version.
    pub contract: String,
    /// The provider version.
    pub version: String,
    /// When it was first known.
    pub at: Timestamp,
}

/// Since when the newest contract of a line and the version in a role have been without a result,
/// each in its time, without a break: a newer contract or build does not end a debt, a result
/// does. `None` when nothing is owed now.
///
/// Steps may come in any order; of equal times the later in the list counts as the newer. What
/// lies before the oldest step is not known, so the answer is never too early.
pub fn owing_since(
    contracts: &[Step],
    versions: &[Step],
    results: &[HistoricResult],
) -> Option<Timestamp> {
    let steps = contracts.iter().chain(versions).map(|step| step.at);
    let times: BTreeSet<Timestamp> = steps.chain(results.iter().map(|result| result.at)).collect();
    let mut since = None;
    for now in times {
        since = match (newest(contracts, now), newest(versions, now)) {
            (Some(contract), Some(version)) if !has_result(results, contract, version, now) => {
                since.or(Some(now))
            }
            _ => None,
        };
    }
    since
}

fn newest(steps: &[Step], now: Timestamp) -> Option<&Step> {
    steps.iter().filter(|step| step.at <= now).max_by_key(|step| step.at)
}

fn has_result(results: &[HistoricResult], contract: &Step, version: &Step, now: Timestamp) -> bool {
    results.iter().any(|result| {
        result.at <= now && result.contract == contract.version && result.version == version.version
    })
}
