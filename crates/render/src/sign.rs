//! Signatures of Standard Webhooks (standardwebhooks.com, version 1.0.0, `v1`): HMAC-SHA-256 over
//! `id.timestamp.body`. Alerts and deliveries sign alike.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue};
use postrider_domain::{DeliveryId, Signing};
use secrecy::{ExposeSecret, SecretString};

use crate::{RenderError, RenderedRequest};

/// Marks a secret that is base64.
const PREFIX: &str = "whsec_";

/// Fewest bytes behind the prefix (the specification asks for 24 to 64).
const FEWEST_BYTES: usize = 24;

/// The headers of a signed request, which nobody else may set.
pub const SIGNATURE_HEADERS: [&str; 3] = ["webhook-id", "webhook-timestamp", "webhook-signature"];

/// A secret that signs.
#[derive(Clone)]
pub struct SigningKey(Arc<hmac::Key>);

/// The text is no secret to sign with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "is no signing secret: it is empty, or begins with whsec_ and goes on with no base64 of 24 \
     bytes or more"
)]
pub struct InvalidSigningKey;

impl SigningKey {
    /// `whsec_` and base64 of at least 24 bytes, or any other text as it is.
    ///
    /// # Errors
    /// [`InvalidSigningKey`]: it is neither.
    pub fn parse(secret: &SecretString) -> Result<Self, InvalidSigningKey> {
        let text = secret.expose_secret();
        let bytes = match text.strip_prefix(PREFIX) {
            Some(encoded) => {
                let decoded = STANDARD.decode(encoded).map_err(|_| InvalidSigningKey)?;
                Some(decoded)
                    .filter(|bytes| bytes.len() >= FEWEST_BYTES)
                    .ok_or(InvalidSigningKey)?
            }
            None => text.as_bytes().to_vec(),
        };
        if bytes.is_empty() {
            return Err(InvalidSigningKey);
        }
        Ok(Self(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &bytes))))
    }

    /// The value of the header `webhook-signature` for these exact bytes, `seconds` since 1970.
    pub fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{id}.{seconds}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign().as_ref()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(*****)")
    }
}

/// Signs the requests of one webhook.
#[derive(Debug, Clone)]
pub struct Signer {
    secret: SigningKey,
    previous: Option<SigningKey>,
}

impl Signer {
    /// With these values. A previous secret that has no value, or none that can sign, is left
    /// out.
    ///
    /// # Errors
    /// [`RenderError::SecretMissing`] and [`RenderError::SecretUnusable`] of the secret in force.
    pub fn new(
        signing: &Signing,
        secrets: &BTreeMap<String, SecretString>,
    ) -> Result<Self, RenderError> {
        let name = &signing.secret;
        let value = secrets.get(name).filter(|value| !value.expose_secret().is_empty());
        let value = value.ok_or_else(|| RenderError::SecretMissing { name: name.clone() })?;
        let secret = SigningKey::parse(value).map_err(|why| RenderError::SecretUnusable {
            name: name.clone(),
            why: why.to_string(),
        })?;
        let previous = signing.previous.as_ref().and_then(|name| secrets.get(name));
        let previous = previous.and_then(|value| SigningKey::parse(value).ok());
        Ok(Self { secret, previous })
    }

    /// Signs a request in the moment it is sent: `seconds` since 1970 are this attempt's. The id
    /// is the delivery's, so that a receiver knows a repeat.
    pub fn sign(&self, request: &mut RenderedRequest, id: DeliveryId, seconds: i64) {
        let id = id.to_string();
        let body = request.body.as_deref().unwrap_or_default();
        let keys = [Some(&self.secret), self.previous.as_ref()].into_iter().flatten();
        let signatures: Vec<String> = keys.map(|key| key.sign(&id, seconds, body)).collect();
        let values = [id, seconds.to_string(), signatures.join(" ")];
        for (name, value) in SIGNATURE_HEADERS.into_iter().zip(values) {
            // Made of letters, digits and punctuation alone, it is always a header's value.
            if let Ok(value) = HeaderValue::try_from(value) {
                request.headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn key(text: &str) -> Result<SigningKey, InvalidSigningKey> {
        SigningKey::parse(&text.into())
    }

    /// The example of standardwebhooks.com.
    #[test]
    fn the_published_example_comes_out() {
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let signature = key(SECRET).unwrap().sign(id, 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_may_be_any_text() {
        let one = key("plain secret of more than 24 bytes").unwrap().sign("a", 1, b"b");
        let encoded = format!("whsec_{}", STANDARD.encode("plain secret of more than 24 bytes"));
        assert_eq!(one, key(&encoded).unwrap().sign("a", 1, b"b"));
        let short = format!("whsec_{}", STANDARD.encode([7; 23]));
        for wrong in ["", "whsec_", "whsec_*", short.as_str()] {
            assert_eq!(key(wrong).err(), Some(InvalidSigningKey), "{wrong}");
        }
        assert!(key(&format!("whsec_{}", STANDARD.encode([7; 24]))).is_ok());
        assert_eq!(format!("{:?}", key(SECRET).unwrap()), "SigningKey(*****)");
    }

    #[test]
    fn the_secret_in_force_is_needed_and_the_previous_one_is_not() {
        let signing = |previous: Option<&str>| Signing {
            secret: "a".to_owned(),
            previous: previous.map(str::to_owned),
        };
        let secrets = |pairs: &[(&str, &str)]| -> BTreeMap<String, SecretString> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect()
        };
        let missing = RenderError::SecretMissing { name: "a".to_owned() };
        for values in [&[][..], &[("a", "")], &[("b", SECRET)]] {
            assert_eq!(
                Signer::new(&signing(Some("b")), &secrets(values)).err(),
                Some(missing.clone())
            );
        }
        let unusable = Signer::new(&signing(None), &secrets(&[("a", "whsec_x")])).unwrap_err();
        assert!(matches!(unusable, RenderError::SecretUnusable { name, .. } if name == "a"));
        for (values, is_double) in [
            (&[("a", SECRET), ("b", "old")][..], true),
            (&[("a", SECRET)], false),
            (&[("a", SECRET), ("b", "whsec_x")], false),
        ] {
            let signer = Signer::new(&signing(Some("b")), &secrets(values)).unwrap();
            assert_eq!(signer.previous.is_some(), is_double);
        }
    }
}
