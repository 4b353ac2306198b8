//! Which day's digest was sent: one a day, whichever monitor sends it.

use std::time::Duration;

use super::query::Query;
use crate::{AlertResult, MonitorLease, Store, StoreError, codec};

/// Days are compared as texts, which ISO 8601 allows.
const TAKE: &str = "
update monitor_lease set digest_day = $3, digest_next_at = {now+ms:$4},
    digest_tries = case when digest_day = $3 then digest_tries + 1 else 1 end
where owner = $1 and epoch = $2 and lease_until > {now}
    and (digest_day is null or digest_day < $3 or (digest_day = $3 and digest_next_at <= {now}))
returning digest_tries";

/// `$3`: when it is tried again, if it is.
const SETTLE: &str = "
update monitor_lease set
    digest_next_at = case when $3 is null then null else {now+ms:coalesce($3, 0)} end
where digest_day = $1 and digest_tries = $2";

impl Store {
    /// Takes the digest of a day (`2026-11-30`) for `hold`, after which somebody else may take it
    /// unless it is settled; which try it is, from 1. `None` without a valid lease, and when it is
    /// over or taken, or one of a later day is.
    pub async fn take_digest(
        &self,
        lease: MonitorLease,
        day: &str,
        hold: Duration,
    ) -> Result<Option<u32>, StoreError> {
        let take = Query::new(TAKE).bind(lease.owner.0).bind(lease.epoch).bind(day).bind(hold);
        let rows = self.changed("take_digest", take).await?;
        Ok(rows.first().map(|row| row.count("digest_tries")).transpose()?)
    }

    /// Notes what became of a try; one that somebody else took over changes nothing.
    pub async fn settle_digest(
        &self,
        day: &str,
        tries: u32,
        result: AlertResult,
    ) -> Result<(), StoreError> {
        let retry = match result {
            AlertResult::Retry(after) => Some(codec::millis(after)),
            AlertResult::Delivered | AlertResult::GivenUp => None,
        };
        let settle = Query::new(SETTLE).bind(day).bind(tries).bind(retry);
        self.run("settle_digest", settle).await.map(drop)
    }
}
