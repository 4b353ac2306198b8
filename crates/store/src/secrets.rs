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
    /// Grows with each new value.
    pub rev: i64,
    /// Which master key sealed it.
    pub key_id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last got a value.
    pub updated_at: Timestamp,
}

impl Store {
    /// L5. Sets a value: raises `secret_rev` of every lane that a webhook with this secret
    /// uses, and opens those that are held, unless by hand. Returns the secret and the names of
    /// the lanes that opened.
    pub async fn set_secret(
        &self,
        name: &str,
        value: &SecretString,
    ) -> Result<(SecretInfo, Vec<String>), StoreError> {
        dispatch!(self, set_secret(name, value))
    }

    /// All secrets by name.
    pub async fn secrets(&self) -> Result<Vec<SecretInfo>, StoreError> {
        dispatch!(self, secrets())
    }

    /// Removes one; `false` when there is none. Lanes that use it are held at their next send.
    pub async fn delete_secret(&self, name: &str) -> Result<bool, StoreError> {
        dispatch!(self, delete_secret(name))
    }

    /// Values for the names that have one.
    pub async fn secret_values(
        &self,
        names: &BTreeSet<String>,
    ) -> Result<SecretValues, StoreError> {
        dispatch!(self, secret_values(names))
    }
}
