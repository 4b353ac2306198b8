//! L1-L3: leases of limits; L9: the right to probe a held lane.

use std::time::Duration;

use postrider_domain::{LaneId, LimitId, WebhookId};
use sqlx::postgres::PgRow;

use super::PostgresStore;
use super::rows::get;
use crate::{Lease, ProbeClaim, StoreError, WorkerId, codec};

/// L1. The epoch grows even when the limit was ours (OWNER_NEW).
const ACQUIRE: &str = "
update limits m set owner = $2, epoch = m.epoch + 1,
    lease_until = now() + $3 * interval '1 millisecond'
where m.id = $1 and m.limited
    and (m.owner is null or m.lease_until <= now())
    and exists (
        select from lanes l where l.limit_id = m.id and (l.hold_cause is not null
            or (select true from deliveries d where d.lane_id = l.id and d.next_at is not null
                order by d.next_at, d.id limit 1)))
returning m.epoch";

/// L2, in the order given, which is that of ids.
const RENEW: &str = "
with mine as (
    select m.id from unnest($1::bigint[], $2::uuid[], $3::bigint[]) as u (id, owner, epoch)
    cross join lateral (
        select m.id from limits m
        where m.id = u.id and m.owner = u.owner and m.epoch = u.epoch and m.limited
        limit 1 for update) m)
update limits m set lease_until = now() + $4 * interval '1 millisecond'
where m.id = any(array(select id from mine))
returning m.id, m.owner, m.epoch";

/// L3, in the order given, which is that of ids.
const GIVE_UP: &str = "
with mine as (
    select m.id from unnest($1::bigint[], $2::uuid[], $3::bigint[]) as u (id, owner, epoch)
    cross join lateral (
        select m.id from limits m
        where m.id = u.id and m.owner = u.owner and m.epoch = u.epoch
        limit 1 for update) m)
update limits m set owner = null, lease_until = '-infinity'
where m.id = any(array(select id from mine))";

/// When the next probe is due: an interval of `$5` milliseconds, doubled by each in vain
/// (`postrider_domain::probe_wait`). Alias `$of`.
macro_rules! next_probe {
    ($of:literal) => {
        concat!(
            "now() + least($5::bigint * 2 ^ least(",
            $of,
            ".probe_step, 16), greatest($5::bigint, 900000)) * interval '1 millisecond'"
        )
    };
}

/// L9: where the limit is one, its leader only (PROBE_CLAIM), else anybody (PROBE_ANY). The lane
/// has to be of the lease's limit (`$2`, owner `$3`, epoch `$4`) still.
const CLAIM_PROBE: &str = concat!(
    "
update lanes l set next_probe_at = ",
    next_probe!("l"),
    "
from limits m
where l.id = $1 and m.id = l.limit_id
    and l.hold_cause is not null and l.hold_cause <> 'manual' and l.next_probe_at <= now()
    and (not m.limited or m.id = $2 and m.owner = $3 and m.epoch = $4 and m.lease_until > now())
returning l.hold_gen, l.secret_rev"
);

/// W3: of a parked webhook of an open lane, the one that has waited longest.
const CLAIM_PARKED_PROBE: &str = concat!(
    "
with found as (
    select w.id from lanes l
    cross join lateral (
        select m.id from limits m
        where m.id = l.limit_id
            and (not m.limited
                or m.id = $2 and m.owner = $3 and m.epoch = $4 and m.lease_until > now())
        limit 1) m
    cross join lateral (
        select w.id from webhooks w
        where w.lane_id = l.id and w.hold_cause is not null and w.state = 'enabled'
            and w.next_probe_at <= now()
        order by w.next_probe_at, w.id limit 1
        for no key update skip locked) w
    where l.id = $1 and l.hold_cause is null)
update webhooks w set next_probe_at = ",
    next_probe!("w"),
    "
from found where w.id = found.id
returning w.id, w.hold_gen, w.secrets_rev"
);

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("acquire", ACQUIRE),
    ("renew", RENEW),
    ("give_up", GIVE_UP),
    ("claim_probe", CLAIM_PROBE),
    ("claim_parked_probe", CLAIM_PARKED_PROBE),
];

