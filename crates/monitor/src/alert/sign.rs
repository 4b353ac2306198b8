//! Signatures of Standard Webhooks (standardwebhooks.com, v1): HMAC-SHA256 over
//! `id.timestamp.body`.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};

/// Marks a secret that is base64.
const PREFIX: &str = "whsec_";

/// A secret that signs.
#[derive(Clone)]
pub struct SigningKey(Arc<hmac::Key>);

/// The text is no secret to sign with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is no signing secret: it is empty, or begins with whsec_ and goes on with no base64")]
pub struct InvalidSigningKey;

impl SigningKey {
    /// `whsec_` and base64, or any other text as it is.
    pub fn parse(secret: &SecretString) -> Result<Self, InvalidSigningKey> {
        let text = secret.expose_secret();
        let bytes = match text.strip_prefix(PREFIX) {
            Some(encoded) => STANDARD.decode(encoded).map_err(|_| InvalidSigningKey)?,
            None => text.as_bytes().to_vec(),
        };
        if bytes.is_empty() {
            return Err(InvalidSigningKey);
        }
        Ok(Self(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &bytes))))
    }

    /// The value of the header `webhook-signature`.
    pub(super) fn sign(&self, id: &str, seconds: i64, body: &str) -> String {
        let signed = format!("{id}.{seconds}.{body}");
        let tag = hmac::sign(&self.0, signed.as_bytes());
        format!("v1,{}", STANDARD.encode(tag.as_ref()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(*****)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Result<SigningKey, InvalidSigningKey> {
        SigningKey::parse(&text.into())
    }

    /// The example of standardwebhooks.com.
    #[test]
    fn the_published_example_comes_out() {
        let signature = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap().sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_may_be_any_text() {
        let one = key("plain secret").unwrap().sign("a", 1, "b");
        let same = key("whsec_cGxhaW4gc2VjcmV0").unwrap().sign("a", 1, "b");
        assert_eq!(one, same);
        for wrong in ["", "whsec_", "whsec_*"] {
            assert_eq!(key(wrong).err(), Some(InvalidSigningKey), "{wrong}");
        }
        assert!(!format!("{:?}", key("hunter2")).contains("hunter2"));
    }
}
