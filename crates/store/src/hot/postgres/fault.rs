//! What a statement can fail with, before and after the caller is told in the store's words.

use crate::StoreError;
pub(super) use crate::fault::Fault;

/// A statement that ran out of its time.
const QUERY_CANCELED: &str = "57014";

/// What a failed statement means to the caller, once it was sent.
#[expect(clippy::needless_pass_by_value, reason = "made for `map_err`")]
pub(super) fn fault(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::Configuration(_) => StoreError::Unusable(error.to_string()),
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            let message = format!("{} ({code})", database.message());
            match code.get(..2) {
                Some("28") => StoreError::Unusable(message),
                // Data exceptions and constraints: the statement is at odds with the rows.
                Some("22" | "23") => StoreError::Corrupt(message),
                // Between a pooler and the database: the statement may have reached it.
                Some("08") => StoreError::Unknown(message),
                _ if code == QUERY_CANCELED => StoreError::Slow(message),
                _ => StoreError::Unavailable(message),
            }
        }
        sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::TypeNotFound { .. }
        | sqlx::Error::RowNotFound => StoreError::Corrupt(error.to_string()),
        // The way there: what the database made of the statement is not known.
        _ => StoreError::Unknown(error.to_string()),
    }
}

/// Whether the database gave a statement up for the sake of another one: deadlock,
/// serialization failure, a lock not to be had in time. Such a statement wrote nothing and is
/// issued again.
pub(super) fn is_conflict(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| matches!(code.as_ref(), "40P01" | "40001" | "55P03"))
}
