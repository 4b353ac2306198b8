//! How long a provider took from a dispatch to its result.

use std::time::Duration;

use jiff::SignedDuration;
use postrider_domain::PairKey;
use postrider_domain::owed::{Contract, VersionResult};
use postrider_store::{MonitorLease, Store, ToldDebt};

use super::error::WatchError;

/// Learns from the results of what was told of, each once. What was dispatched again says nothing:
/// nobody knows which dispatch the result is of. Neither does a contract that was overwritten since.
pub(super) async fn learn(
    store: &Store,
    lease: MonitorLease,
    key: &PairKey,
    contracts: &[Contract],
) -> Result<(), WatchError> {
    if contracts.iter().all(|contract| contract.results.is_empty()) {
        return Ok(());
    }
    let told = store.told_debts_of(key).await?;
    let answered: Vec<(&ToldDebt, Answer<'_>)> =
        told.iter().filter_map(|debt| Some((debt, answer_to(debt, contracts)?))).collect();
    let once = answered
        .iter()
        .filter(|(debt, (contract, _))| debt.again == 0 && debt.is_of(contract.published_at));
    let events: Vec<_> = once.clone().map(|(debt, _)| debt.event).collect();
    let fates = store.event_fates(&events).await?;
    let took = once.filter_map(|(debt, (_, result))| {
        let taken = fates.get(&debt.event)?.delivered_at?;
        // Brokers tell whole seconds.
        let took = result.at.duration_since(taken).max(SignedDuration::ZERO);
        Duration::try_from(took).ok()
    });
    let took: Vec<Duration> = took.collect();
    if answered.is_empty() {
        return Ok(());
    }
    let over: Vec<&ToldDebt> = answered.into_iter().map(|(debt, _)| debt).collect();
    let provider = (key.broker.as_str(), key.provider.as_str());
    let is_held = took.is_empty() || store.add_result_times(lease, provider, &took).await?;
    if is_held && store.debts_over(lease, &over).await? {
        Ok(())
    } else {
        Err(WatchError::LeaseLost)
    }
}

/// A contract with the result that a version has for it.
type Answer<'c> = (&'c Contract, &'c VersionResult);

fn answer_to<'c>(debt: &ToldDebt, contracts: &'c [Contract]) -> Option<Answer<'c>> {
    let mut of_it = contracts.iter().filter(|one| one.consumer_version == debt.consumer_version);
    of_it.find_map(|contract| Some((contract, contract.result_of(&debt.provider_version)?)))
}
