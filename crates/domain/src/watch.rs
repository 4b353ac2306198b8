//! What is done about verifications that a broker is owed and nobody told of.

use std::fmt;
use std::str::FromStr;

/// Whether owed verifications become events although no call of the broker came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WatchMode {
    /// They do.
    #[default]
    On,
    /// It is only said what would be done.
    Observe,
    /// They don't: the broker is read for freshness alone.
    Off,
}

/// The text is no way to watch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown way to watch: use on, observe or off")]
pub struct UnknownWatchMode;

impl WatchMode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::On, Self::Observe, Self::Off];

    /// Its name in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Observe => "observe",
            Self::Off => "off",
        }
    }
}

impl fmt::Display for WatchMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for WatchMode {
    type Err = UnknownWatchMode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text).ok_or(UnknownWatchMode)
    }
}

/// Whether a dispatch that led to nothing is made again by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RedispatchMode {
    /// It is not.
    #[default]
    Off,
    /// It is only said what would be done.
    DryRun,
    /// It is.
    On,
}

/// The text is no way to dispatch again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown way to dispatch again: use off, dry-run or on")]
pub struct UnknownRedispatchMode;

impl RedispatchMode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Off, Self::DryRun, Self::On];

    /// Its name in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::DryRun => "dry-run",
            Self::On => "on",
        }
    }

    /// What is done where owed verifications are handled so: who only looks on dispatches nothing,
    /// and who does not watch knows of no debts.
    #[must_use]
    pub fn under(self, watch: WatchMode) -> Self {
        match (self, watch) {
            (Self::On, WatchMode::Observe) => Self::DryRun,
            (_, WatchMode::Off) => Self::Off,
            (mode, WatchMode::On | WatchMode::Observe) => mode,
        }
    }
}

impl fmt::Display for RedispatchMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RedispatchMode {
    type Err = UnknownRedispatchMode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text).ok_or(UnknownRedispatchMode)
    }
}
