//! Kinds of conditions that a person should know of.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What kind of condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentKind {
    /// A webhook fails again and again.
    SustainedFailures,
    /// A lane is held.
    LaneHeld,
    /// What waits for a limit would leave too late.
    LaneLate,
    /// A webhook is parked.
    WebhookHeld,
    /// A delivery took workers down.
    Poison,
    /// A verification is owed for too long.
    VerificationStale,
    /// Nothing was heard of a pair's verification for too long.
    VerificationSilent,
    /// A broker that should be asked does not answer.
    BrokerUnreachable,
    /// A part of what is judged can't be read.
    FactUnreadable,
    /// There are more pairs than are kept.
    PairsFull,
    /// A worker's own machine can't make requests.
    LocalTrouble,
    /// A credential has expired, or will soon.
    CredentialExpiring,
    /// Verifications were late already when their broker was first asked.
    FirstContact,
    /// What is deployed of a consumer stops its provider's deployment.
    HoldsBack,
    /// Verifications stay owed whose deliveries failed for good.
    OwedAfterFailure,
    /// A verification stays owed although it was dispatched again as often as it may be.
    RedispatchGaveUp,
    /// A broker's own webhook that relays to here was removed, or switched off.
    RelayGone,
    /// Calls of a broker's own webhook are refused here for their token.
    RelayRefused,
}

impl IncidentKind {
    /// All kinds.
    pub const ALL: [Self; 18] = [
        Self::SustainedFailures,
        Self::LaneHeld,
        Self::LaneLate,
        Self::WebhookHeld,
        Self::Poison,
        Self::VerificationStale,
        Self::VerificationSilent,
        Self::BrokerUnreachable,
        Self::FactUnreadable,
        Self::PairsFull,
        Self::LocalTrouble,
        Self::CredentialExpiring,
        Self::FirstContact,
        Self::HoldsBack,
        Self::OwedAfterFailure,
        Self::RedispatchGaveUp,
        Self::RelayGone,
        Self::RelayRefused,
    ];

    /// Its name in rows, JSON and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SustainedFailures => "sustained_failures",
            Self::LaneHeld => "lane_held",
            Self::LaneLate => "lane_late",
            Self::WebhookHeld => "webhook_held",
            Self::Poison => "poison",
            Self::VerificationStale => "verification_stale",
            Self::VerificationSilent => "verification_silent",
            Self::BrokerUnreachable => "broker_unreachable",
            Self::FactUnreadable => "fact_unreadable",
            Self::PairsFull => "pairs_full",
            Self::LocalTrouble => "local_trouble",
            Self::CredentialExpiring => "credential_expiring",
            Self::FirstContact => "first_contact",
            Self::HoldsBack => "holds_back",
            Self::OwedAfterFailure => "owed_after_failure",
            Self::RedispatchGaveUp => "redispatch_gave_up",
            Self::RelayGone => "relay_gone",
            Self::RelayRefused => "relay_refused",
        }
    }
}

/// The text is no kind of incident.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind of incident")]
pub struct UnknownIncidentKind;

impl FromStr for IncidentKind {
    type Err = UnknownIncidentKind;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownIncidentKind)
    }
}

/// How soon somebody has to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Now.
    Critical,
    /// Today.
    Warning,
}

impl Severity {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Critical, Self::Warning];

    /// Its name in rows, JSON and alerts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
        }
    }
}
