//! T5: claims on limited lanes, by the leader of their limit.
//!
//! A transaction, because each statement has to see what was committed before the limit's row
//! was locked: a single statement would judge old claims by a snapshot from before the wait.
//! Locks in the order of all of this backend: the limit, its lanes, its minutes, deliveries.

use std::time::Duration;

use postrider_domain::{HourBudget, LimitId, MinuteCount, hour_budget};
use sqlx::{Connection, PgConnection};

use super::PostgresStore;
use super::claims::in_turn;
use super::fault::Fault;
use super::fragments::{claim, claim_end, claimed, event, old_claims, sendable, webhook};
use super::rows::get;
use crate::{ClaimLimited, Lease, LimitedClaim, StoreError, codec};

/// LEASE_IN_CLAIM: locks the limit's row if it may be claimed from under this lease.
const LOCK_LIMIT: &str = "
select per_hour from limits
where id = $1 and owner = $2 and epoch = $3 and lease_until > now() and limited
    and pause_until <= now()
for update";

/// The limit's open lanes. Shared: holds wait for the claim and it for them, lanes are not
/// changed.
const LOCK_LANES: &str = "
select id from lanes where limit_id = $1 and hold_cause is null order by id for share";

/// OLD_CLAIMS, of any lane of the limit, open or not, whatever lease or none they were made under.
const OLD_CLAIMS: &str = concat!("select ", old_claims!("$1", "$2", "$3::bigint"));

/// HOUR_CARRY: ages of the minutes that count, and how far the present one has come.
const MINUTES: &str = "
select extract(epoch from date_trunc('minute', now()) - minute)::bigint / 60 as age, n,
    (extract(epoch from now() - date_trunc('minute', now())) * 1000)::bigint as into_ms
from limit_minutes where limit_id = $1 and minute >= now() - interval '62 minutes'";

/// CLAIM for the leader, of lanes `$4` together at most `$5`; `$6` asks for a suspect; epoch `$7`.
const LIMITED: &str = concat!(
    "with oldest as materialized (select d.id, d.next_at from unnest($4::bigint[]) as u (lane_id) \
     cross join lateral (select d.id, d.next_at from deliveries d \
     where d.lane_id = u.lane_id and d.next_at <= now() and d.status = 'waiting' \
     and (d.lost_claims >= 3) = $6 and ",
    sendable!(),
    " order by d.next_at, d.id limit $5) d order by d.next_at, d.id limit $5), \
     picked as (select d.id, o.next_at, d.webhook_id, d.lane_id \
     from oldest o cross join lateral (select d.id, d.webhook_id, d.lane_id from deliveries d \
     where d.id = o.id and d.status = 'waiting' limit 1 for update of d skip locked) d), \
     claimed as (update deliveries d set ",
    claim!(),
    ", claim_epoch = $7, next_at = ",
    claim_end!(),
    " from picked p ",
    webhook!(),
    "cross join lateral (select l.secret_rev from lanes l where l.id = p.lane_id limit 1) l \
     where d.id = p.id returning p.next_at as turn, ",
    claimed!(),
    ") select c.*, e.body, e.traceparent from claimed c ",
    event!()
);

/// COUNT_CLAIM: counted before anything is sent. `$2` claims take `$3` microseconds of the pace
/// each.
const COUNT: &str = "
with sent as (
    update limits set last_send_at = now(),
        next_send_at = greatest(next_send_at, now()) + $2::integer * $3::bigint * interval '1 microsecond'
    where id = $1)
insert into limit_minutes as m (limit_id, minute, n)
values ($1, date_trunc('minute', now()), $2)
on conflict (limit_id, minute) do update set n = m.n + excluded.n";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("lock_limit", LOCK_LIMIT),
    ("lock_open_lanes", LOCK_LANES),
    ("old_claims", OLD_CLAIMS),
    ("counted_minutes", MINUTES),
    ("claim_limited", LIMITED),
    ("count_claims", COUNT),
];

/// Claims under another epoch are looked for among what is looked at again within this time: a
/// claim ends, and a sweep comes, earlier than that.
pub(super) const OLD_CLAIMS_WITHIN: Duration = Duration::from_mins(10);

/// A limit whose row is locked and may be claimed from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Led {
    /// The hour's budget, if it has one.
    pub(super) per_hour: Option<i64>,
}