impl PostgresStore {
    pub(crate) async fn acquire(
        &self,
        limit: LimitId,
        worker: WorkerId,
        length: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        let epoch: Option<i64> = self
            .step("acquire", |conn| {
                Box::pin(async move {
                    sqlx::query_scalar(ACQUIRE)
                        .bind(limit.0)
                        .bind(worker.0)
                        .bind(codec::millis(length))
                        .fetch_optional(&mut **conn)
                        .await
                })
            })
            .await?;
        Ok(epoch.map(|epoch| Lease { limit, worker, epoch }))
    }

    pub(crate) async fn renew(
        &self,
        leases: &[Lease],
        length: Duration,
    ) -> Result<Vec<Lease>, StoreError> {
        let (limits, owners, epochs) = &columns(leases);
        let kept = self
            .step("renew", |conn| {
                Box::pin(async move {
                    sqlx::query(RENEW)
                        .bind(limits)
                        .bind(owners)
                        .bind(epochs)
                        .bind(codec::millis(length))
                        .fetch_all(&mut **conn)
                        .await
                })
            })
            .await?;
        let lease = |row| {
            Ok(Lease {
                limit: LimitId(get(row, "id")?),
                worker: WorkerId(get(row, "owner")?),
                epoch: get(row, "epoch")?,
            })
        };
        kept.iter().map(lease).collect()
    }

    pub(crate) async fn give_up(&self, leases: &[Lease]) -> Result<(), StoreError> {
        let (limits, owners, epochs) = &columns(leases);
        self.step("give_up", |conn| {
            Box::pin(async move {
                let given_up = sqlx::query(GIVE_UP).bind(limits).bind(owners).bind(epochs);
                given_up.execute(&mut **conn).await.map(drop)
            })
        })
        .await
    }

    pub(crate) async fn claim_probe(
        &self,
        lane: LaneId,
        lease: Option<Lease>,
        interval: Duration,
    ) -> Result<Option<ProbeClaim>, StoreError> {
        let of_lane = self.claim_probe_by("claim_probe", CLAIM_PROBE, lane, lease, interval);
        if let Some(row) = of_lane.await? {
            let (hold_gen, secret_rev) = (get(&row, "hold_gen")?, get(&row, "secret_rev")?);
            return Ok(Some(ProbeClaim { webhook: None, hold_gen, secret_rev }));
        }
        let name = "claim_parked_probe";
        let parked = self.claim_probe_by(name, CLAIM_PARKED_PROBE, lane, lease, interval);
        let Some(row) = parked.await? else { return Ok(None) };
        Ok(Some(ProbeClaim {
            webhook: Some(WebhookId(get(&row, "id")?)),
            hold_gen: get(&row, "hold_gen")?,
            secret_rev: get(&row, "secrets_rev")?,
        }))
    }

    async fn claim_probe_by(
        &self,
        name: &'static str,
        statement: &'static str,
        lane: LaneId,
        lease: Option<Lease>,
        interval: Duration,
    ) -> Result<Option<PgRow>, StoreError> {
        self.step(name, |conn| {
            Box::pin(async move {
                sqlx::query(statement)
                    .bind(lane.0)
                    .bind(lease.map(|lease| lease.limit.0))
                    .bind(lease.map(|lease| lease.worker.0))
                    .bind(lease.map(|lease| lease.epoch))
                    .bind(codec::millis(interval))
                    .fetch_optional(&mut **conn)
                    .await
            })
        })
        .await
    }
}

/// Columns of the leases in the order of their limits.
fn columns(leases: &[Lease]) -> (Vec<i64>, Vec<uuid::Uuid>, Vec<i64>) {
    let mut leases = leases.to_vec();
    leases.sort_unstable_by_key(|lease| lease.limit);
    let limits = leases.iter().map(|lease| lease.limit.0).collect();
    let owners = leases.iter().map(|lease| lease.worker.0).collect();
    let epochs = leases.iter().map(|lease| lease.epoch).collect();
    (limits, owners, epochs)
}
