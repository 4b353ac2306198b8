//! Reading what the rule of what is owed needs to know of a pair.
//!
//! What a survey read it knows: many pairs of the same applications cost little more than one.
//! It asks one question after the other for a pair; whoever wants several pairs at a time asks for
//! several side by side. Names that are gone are gone, not an error.

mod choice;
mod event;
mod history;
mod known;
mod lines;
mod version;

use std::sync::Arc;

use jiff::Timestamp;
use postrider_domain::Event;
use postrider_domain::owed::{Contract, Counted, Debt, Due, Role, Side, Standing, VersionResult};

use crate::client::Broker;
use crate::error::BrokerError;
use crate::listing::Pair;
use crate::matrix::MatrixRow;
use crate::pact::PublishedPact;
use crate::versions::Version;
use known::Known;
use lines::Lines;

pub use choice::{LineChoice, SideChoice};
pub use known::{Places, Scope};
pub use version::VersionFound;

/// What a broker knows of a pair.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PairView {
    /// The provider's versions that count.
    pub counts: Vec<Counted>,
    /// The newest contract of each line, with the results of those versions.
    pub contracts: Vec<Contract>,
    /// The rows of the matrix that tell so.
    pub rows: Vec<MatrixRow>,
    /// The consumer's main line had a contract with the provider, and has none any more.
    pub is_dropped: bool,
}

/// A reading of one broker.
#[derive(Debug)]
pub struct Survey<'a> {
    known: Known<'a>,
}

impl<'a> Survey<'a> {
    /// Knows nothing yet.
    pub fn new(broker: &'a Broker, scope: Scope) -> Self {
        Self { known: Known::new(broker, scope) }
    }

    /// Knows already what is deployed and supported.
    pub fn knowing(broker: &'a Broker, places: &Places) -> Self {
        Self { known: Known::with_places(broker, places) }
    }

    /// What is deployed and supported of all applications, to be known to another reading.
    pub async fn places(&self) -> Result<Places, BrokerError> {
        self.known.places().await
    }

    /// The newest versions of an application, newest first: one page, and further ones while
    /// they are of versions that became known after `since`. Empty when there is none of that
    /// name.
    pub async fn newest_versions(
        &self,
        name: &str,
        since: Option<Timestamp>,
    ) -> Result<Arc<Vec<Version>>, BrokerError> {
        self.known.newest(name, since).await
    }

    /// What these consumer versions published for the provider, with the results of the versions
    /// that count. A version that published nothing for it is left out.
    pub async fn contracts(
        &self,
        pair: &Pair,
        versions: &[&str],
        counts: &[Counted],
    ) -> Result<Vec<Contract>, BrokerError> {
        let providers: Vec<&str> = counts.iter().map(|one| one.version.as_str()).collect();
        let rows = self.known.broker().results(pair, versions, &providers).await?;
        let found = versions.iter().filter_map(|version| {
            let at = published_at(&rows, version)?;
            Some(contract(&rows, version, (&[], None), at))
        });
        Ok(found.collect())
    }

    /// Names of all environments.
    pub async fn environments(&self) -> Result<Vec<String>, BrokerError> {
        let all = self.known.environments().await?;
        Ok(all.iter().map(|environment| environment.name.clone()).collect())
    }

    /// Which versions of a provider stand where. [`BrokerError::UnknownName`] when there is none
    /// of that name.
    pub async fn standing(&self, provider: &str) -> Result<Standing, BrokerError> {
        let main = self.known.main_head(provider).await?;
        let present = self.known.present(provider).await?;
        Ok(Standing { main, deployed: present.deployed, released: present.released })
    }

