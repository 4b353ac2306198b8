//! The states of a delivery: the five that are stored and the six that are shown.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The state kept in a delivery's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoredStatus {
    /// Open, nobody has a claim on it.
    Waiting,
    /// A worker holds a claim on it.
    Sending,
    /// The target took it.
    Delivered,
    /// Given up.
    Failed,
    /// Its webhook was deleted or disabled, or it was a test that was withdrawn.
    Discarded,
}

impl StoredStatus {
    /// The word stored for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sending => "sending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Discarded => "discarded",
        }
    }

    /// Whether the delivery has reached its outcome.
    pub fn is_final(self) -> bool {
        match self {
            Self::Waiting | Self::Sending => false,
            Self::Delivered | Self::Failed | Self::Discarded => true,
        }
    }
}

/// The state shown to people and programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// Open, no attempt recorded yet.
    Queued,
    /// The target took it.
    Delivered,
    /// Open, at least one attempt recorded.
    Retrying,
    /// Waiting, and its lane is held or its webhook parked.
    Held,
    /// Given up.
    Failed,
    /// Its webhook was deleted or disabled, or it was a test that was withdrawn.
    Discarded,
}

impl DeliveryStatus {
    /// All six.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Delivered, Self::Retrying, Self::Held, Self::Failed, Self::Discarded];

    /// What to show. `held` is never stored (rule `HELD_DERIVED`): it is a waiting delivery
    /// whose lane is held or whose webhook is parked, and it wins over `queued` and `retrying`.
    pub fn shown(stored: StoredStatus, is_held: bool, attempts_recorded: u32) -> Self {
        match stored {
            StoredStatus::Delivered => Self::Delivered,
            StoredStatus::Failed => Self::Failed,
            StoredStatus::Discarded => Self::Discarded,
            StoredStatus::Waiting if is_held => Self::Held,
            StoredStatus::Waiting | StoredStatus::Sending if attempts_recorded > 0 => {
                Self::Retrying
            }
            StoredStatus::Waiting | StoredStatus::Sending => Self::Queued,
        }
    }

    /// Its name in JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Delivered => "delivered",
            Self::Retrying => "retrying",
            Self::Held => "held",
            Self::Failed => "failed",
            Self::Discarded => "discarded",
        }
    }
}

impl fmt::Display for DeliveryStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DeliveryStatus {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or_else(|| {
            format!(
                "unknown status {text:?}: use one of queued, delivered, retrying, held, failed, \
                 discarded"
            )
        })
    }
}
