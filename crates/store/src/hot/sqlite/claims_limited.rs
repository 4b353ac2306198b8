//! T5: claims on limited lanes, by the leader of their limit; what counts in its hour.

use std::time::Duration;

use postrider_domain::{HourBudget, LaneId, LimitId, MinuteCount, hour_budget};

use super::claims::{Candidate, Pick, Right, due, take};
use super::fault::Fault;
use super::writer::Turn;
use super::{SqliteStore, clock};
use crate::codec::count_of;
use crate::{ClaimLimited, Lease, LimitedClaim, StoreError};

/// A minute, as `limit_minutes` counts them.
const MINUTE: i64 = 60_000_000;
/// Claims under another epoch are looked for among what is looked at again within this time: a
/// claim ends, and a sweep comes, earlier than that.
pub(super) const OLD_CLAIMS_WITHIN: Duration = Duration::from_mins(10);

/// A limit that may be claimed from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Led {
    /// The hour's budget, if it has one.
    per_hour: Option<i64>,
}

impl SqliteStore {
    pub(crate) async fn claim_limited(
        &self,
        asked: ClaimLimited,
    ) -> Result<LimitedClaim, StoreError> {
        self.write(asked, |asked, turn| Box::pin(claim_limited(*asked, turn))).await
    }
}

async fn claim_limited(asked: ClaimLimited, turn: &mut Turn) -> Result<LimitedClaim, Fault> {
    let ClaimLimited { lease, limit, interval, suspect, terms } = asked;
    let Some(led) = led(lease, turn).await? else {
        return Ok(LimitedClaim::NotPermitted);
    };
    let lanes = open_lanes(lease.limit, turn).await?;
    if lanes.is_empty() {
        return Ok(LimitedClaim::NotPermitted);
    }
    if has_old_claims(lease, turn).await? {
        return Ok(LimitedClaim::OldClaims);
    }
    let free = match free_in_hour(lease.limit, led, turn).await? {
        HourBudget::Free(free) => free,
        HourBudget::Full { frees_in } => return Ok(LimitedClaim::HourFull { frees_in }),
    };
    let pick = Pick::of(limit, suspect);
    let pick = Pick { limit: pick.limit.min(free), ..pick };
    let mut found = Vec::new();
    for lane in lanes {
        found.extend(due(lane, pick, terms, turn).await?);
    }
    found.sort_unstable_by_key(Candidate::order);
    found.truncate(usize::try_from(pick.limit).unwrap_or(usize::MAX));
    let taken = found.len();
    let claims = take(found, Right { terms, epoch: lease.epoch, fresh: false }, turn).await?;
    count(lease.limit, taken, interval, turn).await?;
    Ok(LimitedClaim::Claimed(claims))
}

/// `LEASE_IN_CLAIM`: `None` when this leader may not claim.
pub(super) async fn led(lease: Lease, turn: &mut Turn) -> Result<Option<Led>, Fault> {
    let per_hour: Option<Option<i64>> = sqlx::query_scalar(
        "SELECT per_hour FROM limits
         WHERE id = ?1 AND limited AND owner = ?2 AND epoch = ?3 AND lease_until > ?4
           AND coalesce(pause_until, 0) <= ?4",
    )
    .bind(lease.limit.0)
    .bind(lease.worker.0)
    .bind(lease.epoch)
    .bind(turn.now)
    .fetch_optional(&mut turn.conn)
    .await?;
    Ok(per_hour.map(|per_hour| Led { per_hour }))
}

async fn open_lanes(limit: LimitId, turn: &mut Turn) -> Result<Vec<LaneId>, Fault> {
    let lanes: Vec<i64> = sqlx::query_scalar(
        "SELECT id FROM lanes WHERE limit_id = ?1 AND hold_cause IS NULL ORDER BY id",
    )
    .bind(limit.0)
    .fetch_all(&mut turn.conn)
    .await?;
    Ok(lanes.into_iter().map(LaneId).collect())
}

