//! Why a verification is not there.

use jiff::Timestamp;
use postrider_domain::doctor::{Diagnosis, DoctorVerdict, Hop, HopReport, HopState, OtherVersion};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::words;

/// What is asked about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DoctorQuery {
    /// Name of the consumer.
    pub consumer: String,
    /// Version of the consumer; without it the newest contract of its main branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(nullable = false)]
    pub version: Option<String>,
    /// Name of the provider.
    pub provider: String,
    /// Only what is deployed or released in this environment counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(nullable = false)]
    pub environment: Option<String>,
    /// Name of the broker here; without it `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(nullable = false)]
    pub broker: Option<String>,
}

/// What is wrong with the verification of a contract, where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DoctorReport {
    /// In a word.
    #[schema(value_type = words::DoctorVerdict)]
    pub verdict: DoctorVerdict,
    /// In a sentence.
    pub summary: String,
    /// Since when; null when it is not known, or nothing is wrong.
    #[schema(required)]
    pub since: Option<Timestamp>,
    /// The provider version that it is about; null when it is about none.
    #[schema(required)]
    pub provider_version: Option<String>,
    /// The hops from publication to deployment, in their order.
    pub hops: Vec<DoctorHop>,
    /// Commands to run next.
    pub next: Vec<String>,
    /// The other provider versions that count.
    pub others: Vec<OtherVerdict>,
}

/// A hop on the way from publication to deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DoctorHop {
    /// Which.
    #[schema(value_type = words::DoctorHopName)]
    pub hop: Hop,
    /// How it is.
    #[schema(value_type = words::DoctorHopState)]
    pub state: HopState,
    /// When it came to be so.
    #[schema(required)]
    pub at: Option<Timestamp>,
    /// In words; may be empty.
    pub detail: String,
    /// Where to read more.
    pub links: Vec<String>,
}

/// How it is with another provider version that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OtherVerdict {
    /// The version.
    pub provider_version: String,
    /// In a word.
    #[schema(value_type = words::DoctorVerdict)]
    pub verdict: DoctorVerdict,
    /// In a sentence.
    pub summary: String,
}

impl From<Diagnosis> for DoctorReport {
    fn from(diagnosis: Diagnosis) -> Self {
        let hop = |report: HopReport| DoctorHop {
            hop: report.hop,
            state: report.state,
            at: report.at,
            detail: report.detail,
            links: report.links,
        };
        let other = |other: OtherVersion| OtherVerdict {
            provider_version: other.provider_version,
            verdict: other.verdict,
            summary: other.summary,
        };
        Self {
            verdict: diagnosis.verdict,
            summary: diagnosis.summary,
            since: diagnosis.since,
            provider_version: diagnosis.provider_version,
            hops: diagnosis.hops.into_iter().map(hop).collect(),
            next: diagnosis.next,
            others: diagnosis.others.into_iter().map(other).collect(),
        }
    }
}
