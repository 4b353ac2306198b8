//! How fresh verifications are.

use jiff::Timestamp;
use postrider_domain::FreshnessState;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::page::{NextPage, Page};
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
    /// Age that is judged.
    #[schema(required)]
    pub age_seconds: Option<u64>,
    /// The verdict.
    #[schema(value_type = words::FreshnessState)]
    pub state: FreshnessState,
    /// The settings call the pair critical.
    pub critical: bool,
}

/// A page of pairs, by broker, consumer and provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FreshnessList {
    /// The pairs.
    pub pairs: Vec<PairFreshness>,
    /// Where the next page begins.
    #[schema(required)]
    pub next: NextPage,
}

impl Page for FreshnessList {
    type Row = PairFreshness;

    fn into_parts(self) -> (Vec<PairFreshness>, NextPage) {
        (self.pairs, self.next)
    }
}

/// Which pairs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FreshnessQuery {
    /// Name of the broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(nullable = false)]
    pub broker: Option<String>,
    /// Name of the consumer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(nullable = false)]
    pub consumer: Option<String>,
    /// Name of the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(nullable = false)]
    pub provider: Option<String>,
    /// Pairs of this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = words::FreshnessState, required = false)]
    pub state: Option<FreshnessState>,
}