impl PostgresStore {
    pub(crate) async fn claim_limited(
        &self,
        asked: ClaimLimited,
    ) -> Result<LimitedClaim, StoreError> {
        self.step("claim_limited", |conn| {
            Box::pin(async move {
                let mut tx = conn.begin().await?;
                let claimed = self.claim_in(&mut tx, asked).await?;
                match &claimed {
                    LimitedClaim::Claimed(claims) if !claims.is_empty() => {
                        count(&mut tx, asked.lease.limit, claims.len(), asked.interval).await?;
                        tx.commit().await?;
                    }
                    LimitedClaim::Claimed(_)
                    | LimitedClaim::OldClaims
                    | LimitedClaim::HourFull { .. }
                    | LimitedClaim::NotPermitted => tx.rollback().await?,
                }
                Ok::<_, Fault>(claimed)
            })
        })
        .await
    }

    async fn claim_in(
        &self,
        tx: &mut PgConnection,
        asked: ClaimLimited,
    ) -> Result<LimitedClaim, Fault> {
        let Some(led) = lock_limit(tx, asked.lease).await? else {
            return Ok(LimitedClaim::NotPermitted);
        };
        let lanes: Vec<i64> =
            sqlx::query_scalar(LOCK_LANES).bind(asked.lease.limit.0).fetch_all(&mut *tx).await?;
        if lanes.is_empty() {
            return Ok(LimitedClaim::NotPermitted);
        }
        if self.has_old_claims(tx, asked.lease).await? {
            return Ok(LimitedClaim::OldClaims);
        }
        let free = match free_in_hour(tx, asked.lease.limit, led).await? {
            HourBudget::Free(free) => free,
            HourBudget::Full { frees_in } => return Ok(LimitedClaim::HourFull { frees_in }),
        };
        let wanted = if asked.suspect { asked.limit.min(1) } else { asked.limit };
        let found = sqlx::query(LIMITED)
            .bind(asked.terms.worker.0)
            .bind(codec::millis(asked.terms.timeout))
            .bind(codec::millis(asked.terms.margin))
            .bind(lanes)
            .bind(i64::from(wanted.min(free)))
            .bind(asked.suspect)
            .bind(asked.lease.epoch)
            .fetch_all(&mut *tx)
            .await?;
        Ok(LimitedClaim::Claimed(in_turn(&found, asked.terms)))
    }

    pub(super) async fn has_old_claims(
        &self,
        tx: &mut PgConnection,
        lease: Lease,
    ) -> Result<bool, Fault> {
        Ok(sqlx::query_scalar(OLD_CLAIMS)
            .bind(lease.limit.0)
            .bind(lease.epoch)
            .bind(self.old_claims_within())
            .fetch_one(&mut *tx)
            .await?)
    }

    /// In milliseconds.
    pub(super) fn old_claims_within(&self) -> i64 {
        codec::millis(OLD_CLAIMS_WITHIN.max(self.sweep_after.saturating_mul(2)))
    }
}

/// LEASE_IN_CLAIM; `None` when nothing may be claimed.
pub(super) async fn lock_limit(tx: &mut PgConnection, lease: Lease) -> Result<Option<Led>, Fault> {
    let row = sqlx::query(LOCK_LIMIT)
        .bind(lease.limit.0)
        .bind(lease.worker.0)
        .bind(lease.epoch)
        .fetch_optional(&mut *tx)
        .await?;
    Ok(row.map(|row| get(&row, "per_hour").map(|per_hour| Led { per_hour })).transpose()?)
}

/// What the hour's budget leaves; plenty where there is none.
pub(super) async fn free_in_hour(
    tx: &mut PgConnection,
    limit: LimitId,
    led: Led,
) -> Result<HourBudget, Fault> {
    let Some(per_hour) = led.per_hour else {
        return Ok(HourBudget::Free(u32::MAX));
    };
    let rows = sqlx::query(MINUTES).bind(limit.0).fetch_all(&mut *tx).await?;
    let mut counts = Vec::with_capacity(rows.len());
    let mut into_minute = Duration::ZERO;
    for row in &rows {
        into_minute = codec::from_millis(get(row, "into_ms")?);
        // A minute ahead of now, of a clock that was set back since, is as good as the present.
        let age = u32::try_from(get::<i64, _>(row, "age")?).unwrap_or(0);
        counts.push(MinuteCount { age, count: super::rows::count(row, "n")? });
    }
    Ok(hour_budget(codec::count_of(per_hour)?, &counts, into_minute))
}

/// COUNT_CLAIM.
pub(super) async fn count(
    tx: &mut PgConnection,
    limit: LimitId,
    claims: usize,
    interval: Duration,
) -> Result<(), Fault> {
    sqlx::query(COUNT)
        .bind(limit.0)
        .bind(i32::try_from(claims).unwrap_or(i32::MAX))
        .bind(codec::micros(interval))
        .execute(&mut *tx)
        .await?;
    Ok(())
}
