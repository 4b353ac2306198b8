//! What has to be known for a diagnosis, by whoever reads it.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::owed::{Counted, Due, VersionResult};
use crate::{DeliveryId, DeliveryStatus, EventId, EventSource, HoldCause, Outcome, WebhookUuid};

/// What is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The consumer's name.
    pub consumer: String,
    /// Its version; `None`: the newest contract of its main branch.
    pub version: Option<String>,
    /// The provider's name.
    pub provider: String,
    /// Only what is deployed or released there counts.
    pub environment: Option<String>,
    /// The broker's name here.
    pub broker: String,
}

/// Something that somebody else knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Known<T> {
    /// It is so.
    Is(T),
    /// It can't be read, because.
    Unknown(String),
}

/// What is known of a contract and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// What is asked about.
    pub asked: Asked,
    /// When it is asked.
    pub now: Timestamp,
    /// How long a broker, a target and a run may take before it is called broken.
    pub patience: Duration,
    /// The contract.
    pub publication: Known<Publication>,
    /// The provider versions that count.
    pub required: Known<Vec<RequiredVersion>>,
    /// The content's latest result, whichever version it is of, and when it was published.
    pub latest: Option<VersionResult>,
    /// Why an event that should be here is not.
    pub not_received: Known<NotReceived>,
    /// Events that ask for a verification of the contract, newest first.
    pub events: Vec<EventFacts>,
}

/// Whether there is a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Publication {
    /// The consumer has no such version, or none at all.
    NoVersion,
    /// The version has no contract with the provider, and none was there before it.
    NoContract {
        /// The version.
        version: String,
    },
    /// The version exists and dropped its contract with the provider.
    Dropped {
        /// The version.
        version: String,
    },
    /// There is one.
    Is {
        /// The version.
        version: String,
        /// When it was published.
        at: Timestamp,
        /// Where it can be read; empty when unknown.
        url: String,
    },
}

/// A provider version that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequiredVersion {
    /// The version, and why it counts.
    pub counted: Counted,
    /// Whether the broker should have told of it.
    pub due: Due,
    /// Since when it counts for this contract.
    pub since: Timestamp,
    /// Its newest result.
    pub result: Option<VersionResult>,
}

/// Why an event did not come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotReceived {
    /// The broker has no webhook that comes here.
    NoRelay,
    /// It has one that is switched off.
    RelayDisabled {
        /// Its uuid at the broker.
        uuid: String,
    },
    /// It has one that is for other events.
    RelayForOthers {
        /// Its uuid at the broker.
        uuid: String,
        /// What it is for.
        events: Vec<String>,
    },
    /// The broker has it on its list, and did not call: it calls soon, or it was restarted and
    /// forgot.
    NotRun {
        /// When it put it on its list.
        at: Timestamp,
    },
    /// The call was refused, and is repeated or given up.
    Refused {
        /// When it was put on the list.
        at: Timestamp,
        /// It is repeated.
        is_repeated: bool,
    },
    /// The broker says that it called and was answered well.
    SaidToBeTold {
        /// When.
        at: Timestamp,
    },
    /// The broker did not put it on its list: the relay is newer than the contract.
    NeverTriggered,
}

impl fmt::Display for NotReceived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRelay => f.write_str("the broker has no webhook that comes here"),
            Self::RelayDisabled { uuid } => {
                write!(f, "the broker's webhook {uuid}, which comes here, is disabled")
            }
            Self::RelayForOthers { uuid, events } => write!(
                f,
                "the broker's webhook {uuid}, which comes here, is for other events: {}",
                events.join(", ")
            ),
            Self::NotRun { at } => write!(
                f,
                "the broker put the call on its list at {at} and did not make it; a broker that is \
                 restarted forgets its calls"
            ),
            Self::Refused { at, is_repeated: true } => {
                write!(f, "the broker's call of {at} was refused here and is repeated")
            }
            Self::Refused { at, is_repeated: false } => {
                write!(f, "the broker's call of {at} was refused here and is not repeated")
            }
            Self::SaidToBeTold { at } => write!(
                f,
                "the broker says that its call of {at} was taken: it went to another postrider, or \
                 to one that has lost its store"
            ),
            Self::NeverTriggered => f.write_str(
                "the broker never meant to call: its webhook is newer than the contract",
            ),
        }
    }
}

/// An event that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventFacts {
    /// The event.
    pub id: EventId,
    /// The provider version that it names; empty: all that counted then.
    pub provider_version: String,
    /// When it came in.
    pub received_at: Timestamp,
    /// How.
    pub source: Option<EventSource>,
    /// What it led to.
    pub deliveries: Vec<DeliveryFacts>,
    /// Where it led to nothing: webhooks, those first that come closest.
    pub unwanted: Vec<UnwantedWebhook>,
}

/// A webhook that did not want an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnwantedWebhook {
    /// Which.
    pub uuid: WebhookUuid,
    /// What it is called.
    pub description: String,
    /// The key and the value that do not fit; `None`: it would want it now.
    pub reason: Option<String>,
}

/// What became of an event at one webhook's target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryFacts {
    /// The delivery.
    pub id: DeliveryId,
    /// Its webhook.
    pub webhook: WebhookUuid,
    /// The lane's name.
    pub lane: String,
    /// Shown status.
    pub status: DeliveryStatus,
    /// Its target is a dispatch of GitHub's.
    pub is_dispatch: bool,
    /// What the last attempt came to.
    pub last_outcome: Option<Outcome>,
    /// HTTP status of the last answer.
    pub last_status_code: Option<u16>,
    /// When it is tried again.
    pub next_attempt_at: Option<Timestamp>,
    /// Why lane or webhook are held, and since when.
    pub hold: Option<(HoldCause, Timestamp)>,
    /// Until when the limit is paused.
    pub paused_until: Option<Timestamp>,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The secret that its requests authenticate with.
    pub secret: Option<String>,
    /// Something was taken from the same webhook before.
    pub was_taken_before: bool,
    /// What the target did about it.
    pub run: Known<RunFinding>,
}

/// What GitHub says of the run that a dispatch was to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "found", rename_all = "snake_case")]
pub enum RunFinding {
    /// It has not ended.
    Running {
        /// Its page.
        url: String,
    },
    /// It succeeded.
    Succeeded {
        /// Its page.
        url: String,
    },
    /// It did not.
    Failed {
        /// Its page.
        url: String,
        /// GitHub's word for it.
        conclusion: String,
    },
    /// No run started.
    None {
        /// The likely reason.
        reason: NoRun,
    },
    /// Runs started since, and none names the delivery.
    Unnamed {
        /// How many.
        count: u64,
    },
    /// The target runs nothing that could be asked about.
    NotAsked,
}

/// Why no run started, as far as it can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoRun {
    /// The repository has no workflow on its default branch.
    NoWorkflow,
    /// Its workflows are switched off, by somebody or after 60 days without activity.
    Disabled,
    /// There are workflows: none is for this event type, or not on the default branch, or Actions
    /// are off.
    NotListening,
}

impl fmt::Display for NoRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoWorkflow => "the repository has no workflow on its default branch",
            Self::Disabled => {
                "the repository's workflows are disabled; GitHub does so by itself after 60 days \
                 without activity"
            }
            Self::NotListening => {
                "no workflow on the default branch is for this event type, or Actions are off"
            }
        })
    }
}
