//! How fresh verifications are.

use jiff::Timestamp;
use postrider_domain::owed::Due;
use postrider_domain::{FreshnessState, ThresholdFrom};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::page::list;
use crate::query::query;
use crate::words;

/// How fresh the verification of a consumer's and a provider's contract is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PairFreshness {
    /// Name of the broker.
    pub broker: String,
    /// Name of the consumer.
    pub consumer: String,
    /// Name of the provider.
    pub provider: String,
    /// Newest publication.
    #[schema(required)]
    pub last_publication: Option<Timestamp>,
    /// When a target last took a delivery for the pair.
    #[schema(required)]
    pub last_dispatch: Option<Timestamp>,
    /// Newest verification, of any outcome.
    #[schema(required)]
    pub last_verification: Option<Timestamp>,
    /// Whether it succeeded; null when not told.
    #[schema(required)]
    pub last_verification_success: Option<bool>,
    /// Since when a verification is owed.
    #[schema(required)]
    pub owed_since: Option<Timestamp>,
    /// Age at which a verification is too old.
    pub threshold_seconds: u64,
    /// Where that comes from: `pair`, a `[[pair]]` table; `setting`, `POSTRIDER_FRESHNESS`;
    /// `learned`, the provider's own times; `no_second_sign`, late by these and by nothing else;
    /// `default`, too few times are known.
    #[schema(value_type = words::ThresholdFrom)]
    pub threshold_from: ThresholdFrom,
    /// The same in words.
    pub threshold_reason: String,
    /// Age that is judged.
    #[schema(required)]
    pub age_seconds: Option<u64>,
    /// The verdict.
    #[schema(value_type = words::FreshnessState)]
    pub state: FreshnessState,
    /// The settings call the pair critical.
    pub critical: bool,
    /// What it is judged by.
    pub basis: Basis,
    /// Provider versions that owe a result, oldest debt first; empty by relayed events alone.
    pub owes: Vec<OwedResult>,
    /// Provider versions that count and do not keep a contract.
    pub failed: Vec<FailedVersion>,
    /// Deployed contents that hold the provider's main head back; no part of the verdict.
    pub holds_back: Vec<HeldBackVersion>,
    /// Why the broker could not tell of this pair when it was asked last; null when it could.
    #[schema(required)]
    pub trouble: Option<String>,
}

/// What a pair is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The broker's own rule: which provider versions count, and which have a result.
    Broker,
    /// Relayed events, which can't tell that.
    Relay,
}

/// A provider version that counts and has no result for a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OwedResult {
    /// The provider version.
    pub provider_version: String,
    /// The provider's main branch, if the version counts as its head.
    #[schema(required)]
    pub branch: Option<String>,
    /// Why it counts: `main`, `deployed:<environment>`, `released:<environment>`.
    pub because: Vec<String>,
    /// `published`: the broker should have told of it. `later`: it came with a build, a
    /// deployment or a release, of which brokers tell nobody.
    #[schema(value_type = words::Due)]
    pub due: Due,
    /// It stops a deployment now.
    pub blocking: bool,
    /// Since when the line has been owing without a break.
    pub since: Timestamp,
    /// The consumer version that published the contract.
    pub consumer_version: String,
    /// What it is the newest contract of: `main`, `deployed:<environment>`.
    pub lines: Vec<String>,
}

/// A provider version that counts and does not keep a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailedVersion {
    /// The provider version.
    pub provider_version: String,
    /// Why it counts.
    pub because: Vec<String>,
    /// When it failed.
    pub failed_at: Timestamp,
    /// The consumer version that published the contract.
    pub consumer_version: String,
    /// What it is the newest contract of.
    pub lines: Vec<String>,
}

/// A deployed content that the provider's main head has no result for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeldBackVersion {
    /// The consumer version that published the contract.
    pub consumer_version: String,
    /// Where it is deployed or supported.
    pub lines: Vec<String>,
    /// The provider's main head.
    pub provider_version: String,
    /// Since when there is none.
    pub since: Timestamp,
}

list! {
    /// A page of pairs, by broker, consumer and provider.
    pub struct FreshnessList {
        /// The pairs.
        pairs: PairFreshness,
        /// How many there are, counted up to 10,000.
        total,
    }
}

query! {
    /// Which pairs.
    pub struct FreshnessQuery {
        /// Name of the broker.
        broker: String,
        /// Name of the consumer.
        consumer: String,
        /// Name of the provider.
        provider: String,
        /// Pairs of this state.
        state: FreshnessState as words::FreshnessState,
    }
}
