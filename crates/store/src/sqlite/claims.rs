//! T3-T5: the right to make one attempt.
//!
//! A claim is two statements in one turn: what may be claimed, with all that the attempt
//! needs, then the claim itself. Nothing comes between them, because only one turn runs.

use std::collections::HashSet;

use postrider_domain::{ClaimNo, DeliveryId, EventId, LaneId, WebhookId};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::fault::Fault;
use super::rows::json;
use super::writer::Turn;
use super::{Lite, clock};
use crate::{Claim, ClaimTerms, Lease, LimitedClaim, StoreError};

/// Claims of the same delivery that were lost before it is claimed alone (`POISON_ROW`).
const SUSPECT: i64 = 3;
/// A minute, as `lane_minutes` counts them.
const MINUTE: i64 = 60_000_000;
/// Minutes that an hourly budget looks back: a claim counted in one hour may be sent in the
/// next (`HOUR_CARRY`), so this covers at least 61 minutes wherever the present one stands.
const BUDGET_MINUTES: i64 = 61;

impl Lite {
    pub(crate) async fn claim_road(
        &self,
        ids: &[DeliveryId],
        terms: ClaimTerms,
    ) -> Result<Vec<Claim>, StoreError> {
        let mut seen = HashSet::new();
        let ids: Vec<_> = ids.iter().copied().filter(|id| seen.insert(*id)).collect();
        let road = (json(&ids)?, ids.len(), terms);
        self.write(road, |(ids, count, terms), turn| {
            Box::pin(claim_road(ids, *count, *terms, turn))
        })
        .await
    }

    pub(crate) async fn claim_due(
        &self,
        lane: LaneId,
        limit: u32,
        suspect: bool,
        terms: ClaimTerms,
    ) -> Result<Vec<Claim>, StoreError> {
        self.write((lane, Pick::of(limit, suspect), terms), |(lane, pick, terms), turn| {
            Box::pin(claim_due(*lane, *pick, *terms, turn))
        })
        .await
    }

    pub(crate) async fn claim_limited(
        &self,
        lease: Lease,
        limit: u32,
        suspect: bool,
        terms: ClaimTerms,
    ) -> Result<LimitedClaim, StoreError> {
        self.write((lease, Pick::of(limit, suspect), terms), |(lease, pick, terms), turn| {
            Box::pin(claim_limited(*lease, *pick, *terms, turn))
        })
        .await
    }
}

/// How many, and of which.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pick {
    pub(super) limit: u32,
    pub(super) suspect: bool,
    /// Tests too, as long as somebody waits for them (E2).
    pub(super) executions: bool,
}

impl Pick {
    fn of(limit: u32, suspect: bool) -> Self {
        Self { limit, suspect, executions: true }
    }
}

/// All that an attempt needs (`LANE_JOIN`), from `d`, `e`, `w` and `l`.
macro_rules! select_claims {
    ($from_where:literal) => {
        concat!(
            "SELECT d.id, d.claim_no + 1 AS claim_no, d.attempt + 1 AS attempt, d.maybe_sent,
                    d.lost_claims, d.event_id, e.body, e.traceparent, d.webhook_id,
                    w.rev AS webhook_rev, d.lane_id, l.secret_rev, d.created_at, d.refusals,
                    d.execution_until IS NOT NULL AS execution ",
            $from_where
        )
    };
}

fn claim(row: &SqliteRow) -> Result<Claim, Fault> {
    Ok(Claim {
        id: DeliveryId(row.try_get("id")?),
        claim_no: ClaimNo(row.try_get("claim_no")?),
        attempt: row.try_get("attempt")?,
        maybe_sent: row.try_get("maybe_sent")?,
        lost_claims: row.try_get("lost_claims")?,
        event_id: EventId(row.try_get("event_id")?),
        event: row.try_get("body")?,
        traceparent: row.try_get("traceparent")?,
        webhook_id: WebhookId(row.try_get("webhook_id")?),
        webhook_rev: row.try_get("webhook_rev")?,
        lane_id: LaneId(row.try_get("lane_id")?),
        secret_rev: row.try_get("secret_rev")?,
        created_at: clock::timestamp(row.try_get("created_at")?)?,
        refusals: row.try_get("refusals")?,
        execution: row.try_get("execution")?,
    })
}

