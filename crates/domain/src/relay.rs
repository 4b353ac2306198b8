//! The webhook at a broker that relays its events to here.

use std::str::FromStr;

/// Whether a broker's relay is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayState {
    /// It is there and switched on.
    Enabled,
    /// It is there and switched off.
    Disabled,
    /// It was there.
    Removed,
}

/// The text is no state of a relay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown state of a relay")]
pub struct UnknownRelayState;

impl RelayState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Enabled, Self::Disabled, Self::Removed];

    /// Its name in rows, and the cause of its incident.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Removed => "removed",
        }
    }
}

impl FromStr for RelayState {
    type Err = UnknownRelayState;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(UnknownRelayState)
    }
}

/// Which of the relays at a broker counts, and how it is: one that is switched on, else one that is
/// not, else the one that there was `before`. `None` where there never was one: nobody wants it.
pub fn relay_state(before: Option<&str>, found: &[(String, bool)]) -> Option<(String, RelayState)> {
    let first = |wanted: bool| found.iter().find(|(_, is_enabled)| *is_enabled == wanted);
    let enabled = first(true).map(|(uuid, _)| (uuid.clone(), RelayState::Enabled));
    let disabled = || first(false).map(|(uuid, _)| (uuid.clone(), RelayState::Disabled));
    let removed = || before.map(|uuid| (uuid.to_owned(), RelayState::Removed));
    enabled.or_else(disabled).or_else(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_is_gone_only_where_one_was() {
        let of = |before, found: &[(&str, bool)]| {
            let found: Vec<_> = found.iter().map(|(uuid, on)| ((*uuid).to_owned(), *on)).collect();
            relay_state(before, &found).map(|(uuid, state)| format!("{uuid} {}", state.as_str()))
        };
        for (before, found, expected) in [
            (None, [].as_slice(), None),
            (Some("a"), &[], Some("a removed")),
            (None, &[("b", true)], Some("b enabled")),
            (Some("a"), &[("b", false)], Some("b disabled")),
            (Some("a"), &[("a", false), ("b", true)], Some("b enabled")),
        ] {
            assert_eq!(of(before, found).as_deref(), expected, "{before:?} {found:?}");
        }
    }

    #[test]
    fn states_are_read_as_written() {
        for state in RelayState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert_eq!("gone".parse::<RelayState>(), Err(UnknownRelayState));
    }
}
