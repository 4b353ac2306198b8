//! L10: limits of lanes follow the settings.

use postrider_domain::LaneId;
use sqlx::{Postgres, Row, Transaction};

use super::Pg;
use super::rows::fault;
use crate::codec::LimitColumns;
use crate::{LaneSpec, StoreError};

/// A cheap look whether there is anything to do.
const DIFFER: &str = "
select l.name from lanes l
join unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
    as u (name, rate_count, rate_per_ms, burst, concurrency, per_hour) on u.name = l.name
where (l.rate_count, l.rate_per_ms, l.burst, l.concurrency, l.per_hour)
    is distinct from (u.rate_count, u.rate_per_ms, u.burst, u.concurrency, u.per_hour)
order by l.id";

/// One lane to new limits; a change of kind ends the lease (L10).
const APPLY: &str = "
update lanes l set limited = $2, rate_count = $3, rate_per_ms = $4, burst = $5,
    concurrency = $6, per_hour = $7,
    epoch = l.epoch + case when l.limited = $2 then 0 else 1 end,
    owner = case when l.limited = $2 then l.owner end,
    lease_until = case when l.limited = $2 then l.lease_until else '-infinity' end
from lanes old
where l.name = $1 and old.id = l.id
    and (l.rate_count, l.rate_per_ms, l.burst, l.concurrency, l.per_hour)
        is distinct from ($3::bigint, $4::bigint, $5::bigint, $6::bigint, $7::bigint)
returning l.id, old.limited as was_limited, l.limited";

pub(super) const BUMP: &str =
    "update meta set webhooks_version = webhooks_version + 1 returning webhooks_version";

/// Fresh rows of a lane that has become limited are due now, oldest first; in chunks, as there
/// may be a million.
const DUE_NOW: &str = "
with fresh as (
    select id from deliveries
    where lane_id = $1 and next_at > now() and status = 'waiting' and claim_no = 0
    limit 5000
    for update skip locked)
update deliveries d set next_at = d.created_at, updated_at = now()
from fresh f where d.id = f.id";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("lanes_differ", DIFFER),
    ("apply_limits", APPLY),
    ("bump_webhooks_version", BUMP),
    ("fresh_due_now", DUE_NOW),
];

/// Chunks of [`DUE_NOW`] at most; what is left over becomes due with its sweep.
const CHUNKS: u32 = 1000;

/// What applying limits to one lane changed.
pub(super) enum Changed {
    Nothing,
    Limits,
    /// The lane has become limited.
    ToLimited(LaneId),
    ToUnlimited,
}

impl Pg {
    pub(crate) async fn sync_lanes(&self, specs: &[LaneSpec]) -> Result<u64, StoreError> {
        let names = self.differing(specs).await?;
        if names.is_empty() {
            return Ok(0);
        }
        let mut tx = self.pool.begin().await.map_err(fault)?;
        // The version first, as every writer of webhooks does: no two wait for each other.
        sqlx::query(BUMP).execute(&mut *tx).await.map_err(fault)?;
        let mut changed = 0;
        let mut limited = Vec::new();
        for name in &names {
            let Some(spec) = specs.iter().rfind(|spec| spec.name == *name) else {
                continue;
            };
            match apply(&mut tx, spec).await? {
                Changed::Nothing => continue,
                Changed::Limits | Changed::ToUnlimited => {}
                Changed::ToLimited(lane) => limited.push(lane),
            }
            changed += 1;
        }
        tx.commit().await.map_err(fault)?;
        for lane in limited {
            self.fresh_due_now(lane).await?;
        }
        Ok(changed)
    }

    async fn differing(&self, specs: &[LaneSpec]) -> Result<Vec<String>, StoreError> {
        let limits: Vec<_> = specs.iter().map(|spec| LimitColumns::from(spec.limits)).collect();
        let names: Vec<_> = specs.iter().map(|spec| spec.name.as_str()).collect();
        sqlx::query_scalar(DIFFER)
            .bind(names)
            .bind(limits.iter().map(|each| each.rate_count).collect::<Vec<_>>())
            .bind(limits.iter().map(|each| each.rate_per_ms).collect::<Vec<_>>())
            .bind(limits.iter().map(|each| each.burst).collect::<Vec<_>>())
            .bind(limits.iter().map(|each| each.concurrency).collect::<Vec<_>>())
            .bind(limits.iter().map(|each| each.per_hour).collect::<Vec<_>>())
            .fetch_all(&self.pool)
            .await
            .map_err(fault)
    }

    /// LIMITED_LEFT, the other way round: nothing waits for a sweep in a limited lane.
    pub(super) async fn fresh_due_now(&self, lane: LaneId) -> Result<(), StoreError> {
        for _ in 0..CHUNKS {
            let moved = sqlx::query(DUE_NOW).bind(lane.0).execute(&self.pool).await;
            if moved.map_err(fault)?.rows_affected() == 0 {
                break;
            }
        }
        Ok(())
    }
}

/// Brings an existing lane to what settings say.
pub(super) async fn apply(
    tx: &mut Transaction<'static, Postgres>,
    spec: &LaneSpec,
) -> Result<Changed, StoreError> {
    let limits = LimitColumns::from(spec.limits);
    let row = sqlx::query(APPLY)
        .bind(&spec.name)
        .bind(limits.limited)
        .bind(limits.rate_count)
        .bind(limits.rate_per_ms)
        .bind(limits.burst)
        .bind(limits.concurrency)
        .bind(limits.per_hour)
        .fetch_optional(&mut **tx)
        .await
        .map_err(fault)?;
    let Some(row) = row else {
        return Ok(Changed::Nothing);
    };
    let was: bool = row.try_get("was_limited").map_err(fault)?;
    let is: bool = row.try_get("limited").map_err(fault)?;
    Ok(match (was, is) {
        (false, true) => Changed::ToLimited(LaneId(row.try_get("id").map_err(fault)?)),
        (true, false) => Changed::ToUnlimited,
        (true, true) | (false, false) => Changed::Limits,
    })
}
