//! What a statement can fail with, before the caller is told in the store's words.

use crate::StoreError;

/// A failed step: lets `?` take both kinds of error.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The database or the way there.
    Sql(sqlx::Error),
    /// Already named.
    Store(StoreError),
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::Store(StoreError::Corrupt(error.to_string()))
    }
}
