//! Sealing at rest: AES-256-GCM-SIV under the master key, with the name of what is sealed and
//! the key id as associated data, so that a value can't be moved to another name.
//!
//! A sealed value is the text `v1.<key id>.<base64 of nonce, ciphertext and tag>`.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretBox, SecretString};
use zeroize::{Zeroize, Zeroizing};

use crate::StoreError;

const VERSION: &str = "v1";
const KEY_LEN: usize = 32;

/// 32 bytes that seal everything secret at rest.
#[derive(Clone)]
pub struct MasterKey(Arc<SecretBox<[u8; KEY_LEN]>>);

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(***)")
    }
}

/// What a sealed value is; part of the associated data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sealed {
    /// A secret, named by its name.
    Secret,
    /// The private key of a GitHub App, named by its secret's name.
    AppKey,
    /// A credential written into a webhook, named by the webhook's uuid and the field.
    Inline,
    /// The value that tells whether a key is the right one.
    Canary,
}

impl Sealed {
    fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::AppKey => "app-key",
            Self::Inline => "inline",
            Self::Canary => "canary",
        }
    }
}

impl MasterKey {
    /// Reads base64 of 32 bytes; the error names the fix and never the value.
    pub fn from_base64(text: &SecretString) -> Result<Self, String> {
        let help = "the master key has to be 32 bytes in base64: make one with \
                    `openssl rand -base64 32`";
        let bytes = STANDARD
            .decode(text.expose_secret().trim())
            .map(Zeroizing::new)
            .map_err(|_| format!("{help} (this is no base64)"))?;
        if bytes.len() != KEY_LEN {
            return Err(format!("{help} (this decodes to {} bytes)", bytes.len()));
        }
        Ok(Self::filled(|key| key.copy_from_slice(&bytes)))
    }

    /// A new random key.
    pub fn generate() -> Self {
        Self::filled(|key| rand::fill(&mut key[..]))
    }

    fn filled(fill: impl FnOnce(&mut [u8; KEY_LEN])) -> Self {
        Self(Arc::new(SecretBox::init_with_mut(fill)))
    }

    /// Base64 of the key, for the key file.
    pub fn to_base64(&self) -> SecretString {
        SecretString::from(STANDARD.encode(self.0.expose_secret()))
    }

    /// Eight hex digits that name the key without telling it.
    pub fn id(&self) -> String {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(b"postrider key id\0");
        hash.update(self.0.expose_secret());
        eight_hex(hash.finish().as_ref())
    }

    /// Eight hex digits of a keyed hash, to name inline credentials in lane names
    /// (`basic-<8 hex>`, `inline-<8 hex>`) without telling them.
    pub fn short_hash(&self, credential: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.expose_secret());
        let mut hash = hmac::Context::with_key(&key);
        hash.update(b"postrider lane name\0");
        hash.update(credential.as_bytes());
        eight_hex(hash.sign().as_ref())
    }

    /// A key of HMAC-SHA-256 for one purpose and what it is `of`; it tells nothing of this one.
    pub fn derived(&self, purpose: &str, of: &[u8]) -> hmac::Key {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.expose_secret());
        let mut hash = hmac::Context::with_key(&key);
        hash.update(purpose.as_bytes());
        hash.update(b"\0");
        hash.update(of);
        hmac::Key::new(hmac::HMAC_SHA256, hash.sign().as_ref())
    }

    /// Seals `clear`, which opens only as the same kind under the same name.
    pub(crate) fn seal(&self, kind: Sealed, name: &str, clear: &str) -> Result<String, StoreError> {
        let mut text = Zeroizing::new(clear.as_bytes().to_vec());
        let nonce = self
            .cipher()?
            .seal_in_place_append_tag(Aad::from(self.bound_to(kind, name)), &mut *text)
            .map_err(|_| StoreError::Unusable("sealing failed".to_owned()))?;
        let mut bytes = nonce.as_ref().to_vec();
        bytes.extend_from_slice(&text);
        Ok(format!("{VERSION}.{}.{}", self.id(), STANDARD.encode(bytes)))
    }

    /// Opens what [`MasterKey::seal`] made of the same kind and name.
    pub(crate) fn open(
        &self,
        kind: Sealed,
        name: &str,
        sealed: &str,
    ) -> Result<SecretString, StoreError> {
        let unreadable =
            || StoreError::Corrupt(format!("the sealed {} {name:?} does not open", kind.as_str()));
        let (key_id, payload) = parts(sealed).ok_or_else(unreadable)?;
        if key_id != self.id() {
            return Err(StoreError::WrongKey { have: self.id(), need: key_id.to_owned() });
        }
        let mut bytes = STANDARD.decode(payload).map_err(|_| unreadable())?;
        let (nonce, text) = bytes.split_at_mut_checked(NONCE_LEN).ok_or_else(unreadable)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| unreadable())?;
        let clear = self
            .cipher()?
            .open_in_place(nonce, Aad::from(self.bound_to(kind, name)), text)
            .map_err(|_| unreadable())?;
        let value = std::str::from_utf8(clear).map(SecretString::from).map_err(|_| unreadable());
        bytes.zeroize();
        value
    }

    fn cipher(&self) -> Result<RandomizedNonceKey, StoreError> {
        RandomizedNonceKey::new(&AES_256_GCM_SIV, self.0.expose_secret())
            .map_err(|_| StoreError::Unusable("AES-256-GCM-SIV is not available".to_owned()))
    }

    fn bound_to(&self, kind: Sealed, name: &str) -> Vec<u8> {
        format!("{VERSION}\0{}\0{}\0{name}", self.id(), kind.as_str()).into_bytes()
    }
}

