//! Lanes: what shares one limit and one fate.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Rate;

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
    /// What a lane at GitHub gets: below the limit of about 80 content-creating requests a
    /// minute, one at a time (GitHub docs: rate limits, best practices).
    pub const GITHUB: Self = Self {
        rate: Rate::Limited { count: 75, per: Duration::from_mins(1) },
        burst: 1,
        concurrency: 1,
        per_hour: None,
    };

    /// What any other lane gets.
    pub const OTHER: Self =
        Self { rate: Rate::Unlimited, burst: 1, concurrency: 64, per_hour: None };

    /// The pause after which one more request may go out, burst and safety margin considered;
    /// `None` when the rate has no limit. See [`Rate::interval_with_burst`].
    pub fn interval(&self) -> Option<Duration> {
        self.rate.interval_with_burst(self.burst)
    }

    /// The burst that the rate can grant, at least 1.
    pub fn usable_burst(&self) -> u32 {
        self.rate.usable_burst(self.burst)
    }

    /// How long the limits make `waiting` deliveries take; 0 without a limit.
    pub fn drain_seconds(&self, waiting: u64) -> u64 {
        let by_rate = self.interval().map_or(0, |interval| {
            let nanos = interval.as_nanos().saturating_mul(u128::from(waiting));
            u64::try_from(nanos.div_ceil(1_000_000_000)).unwrap_or(u64::MAX)
        });
        let by_hour = self.per_hour.map_or(0, |per_hour| {
            let full_hours = waiting.saturating_sub(1) / u64::from(per_hour.max(1));
            full_hours.saturating_mul(3_600)
        });
        by_rate.max(by_hour)
    }

    /// Whether one worker at a time sends for the lane.
    pub fn is_limited(&self) -> bool {
        matches!(self.rate, Rate::Limited { .. }) || self.per_hour.is_some()
    }
}

/// Why a lane is held, or a webhook parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldCause {
    /// The target refused the credential.
    Credential,
    /// A webhook names a secret that has no value.
    SecretMissing,
    /// A webhook names a secret whose value can't stand where it is put.
    SecretUnusable,
    /// An operator held it; only an operator releases it.
    Manual,
}

impl HoldCause {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::Credential, Self::SecretMissing, Self::SecretUnusable, Self::Manual];

    /// Whether a secret without a usable value is waited for.
    pub fn is_secret(self) -> bool {
        match self {
            Self::SecretMissing | Self::SecretUnusable => true,
            Self::Credential | Self::Manual => false,
        }
    }

    /// Its name in rows and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Credential => "credential",
            Self::SecretMissing => "secret_missing",
            Self::SecretUnusable => "secret_unusable",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_to_drain() {
        let limits = |rate: &str, per_hour| LaneLimits {
            rate: rate.parse().unwrap(),
            burst: 1,
            concurrency: 1,
            per_hour,
        };
        assert_eq!(limits("unlimited", None).drain_seconds(1_000_000), 0);
        assert_eq!(limits("unlimited", Some(100)).drain_seconds(250), 7_200);
        assert_eq!(limits("unlimited", Some(100)).drain_seconds(100), 0);
        let rate: Rate = "60/min".parse().unwrap();
        let interval = rate.interval().unwrap();
        assert!(interval > Duration::from_secs(1));
        let drained = Duration::from_secs(limits("60/min", None).drain_seconds(60));
        let exact = interval * 60;
        assert!(exact <= drained && drained < exact + Duration::from_secs(1), "{drained:?}");
        assert_eq!(limits("60/min", None).drain_seconds(0), 0);
    }
}
