//! Who may do what: tokens with roles, and names for who calls.
//!
//! A token comes as `Authorization: Bearer <token>` or as the password of Basic authentication
//! with any user name, because that is what Pact Broker clients can send.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Digest, SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Method, header};
use secrecy::{ExposeSecret as _, SecretString};

/// Digits of a token's hash in its name.
const SHORT_HASH: usize = 6;
/// Characters of a token's name at most.
const MAX_NAME: usize = 32;
/// Characters of a token at least, so that nobody finds it by trying.
const MIN_TOKEN: usize = 16;
/// Who calls where there are no tokens.
pub(crate) const LOCAL: &str = "local";

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Sends events.
    Ingest,
    /// Reads webhooks and the operations API.
    Read,
    /// Changes webhooks, secrets and lanes; may do what the others may, too.
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
        self == needed || self == Self::Operate
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

/// The tokens of all roles. One token may have several roles, one name several tokens.
#[derive(Debug, Clone, Default)]
pub struct Tokens(Vec<Known>);

/// A token with one of its roles.
#[derive(Debug, Clone)]
struct Known {
    role: Role,
    /// Whose it is; `None` where nobody said.
    name: Option<String>,
    token: SecretString,
}

impl Known {
    fn hash(&self) -> Digest {
        digest(&SHA256, self.token.expose_secret().as_bytes())
    }
}

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
    /// Reads `role:token` and `role:name:token`, separated by commas or white space. The error
    /// names all places that are wrong and their fixes, never a token. What stands under one name has the roles of all
    /// its tokens, so that a token can be replaced while the old one is still in use.
    pub fn parse(text: &SecretString) -> Result<Self, String> {
        let items = text.expose_secret().split(|c: char| c == ',' || c.is_whitespace());
        let items = items.filter(|item| !item.is_empty());
        let (mut known, mut wrong) = (Vec::new(), Vec::new());
        for (place, item) in items.enumerate() {
            match parse_item(place, item) {
                Ok(one) => known.push(one),
                Err(why) => wrong.push(why),
            }
        }
        if !wrong.is_empty() {
            return Err(wrong.join("; "));
        }
        one_name_each(&known)?;
        join_roles(&mut known);
        Ok(Self(known))
    }

    /// Whether there is none, so that everything is open.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many tokens are shorter than they should be.
    pub fn short(&self) -> usize {
        self.0.iter().filter(|known| known.name.is_none() && !is_long(&known.token)).count()
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

    /// Who calls: the name of the token that the request presents, else its role and a part of a
    /// keyed hash; `local` where no token is needed.
    pub fn who(&self, headers: &HeaderMap, hash: impl Fn(&str) -> String) -> String {
        self.place(headers).map_or_else(|| LOCAL.to_owned(), |place| self.name(place, hash))
    }

    /// The place of the token that the request presents.
    pub(crate) fn place(&self, headers: &HeaderMap) -> Option<usize> {
        self.find(&presented_token(headers)?)
    }

    /// The place of a token.
    pub(crate) fn find(&self, token: &str) -> Option<usize> {
        let presented = digest(&SHA256, token.as_bytes());
        let matches = |known: &Known| {
            verify_slices_are_equal(known.hash().as_ref(), presented.as_ref()).is_ok()
        };
        self.0.iter().position(matches)
    }

    /// How many places there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the token of this place may do what `needed` asks for.
    pub(crate) fn may(&self, place: usize, needed: Role) -> bool {
        let token = self.0.get(place).map(|known| known.token.expose_secret());
        token.is_some_and(|token| self.judge(token.as_bytes(), needed) == Access::Granted)
    }

    /// The hash of the token of this place.
    pub(crate) fn hash(&self, place: usize) -> Option<Digest> {
        self.0.get(place).map(Known::hash)
    }

    /// How a token is called where it must not be shown: its name, else its role and a keyed hash.
    pub(crate) fn name(&self, place: usize, hash: impl Fn(&str) -> String) -> String {
        let Some(known) = self.0.get(place) else { return String::new() };
        if let Some(name) = &known.name {
            return name.clone();
        }
        let token = known.token.expose_secret();
        let operates =
            |other: &Known| other.role == Role::Operate && other.token.expose_secret() == token;
        let role = if self.0.iter().any(operates) { Role::Operate } else { known.role };
        let hash: String = hash(token).chars().take(SHORT_HASH).collect();
        format!("{role}#{hash}")
    }

    /// Compares with every token, in constant time for each, so that the time taken tells
    /// neither which one matched nor how much of it.
    fn judge(&self, presented: &[u8], needed: Role) -> Access {
        let presented = digest(&SHA256, presented);
        let mut access = Access::Unknown;
        for known in &self.0 {
            let matches =
                verify_slices_are_equal(known.hash().as_ref(), presented.as_ref()).is_ok();
            match access {
                _ if matches && known.role.covers(needed) => access = Access::Granted,
                Access::Unknown if matches => access = Access::WrongRole,
                Access::Granted | Access::Unknown | Access::WrongRole => {}
            }
        }
        access
    }
}