/// `OLD_CLAIMS`, of any lane of the limit. A claim's row is looked at again when the claim runs
/// out or later, so only those with `next_at` ahead can be running.
pub(super) async fn has_old_claims(lease: Lease, turn: &mut Turn) -> Result<bool, Fault> {
    Ok(sqlx::query_scalar(
        "SELECT EXISTS (
             SELECT 1 FROM lanes l
             CROSS JOIN deliveries d INDEXED BY deliveries_due ON d.lane_id = l.id
             WHERE l.limit_id = ?1 AND d.next_at > ?3 AND d.next_at <= ?4
               AND d.status = 'sending' AND d.claimed_until > ?3 AND d.claim_epoch <> ?2)",
    )
    .bind(lease.limit.0)
    .bind(lease.epoch)
    .bind(turn.now)
    .bind(clock::later(turn.now, OLD_CLAIMS_WITHIN))
    .fetch_one(&mut turn.conn)
    .await?)
}

/// What the hour's budget leaves; plenty where there is none (`HOUR_CARRY`).
pub(super) async fn free_in_hour(
    limit: LimitId,
    led: Led,
    turn: &mut Turn,
) -> Result<HourBudget, Fault> {
    let Some(per_hour) = led.per_hour else {
        return Ok(HourBudget::Free(u32::MAX));
    };
    let now = turn.now / MINUTE;
    let rows: Vec<(i64, u32)> =
        sqlx::query_as("SELECT minute, n FROM limit_minutes WHERE limit_id = ?1 AND minute >= ?2")
            .bind(limit.0)
            .bind(now - i64::from(HourBudget::MINUTES_COUNTED))
            .fetch_all(&mut turn.conn)
            .await?;
    // A minute ahead of now, of a clock that was set back since, is as good as the present.
    let age = |minute: i64| u32::try_from(now - minute).unwrap_or(0);
    let counts: Vec<_> = rows
        .iter()
        .map(|(minute, count)| MinuteCount { age: age(*minute), count: *count })
        .collect();
    let into_minute = clock::duration(turn.now % MINUTE);
    Ok(hour_budget(count_of(per_hour)?, &counts, into_minute))
}

/// `COUNT_CLAIM`: counted before anything is sent, and the instant at which the next leader may
/// send moves on; minutes that no budget sees any more go.
pub(super) async fn count(
    limit: LimitId,
    claims: usize,
    interval: Duration,
    turn: &mut Turn,
) -> Result<(), Fault> {
    if claims == 0 {
        return Ok(());
    }
    let claims = u32::try_from(claims).unwrap_or(u32::MAX);
    let minute = turn.now / MINUTE;
    sqlx::query(
        "UPDATE limits SET next_send_at = max(next_send_at, ?2) + ?3, last_send_at = ?2
         WHERE id = ?1",
    )
    .bind(limit.0)
    .bind(turn.now)
    .bind(clock::micros(interval.saturating_mul(claims)))
    .execute(&mut turn.conn)
    .await?;
    sqlx::query(
        "INSERT INTO limit_minutes (limit_id, minute, n) VALUES (?1, ?2, ?3)
         ON CONFLICT (limit_id, minute) DO UPDATE SET n = n + excluded.n",
    )
    .bind(limit.0)
    .bind(minute)
    .bind(claims)
    .execute(&mut turn.conn)
    .await?;
    sqlx::query("DELETE FROM limit_minutes WHERE limit_id = ?1 AND minute < ?2")
        .bind(limit.0)
        .bind(minute - i64::from(HourBudget::MINUTES_COUNTED))
        .execute(&mut turn.conn)
        .await?;
    Ok(())
}

/// T11's other half: what was claimed and not sent is not counted. A claimed row was last
/// changed by its claim, so `updated_at` tells the minute. Where a limit is named, only what lies
/// in its lanes.
pub(super) async fn give_back(
    released: &str,
    of: Option<LimitId>,
    turn: &mut Turn,
) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE limit_minutes SET n = max(0, n - back.k)
         FROM (SELECT l.limit_id, d.updated_at / ?2 AS minute, count(*) AS k
               FROM json_each(?1) j CROSS JOIN deliveries d ON d.id = unhex(j.value ->> 0, '-')
               CROSS JOIN lanes l ON l.id = d.lane_id
               WHERE d.claim_no = j.value ->> 1 AND d.status = 'sending' AND d.claim_epoch > 0
                 AND (?3 IS NULL OR l.limit_id = ?3)
               GROUP BY 1, 2) back
         WHERE limit_minutes.limit_id = back.limit_id AND limit_minutes.minute = back.minute",
    )
    .bind(released)
    .bind(MINUTE)
    .bind(of.map(|limit| limit.0))
    .execute(&mut turn.conn)
    .await?;
    Ok(())
}
