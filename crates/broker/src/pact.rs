//! A contract's identity: its content's sha, and the content's latest result.

use jiff::Timestamp;
use serde::Deserialize;

use crate::client::{Broker, path};
use crate::error::BrokerError;
use crate::listing::Pair;

/// What a consumer version published, without the contract itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedPact {
    /// Sha of the content.
    pub sha: String,
    /// Where the content can be read: `…/pact-version/<sha>`.
    pub content_url: String,
    /// When the consumer version published.
    pub published_at: Timestamp,
}

/// A content's latest result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatestResult {
    /// Whether the provider keeps the contract.
    pub success: bool,
    /// The provider version that verified.
    pub provider_version: String,
    /// When; `None` when the broker does not say.
    pub at: Option<Timestamp>,
    /// Where it can be read.
    pub url: String,
}

#[derive(Deserialize)]
struct WirePact {
    #[serde(rename = "createdAt")]
    created_at: Timestamp,
    #[serde(rename = "_links")]
    links: WirePactLinks,
}

#[derive(Deserialize)]
struct WirePactLinks {
    #[serde(rename = "pb:pact-version")]
    content: WireContent,
}

#[derive(Deserialize)]
struct WireContent {
    name: String,
    href: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireResult {
    success: bool,
    #[serde(default)]
    provider_application_version: String,
    #[serde(default)]
    verification_date: Option<Timestamp>,
    #[serde(rename = "_links")]
    links: WireResultLinks,
}

#[derive(Deserialize)]
struct WireResultLinks {
    #[serde(rename = "self")]
    own: WireLink,
}

#[derive(Deserialize)]
struct WireLink {
    href: String,
}

impl Broker {
    /// What a consumer version published for a provider; `None` when it is gone.
    pub async fn pact(
        &self,
        pair: &Pair,
        version: &str,
    ) -> Result<Option<PublishedPact>, BrokerError> {
        let (provider, consumer) = (pair.provider.as_str(), pair.consumer.as_str());
        let link = path(&["pacts", "provider", provider, "consumer", consumer, "version", version]);
        let found: Option<WirePact> = self.there(&link).await?;
        Ok(found.map(|pact| PublishedPact {
            sha: pact.links.content.name,
            content_url: pact.links.content.href,
            published_at: pact.created_at,
        }))
    }

    /// A content's latest result; `None` when it has none.
    pub async fn latest_result(
        &self,
        pair: &Pair,
        sha: &str,
    ) -> Result<Option<LatestResult>, BrokerError> {
        let (provider, consumer) = (pair.provider.as_str(), pair.consumer.as_str());
        let content = ["pacts", "provider", provider, "consumer", consumer, "pact-version", sha];
        let link = format!("{}/verification-results/latest", path(&content));
        let found: Option<WireResult> = self.there(&link).await?;
        Ok(found.map(|result| LatestResult {
            success: result.success,
            provider_version: result.provider_application_version,
            at: result.verification_date,
            url: result.links.own.href,
        }))
    }
}
