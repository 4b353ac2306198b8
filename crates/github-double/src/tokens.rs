//! Which tokens are accepted, and which were.

use std::fmt;

use http::HeaderValue;

use crate::journal::TokenSeen;

/// Every token that was ever accepted, in the order of its first acceptance.
pub(crate) struct Tokens(Vec<Known>);

struct Known {
    token: String,
    live: bool,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({})", self.0.len())
    }
}

impl Tokens {
    pub(crate) fn new(tokens: Vec<String>) -> Self {
        let mut known = Self(Vec::new());
        known.accept(tokens);
        known
    }

    /// Accepts these and no others.
    pub(crate) fn accept(&mut self, tokens: Vec<String>) {
        for known in &mut self.0 {
            known.live = false;
        }
        for token in tokens {
            match self.0.iter_mut().find(|known| known.token == token) {
                Some(known) => known.live = true,
                None => self.0.push(Known { token, live: true }),
            }
        }
    }

    /// Judges an `Authorization` header: `Bearer T` or `token T`.
    pub(crate) fn look_up(&self, authorization: Option<&HeaderValue>) -> TokenSeen {
        let Some(token) = authorization.and_then(token_of) else {
            return TokenSeen::Missing;
        };
        match self.0.iter().position(|known| known.token == token) {
            Some(index) if self.0[index].live => TokenSeen::Accepted(index),
            Some(index) => TokenSeen::Dead(index),
            None => TokenSeen::Unknown,
        }
    }

    /// Text without any token that was ever accepted.
    pub(crate) fn star(&self, mut text: String) -> String {
        for known in &self.0 {
            if !known.token.is_empty() && text.contains(&known.token) {
                text = text.replace(&known.token, "***");
            }
        }
        text
    }
}

fn token_of(header: &HeaderValue) -> Option<&str> {
    let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
    let known = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token");
    (known && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests;
