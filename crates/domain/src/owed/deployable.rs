//! What `can-i-deploy` says, so that it can be told beside what is owed.

use super::contract::Contract;
use super::standing::Counted;

/// A provider that a version has a contract with, as one target sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed<'a> {
    /// The provider's name.
    pub provider: &'a str,
    /// The contract.
    pub contract: &'a Contract,
    /// The versions that count in the target.
    pub counts: &'a [Counted],
}

/// Whether a version may be deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deployable {
    /// Every version that counts there keeps its contracts.
    Yes,
    /// Why not: each provider with what is wrong.
    No(Vec<(String, String)>),
}

/// The answer of `can-i-deploy` for a consumer version: yes if for every provider that it has a
/// contract with, the versions that count in the target are not empty and each has a success.
///
/// Two differences of the broker are known (Pact Broker 2.120 and its clients): it says yes
/// although one of two instances has no result, and the Ruby client 1.77 says yes even when an
/// older instance failed.
pub fn deployable(needed: &[Needed<'_>]) -> Deployable {
    let reasons: Vec<(String, String)> = needed.iter().flat_map(reasons).collect();
    if reasons.is_empty() { Deployable::Yes } else { Deployable::No(reasons) }
}

fn reasons(needed: &Needed<'_>) -> Vec<(String, String)> {
    let said = |what: String| (needed.provider.to_owned(), what);
    if needed.counts.is_empty() {
        return vec![said("no version of it is there".to_owned())];
    }
    let wrong = |counted: &Counted| match needed.contract.result_of(&counted.version) {
        Some(result) if result.success => None,
        Some(_) => Some(said(format!("{} does not keep the contract", counted.version))),
        None => Some(said(format!("{} has no result for the contract", counted.version))),
    };
    needed.counts.iter().filter_map(wrong).collect()
}
