//! What makes a version worth looking at.

use std::fmt;

/// Why a version is looked at, on either side of a contract. Written `main`, `deployed:prod`,
/// `released:prod`, `branch:feat/x`, `tag:prod`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Head of the main branch.
    Main,
    /// Deployed in this environment, in whichever of its instances.
    Deployed(String),
    /// Released in this environment, and still supported.
    Released(String),
    /// Head of this branch, of the versions without a branch where it is empty; only where
    /// somebody asks for it.
    Branch(String),
    /// The newest with this tag; only where somebody asks for it.
    Tag(String),
}

impl Role {
    /// Whether a missing result stops a deployment now, and not only the next one.
    pub fn is_blocking(&self) -> bool {
        match self {
            Self::Deployed(_) | Self::Released(_) | Self::Tag(_) => true,
            Self::Main | Self::Branch(_) => false,
        }
    }

    /// What the broker says of a provider version that counts for this reason (Pact Broker 2.120:
    /// `providerVersionDescriptions`); empty for what it has no words for.
    pub fn description(&self) -> String {
        match self {
            Self::Main => "latest from main branch".to_owned(),
            Self::Deployed(environment) => format!("deployed in {environment}"),
            Self::Released(environment) => format!("released in {environment}"),
            Self::Branch(_) | Self::Tag(_) => String::new(),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Main => f.write_str("main"),
            Self::Deployed(environment) => write!(f, "deployed:{environment}"),
            Self::Released(environment) => write!(f, "released:{environment}"),
            Self::Branch(branch) if branch.is_empty() => f.write_str("no branch"),
            Self::Branch(branch) => write!(f, "branch:{branch}"),
            Self::Tag(tag) => write!(f, "tag:{tag}"),
        }
    }
}
