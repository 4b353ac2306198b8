//! What a broker says of one pair: how fresh it is, and what it owes.

use std::collections::BTreeSet;

use jiff::Timestamp;
use postrider_broker::{BrokerError, LineChoice, Pair, SideChoice, Survey};
use postrider_domain::owed::{Contract, Counted, Debt, Fate, Judged, Role, fate};
use postrider_domain::{BrokerSays, PairFacts};

use super::memory::Memory;
use crate::fold::facts_of;

/// What a look at a pair found.
#[derive(Debug, Default)]
pub(crate) struct Examined {
    /// What the broker says of it; without its word when the pair is gone.
    pub(crate) facts: PairFacts,
    /// Debts of the contracts that were asked for and of those of the lines, and what is made of
    /// each.
    pub(crate) debts: Vec<(Debt, Fate)>,
    /// Those contracts and those of the lines, with their results.
    pub(crate) contracts: Vec<Contract>,
    /// The head of the provider's main branch.
    pub(crate) head: Option<String>,
    /// A version of the provider that counts, if there is any.
    pub(crate) counting: Option<Counted>,
}

impl Examined {
    /// Whether a result is waited for, or a better one.
    pub(crate) fn waits(&self) -> bool {
        let says = self.facts.says.as_ref();
        says.is_some_and(|says| {
            !says.owes.is_empty() || !says.failed.is_empty() || !says.holds_back.is_empty()
        })
    }
}

/// Reads a pair's lines, and what the contracts of these consumer versions owe.
pub(crate) async fn examine(
    survey: &Survey<'_>,
    memory: &Memory,
    pair: &Pair,
    versions: &BTreeSet<String>,
    now: Timestamp,
) -> Result<Examined, BrokerError> {
    let view = match survey.view(pair, &LineChoice::default(), &SideChoice::Broker).await {
        Ok(view) => view,
        // Deleted between two requests.
        Err(BrokerError::UnknownName { .. }) => {
            return Ok(Examined::default());
        }
        Err(error) => return Err(error),
    };
    let mut judged = Judged::of(&view.contracts, &view.counts);
    for debt in &mut judged.owes {
        survey.refine(pair, debt).await?;
    }
    judged.owes.sort_by_key(|debt| debt.since);
    let says = BrokerSays::of(&judged, &view.contracts, &view.counts, now);
    let facts = PairFacts { says: Some(says), ..facts_of(&view.rows) };
    let is_of_line = |version: &&str| {
        view.contracts.iter().any(|contract| contract.consumer_version == **version)
    };
    let others: Vec<&str> =
        versions.iter().map(String::as_str).filter(|version| !is_of_line(version)).collect();
    let mut contracts = survey.contracts(pair, &others, &view.counts).await?;
    // A broker tells of a publication, whatever line it is of.
    contracts.extend(view.contracts.into_iter().map(|contract| Contract {
        lines: Vec::new(),
        placed_since: None,
        ..contract
    }));
    let mut debts = Vec::new();
    for mut debt in contracts.iter().flat_map(|contract| contract.owes(&view.counts)) {
        let sight = memory.sight(pair, &debt);
        // A renamed main branch tells itself apart only by what was verified before.
        if fate(&debt, &sight) == Fate::Tell && !sight.is_first_look(debt.published_at) {
            survey.refine(pair, &mut debt).await?;
        }
        let fate = fate(&debt, &sight);
        debts.push((debt, fate));
    }
    let head = head(&view.counts);
    let counting = view.counts.into_iter().next();
    Ok(Examined { facts, debts, contracts, head, counting })
}

fn head(counts: &[Counted]) -> Option<String> {
    let is_head = |one: &&Counted| one.because.iter().any(|(role, _)| *role == Role::Main);
    counts.iter().find(is_head).map(|one| one.version.clone())
}
