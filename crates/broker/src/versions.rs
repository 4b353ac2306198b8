//! Pacticipants and their versions: main branch, heads, pages of versions with what each of them
//! published.

use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::client::{Broker, path};
use crate::error::BrokerError;

/// An application as the broker knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pacticipant {
    /// Its name.
    pub name: String,
    /// Its main branch; `None` when none is set.
    pub main_branch: Option<String>,
    /// Its labels.
    pub labels: Vec<String>,
    /// When somebody changed it last: its creation, unless it was changed after that.
    pub changed_at: Timestamp,
}

/// A version of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its number.
    pub number: String,
    /// When it became known.
    pub created_at: Timestamp,
    /// Its branches in the order in which it was put on them.
    pub branches: Vec<String>,
    /// Its tags, in the broker's order.
    pub tags: Vec<String>,
    /// The build that made it; empty when unknown.
    pub build_url: String,
    /// Providers that it published a contract for.
    pub providers: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePacticipant {
    name: String,
    main_branch: Option<String>,
    created_at: Timestamp,
    updated_at: Option<Timestamp>,
    #[serde(default, rename = "_embedded")]
    embedded: WireLabels,
}

#[derive(Deserialize, Default)]
struct WireLabels {
    #[serde(default)]
    labels: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireVersion {
    number: String,
    created_at: Timestamp,
    build_url: Option<String>,
    #[serde(default, rename = "_embedded")]
    embedded: WireParts,
    #[serde(default, rename = "_links")]
    links: WireLinks,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct WireParts {
    #[serde(default)]
    branch_versions: Vec<Named>,
    #[serde(default)]
    tags: Vec<Named>,
}

#[derive(Deserialize, Default)]
struct WireLinks {
    #[serde(default, rename = "pb:pact-versions")]
    pacts: Vec<Link>,
}

#[derive(Deserialize)]
struct Link {
    href: String,
}

impl Broker {
    /// An application (`GET /pacticipants/P`); `None` when the broker knows none of that name.
    pub async fn pacticipant(&self, name: &str) -> Result<Option<Pacticipant>, BrokerError> {
        let found: Option<WirePacticipant> = self.there(&path(&["pacticipants", name])).await?;
        Ok(found.map(WirePacticipant::into_pacticipant))
    }

    /// The version that was put on a branch last; `None` when none was.
    pub async fn branch_head(
        &self,
        name: &str,
        branch: &str,
    ) -> Result<Option<Version>, BrokerError> {
        self.one(&["pacticipants", name, "branches", branch, "latest-version"]).await
    }

    /// The newest version with a tag; `None` when no version has it.
    pub async fn newest_tagged(
        &self,
        name: &str,
        tag: &str,
    ) -> Result<Option<Version>, BrokerError> {
        self.one(&["pacticipants", name, "latest-version", tag]).await
    }

    /// The newest version; `None` when there is none.
    pub async fn newest_version(&self, name: &str) -> Result<Option<Version>, BrokerError> {
        self.one(&["pacticipants", name, "latest-version"]).await
    }

    /// One version; `None` when there is none of this number.
    pub async fn version(&self, name: &str, number: &str) -> Result<Option<Version>, BrokerError> {
        self.one(&["pacticipants", name, "versions", number]).await
    }

    /// A page of versions, newest first; pages count from 1. Empty beyond the last one, and when
    /// the broker knows no such application.
    pub async fn versions(
        &self,
        name: &str,
        page: u32,
        size: u32,
    ) -> Result<Vec<Version>, BrokerError> {
        let below = path(&["pacticipants", name, "versions"]);
        let link = format!("{below}?pageNumber={page}&pageSize={size}");
        let Some(document) = self.there::<Value>(&link).await? else { return Ok(Vec::new()) };
        let versions: Vec<WireVersion> = self.embedded(&document, "versions")?;
        Ok(versions.into_iter().map(WireVersion::into_version).collect())
    }

    async fn one(&self, segments: &[&str]) -> Result<Option<Version>, BrokerError> {
        let found: Option<WireVersion> = self.there(&path(segments)).await?;
        Ok(found.map(WireVersion::into_version))
    }

    /// What is behind a link; `None` when nothing is (404): it is gone, which is no error.
    pub(crate) async fn there<T: DeserializeOwned>(
        &self,
        link: &str,
    ) -> Result<Option<T>, BrokerError> {
        let answer = self.get_json(link).await?;
        if answer.status.as_u16() == 404 && answer.body.is_object() {
            return Ok(None);
        }
        let document = self.ok(answer)?;
        let read = T::deserialize(&document).map(Some);
        read.map_err(|error| self.unexpected(error.to_string()))
    }
}

impl WirePacticipant {
    fn into_pacticipant(self) -> Pacticipant {
        Pacticipant {
            name: self.name,
            main_branch: self.main_branch.filter(|branch| !branch.is_empty()),
            labels: self.embedded.labels.into_iter().map(|label| label.name).collect(),
            changed_at: self.updated_at.unwrap_or(self.created_at),
        }
    }
}

impl WireVersion {
    fn into_version(self) -> Version {
        let names = |list: Vec<Named>| list.into_iter().map(|one| one.name).collect();
        Version {
            number: self.number,
            created_at: self.created_at,
            branches: names(self.embedded.branch_versions),
            tags: names(self.embedded.tags),
            build_url: self.build_url.unwrap_or_default(),
            providers: self.links.pacts.iter().filter_map(|link| provider(&link.href)).collect(),
        }
    }
}

/// The provider in a pact's URL: `…/pacts/provider/P/consumer/C/version/V`.
fn provider(href: &str) -> Option<String> {
    let (_, below) = href.rsplit_once("/pacts/provider/")?;
    let (segment, _) = below.split_once('/')?;
    percent_decode_str(segment).decode_utf8().ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn providers_are_read_from_links() {
        let href = "http://h/pact/pacts/provider/Pro%2Fvi+der%20%C3%BC/consumer/C/version/1";
        assert_eq!(provider(href).as_deref(), Some("Pro/vi+der ü"));
        assert_eq!(provider("http://h/pacts/latest"), None);
    }

    #[test]
    fn a_version_may_be_bare() {
        let bare = json!({ "number": "1", "createdAt": "2026-11-22T00:00:00+00:00" });
        let version = WireVersion::deserialize(&bare).unwrap().into_version();
        assert_eq!((version.number.as_str(), version.build_url.as_str()), ("1", ""));
        assert!(version.branches.is_empty() && version.providers.is_empty());
    }
}
