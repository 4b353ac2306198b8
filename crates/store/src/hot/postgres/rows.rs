//! Reading rows of Postgres.

use jiff::Timestamp;
use postrider_domain::{ClaimNo, DeliveryId, EventId, LaneId, WebhookId};
use sqlx::postgres::PgRow;
use sqlx::{ColumnIndex, Decode, Postgres, Row, Type};
use uuid::Uuid;

use super::fault::fault;
use crate::{Claim, ClaimTerms, StoreError, codec};

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
