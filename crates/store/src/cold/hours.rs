//! How many deliveries each hour brought, and what became of them.

use jiff::Timestamp;
use postrider_domain::{DeliveryStatus, StoredStatus};

use super::query::Query;
use crate::id_time::first_id;
use crate::{HourCounts, Store, StoreError, codec};

/// Deliveries counted over all hours of a call.
const COUNTED: i64 = 240_000;

/// The newest `$3` of an hour; its bounds are bounds of ids.
const HOUR: &str = "
select d.status, l.hold_cause is not null or w.hold_cause is not null as held,
    d.attempts_recorded > 0 as attempted, count(*) as deliveries
from (select * from deliveries where id >= $1 and id < $2 order by id desc limit $3) d
cross join webhooks w cross join lanes l
where w.id = d.webhook_id and l.id = d.lane_id and d.execution_until is null
group by 1, 2, 3";

impl Store {
    /// Counts of the hours that begin at these instants, by the status that deliveries have now.
    /// Up to 240,000 deliveries are counted, as many in each hour, the newest first.
    pub async fn hours(&self, starts: &[Timestamp]) -> Result<Vec<HourCounts>, StoreError> {
        let hours = i64::try_from(starts.len()).unwrap_or(i64::MAX).max(1);
        let most = (COUNTED / hours).max(1);
        let mut counts = Vec::with_capacity(starts.len());
        for start in starts {
            let end = start.saturating_add(HourCounts::LENGTH).unwrap_or(Timestamp::MAX);
            let hour = Query::new(HOUR).bind(first_id(*start)).bind(first_id(end)).bind(most);
            let mut found = HourCounts::new(*start);
            for row in &self.rows("hour", &hour).await? {
                let stored: StoredStatus = codec::stored_status(row.text("status")?)?;
                let attempts = u32::from(row.is("attempted")?);
                let status = DeliveryStatus::shown(stored, row.is("held")?, attempts);
                found.add(status, row.tally("deliveries")?);
            }
            found.is_exact = found.total() < most.unsigned_abs();
            counts.push(found);
        }
        Ok(counts)
    }
}
