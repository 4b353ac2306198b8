//! What a statement can fail with, before and after the caller is told in the store's words.

use std::borrow::Cow;

use crate::StoreError;
pub(super) use crate::fault::Fault;

/// A statement that ran out of its time.
const QUERY_CANCELED: &str = "57014";
/// A lock that was not to be had in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";

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
    is_lock_timeout(error) || code(error).is_some_and(|code| matches!(&*code, "40P01" | "40001"))
}

/// Whether somebody else kept a lock for longer than anybody waits for one.
pub(super) fn is_lock_timeout(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| code == LOCK_NOT_AVAILABLE)
}

fn code(error: &sqlx::Error) -> Option<Cow<'_, str>> {
    error.as_database_error()?.code()
}
