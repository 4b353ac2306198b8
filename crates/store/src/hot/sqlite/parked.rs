//! J5, J6: deliveries of parked webhooks stand aside, so that claims need not look at them.

use sqlx::sqlite::SqliteConnection;

use super::fault::Fault;
use super::writer::Turn;
use super::{SqliteStore, clock};
use crate::StoreError;
use crate::codec::ASIDE;

impl SqliteStore {
    pub(crate) async fn sort_parked(&self, limit: u32) -> Result<u64, StoreError> {
        let mut conn = self.reader().await?;
        let some = is_needed(&mut conn, clock::now()).await?;
        drop(conn);
        if !some {
            return Ok(0);
        }
        self.write(limit, |limit, turn| Box::pin(sort(*limit, turn))).await
    }
}

/// Whether a delivery of a parked webhook is due, or one of another webhook may stand aside.
async fn is_needed(conn: &mut SqliteConnection, now: i64) -> Result<bool, Fault> {
    Ok(sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM webhooks INDEXED BY webhooks_aside
                        WHERE has_aside AND hold_cause IS NULL)
             OR EXISTS (SELECT 1 FROM webhooks w INDEXED BY webhooks_parked
                        CROSS JOIN deliveries d INDEXED BY deliveries_due ON d.lane_id = w.lane_id
                        WHERE w.hold_cause IS NOT NULL AND w.state = 'enabled'
                          AND d.next_at <= ?1 AND d.status = 'waiting' AND d.webhook_id = w.id
                          AND d.execution_until IS NULL)",
    )
    .bind(now)
    .fetch_one(conn)
    .await?)
}

async fn sort(limit: u32, turn: &mut Turn) -> Result<u64, Fault> {
    let aside = sqlx::query(
        "UPDATE deliveries SET next_at = ?3 + webhook_id
         WHERE id IN (
             SELECT d.id FROM webhooks w INDEXED BY webhooks_parked
             CROSS JOIN deliveries d INDEXED BY deliveries_due ON d.lane_id = w.lane_id
             WHERE w.hold_cause IS NOT NULL AND w.state = 'enabled' AND d.next_at <= ?1
               AND d.status = 'waiting' AND d.webhook_id = w.id AND d.execution_until IS NULL
             LIMIT ?2)",
    )
    .bind(turn.now)
    .bind(limit)
    .bind(ASIDE)
    .execute(&mut turn.conn)
    .await?
    .rows_affected();
    let back = sqlx::query(
        "UPDATE deliveries SET next_at = created_at
         WHERE id IN (
             SELECT d.id FROM webhooks w INDEXED BY webhooks_aside
             CROSS JOIN deliveries d INDEXED BY deliveries_due
                     ON d.lane_id = w.lane_id AND d.next_at = ?2 + w.id
             WHERE w.has_aside AND w.hold_cause IS NULL AND d.status = 'waiting'
             LIMIT ?1)",
    )
    .bind(limit)
    .bind(ASIDE)
    .execute(&mut turn.conn)
    .await?
    .rows_affected();
    if back == 0 {
        sqlx::query(
            "UPDATE webhooks SET has_aside = 0
             WHERE has_aside AND hold_cause IS NULL AND NOT EXISTS (
                 SELECT 1 FROM deliveries d INDEXED BY deliveries_due
                 WHERE d.lane_id = webhooks.lane_id AND d.next_at = ?1 + webhooks.id)",
        )
        .bind(ASIDE)
        .execute(&mut turn.conn)
        .await?;
    }
    Ok(aside.max(back))
}
