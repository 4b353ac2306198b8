//! L1-L3: leases of limited lanes; L9: the right to probe a held one.

use std::time::Duration;

use postrider_domain::LaneId;

use super::Pg;
use super::rows::{fault, get};
use crate::{Lease, ProbeClaim, StoreError, WorkerId, codec};

/// L1. The epoch grows even when the lane was ours (OWNER_NEW).
const ACQUIRE: &str = "
update lanes l set owner = $2, epoch = l.epoch + 1,
    lease_until = now() + $3 * interval '1 millisecond'
where l.id = $1 and l.limited and (l.owner is null or l.lease_until <= now())
    and (l.hold_cause is not null or exists (
        select from deliveries d where d.lane_id = l.id and d.next_at is not null))
returning l.epoch";

/// L2, in id order.
const RENEW: &str = "
with mine as (
    select l.id from lanes l
    join unnest($1::bigint[], $2::uuid[], $3::bigint[]) as u (id, owner, epoch)
        on l.id = u.id and l.owner = u.owner and l.epoch = u.epoch
    where l.limited
    order by l.id
    for update of l)
update lanes l set lease_until = now() + $4 * interval '1 millisecond'
from mine m where l.id = m.id
returning l.id, l.owner, l.epoch";

/// L3, in id order.
const GIVE_UP: &str = "
with mine as (
    select l.id from lanes l
    join unnest($1::bigint[], $2::uuid[], $3::bigint[]) as u (id, owner, epoch)
        on l.id = u.id and l.owner = u.owner and l.epoch = u.epoch
    order by l.id
    for update of l)
update lanes l set owner = null, lease_until = '-infinity'
from mine m where l.id = m.id";

/// L9: a limited lane is probed by its leader only (PROBE_CLAIM), an unlimited one by anybody
/// (PROBE_ANY).
const CLAIM_PROBE: &str = "
update lanes set next_probe_at = now() + $4 * interval '1 millisecond'
where id = $1 and hold_cause is not null and hold_cause <> 'manual' and next_probe_at <= now()
    and (not limited or owner = $2 and epoch = $3 and lease_until > now())
returning hold_gen, secret_rev";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] =
    &[("acquire", ACQUIRE), ("renew", RENEW), ("give_up", GIVE_UP), ("claim_probe", CLAIM_PROBE)];

impl Pg {
    pub(crate) async fn acquire(
        &self,
        lane: LaneId,
        worker: WorkerId,
        length: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        let epoch: Option<i64> = sqlx::query_scalar(ACQUIRE)
            .bind(lane.0)
            .bind(worker.0)
            .bind(codec::millis(length))
            .fetch_optional(&self.pool)
            .await
            .map_err(fault)?;
        Ok(epoch.map(|epoch| Lease { lane_id: lane, worker, epoch }))
    }

    pub(crate) async fn renew(
        &self,
        leases: &[Lease],
        length: Duration,
    ) -> Result<Vec<Lease>, StoreError> {
        let (lanes, owners, epochs) = columns(leases);
        let kept = sqlx::query(RENEW)
            .bind(lanes)
            .bind(owners)
            .bind(epochs)
            .bind(codec::millis(length))
            .fetch_all(&self.pool)
            .await
            .map_err(fault)?;
        let lease = |row| {
            Ok(Lease {
                lane_id: LaneId(get(row, "id")?),
                worker: WorkerId(get(row, "owner")?),
                epoch: get(row, "epoch")?,
            })
        };
        kept.iter().map(lease).collect()
    }

    pub(crate) async fn give_up(&self, leases: &[Lease]) -> Result<(), StoreError> {
        let (lanes, owners, epochs) = columns(leases);
        sqlx::query(GIVE_UP)
            .bind(lanes)
            .bind(owners)
            .bind(epochs)
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(fault)
    }

    pub(crate) async fn claim_probe(
        &self,
        lane: LaneId,
        lease: Option<Lease>,
        interval: Duration,
    ) -> Result<Option<ProbeClaim>, StoreError> {
        let lease = lease.filter(|lease| lease.lane_id == lane);
        let row = sqlx::query(CLAIM_PROBE)
            .bind(lane.0)
            .bind(lease.map(|lease| lease.worker.0))
            .bind(lease.map(|lease| lease.epoch))
            .bind(codec::millis(interval))
            .fetch_optional(&self.pool)
            .await
            .map_err(fault)?;
        let claim = |row| {
            Ok(ProbeClaim {
                hold_gen: get(&row, "hold_gen")?,
                secret_rev: get(&row, "secret_rev")?,
            })
        };
        row.map(claim).transpose()
    }
}

fn columns(leases: &[Lease]) -> (Vec<i64>, Vec<uuid::Uuid>, Vec<i64>) {
    let lanes = leases.iter().map(|lease| lease.lane_id.0).collect();
    let owners = leases.iter().map(|lease| lease.worker.0).collect();
    let epochs = leases.iter().map(|lease| lease.epoch).collect();
    (lanes, owners, epochs)
}