/// `role:token` or `role:name:token`: the first colon ends the role, the second the name.
fn parse_item(index: usize, item: &str) -> Result<Known, String> {
    let place = index + 1;
    let (role, rest) = item.split_once(':').ok_or_else(|| {
        format!("token {place} has no role: write it as role:token, e.g. operate:<token>")
    })?;
    let role = Role::ALL.into_iter().find(|known| known.as_str() == role).ok_or_else(|| {
        format!("token {place} has an unknown role: use ingest, read or operate before the colon")
    })?;
    let Some((name, token)) = rest.split_once(':') else {
        if rest.is_empty() {
            return Err(format!("token {place}, of role {role}, is empty"));
        }
        return Ok(Known { role, name: None, token: SecretString::from(rest) });
    };
    if !is_name(name) || token.contains(':') {
        return Err(format!(
            "token {place} has a colon too many: write role:name:token, where the name has up to \
             32 small letters, digits and hyphens and begins with a letter, and the token has no \
             colon"
        ));
    }
    let token = SecretString::from(token);
    if !is_long(&token) {
        return Err(format!(
            "token {place}, named {name}, is too short: give it {MIN_TOKEN} printable characters \
             or more, e.g. of openssl rand -hex 24"
        ));
    }
    Ok(Known { role, name: Some(name.to_owned()), token })
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && text.len() <= MAX_NAME
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_long(token: &SecretString) -> bool {
    let token = token.expose_secret();
    token.chars().count() >= MIN_TOKEN && !token.chars().any(char::is_control)
}

/// Whoever calls has one name.
fn one_name_each(known: &[Known]) -> Result<(), String> {
    for (i, one) in known.iter().enumerate() {
        let other = known.iter().take(i).find(|other| {
            other.name != one.name && other.token.expose_secret() == one.token.expose_secret()
        });
        if let Some(other) = other {
            let name = |known: &Known| known.name.clone().unwrap_or_else(|| "no name".to_owned());
            return Err(format!(
                "token {} stands under two names, {} and {}: give each its own token",
                i + 1,
                name(other),
                name(one),
            ));
        }
    }
    Ok(())
}

/// All tokens of a name have all its roles.
fn join_roles(known: &mut Vec<Known>) {
    let mut joined = Vec::new();
    for one in known.iter().filter(|one| one.name.is_some()) {
        for other in known.iter().filter(|other| other.name == one.name) {
            let is_there = |there: &Known| {
                there.role == other.role && there.token.expose_secret() == one.token.expose_secret()
            };
            if !known.iter().chain(&joined).any(is_there) {
                joined.push(Known { role: other.role, ..one.clone() });
            }
        }
    }
    known.extend(joined);
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
