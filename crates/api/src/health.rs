//! How a process is.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How the process is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `ok`.
    #[schema(pattern = "^ok$")]
    pub status: String,
}

impl Health {
    /// All is well.
    pub fn ok() -> Self {
        Self { status: "ok".to_owned() }
    }
}

/// Why the process should get no traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Unhealthy {
    /// `unavailable`.
    #[schema(pattern = "^unavailable$")]
    pub status: String,
    /// In words.
    pub reason: String,
}

impl Unhealthy {
    /// For this reason.
    pub fn because(reason: &str) -> Self {
        Self { status: "unavailable".to_owned(), reason: reason.to_owned() }
    }
}

/// How the process is, and what it stands on: `/readyz?verbose`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    /// `ok` or `unavailable`.
    #[schema(pattern = "^(ok|unavailable)$")]
    pub status: String,
    /// Why it should get no traffic, in words; null while it should.
    #[schema(required)]
    pub reason: Option<String>,
    /// What runs here: `serve`, `ingest`, `worker` or `monitor`.
    pub role: String,
    /// Of the program.
    pub version: String,
    /// The commit that it was built of, or `unknown`.
    pub revision: String,
    /// The database.
    pub store: StoreHealth,
    /// Whether each link to RabbitMQ can be used, `publisher` of an intake and `consumer` of a
    /// worker, up to a second ago. Empty where there is none. None of them decides about
    /// `status`: events are accepted and delivered without RabbitMQ.
    pub queue: BTreeMap<String, bool>,
    /// The brokers that the monitor asks; null when the store did not tell in time.
    #[schema(required)]
    pub brokers: Option<Vec<BrokerHealth>>,
    /// How long the oldest delivery in a lane that is open has waited, in milliseconds; 0 when
    /// none waits, null when the store did not tell in time.
    #[schema(required, minimum = 0)]
    pub oldest_pending_ms: Option<u64>,
}

/// Whether the database answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StoreHealth {
    /// `postgres` or `sqlite`.
    #[schema(pattern = "^(postgres|sqlite)$")]
    pub kind: String,
    /// It does.
    pub answers: bool,
    /// Milliseconds that a round trip took; null when no answer came.
    #[schema(required, minimum = 0)]
    pub answered_in_ms: Option<u64>,
}

/// Whether a broker answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BrokerHealth {
    /// Its name here.
    pub name: String,
    /// When it last answered everything.
    #[schema(required)]
    pub answered_at: Option<Timestamp>,
    /// Since when it does not; null while it does.
    #[schema(required)]
    pub failing_since: Option<Timestamp>,
    /// The class of what is wrong: `away`, `credential`, `rate_limited`, `unexpected`.
    #[schema(required)]
    pub cause: Option<String>,
}
