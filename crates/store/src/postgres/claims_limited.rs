//! T5: claims on limited lanes, by their leader.
//!
//! A transaction, because each statement has to see what was committed before the lane's row
//! was locked: a single statement would judge old claims by a snapshot from before the wait.

use sqlx::{Postgres, Transaction};

use super::Pg;
use super::claims::in_turn;
use super::fragments::{claim, claimed, open};
use super::rows::{fault, get};
use crate::{ClaimTerms, Lease, LimitedClaim, StoreError, codec};

/// LEASE_IN_CLAIM: locks the lane's row if it may be claimed from under this lease.
const LOCK_LANE: &str = "
select per_hour from lanes
where id = $1 and owner = $2 and epoch = $3 and lease_until > now() and limited
    and hold_cause is null and pause_until <= now()
for update";

/// OLD_CLAIMS, whatever lease or none they were made under.
const OLD_CLAIMS: &str = "
select exists (
    select from deliveries
    where lane_id = $1 and next_at > now() and status = 'sending' and claim_epoch <> $2
        and claimed_until > now())";

/// HOUR_CARRY: claims of the last 61 minutes, as a claim counted in one minute may be sent in
/// the next.
const HOUR_USED: &str = "
select coalesce(sum(n), 0)::bigint from lane_minutes
where lane_id = $1 and minute > date_trunc('minute', now()) - interval '61 minutes'";

/// CLAIM for the leader of lane `$3`, epoch `$6`; `$4` is the most to claim, `$5` asks for a
/// suspect.
const LIMITED: &str = concat!(
    "with picked as (select d.id, d.next_at from deliveries d, webhooks w, lanes l \
     where d.lane_id = $3 and d.next_at <= now() and d.status = 'waiting' \
     and (d.lost_claims >= 3) = $5 and ",
    open!(),
    " order by d.next_at, d.id limit $4 for update of d skip locked) \
     update deliveries d set ",
    claim!(),
    ", claim_epoch = $6, next_at = now() + $2 * interval '1 millisecond' \
     from picked p, webhooks w, lanes l, events e \
     where d.id = p.id and w.id = d.webhook_id and l.id = d.lane_id and e.id = d.event_id \
     returning p.next_at as turn, ",
    claimed!()
);

/// COUNT_CLAIM: counted before anything is sent.
const COUNT: &str = "
with sent as (update lanes set last_send_at = now() where id = $1)
insert into lane_minutes as m (lane_id, minute, n)
values ($1, date_trunc('minute', now()), $2)
on conflict (lane_id, minute) do update set n = m.n + excluded.n";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("lock_lane", LOCK_LANE),
    ("old_claims", OLD_CLAIMS),
    ("hour_used", HOUR_USED),
    ("claim_limited", LIMITED),
    ("count_claims", COUNT),
];

type Tx = Transaction<'static, Postgres>;

impl Pg {
    pub(crate) async fn claim_limited(
        &self,
        lease: Lease,
        limit: u32,
        suspect: bool,
        terms: ClaimTerms,
    ) -> Result<LimitedClaim, StoreError> {
        let mut tx = self.pool.begin().await.map_err(fault)?;
        let claimed = claim_in(&mut tx, lease, limit, suspect, terms).await?;
        match &claimed {
            LimitedClaim::Claimed(claims) if !claims.is_empty() => {
                count_claims(&mut tx, lease, claims.len()).await?;
                tx.commit().await.map_err(fault)?;
            }
            LimitedClaim::Claimed(_)
            | LimitedClaim::OldClaims
            | LimitedClaim::HourFull
            | LimitedClaim::NotPermitted => tx.rollback().await.map_err(fault)?,
        }
        Ok(claimed)
    }
}

async fn claim_in(
    tx: &mut Tx,
    lease: Lease,
    limit: u32,
    suspect: bool,
    terms: ClaimTerms,
) -> Result<LimitedClaim, StoreError> {
    let lane = sqlx::query(LOCK_LANE)
        .bind(lease.lane_id.0)
        .bind(lease.worker.0)
        .bind(lease.epoch)
        .fetch_optional(&mut **tx)
        .await
        .map_err(fault)?;
    let Some(lane) = lane else {
        return Ok(LimitedClaim::NotPermitted);
    };
    if has_old_claims(tx, lease).await? {
        return Ok(LimitedClaim::OldClaims);
    }
    let per_hour: Option<i64> = get(&lane, "per_hour")?;
    let free = free_in_hour(tx, lease, per_hour).await?;
    if free == 0 {
        return Ok(LimitedClaim::HourFull);
    }
    let asked = if suspect { 1 } else { i64::from(limit) };
    let found = sqlx::query(LIMITED)
        .bind(terms.worker.0)
        .bind(codec::millis(terms.length))
        .bind(lease.lane_id.0)
        .bind(asked.min(free))
        .bind(suspect)
        .bind(lease.epoch)
        .fetch_all(&mut **tx)
        .await
        .map_err(fault)?;
    in_turn(&found).map(LimitedClaim::Claimed)
}

async fn has_old_claims(tx: &mut Tx, lease: Lease) -> Result<bool, StoreError> {
    sqlx::query_scalar(OLD_CLAIMS)
        .bind(lease.lane_id.0)
        .bind(lease.epoch)
        .fetch_one(&mut **tx)
        .await
        .map_err(fault)
}

/// What the hour's budget leaves; plenty where there is none.
async fn free_in_hour(tx: &mut Tx, lease: Lease, limit: Option<i64>) -> Result<i64, StoreError> {
    let Some(limit) = limit else {
        return Ok(i64::MAX);
    };
    let used: i64 = sqlx::query_scalar(HOUR_USED)
        .bind(lease.lane_id.0)
        .fetch_one(&mut **tx)
        .await
        .map_err(fault)?;
    Ok(limit.saturating_sub(used).max(0))
}

async fn count_claims(tx: &mut Tx, lease: Lease, n: usize) -> Result<(), StoreError> {
    sqlx::query(COUNT)
        .bind(lease.lane_id.0)
        .bind(i32::try_from(n).unwrap_or(i32::MAX))
        .execute(&mut **tx)
        .await
        .map(drop)
        .map_err(fault)
}
