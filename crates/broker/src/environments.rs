//! Environments, and what is deployed and released in them.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::client::{Broker, encoded, path};
use crate::error::BrokerError;

/// Somewhere to deploy to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// The broker's id of it.
    pub uuid: String,
    /// Its name.
    pub name: String,
}

/// A version in an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InEnvironment {
    /// The application.
    pub pacticipant: String,
    /// Its version.
    pub version: String,
    /// The environment's name.
    pub environment: String,
    /// When it came there.
    pub since: Timestamp,
}

/// How a version came to an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It runs there now.
    Deployed,
    /// It was released there, and is still supported.
    Released,
}

#[derive(Deserialize)]
struct WireEnvironment {
    uuid: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePlace {
    created_at: Timestamp,
    #[serde(rename = "_embedded")]
    embedded: WireParts,
}

#[derive(Deserialize)]
struct WireParts {
    pacticipant: WireName,
    version: WireNumber,
}

#[derive(Deserialize)]
struct WireName {
    name: String,
}

#[derive(Deserialize)]
struct WireNumber {
    number: String,
}

impl Broker {
    /// Every environment; none at a broker that is too old to have any (before 2.80).
    pub async fn environments(&self) -> Result<Vec<Environment>, BrokerError> {
        let Some(document) = self.there::<Value>("/environments").await? else {
            return Ok(Vec::new());
        };
        let found: Vec<WireEnvironment> = self.embedded(&document, "environments")?;
        let environment =
            |found: WireEnvironment| Environment { uuid: found.uuid, name: found.name };
        Ok(found.into_iter().map(environment).collect())
    }

    /// What is in an environment now: of one application, or of all.
    pub async fn present(
        &self,
        environment: &Environment,
        presence: Presence,
        pacticipant: Option<&str>,
    ) -> Result<Vec<InEnvironment>, BrokerError> {
        let (resource, which, list) = match presence {
            Presence::Deployed => ("deployed-versions", "currently-deployed", "deployedVersions"),
            Presence::Released => ("released-versions", "currently-supported", "releasedVersions"),
        };
        let below = path(&["environments", &environment.uuid, resource, which]);
        let query = pacticipant.map(|name| format!("?pacticipant={}", encoded(name)));
        let link = format!("{below}{}", query.unwrap_or_default());
        let Some(document) = self.there::<Value>(&link).await? else { return Ok(Vec::new()) };
        let found: Vec<WirePlace> = self.embedded(&document, list)?;
        let place = |found: WirePlace| InEnvironment {
            pacticipant: found.embedded.pacticipant.name,
            version: found.embedded.version.number,
            environment: environment.name.clone(),
            since: found.created_at,
        };
        Ok(found.into_iter().map(place).collect())
    }
}
