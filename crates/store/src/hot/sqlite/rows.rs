//! Batches as JSON for `json_each`, and what several tables read alike.

use serde::Serialize;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::fault::Fault;
use crate::codec::LimitColumns;

/// A batch as one parameter; UUIDs become text that `unhex(value, '-')` reads.
pub(super) fn json<T: Serialize + ?Sized>(rows: &T) -> Result<String, Fault> {
    Ok(serde_json::to_string(rows)?)
}

/// A lane's limits; the columns stand under their names in `row`.
pub(super) fn limits(row: &SqliteRow) -> Result<LimitColumns, Fault> {
    Ok(LimitColumns {
        limited: row.try_get("limited")?,
        rate_count: row.try_get("rate_count")?,
        rate_per_ms: row.try_get("rate_per_ms")?,
        burst: row.try_get("burst")?,
        concurrency: row.try_get("concurrency")?,
        per_hour: row.try_get("per_hour")?,
    })
}
