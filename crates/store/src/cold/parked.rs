//! Webhooks that are parked (W1-W5), for people and for the monitor.

use postrider_domain::{AuditAction, AuditKind, HoldCause, WebhookId, WebhookUuid};

use super::audit::Change;
use super::query::Query;
use crate::fault::Fault;
use crate::{ParkedWebhook, Store, StoreError, codec};

/// What ends a park.
macro_rules! unpark {
    () => {
        "update webhooks set hold_cause = null, held_since = null, next_probe_at = null, \
         probe_step = 0, probe_newest = null, probe_last = null where "
    };
}
pub(crate) use unpark;

/// By hand.
const RELEASE: &str =
    concat!(unpark!(), "uuid = $1 and state <> 'deleted' and hold_cause is not null");

/// With their lane, by hand.
pub(crate) const RELEASE_OF_LANE: &str = concat!(
    unpark!(),
    "hold_cause is not null and lane_id in (select id from lanes where name = $1)"
);

/// Waiting deliveries are counted up to `$1`, those that stand aside.
const PARKED: &str = "
select w.id, w.uuid, w.hold_cause, w.held_since, w.next_probe_at, l.id as lane_id, l.name as lane
from webhooks w join lanes l on l.id = w.lane_id
where w.hold_cause is not null and w.state = 'enabled'
order by w.held_since, w.id limit $1";

const WAITING: &str = "
select count(*) as waiting from (
    select 1 as one from deliveries d {by:deliveries_due}
    where d.lane_id = $1 and d.next_at = $2 and d.status = 'waiting' limit $3) as counted";

/// Webhooks that one call tells of.
const MOST: i64 = 1_000;
/// Deliveries that one call counts for each of them.
const COUNTED: i64 = 10_000;

impl Store {
    /// W5. Ends the park of a webhook by hand; `None` when there is no such webhook, else whether
    /// it was parked.
    pub async fn release_webhook(&self, uuid: &WebhookUuid) -> Result<Option<bool>, StoreError> {
        if self.webhook(uuid).await?.is_none() {
            return Ok(None);
        }
        let release = Query::new(RELEASE).bind(uuid.as_str());
        let change = Change::new(AuditKind::Webhook, uuid.as_str(), AuditAction::Released);
        Ok(Some(self.run_noted("release_webhook", release, change).await? > 0))
    }

    /// Enabled webhooks that are parked, longest first, at most 1,000. What waits is counted up to
    /// 10,000 for each; deliveries that were made lately may not be counted yet.
    pub async fn parked_webhooks(&self) -> Result<Vec<ParkedWebhook>, StoreError> {
        let rows = self.rows("parked_webhooks", &Query::new(PARKED).bind(MOST)).await?;
        let mut parked = Vec::with_capacity(rows.len());
        for row in &rows {
            let aside = codec::aside(WebhookId(row.int("id")?));
            let aside = jiff::Timestamp::from_microsecond(aside)
                .map_err(|error| StoreError::Corrupt(error.to_string()))?;
            let waiting = Query::new(WAITING).bind(row.int("lane_id")?).bind(aside).bind(COUNTED);
            let backlog = match self.row("parked_waiting", &waiting).await? {
                Some(counted) => counted.tally("waiting")?,
                None => 0,
            };
            let cause: Result<HoldCause, Fault> = Ok(codec::hold_cause(row.text("hold_cause")?)?);
            parked.push(ParkedWebhook {
                uuid: codec::webhook_uuid(row.text("uuid")?)?,
                lane: row.string("lane")?,
                cause: cause?,
                since: row.at_opt("held_since")?.unwrap_or(jiff::Timestamp::UNIX_EPOCH),
                next_probe_at: row.at_opt("next_probe_at")?,
                backlog,
            });
        }
        Ok(parked)
    }
}
