//! Lanes: what shares one limit and one fate.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How fast a lane may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rate {
    /// No limit: any number of workers send for it.
    Unlimited,
    /// `count` requests each `per`, evenly spaced; one worker at a time sends for it.
    Limited {
        /// Requests, at least 1.
        count: u32,
        /// Window, longer than zero.
        per: Duration,
    },
}

/// The limits of one lane, from settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LaneLimits {
    /// How fast.
    pub rate: Rate,
    /// Requests that may go out at once after a pause; at least 1; used by limited lanes.
    pub burst: u32,
    /// Requests in flight at once per worker; at least 1.
    pub concurrency: u32,
    /// Requests in any 60 minutes, on top of the rate.
    pub per_hour: Option<u32>,
}

impl LaneLimits {
    /// Whether one worker at a time sends for the lane.
    pub fn is_limited(&self) -> bool {
        matches!(self.rate, Rate::Limited { .. }) || self.per_hour.is_some()
    }
}

/// Why a lane is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldCause {
    /// The target refused the credential.
    Credential,
    /// A webhook of the lane names a secret that has no value.
    SecretMissing,
    /// An operator held it; only an operator releases it.
    Manual,
}

impl HoldCause {
    /// Its name in rows and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Credential => "credential",
            Self::SecretMissing => "secret_missing",
            Self::Manual => "manual",
        }
    }
}

/// Whether deliveries of a lane may be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LaneState {
    /// They may.
    Open,
    /// They wait, however long.
    Held(HoldCause),
}
