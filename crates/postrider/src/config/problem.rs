//! What is wrong with the settings, all of it at once.

use std::fmt;

use postrider_domain::near::distance;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The setting, by the name under which it was given.
    pub(crate) setting: String,
    /// Where it was given.
    pub(crate) origin: String,
    /// What is wrong; never a secret's value.
    pub(crate) what: String,
    /// What to do.
    pub(crate) fix: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, origin, what, fix } = self;
        write!(f, "{setting} ({origin}): {what}; fix: {fix}")
    }
}

/// Everything that is wrong, never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} problem(s) with the settings", .0.len())]
pub(crate) struct Problems(pub(crate) Vec<Problem>);

impl Problems {
    /// One line each, for standard error.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|problem| format!("error: {problem}").replace(['\n', '\r'], " "))
    }
}

/// What all our variables have in common says nothing about likeness.
const PREFIX: &str = "POSTRIDER_";

/// The known name that is most like `name`, if one is like it at all.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let own = name.strip_prefix(PREFIX).unwrap_or(name);
    let limit = (own.chars().count() / 3).max(2);
    known
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_is_near_or_nothing() {
        let known = ["POSTRIDER_LISTEN", "POSTRIDER_ADMIN_LISTEN", "POSTRIDER_RETENTION"];
        assert_eq!(nearest("POSTRIDER_LISTNE", known), Some("POSTRIDER_LISTEN"));
        assert_eq!(nearest("POSTRIDER_FRESHNESS", known), None);
        assert_eq!(nearest("zzz", known), None);
    }
}
