//! Secrets, sealed at rest.

use std::collections::BTreeMap;

use std::sync::Arc;

use jiff::Timestamp;
use postrider_domain::GithubApp;
use secrecy::SecretString;

/// Values by name.
pub type SecretValues = BTreeMap<String, SecretString>;

/// Secrets as requests are made from them.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    /// Those that have a value.
    pub values: SecretValues,
    /// Those in whose place an installation token of a GitHub App stands.
    pub apps: BTreeMap<String, Arc<AppSecret>>,
}

/// A GitHub App with what proves to be it.
#[derive(Debug, Clone)]
pub struct AppSecret {
    /// The secret's public id.
    pub uuid: String,
    /// Grows with each change of the secret.
    pub rev: i64,
    /// The app.
    pub app: GithubApp,
    /// PEM.
    pub private_key: SecretString,
}

/// What a secret stands for.
#[derive(Debug, Clone)]
pub enum SecretContent {
    /// This value.
    Value(SecretString),
    /// Tokens of this app.
    GithubApp {
        /// The app.
        app: GithubApp,
        /// PEM.
        private_key: SecretString,
    },
}

impl From<&str> for SecretContent {
    fn from(value: &str) -> Self {
        Self::Value(value.into())
    }
}

impl From<SecretString> for SecretContent {
    fn from(value: SecretString) -> Self {
        Self::Value(value)
    }
}

/// A secret without its value.
#[derive(Debug, Clone)]
pub struct SecretInfo {
    /// Stable public id (a UUID's text), for PactFlow's `/secrets/{uuid}`.
    pub uuid: String,
    /// `[A-Za-z0-9_-]{1,64}`.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// PactFlow's team, whose webhooks alone may use it; `None`: webhooks without a team.
    pub team_uuid: Option<String>,
    /// Grows with each change.
    pub rev: i64,
    /// Which master key sealed it.
    pub key_id: String,
    /// The app whose tokens stand in its place; `None`: it has a value.
    pub github_app: Option<Box<GithubApp>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A secret to write.
#[derive(Debug, Clone)]
pub struct SecretWrite {
    /// Which one is replaced; `None` makes a new one.
    pub uuid: Option<String>,
    /// `[A-Za-z0-9_-]{1,64}`, unlike every other.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Whose webhooks may use it.
    pub team_uuid: Option<String>,
    /// `None` keeps what there is; a new secret without a value is empty.
    pub value: Option<SecretContent>,
}

/// What a write came to.
#[derive(Debug, Clone)]
pub enum SecretPut {
    /// It is stored.
    Written {
        /// The secret as it is now.
        secret: SecretInfo,
        /// Names of the lanes that opened.
        opened: Vec<String>,
    },
    /// Another secret has the name; nothing changed.
    NameTaken,
    /// There is none of this uuid.
    NotFound,
}

impl SecretWrite {
    /// Whether lanes have to look again: what they resolve may differ.
    pub(crate) fn affects_lanes(&self, name: &str, team_uuid: Option<&str>) -> bool {
        self.value.is_some() || self.name != name || self.team_uuid.as_deref() != team_uuid
    }
}
