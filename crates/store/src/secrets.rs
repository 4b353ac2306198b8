//! Secrets, sealed at rest.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use secrecy::SecretString;

use crate::{Store, StoreError};

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

impl Store {
    /// L5. Sets a value, of a secret without a team when there is none of the name: raises `secret_rev` of every lane that a webhook with this secret
    /// uses, and opens those that are held, unless by hand. Returns the secret and the names of
    /// the lanes that opened.
    pub async fn set_secret(
        &self,
        name: &str,
        value: &SecretString,
    ) -> Result<(SecretInfo, Vec<String>), StoreError> {
        dispatch!(self, set_secret(name, value))
    }

    /// L5. Makes or replaces a secret as [`set_secret`](Self::set_secret) does, with description
    /// and team, by uuid; it may be renamed, which counts for the lanes of both names. A change
    /// of the description alone touches no lane.
    pub async fn put_secret(&self, write: &SecretWrite) -> Result<SecretPut, StoreError> {
        dispatch!(self, put_secret(write))
    }

    /// All secrets by name.
    pub async fn secrets(&self) -> Result<Vec<SecretInfo>, StoreError> {
        dispatch!(self, secrets())
    }

    /// Removes one; `false` when there is none. Lanes that use it are held at their next send.
    pub async fn delete_secret(&self, name: &str) -> Result<bool, StoreError> {
        dispatch!(self, delete_secret(name))
    }

    /// Values for the names that have one, as a webhook of this team (`None`: without one) may
    /// use them: another team's secret is as good as missing.
    pub async fn secret_values(
        &self,
        names: &BTreeSet<String>,
        team: Option<&str>,
    ) -> Result<SecretValues, StoreError> {
        dispatch!(self, secret_values(names, team))
    }
}
