//! One consumer version and its contract with a provider.

use super::known::Known;
use crate::error::BrokerError;
use crate::listing::Pair;

/// What there is of a consumer version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionFound {
    /// There is no such version, nor any contract where none was named.
    Nothing,
    /// It has no contract with the provider, and none was there before it.
    NoContract(String),
    /// It has no contract with the provider, and a version before it on its branch had one.
    Dropped(String),
    /// It has one.
    Contract(String),
}

/// Looks at one version.
pub(super) async fn of(
    known: &Known<'_>,
    pair: &Pair,
    number: &str,
) -> Result<VersionFound, BrokerError> {
    let Some(version) = known.version(&pair.consumer, number).await? else {
        return Ok(VersionFound::Nothing);
    };
    let number = version.number.clone();
    if version.providers.contains(&pair.provider) {
        return Ok(VersionFound::Contract(number));
    }
    let recent = known.recent(&pair.consumer).await?;
    let is_before = |other: &&crate::versions::Version| {
        other.created_at <= version.created_at
            && (version.branches.is_empty()
                || other.branches.iter().any(|branch| version.branches.contains(branch)))
    };
    let had_one =
        recent.iter().filter(is_before).any(|other| other.providers.contains(&pair.provider));
    Ok(if had_one { VersionFound::Dropped(number) } else { VersionFound::NoContract(number) })
}
