//! Lanes for workers and for people; L6-L8: pauses, holds by hand, releases.

use std::time::Duration;

use postrider_domain::{LaneId, LaneLimits};
use sqlx::postgres::PgRow;

use super::Pg;
use super::fragments::release;
use super::rows::{at_opt, fault, get, tally};
use crate::codec::{self, LimitColumns};
use crate::{LaneInfo, LaneView, ProbeClaim, StoreError, StoredWebhook};

/// What a worker has to know of each lane, once a second: each part reads one row of the index
/// of open deliveries.
const SURVEY: &str = "
select l.id, l.name, l.limited, l.rate_count, l.rate_per_ms, l.burst, l.concurrency, l.per_hour,
    l.hold_cause, l.hold_gen, l.secret_rev,
    case when l.pause_until > now()
        then ceil(extract(epoch from l.pause_until - now()) * 1000)::bigint end as paused_ms,
    exists (
        select from deliveries d
        where d.lane_id = l.id and d.next_at <= now() and d.status = 'waiting') as due,
    exists (
        select from deliveries d
        where d.lane_id = l.id and d.next_at is not null) as open,
    l.owner is not null and l.lease_until > now() as leased,
    l.hold_cause is not null and l.hold_cause <> 'manual' and l.next_probe_at <= now()
        as probe_due
from lanes l order by l.id";

/// `$1`: the one to tell of; null tells of all.
const LANES: &str = "
select l.id, l.name, l.limited, l.rate_count, l.rate_per_ms, l.burst, l.concurrency, l.per_hour,
    l.hold_cause, l.held_since, l.last_send_at,
    case when l.pause_until > now() then l.pause_until end as paused_until,
    b.backlog, b.oldest_at
from lanes l cross join lateral (
    select count(*) as backlog, min(d.created_at) as oldest_at from deliveries d
    where d.lane_id = l.id and d.next_at is not null and d.status = 'waiting') b
where $1::text is null or l.name = $1
order by b.backlog desc, l.name";

/// L6 (RELEASE_GEN).
const RELEASE_PROBED: &str = concat!(
    "update lanes l set ",
    release!(),
    " where l.id = $1 and l.hold_gen = $2 and l.secret_rev = $3 \
     and l.hold_cause is not null and l.hold_cause <> 'manual'"
);

/// L7 (PAUSE_MAX).
const PAUSE: &str = "
update lanes
set pause_until = greatest(pause_until, now() + $2 * interval '1 millisecond')
where id = $1";

/// L8.
const HOLD_BY_HAND: &str = "
update lanes set hold_cause = 'manual', hold_gen = hold_gen + 1,
    held_since = coalesce(held_since, now()), next_probe_at = null
where name = $1";

/// L8.
const RELEASE_BY_HAND: &str =
    concat!("update lanes l set ", release!(), " where l.name = $1 and l.hold_cause is not null");

const WEBHOOK_OF: &str = "
select id from webhooks where lane_id = $1 and state = 'enabled' order by id limit 1";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("survey", SURVEY),
    ("lanes", LANES),
    ("release_probed", RELEASE_PROBED),
    ("pause", PAUSE),
    ("hold_by_hand", HOLD_BY_HAND),
    ("release_by_hand", RELEASE_BY_HAND),
    ("webhook_of_lane", WEBHOOK_OF),
];

impl Pg {
    pub(crate) async fn survey(&self) -> Result<Vec<LaneView>, StoreError> {
        let rows = sqlx::query(SURVEY).fetch_all(&self.pool).await.map_err(fault)?;
        rows.iter().map(view).collect()
    }

    pub(crate) async fn lanes(&self) -> Result<Vec<LaneInfo>, StoreError> {
        self.lanes_named(None).await
    }

    async fn lanes_named(&self, name: Option<&str>) -> Result<Vec<LaneInfo>, StoreError> {
        let rows = sqlx::query(LANES).bind(name).fetch_all(&self.pool).await.map_err(fault)?;
        rows.iter().map(info).collect()
    }

    pub(crate) async fn release_probed(
        &self,
        lane: LaneId,
        probe: ProbeClaim,
    ) -> Result<bool, StoreError> {
        let released = sqlx::query(RELEASE_PROBED)
            .bind(lane.0)
            .bind(probe.hold_gen)
            .bind(probe.secret_rev)
            .execute(&self.pool)
            .await
            .map_err(fault)?;
        Ok(released.rows_affected() > 0)
    }

    pub(crate) async fn pause(&self, lane: LaneId, pause: Duration) -> Result<(), StoreError> {
        let paused = sqlx::query(PAUSE).bind(lane.0).bind(codec::millis(pause));
        paused.execute(&self.pool).await.map(drop).map_err(fault)
    }

    pub(crate) async fn hold_by_hand(&self, name: &str) -> Result<Option<LaneInfo>, StoreError> {
        self.by_hand(HOLD_BY_HAND, name).await
    }

    pub(crate) async fn release_by_hand(&self, name: &str) -> Result<Option<LaneInfo>, StoreError> {
        self.by_hand(RELEASE_BY_HAND, name).await
    }

    async fn by_hand(
        &self,
        statement: &'static str,
        name: &str,
    ) -> Result<Option<LaneInfo>, StoreError> {
        sqlx::query(statement).bind(name).execute(&self.pool).await.map_err(fault)?;
        Ok(self.lanes_named(Some(name)).await?.pop())
    }

    pub(crate) async fn lane_webhook(
        &self,
        lane: LaneId,
    ) -> Result<Option<StoredWebhook>, StoreError> {
        let id: Option<i64> = sqlx::query_scalar(WEBHOOK_OF)
            .bind(lane.0)
            .fetch_optional(&self.pool)
            .await
            .map_err(fault)?;
        let Some(id) = id else { return Ok(None) };
        Ok(self.webhooks_by_id(&[postrider_domain::WebhookId(id)]).await?.pop())
    }
}

/// The limits in a row that has a lane's columns.
pub(super) fn limits(row: &PgRow) -> Result<LaneLimits, StoreError> {
    LimitColumns {
        limited: get(row, "limited")?,
        rate_count: get(row, "rate_count")?,
        rate_per_ms: get(row, "rate_per_ms")?,
        burst: get(row, "burst")?,
        concurrency: get(row, "concurrency")?,
        per_hour: get(row, "per_hour")?,
    }
    .limits()
}

fn view(row: &PgRow) -> Result<LaneView, StoreError> {
    Ok(LaneView {
        id: LaneId(get(row, "id")?),
        name: get(row, "name")?,
        limits: limits(row)?,
        state: codec::lane_state(get(row, "hold_cause")?)?,
        hold_gen: get(row, "hold_gen")?,
        secret_rev: get(row, "secret_rev")?,
        paused_for: get::<Option<i64>, _>(row, "paused_ms")?.map(codec::from_millis),
        due: get(row, "due")?,
        open: get(row, "open")?,
        leased: get(row, "leased")?,
        probe_due: get::<Option<bool>, _>(row, "probe_due")?.unwrap_or(false),
    })
}

fn info(row: &PgRow) -> Result<LaneInfo, StoreError> {
    Ok(LaneInfo {
        id: LaneId(get(row, "id")?),
        name: get(row, "name")?,
        limits: limits(row)?,
        state: codec::lane_state(get(row, "hold_cause")?)?,
        held_since: at_opt(row, "held_since")?,
        paused_until: at_opt(row, "paused_until")?,
        last_send_at: at_opt(row, "last_send_at")?,
        backlog: tally(row, "backlog")?,
        oldest_at: at_opt(row, "oldest_at")?,
    })
}
