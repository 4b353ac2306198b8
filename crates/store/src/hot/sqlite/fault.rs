//! What a statement can fail with, before the caller is told in the store's words.

use sqlx::error::ErrorKind;

use crate::StoreError;
pub(super) use crate::fault::Fault;

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Store(error) => error,
            Fault::Sql(error) => named(&error),
        }
    }
}

/// Errors of the values and the schema are `Corrupt`, all others may pass: a busy or full disk,
/// a lock of another process, a closed connection.
fn named(error: &sqlx::Error) -> StoreError {
    let corrupt = match error {
        sqlx::Error::Database(database) => {
            let code = database.code();
            // SQLITE_CORRUPT, SQLITE_NOTADB, SQLITE_ERROR (a table that is not there, ...).
            !matches!(database.kind(), ErrorKind::Other)
                || matches!(code.as_deref(), Some("1" | "11" | "26"))
        }
        sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::Decode(_)
        | sqlx::Error::TypeNotFound { .. }
        | sqlx::Error::RowNotFound => true,
        _ => false,
    };
    if is_interrupted(error) {
        StoreError::Slow(error.to_string())
    } else if corrupt {
        StoreError::Corrupt(error.to_string())
    } else {
        StoreError::Unavailable(error.to_string())
    }
}

/// `SQLITE_INTERRUPT`: the statement ran out of its time.
fn is_interrupted(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() == Some("9")
}
