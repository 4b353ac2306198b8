//! L1-L3: leases of limits; L9: the right to probe a held lane.

use std::time::Duration;

use postrider_domain::{LaneId, LimitId, WebhookId, probe_wait};

use super::fault::Fault;
use super::rows::json;
use super::writer::Turn;
use super::{SqliteStore, clock};
use crate::{Lease, ProbeClaim, StoreError, WorkerId};

impl SqliteStore {
    pub(crate) async fn acquire(
        &self,
        limit: LimitId,
        worker: WorkerId,
        length: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        self.write((limit, worker, length), |(limit, worker, length), turn| {
            Box::pin(acquire(*limit, *worker, *length, turn))
        })
        .await
    }

    pub(crate) async fn renew(
        &self,
        leases: &[Lease],
        length: Duration,
    ) -> Result<Vec<Lease>, StoreError> {
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        self.write((leases.to_vec(), length), |(leases, length), turn| {
            Box::pin(renew(leases, *length, turn))
        })
        .await
    }

    pub(crate) async fn give_up(&self, leases: &[Lease]) -> Result<(), StoreError> {
        if leases.is_empty() {
            return Ok(());
        }
        self.write(leases.to_vec(), |leases, turn| Box::pin(give_up(leases, turn))).await
    }

    pub(crate) async fn claim_probe(
        &self,
        lane: LaneId,
        lease: Option<Lease>,
        interval: Duration,
    ) -> Result<Option<ProbeClaim>, StoreError> {
        self.write((lane, lease, interval), |(lane, lease, interval), turn| {
            Box::pin(claim_probe(*lane, *lease, *interval, turn))
        })
        .await
    }
}

/// L1. The epoch grows even when the limit was ours (`OWNER_NEW`).
async fn acquire(
    limit: LimitId,
    worker: WorkerId,
    length: Duration,
    turn: &mut Turn,
) -> Result<Option<Lease>, Fault> {
    let epoch: Option<i64> = sqlx::query_scalar(
        "UPDATE limits SET owner = ?2, epoch = epoch + 1, lease_until = ?3
         WHERE id = ?1 AND limited
           AND (owner IS NULL OR lease_until IS NULL OR lease_until <= ?4)
           AND EXISTS (
               SELECT 1 FROM lanes l
               WHERE l.limit_id = ?1
                 AND (l.hold_cause IS NOT NULL
                      OR EXISTS (SELECT 1 FROM deliveries d INDEXED BY deliveries_due
                                 WHERE d.lane_id = l.id AND d.next_at IS NOT NULL)))
         RETURNING epoch",
    )
    .bind(limit.0)
    .bind(worker.0)
    .bind(clock::later(turn.now, length))
    .bind(turn.now)
    .fetch_optional(&mut turn.conn)
    .await?;
    Ok(epoch.map(|epoch| Lease { limit, worker, epoch }))
}

/// A lease's owner as text, because JSON has no bytes.
fn lease_rows(leases: &[Lease]) -> Result<String, Fault> {
    let rows: Vec<_> =
        leases.iter().map(|lease| (lease.limit, lease.worker.0, lease.epoch)).collect();
    json(&rows)
}

/// L2.
async fn renew(leases: &[Lease], length: Duration, turn: &mut Turn) -> Result<Vec<Lease>, Fault> {
    let renewed: Vec<i64> = sqlx::query_scalar(
        "UPDATE limits SET lease_until = ?2 FROM json_each(?1) n
         WHERE limits.id = n.value ->> 0 AND limits.owner = unhex(n.value ->> 1, '-')
           AND limits.epoch = n.value ->> 2 AND limits.limited
         RETURNING limits.id",
    )
    .bind(lease_rows(leases)?)
    .bind(clock::later(turn.now, length))
    .fetch_all(&mut turn.conn)
    .await?;
    Ok(leases.iter().filter(|lease| renewed.contains(&lease.limit.0)).copied().collect())
}

