//! Which tokens are accepted, and which were.

use std::fmt;
use std::time::Instant;

use http::HeaderValue;

use crate::app::Grant;
use crate::journal::TokenSeen;

/// Every token that was ever accepted, in the order of its first acceptance.
pub(crate) struct Tokens(Vec<Known>);

struct Known {
    token: String,
    live: bool,
    /// Set for what an app minted.
    grant: Option<Grant>,
}

impl Known {
    fn is_live(&self) -> bool {
        self.live && self.grant.as_ref().is_none_or(|grant| Instant::now() < grant.ends)
    }
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
                None => self.0.push(Known { token, live: true, grant: None }),
            }
        }
    }

    /// A new token of an app. It is as long as GitHub's stateless ones.
    pub(crate) fn mint(&mut self, app: u64, grant: Grant) -> String {
        let part = || uuid::Uuid::now_v7().simple().to_string().repeat(5);
        let token = format!("ghs_{app}_{}.{}.{}", part(), part(), part());
        self.0.push(Known { token: token.clone(), live: true, grant: Some(grant) });
        token
    }

    /// What apps minted is accepted no more.
    pub(crate) fn revoke_minted(&mut self) {
        for known in self.0.iter_mut().filter(|known| known.grant.is_some()) {
            known.live = false;
        }
    }

    /// What apps minted.
    pub(crate) fn minted(&self) -> Vec<String> {
        let minted = self.0.iter().filter(|known| known.grant.is_some());
        minted.map(|known| known.token.clone()).collect()
    }

    /// What a token was minted for; `None`: everything.
    pub(crate) fn grant(&self, index: usize) -> Option<&Grant> {
        self.0.get(index)?.grant.as_ref()
    }

    /// Judges an `Authorization` header: `Bearer T` or `token T`.
    pub(crate) fn look_up(&self, authorization: Option<&HeaderValue>) -> TokenSeen {
        let Some(token) = authorization.and_then(token_of) else {
            return TokenSeen::Missing;
        };
        match self.0.iter().position(|known| known.token == token) {
            Some(index) if self.0[index].is_live() => TokenSeen::Accepted(index),
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
