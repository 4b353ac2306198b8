//! What is wrong with the settings, all of it at once.

use std::fmt;
use std::path::Path;

use postrider_domain::suggestions::distance;

use crate::declaration::PREFIX;
use crate::value::Wrong;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting, by the name under which it was given.
    pub setting: String,
    /// Where it was given.
    pub origin: String,
    /// What is wrong; never a secret's value.
    pub what: String,
    /// What to do.
    pub fix: String,
}

impl Problem {
    pub(crate) fn new(setting: String, origin: String, Wrong { what, fix }: Wrong) -> Self {
        Self { setting, origin, what, fix }
    }

    /// The parser's message without the excerpt that it prints: the line may hold a secret.
    pub(crate) fn of_file(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let offset = error.span().map_or(0, |span| span.start);
        let line = text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
        let what = format!("is no TOML: {}", error.message());
        let wrong = Wrong::new(what, "write KEY = \"VALUE\" lines and [[lane]] tables");
        Self::new(path.display().to_string(), format!("line {line}"), wrong)
    }
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
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// The user's contexts can't be read.
    pub(crate) fn of_contexts(error: &std::io::Error) -> Self {
        let wrong = Wrong::new(format!("can't be read: {error}"), "mend or remove contexts.toml");
        Self(vec![Problem::new("contexts".to_owned(), "file".to_owned(), wrong)])
    }

    /// One line each, for standard error.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|problem| format!("error: {problem}").replace(['\n', '\r'], " "))
    }
}

/// The known name that is most like `name`, if one is like it at all. What all our variables have
/// in common says nothing about likeness.
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
