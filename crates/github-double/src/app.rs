//! A GitHub App with one installation: proves who asks, mints tokens that may do what was asked
//! for and end.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// Longest time that a proof is good for, in seconds (GitHub docs: JSON Web Tokens for apps).
const PROOF_MAX: i64 = 600;
/// How long GitHub's tokens live.
const LIVES: Duration = Duration::from_hours(1);

/// The keys of an app.
#[derive(Clone)]
pub struct AppKeys {
    /// What its owner holds: PEM, PKCS #8.
    pub private_pem: String,
    public: Vec<u8>,
}

impl fmt::Debug for AppKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppKeys")
    }
}

impl AppKeys {
    /// New keys of 2048 bits; `None` if there is no randomness.
    pub fn generate() -> Option<Self> {
        let pair = KeyPair::generate(KeySize::Rsa2048).ok()?;
        let der: Pkcs8V1Der<'_> = pair.as_der().ok()?;
        let text = STANDARD.encode(der.as_ref());
        let lines: Vec<String> =
            text.as_bytes().chunks(64).map(|c| String::from_utf8_lossy(c).into_owned()).collect();
        let body = lines.join("\n");
        Some(Self {
            private_pem: format!(
                "-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"
            ),
            public: pair.public_key().as_ref().to_vec(),
        })
    }
}

/// An app that the double knows, with its installation.
#[derive(Clone, Debug)]
pub struct App {
    /// Its id.
    pub id: u64,
    /// Its keys.
    pub keys: AppKeys,
    /// Its installation's id.
    pub installation: u64,
    /// Who installed it: an organization.
    pub owner: String,
    /// What the installation may do, by GitHub's names, e.g. `contents` and `write`.
    pub permissions: BTreeMap<String, String>,
    /// How long its tokens live.
    pub lives: Duration,
    /// The installation is suspended.
    pub suspended: bool,
}

impl App {
    /// An app whose installation may send dispatches of both kinds.
    pub fn new(id: u64, keys: AppKeys, installation: u64, owner: &str) -> Self {
        let permissions = ["actions", "contents"].map(|name| (name.to_owned(), "write".to_owned()));
        Self {
            id,
            keys,
            installation,
            owner: owner.to_owned(),
            permissions: permissions.into(),
            lives: LIVES,
            suspended: false,
        }
    }

    /// Whether a JSON Web Token proves to be this app, `epoch` seconds after 1970.
    pub(crate) fn is_proved_by(&self, proof: &str, epoch: i64) -> bool {
        self.claims(proof).is_some_and(|claims| {
            let time = |name: &str| claims.get(name).and_then(Value::as_i64);
            let is_own = claims.get("iss").is_some_and(|issuer| {
                issuer.as_u64() == Some(self.id) || issuer.as_str() == Some(&self.id.to_string())
            });
            let (Some(issued), Some(ends)) = (time("iat"), time("exp")) else { return false };
            is_own && issued <= epoch && ends > epoch && ends - epoch <= PROOF_MAX
        })
    }

    /// What is claimed and signed by its key, by RS256 alone.
    fn claims(&self, proof: &str) -> Option<Value> {
        let (signed, signature) = proof.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let header: Value = serde_json::from_slice(&decode(header)?).ok()?;
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.keys.public);
        key.verify(signed.as_bytes(), &decode(signature)?).ok()?;
        let claims = serde_json::from_slice(&decode(claims)?).ok()?;
        (header.get("alg") == Some(&json!("RS256"))).then_some(claims)
    }

    /// The token that a request's body asks for; `None` when the installation has less.
    pub(crate) fn grant(&self, body: Option<&Value>, now: Instant) -> Option<Grant> {
        let asked = |name: &str| body.and_then(|body| body.get(name));
        let permissions = match asked("permissions").and_then(Value::as_object) {
            None => self.permissions.clone(),
            Some(asked) => asked
                .iter()
                .map(|(name, access)| (name.clone(), access.as_str().unwrap_or("").to_owned()))
                .collect(),
        };
        let has = |(name, access): (&String, &String)| {
            self.permissions.get(name).is_some_and(|own| own == access || own == "write")
        };
        if !permissions.iter().all(has) {
            return None;
        }
        let repositories = asked("repositories").and_then(Value::as_array).map(|names| {
            names.iter().filter_map(Value::as_str).map(|name| format!("{}/{name}", self.owner))
        });
        Some(Grant {
            permissions,
            repositories: repositories.map(Iterator::collect),
            ends: now + self.lives,
        })
    }

    /// As GitHub shows its installation.
    pub(crate) fn shown(&self) -> Value {
        json!({
            "id": self.installation,
            "app_id": self.id,
            "account": {"login": self.owner, "type": "Organization"},
            "target_type": "Organization",
            "repository_selection": "all",
            "permissions": self.permissions,
            "suspended_at": null,
        })
    }
}

