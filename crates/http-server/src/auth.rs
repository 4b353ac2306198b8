//! Who may do what: tokens with roles.
//!
//! A token comes as `Authorization: Bearer <token>` or as the password of Basic authentication
//! with any user name, because that is what Pact Broker clients can send.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Method, header};
use secrecy::{ExposeSecret as _, SecretString};

/// Digits of a token's hash in its name.
const SHORT_HASH: usize = 6;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Sends events.
    Ingest,
    /// Reads webhooks and the operations API.
    Read,
    /// Changes webhooks, secrets and lanes; may read too.
    Operate,
}

impl Role {
    const ALL: [Self; 3] = [Self::Ingest, Self::Read, Self::Operate];

    /// Its name in settings and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Read => "read",
            Self::Operate => "operate",
        }
    }

    /// Whether a token of this role may do what `needed` asks for.
    fn covers(self, needed: Self) -> bool {
        self == needed || (self == Self::Operate && needed == Self::Read)
    }

    /// The role that a request needs.
    pub fn needed(method: &Method, path: &str) -> Self {
        let is_intake =
            path == "/events" || path == "/hooks/broker" || path.starts_with("/hooks/broker/");
        if is_intake {
            Self::Ingest
        } else if [Method::GET, Method::HEAD, Method::OPTIONS].contains(method) {
            Self::Read
        } else {
            Self::Operate
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The tokens of all roles. One token may have several roles.
#[derive(Debug, Clone, Default)]
pub struct Tokens(Vec<(Role, SecretString)>);

/// How a request fared against the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The credentials suffice, or none are needed.
    Granted,
    /// No token, or one that is not known: 401.
    Unknown,
    /// A known token of another role: 403.
    WrongRole,
}

impl Tokens {
    /// Tokens by role. Empty tokens are refused.
    pub fn new(tokens: Vec<(Role, SecretString)>) -> Result<Self, String> {
        match tokens.iter().find(|(_, token)| token.expose_secret().is_empty()) {
            Some((role, _)) => Err(format!("a token of role {role} is empty")),
            None => Ok(Self(tokens)),
        }
    }

    /// Reads `role:token` pairs that commas or white space separate. The error names the place
    /// and the fix, never a token.
    pub fn parse(text: &SecretString) -> Result<Self, String> {
        let pairs = text.expose_secret().split([',', ' ', '\t', '\n', '\r']);
        let pairs = pairs.filter(|pair| !pair.is_empty());
        let tokens: Result<_, _> = pairs.enumerate().map(|(i, pair)| parse_pair(i, pair)).collect();
        Self::new(tokens?)
    }

    /// Whether there is none, so that everything is open.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the request's credentials cover `needed`.
    pub fn check(&self, headers: &HeaderMap, needed: Role) -> Access {
        if self.is_empty() {
            return Access::Granted;
        }
        let Some(presented) = presented_token(headers) else {
            return Access::Unknown;
        };
        self.judge(presented.as_bytes(), needed)
    }

    /// The place of the token that the request presents.
    pub(crate) fn place(&self, headers: &HeaderMap) -> Option<usize> {
        let presented = presented_token(headers)?;
        let presented = digest(&SHA256, presented.as_bytes());
        let matches = |token: &SecretString| {
            let known = digest(&SHA256, token.expose_secret().as_bytes());
            verify_slices_are_equal(known.as_ref(), presented.as_ref()).is_ok()
        };
        self.0.iter().position(|(_, token)| matches(token))
    }

    /// How a token is called where it must not be shown: its role and a keyed hash.
    pub(crate) fn name(&self, place: usize, hash: impl Fn(&str) -> String) -> String {
        let named = self.0.get(place).map(|(role, token)| {
            let hash: String = hash(token.expose_secret()).chars().take(SHORT_HASH).collect();
            format!("{role}#{hash}")
        });
        named.unwrap_or_default()
    }

    /// Compares with every token, in constant time for each, so that the time taken tells
    /// neither which one matched nor how much of it.
    fn judge(&self, presented: &[u8], needed: Role) -> Access {
        let presented = digest(&SHA256, presented);
        let mut access = Access::Unknown;
        for (role, token) in &self.0 {
            let known = digest(&SHA256, token.expose_secret().as_bytes());
            let matches = verify_slices_are_equal(known.as_ref(), presented.as_ref()).is_ok();
            match access {
                _ if matches && role.covers(needed) => access = Access::Granted,
                Access::Unknown if matches => access = Access::WrongRole,
                Access::Granted | Access::Unknown | Access::WrongRole => {}
            }
        }
        access
    }
}

fn parse_pair(index: usize, pair: &str) -> Result<(Role, SecretString), String> {
    let place = index + 1;
    let (name, token) = pair.split_once(':').ok_or_else(|| {
        format!("token {place} has no role: write it as role:token, e.g. operate:<token>")
    })?;
    let role = Role::ALL.into_iter().find(|role| role.as_str() == name).ok_or_else(|| {
        format!("token {place} has an unknown role: use ingest, read or operate before the colon")
    })?;
    Ok((role, SecretString::from(token)))
}

/// The bearer token, or the password of Basic authentication.
fn presented_token(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        Some(rest.to_owned())
    } else if scheme.eq_ignore_ascii_case("basic") {
        let decoded = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
        Some(decoded.split_once(':')?.1.to_owned())
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
