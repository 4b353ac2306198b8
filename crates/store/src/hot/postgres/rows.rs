//! Reading rows and errors of Postgres.

use jiff::Timestamp;
use postrider_domain::{ClaimNo, DeliveryId, EventId, LaneId, WebhookId};
use sqlx::postgres::PgRow;
use sqlx::{ColumnIndex, Decode, Postgres, Row, Type};
use uuid::Uuid;

use crate::{Claim, ClaimTerms, StoreError, codec};

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

/// A count that fits what the facade says.
pub(super) fn count(row: &PgRow, column: &str) -> Result<u32, StoreError> {
    codec::count_of(i64::from(get::<i32, _>(row, column)?))
}

/// The claim in a row of one of the claim statements. One that can't be read is left to expire:
/// it must not take with it what was claimed beside it.
pub(super) fn readable(row: &PgRow, terms: ClaimTerms) -> Option<Claim> {
    let read = claim(row, terms);
    if let Err(error) = &read {
        let id = get::<Uuid, _>(row, "id").unwrap_or_default();
        tracing::error!(delivery_id = %id, %error, "claim.unreadable");
    }
    read.ok()
}

fn claim(row: &PgRow, terms: ClaimTerms) -> Result<Claim, StoreError> {
    let own: Option<i64> = get(row, "timeout_ms")?;
    let timeout = own.map_or(terms.timeout, codec::from_millis);
    Ok(Claim {
        id: DeliveryId(get(row, "id")?),
        claim_no: ClaimNo(get(row, "claim_no")?),
        attempt: count(row, "attempt")?,
        number: count(row, "attempts_recorded")?.saturating_add(1),
        maybe_sent: get(row, "maybe_sent")?,
        lost_claims: count(row, "lost_claims")?,
        event_id: EventId(get(row, "event_id")?),
        event: get(row, "body")?,
        traceparent: get(row, "traceparent")?,
        webhook_id: WebhookId(get(row, "webhook_id")?),
        webhook_rev: get(row, "webhook_rev")?,
        lane_id: LaneId(get(row, "lane_id")?),
        secret_rev: get(row, "secret_rev")?,
        secrets_rev: get(row, "secrets_rev")?,
        created_at: at(row, "created_at")?,
        rejections: count(row, "refusals")?,
        execution: get(row, "execution")?,
        timeout,
        length: timeout + terms.margin,
    })
}

/// Bare uuids of deliveries, to bind.
pub(super) fn uuids(ids: &[DeliveryId]) -> Vec<Uuid> {
    ids.iter().map(|id| id.0).collect()
}
