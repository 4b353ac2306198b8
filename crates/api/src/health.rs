//! How a process is.

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
