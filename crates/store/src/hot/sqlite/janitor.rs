//! J1-J4: what claimers leave behind. Each looks for rows beside the writer and writes only
//! when there are some; the turn checks them again.

use std::sync::PoisonError;

use postrider_domain::DeliveryId;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row};
use uuid::Uuid;

use super::fault::Fault;
use super::rows::json;
use super::writer::Turn;
use super::{SqliteStore, clock};
use crate::codec::ASIDE;
use crate::{Expired, StoreError};

/// Lost claims that make a delivery poison (`POISON_ROW`).
const POISON: i64 = 5;
/// How long a webhook's sweep goes on after its change, for claims that still run.
const SWEEP_FOR: i64 = 120_000_000;

impl SqliteStore {
    pub(crate) async fn expire_claims(&self, limit: u32) -> Result<Expired, StoreError> {
        let now = clock::now();
        let began = self.0.passes.lock().unwrap_or_else(PoisonError::into_inner).begin(now);
        let mut conn = self.reader().await?;
        let ids = expired(&mut conn, began, now, limit).await?;
        drop(conn);
        let complete = u32::try_from(ids.len()).is_ok_and(|found| found < limit);
        let result = if ids.is_empty() {
            Expired::default()
        } else {
            self.write(json(&ids)?, |ids, turn| Box::pin(expire(ids, Ended::ByNow, turn))).await?
        };
        if complete {
            let mut passes = self.0.passes.lock().unwrap_or_else(PoisonError::into_inner);
            passes.completed(began, now);
        }
        Ok(result)
    }

    pub(crate) async fn reassign_lanes(&self, limit: u32) -> Result<u64, StoreError> {
        let mut conn = self.reader().await?;
        let left = left_behind(&mut conn, limit).await?;
        drop(conn);
        self.sweep(left, |left, turn| Box::pin(reassign_lanes(left, turn))).await
    }

    pub(crate) async fn discard(&self, limit: u32) -> Result<u64, StoreError> {
        let mut conn = self.reader().await?;
        let left = left_without_webhook(&mut conn, limit).await?;
        drop(conn);
        self.sweep(left, |left, turn| Box::pin(discard(left, turn))).await
    }

    async fn sweep<F>(&self, left: Sweep, step: F) -> Result<u64, StoreError>
    where
        F: for<'a> Fn(
                &'a Sweep,
                &'a mut Turn,
            ) -> futures_util::future::BoxFuture<'a, Result<u64, Fault>>
            + Send
            + 'static,
    {
        if left.rows.is_empty() && left.done.is_empty() {
            return Ok(0);
        }
        self.write(left, step).await
    }
}

/// Claims that ran out between `began` and `now`.
async fn expired(
    conn: &mut SqliteConnection,
    began: i64,
    now: i64,
    limit: u32,
) -> Result<Vec<Uuid>, Fault> {
    Ok(sqlx::query_scalar(
        "SELECT d.id FROM lanes l
         CROSS JOIN deliveries d INDEXED BY deliveries_due ON d.lane_id = l.id
         WHERE d.next_at > ?1 AND d.next_at <= ?2 AND d.status = 'sending'
           AND d.claimed_until <= ?2
         LIMIT ?3",
    )
    .bind(began)
    .bind(now)
    .bind(limit)
    .fetch_all(conn)
    .await?)
}

/// Which claims are over.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ended {
    /// Those whose time has run out.
    ByNow,
    /// Also those of this worker that end too far ahead (AHEAD); those of no other worker.
    Of {
        /// The worker.
        worker: Uuid,
        /// What is too far, microseconds from now.
        too_far: i64,
    },
    /// All: nobody is there any more who made them.
    All,
}

impl Ended {
    /// Worker, latest end that has passed, earliest end that lies too far ahead.
    fn bounds(self, now: i64) -> (Option<Uuid>, i64, i64) {
        match self {
            Self::ByNow => (None, now, i64::MAX),
            Self::Of { worker, too_far } => (Some(worker), now, now.saturating_add(too_far)),
            Self::All => (None, i64::MAX, i64::MAX),
        }
    }
}

