//! Signing in with a browser: a token is shown once, and a cookie stands for it afterwards.
//!
//! The cookie's value is `v1.<end>.<name>.<hash>`: until when it counts in Unix seconds, how the
//! token is called, and a keyed hash of both. Its key is made from the master key and the token, so
//! nothing is kept of a session: every replica knows it, and it dies with its token.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use postrider_store::MasterKey;

use crate::auth::{Access, LOCAL, Role, Tokens};
use crate::limits::Caller;

const VERSION: &str = "v1";
const PURPOSE: &str = "postrider page session";

/// Whoever uses the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    name: String,
    /// The token's; `None` where there are no tokens.
    place: Option<usize>,
    may_change: bool,
}

impl SignedIn {
    /// Whoever is there, where there are no tokens.
    pub fn local() -> Self {
        Self { name: LOCAL.to_owned(), place: None, may_change: true }
    }

    /// How the token is called where it must not be shown.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the token has the role `operate`.
    pub fn may_change(&self) -> bool {
        self.may_change
    }

    /// Who is counted for what is called; `None` where there are no tokens.
    pub fn caller(&self) -> Option<Caller> {
        self.place.map(Caller::Token)
    }
}

/// What a cookie says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Who signed in.
    pub signed_in: SignedIn,
    /// Until when it counts.
    pub ends_at: Timestamp,
}

impl Session {
    /// How long a session lasts from the last time that its cookie was set.
    pub const LENGTH: Duration = Duration::from_hours(8);

    /// Whether the cookie should be set again, so that whoever is at work is not signed out: once
    /// in ten minutes.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let left = self.ends_at.duration_since(now);
        left < length() - SignedDuration::from_mins(10)
    }
}

fn length() -> SignedDuration {
    SignedDuration::try_from(Session::LENGTH).unwrap_or(SignedDuration::MAX)
}

impl Tokens {
    /// Whose token this is.
    ///
    /// # Errors
    /// The token is unknown, or may not even read.
    pub fn sign_in(&self, token: &str, key: &MasterKey) -> Result<SignedIn, Access> {
        let place = self.find(token).ok_or(Access::Unknown)?;
        self.at(place, key).ok_or(Access::WrongRole)
    }

    /// The cookie's value for whoever signed in; empty where there are no tokens.
    pub fn cookie(&self, signed_in: &SignedIn, key: &MasterKey, now: Timestamp) -> String {
        let ends_at = now.saturating_add(length()).map_or(0, Timestamp::as_second);
        let told = format!("{VERSION}.{ends_at}.{}", signed_in.name);
        let signed = signed_in.place.and_then(|place| self.session_key(place, key));
        let signed = signed.map(|key| hmac::sign(&key, told.as_bytes()));
        signed.map_or_else(String::new, |hash| format!("{told}.{}", URL_SAFE_NO_PAD.encode(hash)))
    }

    /// What a cookie's value says; `None` when it counts no more, or never did.
    pub fn session(&self, cookie: &str, key: &MasterKey, now: Timestamp) -> Option<Session> {
        let (told, hash) = cookie.rsplit_once('.')?;
        let (version, rest) = told.split_once('.')?;
        let (ends_at, name) = rest.split_once('.')?;
        let ends_at = Timestamp::from_second(ends_at.parse().ok()?).ok()?;
        if version != VERSION || ends_at <= now {
            return None;
        }
        let hash = URL_SAFE_NO_PAD.decode(hash).ok()?;
        let is_its = |place: &usize| {
            self.name(*place, |token| key.short_hash(token)) == name
                && self
                    .session_key(*place, key)
                    .is_some_and(|key| hmac::verify(&key, told.as_bytes(), &hash).is_ok())
        };
        let place = (0..self.len()).find(is_its)?;
        Some(Session { signed_in: self.at(place, key)?, ends_at })
    }

    fn at(&self, place: usize, key: &MasterKey) -> Option<SignedIn> {
        let may_change = self.may(place, Role::Operate);
        let name = self.name(place, |token| key.short_hash(token));
        self.may(place, Role::Read).then_some(SignedIn { name, place: Some(place), may_change })
    }

    fn session_key(&self, place: usize, key: &MasterKey) -> Option<hmac::Key> {
        Some(key.derived(PURPOSE, self.hash(place)?.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITER: &str = "operate:ann:0123456789abcdef0123";
    const READER: &str = "read:fedcba9876543210";

    fn tokens(text: &str) -> Tokens {
        Tokens::parse(&text.into()).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_cookie_stands_for_its_token_until_it_ends() {
        let (tokens, key) = (tokens(&format!("{WRITER},{READER}")), MasterKey::generate());
        let now = at("2026-11-22T12:00:00Z");
        let writer = tokens.sign_in("0123456789abcdef0123", &key).unwrap();
        assert!(writer.may_change() && writer.name() == "ann");
        let reader = tokens.sign_in("fedcba9876543210", &key).unwrap();
        assert!(!reader.may_change() && reader.name().starts_with("read#"));
        for who in [writer, reader] {
            let cookie = tokens.cookie(&who, &key, now);
            let session = tokens.session(&cookie, &key, at("2026-11-22T19:59:59Z")).unwrap();
            assert_eq!(session.signed_in, who);
            assert!(session.is_due(at("2026-11-22T12:11:00Z")));
            assert!(!session.is_due(at("2026-11-22T12:09:00Z")));
            assert_eq!(tokens.session(&cookie, &key, at("2026-11-22T20:00:00Z")), None);
        }
    }

    #[test]
    fn nothing_else_is_taken_for_one() {
        let (tokens_now, key) = (tokens(&format!("{WRITER},{READER}")), MasterKey::generate());
        let now = at("2026-11-22T12:00:00Z");
        let reader = tokens_now.sign_in("fedcba9876543210", &key).unwrap();
        let cookie = tokens_now.cookie(&reader, &key, now);
        let longer = cookie.replacen("v1.1", "v1.2", 1);
        let other = cookie.replacen(reader.name(), "ann", 1);
        let odd = ["", "v1", "v1.1.2", "v1.9999999999.ann.AA", "v1.9999999999.ann.?"];
        for cookie in odd.into_iter().chain([longer.as_str(), &other, &cookie.replace("v1", "v2")])
        {
            assert_eq!(tokens_now.session(cookie, &key, now), None, "{cookie}");
        }
        assert_eq!(tokens_now.session(&cookie, &MasterKey::generate(), now), None);
        // The token left the settings, or another took its place.
        assert_eq!(tokens(WRITER).session(&cookie, &key, now), None);
        assert_eq!(tokens("read:fedcba9876543211").session(&cookie, &key, now), None);
        // On another replica, which has them in another order.
        let replica = tokens(&format!("{READER},{WRITER}"));
        assert_eq!(replica.session(&cookie, &key, now).unwrap().signed_in.name(), reader.name());
    }

    #[test]
    fn tokens_that_may_not_read_sign_nobody_in() {
        let (tokens, key) = (tokens("ingest:0123456789abcdef"), MasterKey::generate());
        assert_eq!(tokens.sign_in("0123456789abcdef", &key), Err(Access::WrongRole));
        assert_eq!(tokens.sign_in("0123456789abcdeX", &key), Err(Access::Unknown));
    }
}
