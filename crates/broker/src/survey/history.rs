//! Since when a line has been owing, and why.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use postrider_domain::owed::{Debt, Due, Owing, Past, Role, Step};

use super::known::{Known, RECENT_MOST};
use crate::error::BrokerError;
use crate::listing::Pair;
use crate::matrix::MatrixRow;
use crate::versions::Version;

/// Contracts and heads of a line that are looked back over at first.
const BACK: usize = 20;

/// Since when the debt's line and the roles of its version have been owing without a break, as
/// far as it can be seen; never later than the debt itself.
pub(super) async fn owing(
    known: &Known<'_>,
    pair: &Pair,
    debt: &Debt,
) -> Result<Owing, BrokerError> {
    let itself = Owing { since: debt.since, is_begin_seen: false };
    let near = near(known, pair, debt).await?;
    let found = near.owing().filter(|owing| owing.since <= debt.since).unwrap_or(itself);
    // A line that moves fast and has been dead for long owes further back than that.
    if !near.reaches_back_to(found.since) {
        return Ok(found);
    }
    let far = far(known, pair, debt).await?;
    Ok(far.owing().filter(|owing| owing.since <= found.since).unwrap_or(found))
}

async fn near(known: &Known<'_>, pair: &Pair, debt: &Debt) -> Result<Past, BrokerError> {
    let recent = known.recent(&pair.consumer).await?;
    let line = of_line(known, pair, debt, &recent).await?;
    let older = line.iter().filter(|number| **number != debt.consumer_version);
    let own = &debt.consumer_version;
    let names: Vec<&str> = [own].into_iter().chain(older).take(BACK).map(String::as_str).collect();
    let versions = known.recent(&pair.provider).await?;
    let roles = roles(debt, &versions, BACK);
    let mut asked: Vec<&str> = roles.iter().flatten().map(|step| &*step.version).collect();
    asked.sort_unstable();
    asked.dedup();
    let rows = known.broker().results(pair, &names, &asked).await?;
    Ok(Past {
        contracts: published(&rows, |_| true),
        roles,
        results: results(&rows),
        has_older: line.len() > BACK || (!line.is_empty() && recent.len() >= RECENT_MOST),
    })
}

/// As far as the newest rows of the pair's matrix go.
async fn far(known: &Known<'_>, pair: &Pair, debt: &Debt) -> Result<Past, BrokerError> {
    let rows = known.broker().matrix(pair).await?;
    let oldest = rows.iter().map(|row| row.published_at).min().unwrap_or(debt.published_at);
    let consumer = known.back_to(&pair.consumer, oldest).await?;
    let line = of_line(known, pair, debt, &consumer).await?;
    let is_of_line =
        |version: &str| version == debt.consumer_version || line.iter().any(|one| one == version);
    let provider = known.back_to(&pair.provider, oldest).await?;
    Ok(Past {
        contracts: published(&rows, is_of_line),
        roles: roles(debt, &provider, usize::MAX),
        results: results(&rows),
        has_older: false,
    })
}

/// When the provider got another main branch, if that is what made the debt: the application was
/// changed after the contract came, and a version that is not of the main branch has a result for
/// it. A broker keeps no time of the renaming itself (Pact Broker 2.120), and applications are
/// changed for other reasons, too: without such a result it is taken for owed from the beginning.
pub(super) async fn renamed_at(
    known: &Known<'_>,
    pair: &Pair,
    debt: &Debt,
) -> Result<Option<Timestamp>, BrokerError> {
    let Some(branch) = &debt.provider.main_branch else { return Ok(None) };
    let changed_at = known.pacticipant(&pair.provider).await?.changed_at;
    if !debt.provider.is_main_alone() || debt.due == Due::Later || changed_at <= debt.published_at {
        return Ok(None);
    }
    let rows = known.broker().results_of(pair, &debt.consumer_version).await?;
    for row in rows.iter().filter(|row| row.verification.is_some()) {
        let Some(version) = &row.provider_version else { continue };
        let found = known.version(&pair.provider, version).await?;
        let lists = found.iter().flat_map(|version| [&version.branches, &version.tags]);
        if !lists.flatten().any(|name| name == branch) {
            return Ok(Some(changed_at));
        }
    }
    Ok(None)
}

/// Numbers of the line's versions that have a contract with the provider, newest first. Where the
/// line is an environment, its earlier contents are not known.
async fn of_line(
    known: &Known<'_>,
    pair: &Pair,
    debt: &Debt,
    versions: &[Version],
) -> Result<Vec<String>, BrokerError> {
    let main = known.pacticipant(&pair.consumer).await?.main_branch;
    let is_of_line = |version: &&Version| {
        let is_called =
            |name: &String| version.branches.contains(name) || version.tags.contains(name);
        debt.lines.iter().any(|line| match line {
            Role::Main => main.as_ref().is_none_or(is_called),
            Role::Branch(name) => version.branches.contains(name),
            Role::Tag(name) => version.tags.contains(name),
            Role::Deployed(_) | Role::Released(_) => false,
        })
    };
    let with_contract = versions.iter().filter(|one| one.providers.contains(&pair.provider));
    Ok(with_contract.filter(is_of_line).map(|version| version.number.clone()).collect())
}

/// For each role of the debt's version the versions that had it, one after the other. Only main
/// heads are known of before: nobody keeps what an environment ran.
fn roles(debt: &Debt, versions: &[Version], most: usize) -> Vec<Vec<Step>> {
    let steps = |(role, since): &(Role, Timestamp)| {
        let now = Step { version: debt.provider.version.clone(), at: *since };
        match (role, &debt.provider.main_branch) {
            (Role::Main, Some(branch)) => heads(versions, branch, now, most),
            _ => vec![now],
        }
    };
    debt.provider.because.iter().map(steps).collect()
}

fn heads(versions: &[Version], branch: &String, now: Step, most: usize) -> Vec<Step> {
    let is_on =
        |version: &&Version| version.branches.contains(branch) || version.tags.contains(branch);
    let older: Vec<Step> = versions
        .iter()
        .filter(is_on)
        // The head is the newest, whatever its creation says.
        .filter(|version| version.number != now.version && version.created_at <= now.at)
        .take(most.saturating_sub(1))
        .map(|version| Step { version: version.number.clone(), at: version.created_at })
        .collect();
    older.into_iter().rev().chain([now]).collect()
}

/// The contracts as they followed each other.
fn published(rows: &[MatrixRow], is_wanted: impl Fn(&str) -> bool) -> Vec<Step> {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    // The matrix tells the newest first.
    let rows = rows.iter().rev().filter(|row| is_wanted(&row.consumer_version));
    let mut steps: Vec<Step> = rows
        .filter(|row| seen.insert(row.consumer_version.as_str()))
        .map(|row| Step { version: row.consumer_version.clone(), at: row.published_at })
        .collect();
    steps.sort_by_key(|step| step.at);
    steps
}

/// The matrix tells of the latest result of two versions: one that was asked for again must not look
/// as if there had been none.
fn results(rows: &[MatrixRow]) -> BTreeMap<String, BTreeSet<String>> {
    let mut results: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.verification.is_some()) {
        let of_contract = results.entry(row.consumer_version.clone()).or_default();
        of_contract.extend(row.provider_version.clone());
    }
    results
}
