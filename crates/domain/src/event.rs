//! What a broker said: the event, in the words of contract and store.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The six events that a Pact Broker's webhooks can subscribe to (Pact Broker 2.120), and the
/// test of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventName {
    /// A pact was published, changed or not.
    ContractPublished,
    /// A pact was published whose content differs from the one before.
    ContractContentChanged,
    /// A pact was published that a main-branch, deployed or released provider version
    /// has not verified yet.
    ContractRequiringVerificationPublished,
    /// A verification result was published.
    ProviderVerificationPublished,
    /// A successful verification result was published.
    ProviderVerificationSucceeded,
    /// A failed verification result was published.
    ProviderVerificationFailed,
    /// Somebody executes a webhook to test it. No broker sends it, no webhook can subscribe to
    /// it, and no text reads as it (Pact Broker 2.120: `eventName` renders as `test`).
    Test,
}

/// The text names none of the six events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown event name")]
pub struct UnknownEventName;

impl EventName {
    /// The six of the broker, in the order in which it documents them.
    pub const ALL: [Self; 6] = [
        Self::ContractPublished,
        Self::ContractContentChanged,
        Self::ContractRequiringVerificationPublished,
        Self::ProviderVerificationPublished,
        Self::ProviderVerificationSucceeded,
        Self::ProviderVerificationFailed,
    ];

    /// The broker's name for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ContractPublished => "contract_published",
            Self::ContractContentChanged => "contract_content_changed",
            Self::ContractRequiringVerificationPublished => {
                "contract_requiring_verification_published"
            }
            Self::ProviderVerificationPublished => "provider_verification_published",
            Self::ProviderVerificationSucceeded => "provider_verification_succeeded",
            Self::ProviderVerificationFailed => "provider_verification_failed",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EventName {
    type Err = UnknownEventName;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|name| name.as_str() == text).ok_or(UnknownEventName)
    }
}

/// How an event came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventSource {
    /// Somebody posted it to `POST /events`.
    Api,
    /// A broker's own webhook told it.
    Relay,
    /// It was found at the broker, which had told nobody.
    Watch,
    /// `postrider reconcile` found it lost.
    Reconcile,
}

/// The text names no way in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown source of an event")]
pub struct UnknownEventSource;

impl EventSource {
    /// Whether an event of it tells of one content alone. What somebody posts, or `reconcile`, tells
    /// of a version whatever content it names.
    pub fn tells_one_content(self) -> bool {
        match self {
            Self::Relay | Self::Watch => true,
            Self::Api | Self::Reconcile => false,
        }
    }

    /// All of them.
    pub const ALL: [Self; 4] = [Self::Api, Self::Relay, Self::Watch, Self::Reconcile];

    /// Its name in rows and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Relay => "relay",
            Self::Watch => "watch",
            Self::Reconcile => "reconcile",
        }
    }
}

impl fmt::Display for EventSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EventSource {
    type Err = UnknownEventSource;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|source| source.as_str() == text).ok_or(UnknownEventSource)
    }
}

/// Why a broker's call was taken for the publication of which the watch's event had told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergedBecause {
    /// The event was made less than a minute before.
    JustMade,
    /// The broker published no more often than was told of.
    OnePublication,
    /// The relay is none of the broker's webhooks, or the broker is not known here: nobody can tell.
    RelayUnknown,
    /// The broker could not be asked.
    BrokerUnasked,
}

impl MergedBecause {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::JustMade, Self::OnePublication, Self::RelayUnknown, Self::BrokerUnasked];

    /// Its name in rows and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::JustMade => "just_made",
            Self::OnePublication => "one_publication",
            Self::RelayUnknown => "relay_unknown",
            Self::BrokerUnasked => "broker_unasked",
        }
    }
}

/// One side of a contract as an event names it. Missing values are empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Pacticipant {
    /// The pacticipant's name; never empty in an accepted event.
    pub name: String,
    /// The version that published; empty when unknown.
    pub version_number: String,
    /// The version's branch; empty when unknown.
    pub branch: String,
    /// The version's tags.
    pub tags: Vec<String>,
    /// The pacticipant's labels at the time of the event; webhooks may select by them.
    pub labels: Vec<String>,
    /// Why this provider version needs the verification, e.g. `latest from main branch`;
    /// always empty for a consumer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub version_descriptions: Vec<String>,
}

/// An accepted event. Its JSON form is what the store keeps and what a claim returns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Which of the six; or a test, with the data of an earlier event.
    pub event_name: EventName,
    /// When the broker says it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<Timestamp>,
    /// The broker it came from; `default` unless said otherwise. Pacticipants of two brokers
    /// never mix, even under equal names.
    pub broker: String,
    /// The consumer.
    pub consumer: Pacticipant,
    /// The provider.
    pub provider: Pacticipant,
    /// Where the pact can be read; empty when unknown.
    #[serde(default)]
    pub pact_url: String,
    /// Where the verification result can be read; empty when there is none.
    #[serde(default)]
    pub verification_result_url: String,
    /// The result of the verification; `None` while it is pending.
    #[serde(default)]
    pub verification_success: Option<bool>,
    /// The CI build that published; empty when unknown.
    #[serde(default)]
    pub build_url: String,
    /// Empty unless the broker fans out over deployed versions.
    #[serde(default)]
    pub currently_deployed_provider_version_number: String,
}

/// What in a pact's URL stands before the content's sha (Pact Broker 2.120).
const BEFORE_SHA: &str = "/pact-version/";

/// The sha of the content that a pact's URL leads to, whatever follows it; `None` where the URL
/// names a version alone, or is empty (Pact Broker 2.120: `${pactbroker.pactUrl}`).
pub fn content_of(pact_url: &str) -> Option<&str> {
    let path = pact_url.split(['?', '#']).next().unwrap_or(pact_url);
    let (_, after) = path.rsplit_once(BEFORE_SHA)?;
    after.split('/').next().filter(|sha| !sha.is_empty())
}

/// Whether an event of a consumer version told of the content with this sha: its pact's URL names
/// that or none, or nobody minds ([`EventSource::tells_one_content`]).
pub fn told_of_content(source: Option<EventSource>, pact_url: &str, sha: &str) -> bool {
    !source.is_some_and(EventSource::tells_one_content)
        || content_of(pact_url).is_none_or(|named| named == sha)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pact_url_tells_the_content() {
        let url = "https://b/pacts/provider/P%2F/consumer/C/pact-version/5d44";
        for (url, expected) in [
            (format!("{url}/metadata/Y3Zu"), Some("5d44")),
            (format!("{url}?x=1"), Some("5d44")),
            (url.to_owned(), Some("5d44")),
            (url.replace("https://b", "http://other:9292/pact"), Some("5d44")),
            ("https://b/pacts/provider/P/consumer/C/version/1".to_owned(), None),
            ("https://b/pact-version/".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(content_of(&url), expected, "{url}");
            for (source, minds) in [
                (Some(EventSource::Relay), true),
                (Some(EventSource::Watch), true),
                (Some(EventSource::Api), false),
                (Some(EventSource::Reconcile), false),
                (None, false),
            ] {
                assert!(told_of_content(source, &url, "5d44"), "{url}");
                let told = told_of_content(source, &url, "other");
                assert_eq!(told, expected.is_none() || !minds, "{url} {source:?}");
            }
        }
    }
}