/// L3.
async fn give_up(leases: &[Lease], turn: &mut Turn) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE limits SET owner = NULL, lease_until = NULL FROM json_each(?1) n
         WHERE limits.id = n.value ->> 0 AND limits.owner = unhex(n.value ->> 1, '-')
           AND limits.epoch = n.value ->> 2",
    )
    .bind(lease_rows(leases)?)
    .execute(&mut turn.conn)
    .await?;
    Ok(())
}

/// L9, W3 (`PROBE_CLAIM`, `PROBE_ANY`). The lane has to be of the lease's limit still.
async fn claim_probe(
    lane: LaneId,
    lease: Option<Lease>,
    interval: Duration,
    turn: &mut Turn,
) -> Result<Option<ProbeClaim>, Fault> {
    if !may_probe(lane, lease, turn).await? {
        return Ok(None);
    }
    let held: Option<(i64, i64, u32)> = sqlx::query_as(
        "SELECT hold_gen, secret_rev, probe_step FROM lanes
         WHERE id = ?1 AND hold_cause <> 'manual' AND next_probe_at <= ?2",
    )
    .bind(lane.0)
    .bind(turn.now)
    .fetch_optional(&mut turn.conn)
    .await?;
    if let Some((hold_gen, secret_rev, in_vain)) = held {
        sqlx::query("UPDATE lanes SET next_probe_at = ?2 WHERE id = ?1")
            .bind(lane.0)
            .bind(clock::later(turn.now, probe_wait(interval, in_vain)))
            .execute(&mut turn.conn)
            .await?;
        return Ok(Some(ProbeClaim { webhook: None, hold_gen, secret_rev }));
    }
    claim_parked_probe(lane, interval, turn).await
}

/// Of an open lane the parked webhook that has waited longest.
async fn claim_parked_probe(
    lane: LaneId,
    interval: Duration,
    turn: &mut Turn,
) -> Result<Option<ProbeClaim>, Fault> {
    let parked: Option<(i64, i64, i64, u32)> = sqlx::query_as(
        "SELECT w.id, w.hold_gen, w.secrets_rev, w.probe_step
         FROM lanes l CROSS JOIN webhooks w INDEXED BY webhooks_parked ON w.lane_id = l.id
         WHERE l.id = ?1 AND l.hold_cause IS NULL AND w.hold_cause IS NOT NULL
           AND w.state = 'enabled' AND w.next_probe_at <= ?2
         ORDER BY w.next_probe_at, w.id LIMIT 1",
    )
    .bind(lane.0)
    .bind(turn.now)
    .fetch_optional(&mut turn.conn)
    .await?;
    let Some((id, hold_gen, secret_rev, in_vain)) = parked else { return Ok(None) };
    sqlx::query("UPDATE webhooks SET next_probe_at = ?2 WHERE id = ?1")
        .bind(id)
        .bind(clock::later(turn.now, probe_wait(interval, in_vain)))
        .execute(&mut turn.conn)
        .await?;
    Ok(Some(ProbeClaim { webhook: Some(WebhookId(id)), hold_gen, secret_rev }))
}

/// Whether this is the leader of the lane's limit, or the limit is none.
async fn may_probe(lane: LaneId, lease: Option<Lease>, turn: &mut Turn) -> Result<bool, Fault> {
    Ok(sqlx::query_scalar(
        "SELECT EXISTS (
             SELECT 1 FROM lanes l JOIN limits m ON m.id = l.limit_id
             WHERE l.id = ?1
               AND (NOT m.limited OR m.id = ?2 AND m.owner = ?3 AND m.epoch = ?4
                    AND m.lease_until > ?5))",
    )
    .bind(lane.0)
    .bind(lease.map(|lease| lease.limit.0))
    .bind(lease.map(|lease| lease.worker.0))
    .bind(lease.map(|lease| lease.epoch))
    .bind(turn.now)
    .fetch_one(&mut turn.conn)
    .await?)
}
