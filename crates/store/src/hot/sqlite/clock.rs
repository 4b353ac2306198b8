//! The database's clock (rule `DB_CLOCK`): SQLite has none of its own, so the process that owns
//! the file reads it here, once for each turn of the writer or each read.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

use crate::StoreError;

/// A duration as kept in rows.
pub(super) use crate::codec::micros;

/// Microseconds since the epoch, as kept in rows.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place of this backend that reads the wall clock, as Postgres reads now()"
)]
pub(super) fn now() -> i64 {
    micros(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// The instant that lies `after` later.
pub(super) fn later(instant: i64, after: Duration) -> i64 {
    instant.saturating_add(micros(after))
}

/// The instant that lies `before` earlier.
pub(super) fn earlier(instant: i64, before: Duration) -> i64 {
    instant.saturating_sub(micros(before))
}

/// A kept duration; negative ones read as zero.
pub(super) fn duration(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or_default())
}

/// A kept instant.
pub(super) fn timestamp(micros: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(micros)
        .map_err(|_| StoreError::Corrupt(format!("{micros} microseconds is no instant")))
}
