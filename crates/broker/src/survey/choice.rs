//! What is asked about a pair.

use jiff::Timestamp;

/// Which contracts of a consumer are looked at. Nothing chosen: its main head (without a main
/// branch its newest version), and what is deployed or supported.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LineChoice {
    /// The newest contract of this branch.
    pub branch: Option<String>,
    /// The newest contract with this tag.
    pub tag: Option<String>,
    /// What is deployed, or released and supported, in this environment.
    pub environment: Option<String>,
    /// Beside what is looked at usually, the newest contract of each other branch, of versions
    /// that became known since then. Versions of no branch count as one.
    pub branches_since: Option<Timestamp>,
}

impl LineChoice {
    /// Whether nothing is chosen, so that the usual lines are looked at.
    pub fn is_usual(&self) -> bool {
        self.branch.is_none() && self.tag.is_none() && self.environment.is_none()
    }
}

/// Which versions of the provider count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SideChoice {
    /// Those that the broker counts.
    #[default]
    Broker,
    /// Those in this environment.
    Environment(String),
    /// The newest one with this tag.
    Tag(String),
}