/// T3 (`ROAD_FRESH`).
async fn claim_road(
    ids: &str,
    count: usize,
    terms: ClaimTerms,
    turn: &mut Turn,
) -> Result<Vec<Claim>, Fault> {
    let rows = sqlx::query(select_claims!(
        "FROM json_each(?1) j
         CROSS JOIN deliveries d ON d.id = unhex(j.value, '-')
         CROSS JOIN webhooks w ON w.id = d.webhook_id
         CROSS JOIN lanes l ON l.id = d.lane_id
         CROSS JOIN events e ON e.id = d.event_id
         WHERE d.status = 'waiting' AND d.claim_no = 0
           AND CASE WHEN d.execution_until IS NULL THEN w.state = 'enabled'
                    ELSE d.execution_until > ?2 END
           AND w.lane_id = d.lane_id AND NOT l.limited AND l.hold_cause IS NULL
           AND coalesce(l.pause_until, 0) <= ?2"
    ))
    .bind(ids)
    .bind(turn.now)
    .fetch_all(&mut turn.conn)
    .await?;
    let mut claims = rows.iter().map(claim).collect::<Result<Vec<_>, _>>()?;
    claims.sort_unstable_by_key(|claim| claim.id);
    if claims.len() < count {
        leave_to_the_store(ids, turn).await?;
    }
    take(&claims, Right { terms, epoch: 0, road: true }, turn).await?;
    Ok(claims)
}

/// What the road brought to a held or paused lane need not wait for the sweep.
async fn leave_to_the_store(ids: &str, turn: &mut Turn) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE deliveries SET next_at = ?2
         WHERE id IN (SELECT unhex(value, '-') FROM json_each(?1))
           AND status = 'waiting' AND claim_no = 0 AND next_at > ?2
           AND lane_id IN (SELECT id FROM lanes
                           WHERE NOT limited AND (hold_cause IS NOT NULL OR pause_until > ?2))",
    )
    .bind(ids)
    .bind(turn.now)
    .execute(&mut turn.conn)
    .await?;
    Ok(())
}

/// T4.
async fn claim_due(
    lane: LaneId,
    pick: Pick,
    terms: ClaimTerms,
    turn: &mut Turn,
) -> Result<Vec<Claim>, Fault> {
    let open: Option<i64> = sqlx::query_scalar(
        "SELECT id FROM lanes
         WHERE id = ?1 AND NOT limited AND hold_cause IS NULL AND coalesce(pause_until, 0) <= ?2",
    )
    .bind(lane.0)
    .bind(turn.now)
    .fetch_optional(&mut turn.conn)
    .await?;
    if open.is_none() {
        return Ok(Vec::new());
    }
    let claims = due(lane, pick, turn).await?;
    take(&claims, Right { terms, epoch: 0, road: false }, turn).await?;
    Ok(claims)
}

/// What a lane has due, oldest first. In a limited lane rows that were never claimed are due
/// from the start.
pub(super) async fn due(lane: LaneId, pick: Pick, turn: &mut Turn) -> Result<Vec<Claim>, Fault> {
    let rows = sqlx::query(select_claims!(
        "FROM deliveries d INDEXED BY deliveries_due
         CROSS JOIN webhooks w ON w.id = d.webhook_id
         CROSS JOIN lanes l ON l.id = d.lane_id
         CROSS JOIN events e ON e.id = d.event_id
         WHERE d.lane_id = ?1 AND d.next_at <= ?2 AND d.status = 'waiting'
           AND (d.lost_claims >= ?3) = ?4 AND w.lane_id = d.lane_id
           AND CASE WHEN d.execution_until IS NULL THEN w.state = 'enabled'
                    ELSE ?6 AND d.execution_until > ?2 END
         ORDER BY d.next_at, d.id LIMIT ?5"
    ))
    .bind(lane.0)
    .bind(turn.now)
    .bind(SUSPECT)
    .bind(pick.suspect)
    .bind(if pick.suspect { pick.limit.min(1) } else { pick.limit })
    .bind(pick.executions)
    .fetch_all(&mut turn.conn)
    .await?;
    rows.iter().map(claim).collect()
}

/// Under what the claims are taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Right {
    pub(super) terms: ClaimTerms,
    pub(super) epoch: i64,
    /// A road copy keeps a later `next_at`, so that the sweep's instant is not moved.
    pub(super) road: bool,
}

/// CLAIM.
pub(super) async fn take(claims: &[Claim], right: Right, turn: &mut Turn) -> Result<(), Fault> {
    if claims.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = claims.iter().map(|claim| claim.id).collect();
    sqlx::query(
        "UPDATE deliveries
         SET status = 'sending', attempt = attempt + 1, claim_no = claim_no + 1, claimed_by = ?2,
             claim_epoch = ?3, claimed_until = ?4, updated_at = ?5,
             next_at = max(?4, CASE WHEN ?6 THEN next_at ELSE 0 END)
         WHERE id IN (SELECT unhex(value, '-') FROM json_each(?1))",
    )
    .bind(json(&ids)?)
    .bind(right.terms.worker.0)
    .bind(right.epoch)
    .bind(clock::later(turn.now, right.terms.length))
    .bind(turn.now)
    .bind(right.road)
    .execute(&mut turn.conn)
    .await?;
    Ok(())
}

