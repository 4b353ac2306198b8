//! Which contracts of a consumer are looked at.

use std::collections::BTreeSet;

use jiff::Timestamp;
use postrider_domain::owed::Role;

use super::choice::LineChoice;
use super::known::Known;
use crate::error::BrokerError;
use crate::listing::Pair;
use crate::versions::Version;

/// A consumer version and the lines that it is the newest contract of.
pub(super) struct Line {
    pub(super) version: String,
    pub(super) created_at: Timestamp,
    pub(super) roles: Vec<Role>,
    /// Since when it is deployed or supported anywhere.
    pub(super) placed_since: Option<Timestamp>,
}

/// The lines of a pair.
#[derive(Default)]
pub(super) struct Lines {
    pub(super) versions: Vec<Line>,
    /// A line had a contract with the provider, and has none any more.
    pub(super) is_dropped: bool,
}

impl Lines {
    fn add(&mut self, version: &Version, role: Role) {
        self.add_placed(version, role, None);
    }

    /// Adds what is somewhere since then.
    fn add_placed(&mut self, version: &Version, role: Role, since: Option<Timestamp>) {
        match self.versions.iter_mut().find(|line| line.version == version.number) {
            Some(line) => {
                if !line.roles.contains(&role) {
                    line.roles.push(role);
                }
                line.placed_since = line.placed_since.into_iter().chain(since).min();
            }
            None => self.versions.push(Line {
                version: version.number.clone(),
                created_at: version.created_at,
                roles: vec![role],
                placed_since: since,
            }),
        }
    }
}

/// Versions of a consumer among which the newest contract is looked for.
enum Among<'a> {
    All,
    Branch(&'a str),
    Tag(&'a str),
    /// A main branch that has no head.
    BranchOrTag(&'a str),
}

impl Among<'_> {
    fn has(&self, version: &Version) -> bool {
        let is_on = |name: &str| version.branches.iter().any(|branch| branch == name);
        let has_tag = |name: &str| version.tags.iter().any(|tag| tag == name);
        match self {
            Self::All => true,
            Self::Branch(name) => is_on(name),
            Self::Tag(name) => has_tag(name),
            Self::BranchOrTag(name) => is_on(name) || has_tag(name),
        }
    }
}

pub(super) async fn of(
    known: &Known<'_>,
    pair: &Pair,
    choice: &LineChoice,
) -> Result<Lines, BrokerError> {
    let consumer = known.pacticipant(&pair.consumer).await?;
    let mut lines = Lines::default();
    if choice.is_usual() {
        let head = match &consumer.main_branch {
            Some(_) => known.main_version(&pair.consumer).await?,
            None => known.broker().newest_version(&pair.consumer).await?,
        };
        let among = consumer.main_branch.as_deref().map_or(Among::All, Among::BranchOrTag);
        newest(known, pair, head, &among, Role::Main, &mut lines).await?;
        placed(known, pair, None, &mut lines).await?;
    }
    if let Some(since) = choice.branches_since {
        branches(known, pair, since, &mut lines).await?;
    }
    if let Some(branch) = &choice.branch {
        let head = known.broker().branch_head(&pair.consumer, branch).await?;
        let role = Role::Branch(branch.clone());
        newest(known, pair, head, &Among::Branch(branch), role, &mut lines).await?;
    }
    if let Some(tag) = &choice.tag {
        let head = known.broker().newest_tagged(&pair.consumer, tag).await?;
        let role = Role::Tag(tag.clone());
        newest(known, pair, head, &Among::Tag(tag), role, &mut lines).await?;
    }
    if let Some(environment) = &choice.environment {
        placed(known, pair, Some(environment), &mut lines).await?;
    }
    Ok(lines)
}

/// The newest version of a line that published any contract: if none of them is with the
/// provider, the line dropped it. A head without any contract says nothing: an application that
/// is a provider, too, has versions that only verify.
async fn newest(
    known: &Known<'_>,
    pair: &Pair,
    head: Option<Version>,
    among: &Among<'_>,
    role: Role,
    lines: &mut Lines,
) -> Result<(), BrokerError> {
    let Some(head) = head else { return Ok(()) };
    let is_with = |version: &Version| version.providers.contains(&pair.provider);
    if is_with(&head) {
        lines.add(&head, role);
        return Ok(());
    }
    let recent = known.recent(&pair.consumer).await?;
    let mut publishing =
        recent.iter().filter(|version| among.has(version) && !version.providers.is_empty());
    match publishing.next() {
        Some(newest) if is_with(newest) => lines.add(newest, role),
        Some(_) => lines.is_dropped |= publishing.any(is_with),
        None => {}
    }
    Ok(())
}

/// The newest contract of each branch, of versions since then.
async fn branches(
    known: &Known<'_>,
    pair: &Pair,
    since: Timestamp,
    lines: &mut Lines,
) -> Result<(), BrokerError> {
    let versions = known.back_to(&pair.consumer, since).await?;
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for version in versions.iter().filter(|version| version.providers.contains(&pair.provider)) {
        let names = version.branches.iter().map(String::as_str);
        let none = version.branches.is_empty().then_some("");
        // What is looked at usually has its role already.
        let is_known = lines.versions.iter().any(|line| line.version == version.number);
        for name in names.chain(none) {
            if seen.insert(name) && !is_known {
                lines.add(version, Role::Branch(name.to_owned()));
            }
        }
    }
    Ok(())
}

/// What of the consumer is deployed or supported, anywhere or in one environment.
async fn placed(
    known: &Known<'_>,
    pair: &Pair,
    environment: Option<&str>,
    lines: &mut Lines,
) -> Result<(), BrokerError> {
    let present = known.present(&pair.consumer).await?;
    let deployed = present
        .deployed
        .into_iter()
        .map(|place| (Role::Deployed(place.environment.clone()), place));
    let released = present
        .released
        .into_iter()
        .map(|place| (Role::Released(place.environment.clone()), place));
    for (role, place) in deployed.chain(released) {
        if environment.is_some_and(|wanted| wanted != place.environment) {
            continue;
        }
        let found = known.version(&pair.consumer, &place.version).await?;
        if let Some(version) = found.filter(|found| found.providers.contains(&pair.provider)) {
            lines.add_placed(&version, role, Some(place.since));
        }
    }
    Ok(())
}