/// The key id in a sealed value's text.
pub(crate) fn key_id(sealed: &str) -> Option<&str> {
    parts(sealed).map(|(key_id, _)| key_id)
}

fn parts(sealed: &str) -> Option<(&str, &str)> {
    let (version, rest) = sealed.split_once('.')?;
    let (key_id, payload) = rest.split_once('.')?;
    (version == VERSION).then_some((key_id, payload))
}

fn eight_hex(hash: &[u8]) -> String {
    hash.get(..4).map(hex::encode).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_under_its_name_only() {
        let key = MasterKey::generate();
        let sealed = key.seal(Sealed::Secret, "githubToken", "ghp_x").unwrap();
        assert!(!sealed.contains("ghp_x"));
        assert_eq!(key_id(&sealed), Some(key.id().as_str()));
        let opened = key.open(Sealed::Secret, "githubToken", &sealed).unwrap();
        assert_eq!(opened.expose_secret(), "ghp_x");
        for (kind, name) in [(Sealed::Secret, "other"), (Sealed::Inline, "githubToken")] {
            let refused = key.open(kind, name, &sealed).unwrap_err();
            assert!(matches!(refused, StoreError::Corrupt(_)), "{refused:?}");
        }
    }

    #[test]
    fn the_same_value_is_sealed_differently_each_time() {
        let key = MasterKey::generate();
        let seal = || key.seal(Sealed::Secret, "a", "b").unwrap();
        assert_ne!(seal(), seal());
    }

    #[test]
    fn another_key_is_named_not_guessed() {
        let (one, two) = (MasterKey::generate(), MasterKey::generate());
        let sealed = one.seal(Sealed::Canary, "", "x").unwrap();
        let StoreError::WrongKey { have, need } =
            two.open(Sealed::Canary, "", &sealed).unwrap_err()
        else {
            panic!("the key is wrong");
        };
        assert_eq!((have, need), (two.id(), one.id()));
    }

    #[test]
    fn damaged_values_do_not_open() {
        let key = MasterKey::generate();
        let id = key.id();
        for text in ["", "v1", "v2.x.y", "v1.x", &format!("v1.{id}."), &format!("v1.{id}.AAAA")] {
            assert!(key.open(Sealed::Secret, "a", text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_key_survives_its_file_and_never_prints() {
        let key = MasterKey::generate();
        let again = MasterKey::from_base64(&key.to_base64()).unwrap();
        assert_eq!(key.id(), again.id());
        assert_eq!(key.short_hash("x"), again.short_hash("x"));
        assert_ne!(key.short_hash("x"), key.short_hash("y"));
        assert_eq!(key.short_hash("x").len(), 8);
        assert_eq!(format!("{key:?}"), "MasterKey(***)");
    }

    #[test]
    fn a_bad_key_is_refused_without_being_told() {
        for text in ["c2hvcnQ=", "not base64!"] {
            let message = MasterKey::from_base64(&SecretString::from(text)).unwrap_err();
            assert!(message.contains("openssl rand -base64 32"), "{message}");
            assert!(!message.contains(text), "{message}");
        }
    }
}
