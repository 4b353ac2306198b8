//! The credential that the broker sends with its calls.

use postrider_domain::STARS;
use secrecy::{ExposeSecret, SecretString};

use super::relay::USERNAME;

/// Shown where the ingest token would stand.
const TOKEN_SHOWN: &str = "the ingest token";

/// What the broker shall send as its password.
#[derive(Debug)]
pub(super) enum Password {
    /// Nothing: an intake without tokens.
    None,
    /// The token itself.
    Token(SecretString),
    /// A reference to PactFlow's secret.
    Secret(String),
}

impl Password {
    /// What is sent.
    pub(super) fn basic(&self) -> Option<(&str, &str)> {
        match self {
            Self::None => None,
            Self::Token(token) => Some((USERNAME, token.expose_secret())),
            Self::Secret(reference) => Some((USERNAME, reference)),
        }
    }

    /// The same with the token starred.
    pub(super) fn starred(&self) -> Option<(&str, &str)> {
        match self {
            Self::Token(_) => Some((USERNAME, STARS)),
            Self::None | Self::Secret(_) => self.basic(),
        }
    }

    /// The same for people.
    pub(super) fn shown(&self) -> Option<(&str, &str)> {
        match self {
            Self::Token(_) => Some((USERNAME, TOKEN_SHOWN)),
            Self::None | Self::Secret(_) => self.basic(),
        }
    }
}