/// T5.
async fn claim_limited(
    lease: Lease,
    pick: Pick,
    terms: ClaimTerms,
    turn: &mut Turn,
) -> Result<LimitedClaim, Fault> {
    let Some(per_hour) = led(lease, turn).await? else {
        return Ok(LimitedClaim::NotPermitted);
    };
    if old_claims(lease, turn).await? {
        return Ok(LimitedClaim::OldClaims);
    }
    let free = match per_hour {
        Some(budget) => budget - spent(lease.lane_id, turn).await?,
        None => i64::from(pick.limit),
    };
    if free <= 0 && per_hour.is_some() {
        return Ok(LimitedClaim::HourFull);
    }
    let limit = u32::try_from(free).unwrap_or(pick.limit).min(pick.limit);
    let claims = due(lease.lane_id, Pick { limit, ..pick }, turn).await?;
    take(&claims, Right { terms, epoch: lease.epoch, road: false }, turn).await?;
    count(lease.lane_id, claims.len(), turn).await?;
    Ok(LimitedClaim::Claimed(claims))
}

/// `LEASE_IN_CLAIM`: `None` when this leader may not claim, else the lane's hourly budget.
async fn led(lease: Lease, turn: &mut Turn) -> Result<Option<Option<i64>>, Fault> {
    let row = sqlx::query(
        "SELECT per_hour FROM lanes
         WHERE id = ?1 AND limited AND owner = ?2 AND epoch = ?3 AND lease_until > ?4
           AND hold_cause IS NULL AND coalesce(pause_until, 0) <= ?4",
    )
    .bind(lease.lane_id.0)
    .bind(lease.worker.0)
    .bind(lease.epoch)
    .bind(turn.now)
    .fetch_optional(&mut turn.conn)
    .await?;
    Ok(row.map(|row| row.try_get("per_hour")).transpose()?)
}

/// `OLD_CLAIMS`. A claim's row is looked at again when the claim runs out or later, so only
/// those with `next_at` ahead can be running.
async fn old_claims(lease: Lease, turn: &mut Turn) -> Result<bool, Fault> {
    Ok(sqlx::query_scalar(
        "SELECT EXISTS (
             SELECT 1 FROM deliveries INDEXED BY deliveries_due
             WHERE lane_id = ?1 AND next_at > ?3 AND status = 'sending' AND claimed_until > ?3
               AND claim_epoch <> ?2)",
    )
    .bind(lease.lane_id.0)
    .bind(lease.epoch)
    .bind(turn.now)
    .fetch_one(&mut turn.conn)
    .await?)
}

async fn spent(lane: LaneId, turn: &mut Turn) -> Result<i64, Fault> {
    Ok(sqlx::query_scalar(
        "SELECT coalesce(sum(n), 0) FROM lane_minutes WHERE lane_id = ?1 AND minute >= ?2",
    )
    .bind(lane.0)
    .bind(turn.now / MINUTE - BUDGET_MINUTES)
    .fetch_one(&mut turn.conn)
    .await?)
}

/// `COUNT_CLAIM`: counted before anything is sent; minutes that no budget sees any more go.
async fn count(lane: LaneId, claims: usize, turn: &mut Turn) -> Result<(), Fault> {
    if claims == 0 {
        return Ok(());
    }
    let minute = turn.now / MINUTE;
    sqlx::query(
        "INSERT INTO lane_minutes (lane_id, minute, n) VALUES (?1, ?2, ?3)
         ON CONFLICT (lane_id, minute) DO UPDATE SET n = n + excluded.n",
    )
    .bind(lane.0)
    .bind(minute)
    .bind(i64::try_from(claims).unwrap_or(i64::MAX))
    .execute(&mut turn.conn)
    .await?;
    sqlx::query("DELETE FROM lane_minutes WHERE lane_id = ?1 AND minute < ?2")
        .bind(lane.0)
        .bind(minute - BUDGET_MINUTES)
        .execute(&mut turn.conn)
        .await?;
    Ok(())
}

/// T11's other half: what was claimed and not sent is not counted. A claimed row was last
/// changed by its claim, so `updated_at` tells the minute.
pub(super) async fn give_back(released: &str, turn: &mut Turn) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE lane_minutes SET n = max(0, n - back.k)
         FROM (SELECT d.lane_id, d.updated_at / ?2 AS minute, count(*) AS k
               FROM json_each(?1) j CROSS JOIN deliveries d ON d.id = unhex(j.value ->> 0, '-')
               WHERE d.claim_no = j.value ->> 1 AND d.status = 'sending' AND d.claim_epoch > 0
               GROUP BY 1, 2) back
         WHERE lane_minutes.lane_id = back.lane_id AND lane_minutes.minute = back.minute",
    )
    .bind(released)
    .bind(MINUTE)
    .execute(&mut turn.conn)
    .await?;
    Ok(())
}