    /// The head of an application's main branch; `None` when it has none, or is gone.
    pub async fn head(&self, name: &str) -> Result<Option<String>, BrokerError> {
        match self.known.main_head(name).await {
            Ok(head) => Ok(head.map(|head| head.version)),
            Err(BrokerError::UnknownName { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The provider's versions that count.
    pub async fn counts(
        &self,
        provider: &str,
        side: &SideChoice,
    ) -> Result<Vec<Counted>, BrokerError> {
        let standing = self.standing(provider).await?;
        let side = match side {
            SideChoice::Broker => Side::Broker,
            SideChoice::Environment(environment) => Side::Environment(environment.clone()),
            SideChoice::Tag(tag) => {
                Side::Tag(tag.clone(), self.known.tag_head(provider, tag).await?)
            }
        };
        Ok(standing.counts(&side))
    }

    /// Everything that the rule needs of a pair. [`BrokerError::UnknownName`] when the broker
    /// knows no application of one of the names.
    pub async fn view(
        &self,
        pair: &Pair,
        choice: &LineChoice,
        side: &SideChoice,
    ) -> Result<PairView, BrokerError> {
        let Lines { versions, is_dropped } = lines::of(&self.known, pair, choice).await?;
        let counts = self.counts(&pair.provider, side).await?;
        let mut view = PairView { counts, is_dropped, ..PairView::default() };
        if versions.is_empty() {
            return Ok(view);
        }
        let consumers: Vec<&str> = versions.iter().map(|line| line.version.as_str()).collect();
        let providers: Vec<&str> = view.counts.iter().map(|one| one.version.as_str()).collect();
        view.rows = self.known.broker().results(pair, &consumers, &providers).await?;
        view.contracts = versions
            .iter()
            .filter_map(|line| {
                let at = published_at(&view.rows, &line.version);
                // Without a version that counts nothing was asked, and nothing can be late.
                let at = at.or_else(|| view.counts.is_empty().then_some(line.created_at))?;
                let lines = (line.roles.as_slice(), line.placed_since);
                Some(contract(&view.rows, &line.version, lines, at))
            })
            .collect();
        Ok(view)
    }

    /// One version of the consumer with the provider's versions that count, whichever line it is
    /// of; without a number the newest contract of its main line. The view holds that contract
    /// alone, if there is one.
    pub async fn version_view(
        &self,
        pair: &Pair,
        number: Option<&str>,
        side: &SideChoice,
    ) -> Result<(VersionFound, PairView), BrokerError> {
        let Some(number) = number else {
            let mut view = self.view(pair, &LineChoice::default(), side).await?;
            let is_main = |contract: &Contract| contract.lines.contains(&Role::Main);
            let at = view.contracts.iter().position(is_main).unwrap_or(0);
            view.contracts = view.contracts.into_iter().skip(at).take(1).collect();
            let found = match view.contracts.first() {
                Some(contract) => VersionFound::Contract(contract.consumer_version.clone()),
                None if view.is_dropped => VersionFound::Dropped("its newest version".to_owned()),
                None => VersionFound::Nothing,
            };
            return Ok((found, view));
        };
        let found = version::of(&self.known, pair, number).await?;
        let counts = self.counts(&pair.provider, side).await?;
        let mut view = PairView { counts, ..PairView::default() };
        let VersionFound::Contract(number) = &found else { return Ok((found, view)) };
        let Some(pact) = self.known.pact(pair, number).await? else {
            return Ok((VersionFound::Nothing, view));
        };
        let providers: Vec<&str> = view.counts.iter().map(|one| one.version.as_str()).collect();
        view.rows = self.known.broker().results(pair, &[number], &providers).await?;
        view.contracts = vec![contract(&view.rows, number, (&[], None), pact.published_at)];
        Ok((found, view))
    }

    /// Looks closer at a debt: whether it came with another main branch, and since when its line
    /// and the roles of its version have been owing without a break.
    pub async fn refine(&self, pair: &Pair, debt: &mut Debt) -> Result<(), BrokerError> {
        if let Some(at) = history::renamed_at(&self.known, pair, debt).await? {
            (debt.due, debt.since) = (Due::Later, at);
            return Ok(());
        }
        let owing = history::owing(&self.known, pair, debt).await?;
        (debt.since, debt.is_begin_seen) = (owing.since, owing.is_begin_seen);
        Ok(())
    }

    /// What a consumer version published for a provider; `None` when it is gone.
    pub async fn pact(
        &self,
        pair: &Pair,
        version: &str,
    ) -> Result<Option<PublishedPact>, BrokerError> {
        self.known.pact(pair, version).await
    }

    /// Sha of the content of that; `None` when it is gone.
    pub async fn content(&self, pair: &Pair, version: &str) -> Result<Option<String>, BrokerError> {
        Ok(self.pact(pair, version).await?.map(|pact| pact.sha))
    }

    /// The last branch of a version; `None` when it is of none, or gone.
    pub async fn last_branch(
        &self,
        name: &str,
        version: &str,
    ) -> Result<Option<String>, BrokerError> {
        let version = self.known.version(name, version).await?;
        Ok(version.and_then(|version| version.branches.last().cloned()))
    }

    /// The event that the broker itself would send, or would have sent, for a debt, with the
    /// values of its own webhooks. `None` when the contract is gone.
    pub async fn event(
        &self,
        pair: &Pair,
        debt: &Debt,
        broker_name: &str,
    ) -> Result<Option<Event>, BrokerError> {
        event::of(&self.known, pair, debt, broker_name).await
    }
}

fn published_at(rows: &[MatrixRow], version: &str) -> Option<Timestamp> {
    rows.iter().find(|row| row.consumer_version == version).map(|row| row.published_at)
}

fn contract(
    rows: &[MatrixRow],
    version: &str,
    (lines, placed_since): (&[Role], Option<Timestamp>),
    at: Timestamp,
) -> Contract {
    let results = rows.iter().filter(|row| row.consumer_version == version).filter_map(|row| {
        let result = row.verification.as_ref()?;
        Some(VersionResult {
            provider_version: row.provider_version.clone()?,
            success: result.success,
            at: result.verified_at,
        })
    });
    Contract {
        consumer_version: version.to_owned(),
        lines: lines.to_vec(),
        published_at: at,
        placed_since,
        results: results.collect(),
    }
}
