//! When something was made is told by its id: ids begin with their milliseconds.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

/// The id before all ids of an instant.
pub(crate) fn first_id(instant: Timestamp) -> Uuid {
    Uuid::from_u128(u128::try_from(instant.as_millisecond()).unwrap_or_default() << 80)
}

/// The id before all ids that were made `back` before `id` or later.
pub(crate) fn id_before(id: Uuid, back: Duration) -> Uuid {
    let millis = u64::try_from(id.as_u128() >> 80).unwrap_or_default();
    let back = u64::try_from(back.as_millis()).unwrap_or(u64::MAX);
    Uuid::from_u128(u128::from(millis.saturating_sub(back)) << 80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_moves_back_by_its_time() {
        let id = Uuid::now_v7();
        let before = id_before(id, Duration::from_secs(10));
        assert_eq!((id.as_u128() >> 80) - (before.as_u128() >> 80), 10_000);
        assert_eq!(id_before(id, Duration::MAX), Uuid::nil());
        assert!(first_id(Timestamp::UNIX_EPOCH) < id && id < first_id(Timestamp::MAX));
    }
}
