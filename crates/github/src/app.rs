//! Installation tokens of a GitHub App: what they are asked for, what GitHub answers, when they
//! are renewed (GitHub docs: generating an installation access token for a GitHub App).

mod answer;
mod scope;

use std::time::Duration;

pub use answer::{AppToken, Denied, Installed, read_installation, read_token};
pub use scope::{Permission, Scope, repository, token_request};

/// A token is renewed so long before its end.
const RENEWED_BEFORE: Duration = Duration::from_mins(5);
/// With less left than this a token is used no more: a request may take as long.
const USED_UNTIL: Duration = Duration::from_secs(90);

/// What may be done with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenState {
    /// Use it.
    Fresh,
    /// Renew it; use it if that can't be done.
    Due,
    /// Do not use it.
    Over,
}

/// How a token stands that has this much of its life left.
pub fn token_state(left: Duration) -> TokenState {
    if left > RENEWED_BEFORE {
        TokenState::Fresh
    } else if left > USED_UNTIL {
        TokenState::Due
    } else {
        TokenState::Over
    }
}

#[cfg(test)]
mod tests;