/// What a minted token may do, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) permissions: BTreeMap<String, String>,
    pub(crate) repositories: Option<Vec<String>>,
    pub(crate) ends: Instant,
}

/// A call that an app makes as itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AppCall {
    /// `POST /app/installations/{id}/access_tokens`.
    Token(u64),
    /// `GET /app/installations/{id}`.
    Installation(u64),
    /// `GET /orgs/{owner}/installation`, and by a repository.
    OfOwner(String),
    /// `GET /users/{owner}/installation`.
    OfUser,
}

impl AppCall {
    pub(crate) fn of(method: &str, segments: &[&str]) -> Option<Self> {
        Some(match (method, segments) {
            ("POST", ["app", "installations", id, "access_tokens"]) => {
                Self::Token(id.parse().ok()?)
            }
            ("GET", ["app", "installations", id]) => Self::Installation(id.parse().ok()?),
            ("GET", ["orgs", owner, "installation"] | ["repos", owner, _, "installation"]) => {
                Self::OfOwner((*owner).to_owned())
            }
            ("GET", ["users", _, "installation"]) => Self::OfUser,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};

    use super::*;

    const NOW: i64 = 1_000_000;

    fn proof(keys: &AppKeys, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let der: String = keys.private_pem.lines().filter(|l| !l.starts_with('-')).collect();
        let pair = RsaKeyPair::from_pkcs8(&STANDARD.decode(der).unwrap()).unwrap();
        let mut signature = vec![0; pair.public_modulus_len()];
        let random = SystemRandom::new();
        pair.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    #[test]
    fn a_proof_is_signed_by_the_app_and_of_now() {
        let keys = AppKeys::generate().unwrap();
        let app = App::new(12, keys.clone(), 7, "acme");
        let rs256 = json!({"alg": "RS256", "typ": "JWT"});
        let claims = |iat: i64, exp: i64| json!({"iat": NOW + iat, "exp": NOW + exp, "iss": 12});
        let good = proof(&keys, &rs256, &claims(-60, 540));
        assert!(app.is_proved_by(&good, NOW));
        assert!(app.is_proved_by(
            &proof(&keys, &rs256, &json!({"iat": NOW, "exp": NOW + 1, "iss": "12"})),
            NOW
        ));
        for (why, bad) in [
            ("over", proof(&keys, &rs256, &claims(-60, 0))),
            ("too long", proof(&keys, &rs256, &claims(-60, 601))),
            ("of the future", proof(&keys, &rs256, &claims(1, 540))),
            (
                "of another app",
                proof(&keys, &rs256, &json!({"iat": NOW, "exp": NOW + 1, "iss": 13})),
            ),
            ("without times", proof(&keys, &rs256, &json!({"iss": 12}))),
            ("by another algorithm", proof(&keys, &json!({"alg": "none"}), &claims(-60, 540))),
            ("of another key", proof(&AppKeys::generate().unwrap(), &rs256, &claims(-60, 540))),
            ("no proof", "a.b.c".to_owned()),
        ] {
            assert!(!app.is_proved_by(&bad, NOW), "{why}");
        }
    }

    #[test]
    fn a_token_is_granted_what_the_installation_has() {
        let app = App::new(12, AppKeys::generate().unwrap(), 7, "acme");
        let now = Instant::now();
        let all = app.grant(None, now).unwrap();
        assert_eq!((all.permissions.len(), all.ends), (2, now + LIVES));
        let one = json!({"permissions": {"contents": "write"}, "repositories": ["r"]});
        let one = app.grant(Some(&one), now).unwrap();
        assert_eq!(one.permissions.len(), 1);
        assert_eq!(one.repositories.unwrap(), ["acme/r"]);
        let more = json!({"permissions": {"statuses": "write"}});
        assert_eq!(app.grant(Some(&more), now), None);
    }
}