/// J1, J2 (EXPIRE), E5.
pub(super) async fn expire(ids: &str, ended: Ended, turn: &mut Turn) -> Result<Expired, Fault> {
    keep_as_lost(ids, ended, turn).await?;
    let (worker, passed, ahead) = ended.bounds(turn.now);
    let rows = sqlx::query(
        "UPDATE deliveries
         SET status = CASE WHEN lost_claims + 1 >= ?3 OR execution_until IS NOT NULL
                           THEN 'failed' ELSE 'waiting' END,
             next_at = CASE WHEN lost_claims + 1 >= ?3 OR execution_until IS NOT NULL
                            THEN NULL ELSE created_at END,
             last_outcome = CASE WHEN lost_claims + 1 >= ?3 THEN 'poison' ELSE 'lost' END,
             last_status_code = NULL, attempt = attempt - 1, lost_claims = lost_claims + 1,
             maybe_sent = 1, attempts_recorded = attempts_recorded + 1, claimed_by = NULL,
             claimed_until = NULL, updated_at = ?2
         WHERE id IN (SELECT unhex(value, '-') FROM json_each(?1))
           AND status = 'sending' AND (claimed_until <= ?4 OR claimed_until > ?5)
           AND (?6 IS NULL OR claimed_by = ?6)
         RETURNING id, last_outcome = 'poison' AS poison",
    )
    .bind(ids)
    .bind(turn.now)
    .bind(POISON)
    .bind(passed)
    .bind(ahead)
    .bind(worker)
    .fetch_all(&mut turn.conn)
    .await?;
    let mut expired = Expired::default();
    for row in rows {
        let id = DeliveryId(row.try_get("id")?);
        if row.try_get("poison")? {
            expired.poisoned.push(id);
        } else {
            expired.given_back.push(id);
        }
    }
    Ok(expired)
}

/// The claim that ran out stays among the attempts; its row was last changed by the claim.
async fn keep_as_lost(ids: &str, ended: Ended, turn: &mut Turn) -> Result<(), Fault> {
    let (worker, passed, ahead) = ended.bounds(turn.now);
    sqlx::query(
        "INSERT INTO attempts
               (delivery_id, claim_no, number, started_at, duration, outcome,
                possible_duplicate, request, response)
           SELECT id, claim_no, attempts_recorded + 1, updated_at, max(0, ?2 - updated_at), 'lost', maybe_sent,
                '', ''
           FROM deliveries
           WHERE id IN (SELECT unhex(value, '-') FROM json_each(?1))
             AND status = 'sending' AND (claimed_until <= ?3 OR claimed_until > ?4)
             AND (?5 IS NULL OR claimed_by = ?5)
           ON CONFLICT (delivery_id, claim_no) DO NOTHING",
    )
    .bind(ids)
    .bind(turn.now)
    .bind(passed)
    .bind(ahead)
    .bind(worker)
    .execute(&mut turn.conn)
    .await?;
    Ok(())
}

/// What a sweep found.
#[derive(Debug, Default)]
struct Sweep {
    /// Deliveries to act on.
    rows: Vec<Uuid>,
    /// Webhooks, with the revision seen, that need no sweep any more.
    done: Vec<(i64, i64)>,
}

/// Webhooks that need a sweep: row number, revision and last change.
async fn unswept(
    conn: &mut SqliteConnection,
    enabled: bool,
) -> Result<Vec<(i64, i64, i64)>, Fault> {
    Ok(sqlx::query_as(
        "SELECT id, rev, updated_at FROM webhooks INDEXED BY webhooks_sweep
         WHERE needs_sweep = 1 AND (state = 'enabled') = ?1",
    )
    .bind(enabled)
    .fetch_all(conn)
    .await?)
}

/// J3's candidates (REASSIGN).
async fn left_behind(conn: &mut SqliteConnection, limit: u32) -> Result<Sweep, Fault> {
    let mut snapshot = conn.begin().await?;
    let unswept = unswept(&mut snapshot, true).await?;
    if unswept.is_empty() {
        return Ok(Sweep::default());
    }
    let open = sqlx::query_as(
        "SELECT d.id, d.webhook_id, d.status = 'waiting' FROM lanes l
         CROSS JOIN deliveries d INDEXED BY deliveries_due ON d.lane_id = l.id
         CROSS JOIN webhooks w ON w.id = d.webhook_id
         WHERE d.next_at IS NOT NULL AND w.needs_sweep = 1 AND w.state = 'enabled'
           AND w.lane_id <> d.lane_id
         LIMIT ?1",
    )
    .bind(limit)
    .fetch_all(&mut *snapshot)
    .await?;
    Ok(sweep(&unswept, &open, limit))
}

