//! A close look at one pair: what it owes is read, told and learned from.

use std::collections::BTreeSet;

use jiff::Timestamp;
use postrider_broker::{BrokerError, Pair, Survey, Version};
use postrider_domain::owed::Contract;
use postrider_store::{MonitorLease, Store};
use tokio::sync::Mutex;

use super::error::WatchError;
use super::examine::{Examined, examine};
use super::memory::{Contracts, Memory};
use super::tell::Teller;
use super::took;

/// A pair that was looked at closely.
pub(super) struct Seen {
    pub(super) examined: Examined,
    pub(super) contracts: Contracts,
    pub(super) told: usize,
}

/// What a close look needs.
#[derive(Debug)]
pub(super) struct Closely<'a> {
    store: &'a Store,
    pub(super) teller: &'a Teller,
    lease: MonitorLease,
    began: Timestamp,
    /// Pairs of one provider are looked at beside each other, and learn one after the other.
    learning: Mutex<()>,
}

impl<'a> Closely<'a> {
    pub(super) fn new(
        store: &'a Store,
        teller: &'a Teller,
        lease: MonitorLease,
        began: Timestamp,
    ) -> Self {
        Self { store, teller, lease, began, learning: Mutex::default() }
    }

    /// Looks closely at a pair and its contracts of these versions, and makes events of what is to
    /// be told. Trouble of the broker with this pair alone is an answer, too.
    pub(super) async fn look(
        &self,
        survey: &Survey<'_>,
        memory: &Memory,
        pair: &Pair,
        versions: &BTreeSet<String>,
    ) -> Result<Result<Seen, BrokerError>, WatchError> {
        let examined = match examine(survey, memory, pair, versions, self.began).await {
            Ok(examined) => examined,
            Err(error) => return Ok(Err(error)),
        };
        let told = self.teller.settle(self.lease, survey, pair, &examined.debts).await;
        let key = self.teller.key(pair);
        let learned = {
            let _alone = self.learning.lock().await;
            took::learn(self.store, self.lease, &key, &examined.contracts).await
        };
        let learned = of_pair(learned)?;
        let contracts = remembered(&examined, versions);
        Ok(learned.and(of_pair(told)?).map(|told| Seen { examined, contracts, told }))
    }
}

/// Trouble of the broker with one pair is an answer.
pub(super) fn of_pair<T>(
    done: Result<T, WatchError>,
) -> Result<Result<T, BrokerError>, WatchError> {
    match done {
        Ok(done) => Ok(Ok(done)),
        Err(WatchError::Broker(error)) => Ok(Err(error)),
        Err(error @ (WatchError::Store(_) | WatchError::LeaseLost)) => Err(error),
    }
}

/// The newest versions of the consumer that have a contract with the provider.
pub(super) async fn published(
    survey: &Survey<'_>,
    memory: &Memory,
    pair: &Pair,
) -> Result<Vec<Version>, BrokerError> {
    let newest = survey.newest_versions(&pair.consumer, memory.looked_at(&pair.consumer)).await?;
    let with = newest.iter().filter(|version| version.providers.contains(&pair.provider));
    Ok(with.cloned().collect())
}

/// What is remembered of a pair's contracts: those of the lines, and the newest.
fn remembered(examined: &Examined, versions: &BTreeSet<String>) -> Contracts {
    let counting = examined.counting.clone();
    let read = examined.contracts.iter().filter(|_| counting.is_some());
    let read = read.map(|one| (one.consumer_version.clone(), Some(one.published_at)));
    let unread = versions.iter().map(|version| (version.clone(), None));
    Contracts { published: unread.chain(read).collect(), counting }
}

/// Whether one of the newest contracts was published later than is remembered, or was gone when it
/// was to be read. Where no version of the provider counted, nothing could be owed.
pub(super) async fn has_overwritten(
    survey: &Survey<'_>,
    memory: &Memory,
    pair: &Pair,
    known: &Contracts,
) -> Result<bool, BrokerError> {
    let Some(counting) = &known.counting else { return Ok(false) };
    let newest = published(survey, memory, pair).await?;
    let versions: Vec<&str> = newest.iter().map(|version| version.number.as_str()).collect();
    // A version of the provider has to be named, for rows of all its versions are cut.
    let contracts = survey.contracts(pair, &versions, std::slice::from_ref(counting)).await?;
    let is_later = |contract: &Contract| {
        let known = known.published.get(&contract.consumer_version);
        known.is_some_and(|known| known.is_none_or(|known| contract.published_at > known))
    };
    Ok(contracts.iter().any(is_later))
}
