//! The private key of a GitHub App, and what it signs: a JSON Web Token (RFC 7519) by RS256 that
//! proves for a few minutes to be the app (GitHub docs: generating a JSON Web Token for a GitHub
//! App).

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

/// Issued so many seconds ago: GitHub's clock may be behind.
const ISSUED_BEFORE: i64 = 60;
/// Good for so many seconds: GitHub takes ten minutes, by its own clock.
const GOOD_FOR: i64 = 9 * 60;

/// A private key that signs for an app.
#[derive(Clone)]
pub struct AppKey(Arc<RsaKeyPair>);

/// The text is no private key that can sign for an app.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "is no private key of a GitHub App: use the PEM file that GitHub gave, an RSA key of 2048 bits \
     or more"
)]
pub struct InvalidAppKey;

impl AppKey {
    /// An RSA key as PEM, PKCS #1 (`BEGIN RSA PRIVATE KEY`, as GitHub gives it) or PKCS #8.
    ///
    /// # Errors
    /// [`InvalidAppKey`]: it is neither, or too short to sign by RS256.
    pub fn parse(pem: &SecretString) -> Result<Self, InvalidAppKey> {
        let der = PrivateKeyDer::from_pem_slice(pem.expose_secret().as_bytes())
            .map_err(|_| InvalidAppKey)?;
        let pair = match &der {
            PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
            _ => return Err(InvalidAppKey),
        };
        pair.map(|pair| Self(Arc::new(pair))).map_err(|_| InvalidAppKey)
    }

    /// A token that proves to be the app; `seconds` since 1970 are now. An id of digits is sent as
    /// a number, a client id as text. `None` when the key can't sign.
    pub fn json_web_token(&self, app_id: &str, seconds: i64) -> Option<SecretString> {
        let issuer = app_id.parse::<u64>().map_or_else(|_| Value::from(app_id), Value::from);
        let claims =
            json!({"iat": seconds - ISSUED_BEFORE, "exp": seconds + GOOD_FOR, "iss": issuer});
        let header = json!({"alg": "RS256", "typ": "JWT"});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let mut signature = vec![0; self.0.public_modulus_len()];
        let random = SystemRandom::new();
        self.0.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).ok()?;
        Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)).into())
    }
}

impl fmt::Debug for AppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppKey(*****)")
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn pem(label: &str, der: &[u8]) -> SecretString {
        let text = STANDARD.encode(der);
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let body = lines.join("\n");
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n").into()
    }

    /// The PKCS #1 key inside of PKCS #8: its header has 26 bytes with a key of 2048 bits.
    fn keys() -> (KeyPair, [SecretString; 2]) {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let pkcs1 = pem("RSA PRIVATE KEY", &der.as_ref()[26..]);
        let pkcs8 = pem("PRIVATE KEY", der.as_ref());
        (pair, [pkcs1, pkcs8])
    }

    #[test]
    fn both_forms_of_a_key_sign_what_its_public_key_proves() {
        let (pair, forms) = keys();
        let public = pair.public_key().as_ref().to_vec();
        for (form, app_id, issuer) in
            forms.iter().flat_map(|form| [(form, "12", json!(12)), (form, "Iv1.a", json!("Iv1.a"))])
        {
            let key = AppKey::parse(form).unwrap();
            let token = key.json_web_token(app_id, 1_000_000).unwrap();
            let (signed, signature) = token.expose_secret().rsplit_once('.').unwrap();
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &public)
                .verify(signed.as_bytes(), &signature)
                .unwrap();
            let parts: Vec<Value> = signed
                .split('.')
                .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
                .collect();
            assert_eq!(parts[0], json!({"alg": "RS256", "typ": "JWT"}));
            assert_eq!(parts[1], json!({"iat": 999_940, "exp": 1_000_540, "iss": issuer}));
        }
    }

    #[test]
    fn what_is_no_key_is_refused_and_no_key_is_printed() {
        let (pair, [_, good]) = keys();
        let public = pem("PUBLIC KEY", pair.public_key().as_ref());
        let cut = good.expose_secret().replacen("\nM", "\nA", 1);
        for text in ["", "not a key", public.expose_secret(), &cut] {
            assert_eq!(AppKey::parse(&text.into()).unwrap_err(), InvalidAppKey, "{text}");
        }
        assert_eq!(format!("{:?}", AppKey::parse(&good).unwrap()), "AppKey(*****)");
    }
}