/// J4's candidates (DISCARD).
async fn left_without_webhook(conn: &mut SqliteConnection, limit: u32) -> Result<Sweep, Fault> {
    let mut snapshot = conn.begin().await?;
    let unswept = unswept(&mut snapshot, false).await?;
    if unswept.is_empty() {
        return Ok(Sweep::default());
    }
    let open = sqlx::query_as(
        "SELECT d.id, d.webhook_id, d.status = 'waiting' FROM lanes l
         CROSS JOIN deliveries d INDEXED BY deliveries_due ON d.lane_id = l.id
         CROSS JOIN webhooks w ON w.id = d.webhook_id
         WHERE d.next_at IS NOT NULL AND w.needs_sweep = 1 AND w.state <> 'enabled'
           AND d.execution_until IS NULL
         LIMIT ?1",
    )
    .bind(limit)
    .fetch_all(&mut *snapshot)
    .await?;
    Ok(sweep(&unswept, &open, limit))
}

/// A webhook is done when nothing open is left of it and its change is old enough for every
/// claim of that time to have ended. A full page says nothing about what it does not show.
fn sweep(unswept: &[(i64, i64, i64)], open: &[(Uuid, i64, bool)], limit: u32) -> Sweep {
    let settled = clock::now() - SWEEP_FOR;
    let whole = u32::try_from(open.len()).is_ok_and(|found| found < limit);
    let done = |(id, _, updated_at): &&(i64, i64, i64)| {
        whole && *updated_at < settled && !open.iter().any(|(_, webhook, _)| webhook == id)
    };
    Sweep {
        rows: open.iter().filter(|(.., waiting)| *waiting).map(|(id, ..)| *id).collect(),
        done: unswept.iter().filter(done).map(|(id, rev, _)| (*id, *rev)).collect(),
    }
}

/// J3.
async fn reassign_lanes(left: &Sweep, turn: &mut Turn) -> Result<u64, Fault> {
    let moved = sqlx::query(
        "UPDATE deliveries
         SET lane_id = w.lane_id, updated_at = ?2,
             next_at = CASE WHEN claim_no = 0 OR next_at >= ?3 THEN deliveries.created_at
                            ELSE next_at END
         FROM webhooks w
         WHERE deliveries.id IN (SELECT unhex(value, '-') FROM json_each(?1))
           AND deliveries.status = 'waiting' AND w.id = deliveries.webhook_id
           AND w.state = 'enabled' AND w.lane_id <> deliveries.lane_id",
    )
    .bind(json(&left.rows)?)
    .bind(turn.now)
    .bind(ASIDE)
    .execute(&mut turn.conn)
    .await?;
    swept(left, turn).await?;
    Ok(moved.rows_affected())
}

/// J4.
async fn discard(left: &Sweep, turn: &mut Turn) -> Result<u64, Fault> {
    let discarded = sqlx::query(
        "UPDATE deliveries
         SET status = 'discarded', next_at = NULL, updated_at = ?2, last_status_code = NULL,
             last_outcome = CASE w.state WHEN 'deleted' THEN 'webhook_deleted'
                                         ELSE 'webhook_disabled' END
         FROM webhooks w
         WHERE deliveries.id IN (SELECT unhex(value, '-') FROM json_each(?1))
           AND deliveries.status = 'waiting' AND w.id = deliveries.webhook_id
           AND w.state <> 'enabled'",
    )
    .bind(json(&left.rows)?)
    .bind(turn.now)
    .execute(&mut turn.conn)
    .await?;
    swept(left, turn).await?;
    Ok(discarded.rows_affected())
}

/// A webhook that changed since it was looked at keeps its flag.
async fn swept(left: &Sweep, turn: &mut Turn) -> Result<(), Fault> {
    if left.done.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE webhooks SET needs_sweep = 0
         FROM (SELECT value ->> 0 AS id, value ->> 1 AS rev FROM json_each(?1)) done
         WHERE webhooks.id = done.id AND webhooks.rev = done.rev",
    )
    .bind(json(&left.done)?)
    .execute(&mut turn.conn)
    .await?;
    Ok(())
}
