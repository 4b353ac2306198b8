//! Reading rows and errors of Postgres.

use jiff::Timestamp;
use postrider_domain::{ClaimNo, DeliveryId, EventId, LaneId, WebhookId};
use sqlx::postgres::PgRow;
use sqlx::{ColumnIndex, Decode, Postgres, Row, Type};
use uuid::Uuid;

use crate::{Claim, StoreError, codec};

/// What a failed statement means to the caller.
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
                _ => StoreError::Unavailable(message),
            }
        }
        sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::TypeNotFound { .. }
        | sqlx::Error::RowNotFound => StoreError::Corrupt(error.to_string()),
        _ => StoreError::Unavailable(error.to_string()),
    }
}

/// Whether the database gave a statement up for the sake of another one: deadlock or
/// serialization failure. Such a statement wrote nothing and is issued again.
pub(super) fn is_conflict(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| matches!(code.as_ref(), "40P01" | "40001"))
}

/// Whether the database refused the data, not the connection.
pub(super) fn is_refusal(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| matches!(code.get(..2), Some("22" | "23")))
}

/// A column's value.
pub(super) fn get<'r, T, I>(row: &'r PgRow, column: I) -> Result<T, StoreError>
where
    T: Decode<'r, Postgres> + Type<Postgres>,
    I: ColumnIndex<PgRow>,
{
    row.try_get(column).map_err(fault)
}

/// A column's instant.
pub(super) fn at(row: &PgRow, column: &str) -> Result<Timestamp, StoreError> {
    get::<jiff_sqlx::Timestamp, _>(row, column).map(jiff_sqlx::Timestamp::to_jiff)
}

/// A column's instant, if there is one.
pub(super) fn at_opt(row: &PgRow, column: &str) -> Result<Option<Timestamp>, StoreError> {
    let value: Option<jiff_sqlx::Timestamp> = get(row, column)?;
    Ok(value.map(jiff_sqlx::Timestamp::to_jiff))
}

/// A count that fits what the facade says.
pub(super) fn count(row: &PgRow, column: &str) -> Result<u32, StoreError> {
    codec::count_of(i64::from(get::<i32, _>(row, column)?))
}

/// A count of rows.
pub(super) fn tally(row: &PgRow, column: &str) -> Result<u64, StoreError> {
    get::<i64, _>(row, column).map(|n| u64::try_from(n).unwrap_or(0))
}

/// An HTTP status, if there is one.
pub(super) fn http_status(row: &PgRow, column: &str) -> Result<Option<u16>, StoreError> {
    get::<Option<i32>, _>(row, column)?.map(codec::status_code).transpose()
}

/// The claim in a row of one of the claim statements.
pub(super) fn claim(row: &PgRow) -> Result<Claim, StoreError> {
    Ok(Claim {
        id: DeliveryId(get(row, "id")?),
        claim_no: ClaimNo(get(row, "claim_no")?),
        attempt: count(row, "attempt")?,
        maybe_sent: get(row, "maybe_sent")?,
        lost_claims: count(row, "lost_claims")?,
        event_id: EventId(get(row, "event_id")?),
        event: get(row, "body")?,
        traceparent: get(row, "traceparent")?,
        webhook_id: WebhookId(get(row, "webhook_id")?),
        webhook_rev: get(row, "webhook_rev")?,
        lane_id: LaneId(get(row, "lane_id")?),
        secret_rev: get(row, "secret_rev")?,
        created_at: at(row, "created_at")?,
        refusals: count(row, "refusals")?,
        execution: get(row, "execution")?,
    })
}

/// Bare uuids of deliveries, to bind.
pub(super) fn uuids(ids: &[DeliveryId]) -> Vec<Uuid> {
    ids.iter().map(|id| id.0).collect()
}
