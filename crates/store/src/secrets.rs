//! Secrets, sealed at rest.

use std::collections::BTreeMap;

use jiff::Timestamp;
use secrecy::SecretString;

/// Values by name.
pub type SecretValues = BTreeMap<String, SecretString>;

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
    /// `None` keeps the value there is; a new secret without one is empty.
    pub value: Option<SecretString>,
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
