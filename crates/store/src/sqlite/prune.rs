//! Retention, in chunks: what to drop is looked for beside the writer and checked again in
//! the turn that drops it.

use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::fault::Fault;
use super::rows::json;
use super::writer::Turn;
use super::{Lite, clock};
use crate::StoreError;

/// Chunks of one call at most; what is left goes with the next.
const CHUNKS: u32 = 10_000;

impl Lite {
    pub(crate) async fn prune(
        &self,
        keep: Duration,
        keep_keys: Duration,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let before = clock::earlier(clock::now(), keep);
        let mut dropped = 0;
        for _ in 0..CHUNKS {
            let mut conn = self.reader().await?;
            let ids = old_deliveries(&mut conn, before, limit).await?;
            drop(conn);
            if ids.is_empty() {
                break;
            }
            let chunk =
                self.write(json(&ids)?, |ids, turn| Box::pin(drop_deliveries(ids, turn))).await?;
            dropped += chunk;
            if chunk == 0 || is_short(ids.len(), limit) {
                break;
            }
        }
        self.prune_events(before, limit).await?;
        let keys_before = clock::earlier(clock::now(), keep_keys);
        self.in_chunks((keys_before, limit), |(before, limit), turn| {
            Box::pin(drop_keys(*before, *limit, turn))
        })
        .await?;
        self.in_chunks((before, limit), |(before, limit), turn| {
            Box::pin(drop_webhooks(*before, *limit, turn))
        })
        .await?;
        Ok(dropped)
    }

    async fn prune_events(&self, before: i64, limit: u32) -> Result<(), StoreError> {
        for _ in 0..CHUNKS {
            let mut conn = self.reader().await?;
            let ids = old_events(&mut conn, before, limit).await?;
            drop(conn);
            if ids.is_empty() {
                break;
            }
            self.write(json(&ids)?, |ids, turn| Box::pin(drop_events(ids, turn))).await?;
            if is_short(ids.len(), limit) {
                break;
            }
        }
        Ok(())
    }

    /// Repeats `step` until it drops less than a chunk.
    async fn in_chunks<F>(&self, args: (i64, u32), step: F) -> Result<(), StoreError>
    where
        F: for<'a> Fn(&'a (i64, u32), &'a mut Turn) -> BoxFuture<'a, Result<u64, Fault>>
            + Copy
            + Send
            + 'static,
    {
        for _ in 0..CHUNKS {
            if self.write(args, step).await? < u64::from(args.1) {
                break;
            }
        }
        Ok(())
    }
}

fn is_short(found: usize, limit: u32) -> bool {
    u32::try_from(found).is_ok_and(|found| found < limit)
}

/// Final deliveries of old events that have not changed since either.
async fn old_deliveries(
    conn: &mut SqliteConnection,
    before: i64,
    limit: u32,
) -> Result<Vec<Uuid>, Fault> {
    Ok(sqlx::query_scalar(
        "SELECT d.id FROM events e INDEXED BY events_received
         CROSS JOIN deliveries d INDEXED BY deliveries_of_event ON d.event_id = e.id
         WHERE e.received_at < ?1 AND d.next_at IS NULL AND d.updated_at < ?1
         LIMIT ?2",
    )
    .bind(before)
    .bind(limit)
    .fetch_all(conn)
    .await?)
}

async fn drop_deliveries(ids: &str, turn: &mut Turn) -> Result<u64, Fault> {
    let dropped = sqlx::query(
        "DELETE FROM deliveries
         WHERE id IN (SELECT unhex(value, '-') FROM json_each(?1)) AND next_at IS NULL",
    )
    .bind(ids)
    .execute(&mut turn.conn)
    .await?;
    sqlx::query(
        "DELETE FROM attempts
         WHERE delivery_id IN (SELECT unhex(value, '-') FROM json_each(?1))
           AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.id = attempts.delivery_id)",
    )
    .bind(ids)
    .execute(&mut turn.conn)
    .await?;
    Ok(dropped.rows_affected())
}

async fn old_events(
    conn: &mut SqliteConnection,
    before: i64,
    limit: u32,
) -> Result<Vec<Uuid>, Fault> {
    Ok(sqlx::query_scalar(
        "SELECT e.id FROM events e INDEXED BY events_received
         WHERE e.received_at < ?1
           AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.event_id = e.id)
         LIMIT ?2",
    )
    .bind(before)
    .bind(limit)
    .fetch_all(conn)
    .await?)
}

async fn drop_events(ids: &str, turn: &mut Turn) -> Result<u64, Fault> {
    let dropped = sqlx::query(
        "DELETE FROM events
         WHERE id IN (SELECT unhex(value, '-') FROM json_each(?1))
           AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.event_id = events.id)",
    )
    .bind(ids)
    .execute(&mut turn.conn)
    .await?;
    Ok(dropped.rows_affected())
}

/// Keys of events that have nothing open.
async fn drop_keys(before: i64, limit: u32, turn: &mut Turn) -> Result<u64, Fault> {
    let dropped = sqlx::query(
        "DELETE FROM idempotency WHERE rowid IN (
             SELECT i.rowid FROM idempotency i INDEXED BY idempotency_at
             WHERE i.at < ?1
               AND NOT EXISTS (SELECT 1 FROM deliveries d
                               WHERE d.event_id = i.event_id AND d.next_at IS NOT NULL)
             LIMIT ?2)",
    )
    .bind(before)
    .bind(limit)
    .execute(&mut turn.conn)
    .await?;
    Ok(dropped.rows_affected())
}

/// Deleted webhooks that nothing refers to any more.
async fn drop_webhooks(before: i64, limit: u32, turn: &mut Turn) -> Result<u64, Fault> {
    let gone: Vec<i64> = sqlx::query_scalar(
        "DELETE FROM webhooks WHERE id IN (
             SELECT w.id FROM webhooks w
             WHERE w.state = 'deleted' AND w.updated_at < ?1
               AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.webhook_id = w.id)
             LIMIT ?2)
         RETURNING id",
    )
    .bind(before)
    .bind(limit)
    .fetch_all(&mut turn.conn)
    .await?;
    sqlx::query("DELETE FROM webhook_health WHERE webhook_id IN (SELECT value FROM json_each(?1))")
        .bind(json(&gone)?)
        .execute(&mut turn.conn)
        .await?;
    Ok(u64::try_from(gone.len()).unwrap_or(u64::MAX))
}
