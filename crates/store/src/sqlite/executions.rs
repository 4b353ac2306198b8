//! E1, E4, E6: executions, and the event that a test is rendered from.

use std::time::Duration;

use postrider_domain::{DeliveryId, Event, LaneId, LaneState, Selector};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::fault::Fault;
use super::rows;
use super::webhooks::{New, insert_unsaved};
use super::writer::Turn;
use super::{Lite, clock};
use crate::executions::{EVENTS_LOOKED_AT, sides};
use crate::{
    ExecutionView, LaneStop, NewExecution, Started, StoreError, Subject, SweptExecutions, codec,
};

/// What a lane says of an execution in it, at `?2`. Alias `l`.
macro_rules! lane_stop {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            "l.name, l.hold_cause, l.held_since,
             CASE WHEN l.pause_until > ?2 THEN l.pause_until END AS paused_until,
             l.limited AND coalesce(l.owner IS NULL OR l.lease_until <= ?2, 1) AS leaderless ",
            $after
        )
    };
}

/// E1 with what is made of it outside the writer's turn.
struct Start {
    new: NewExecution,
    body: String,
    unsaved: Option<New>,
}

impl Lite {
    pub(crate) async fn start_execution(&self, new: &NewExecution) -> Result<Started, StoreError> {
        let unsaved = match &new.subject {
            Subject::Saved(_) => None,
            Subject::Unsaved(write) => Some(New::of(write, &self.0.master_key)?),
        };
        let start = Start { new: new.clone(), body: codec::event_text(&new.event)?, unsaved };
        self.write(start, |start, turn| Box::pin(begin(start, turn))).await
    }

    pub(crate) async fn execution(
        &self,
        id: DeliveryId,
    ) -> Result<Option<ExecutionView>, StoreError> {
        let mut conn = self.reader().await?;
        let row = sqlx::query(lane_stop!(
            "SELECT d.status, ",
            "FROM deliveries d JOIN lanes l ON l.id = d.lane_id
             WHERE d.id = ?1 AND d.execution_until IS NOT NULL"
        ))
        .bind(id.0)
        .bind(clock::now())
        .fetch_optional(&mut *conn)
        .await
        .map_err(Fault::Sql)?;
        Ok(row.as_ref().map(view).transpose()?)
    }

    pub(crate) async fn withdraw_execution(&self, id: DeliveryId) -> Result<bool, StoreError> {
        self.write(id, |id, turn| Box::pin(withdraw(*id, turn))).await
    }

    pub(crate) async fn sweep_executions(
        &self,
        keep: Duration,
        limit: u32,
    ) -> Result<SweptExecutions, StoreError> {
        let mut conn = self.reader().await?;
        let some: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM deliveries INDEXED BY deliveries_executions
                            WHERE execution_until <= ?1)",
        )
        .bind(clock::now())
        .fetch_one(&mut *conn)
        .await
        .map_err(Fault::Sql)?;
        drop(conn);
        if !some {
            return Ok(SweptExecutions::default());
        }
        self.write((keep, limit), |(keep, limit), turn| Box::pin(sweep(*keep, *limit, turn))).await
    }

    pub(crate) async fn latest_event(
        &self,
        consumer: Option<&Selector>,
        provider: Option<&Selector>,
    ) -> Result<Option<Event>, StoreError> {
        let (consumer, provider) = (sides(consumer), sides(provider));
        let mut conn = self.reader().await?;
        let body: Option<String> = sqlx::query_scalar(
            "SELECT e.body
             FROM (SELECT name, consumer, provider, body FROM events
                   ORDER BY id DESC LIMIT ?5) e
             WHERE e.name <> 'test'
               AND (?1 IS NULL OR e.consumer = ?1)
               AND (?2 IS NULL OR ?2 IN
                    (SELECT value FROM json_each(e.body, '$.consumer.labels')))
               AND (?3 IS NULL OR e.provider = ?3)
               AND (?4 IS NULL OR ?4 IN
                    (SELECT value FROM json_each(e.body, '$.provider.labels')))
             LIMIT 1",
        )
        .bind(consumer.0)
        .bind(consumer.1)
        .bind(provider.0)
        .bind(provider.1)
        .bind(EVENTS_LOOKED_AT)
        .fetch_optional(&mut *conn)
        .await
        .map_err(Fault::Sql)?;
        body.as_deref().map(codec::event).transpose()
    }
}

fn view(row: &SqliteRow) -> Result<ExecutionView, Fault> {
    let status = codec::stored_status(row.try_get("status")?)?;
    Ok(ExecutionView { status, lane: lane_stop(row)? })
}

fn lane_stop(row: &SqliteRow) -> Result<LaneStop, Fault> {
    let instant = |column| -> Result<Option<jiff::Timestamp>, Fault> {
        let micros: Option<i64> = row.try_get(column)?;
        Ok(micros.map(clock::timestamp).transpose()?)
    };
    Ok(LaneStop {
        lane: row.try_get("name")?,
        state: codec::lane_state(row.try_get("hold_cause")?)?,
        held_since: instant("held_since")?,
        paused_until: instant("paused_until")?,
        leaderless: row.try_get("leaderless")?,
    })
}

/// E1. Lane and webhook of an unsaved one are written first, so a held lane undoes the turn's
/// part by taking the webhook back.
async fn begin(start: &Start, turn: &mut Turn) -> Result<Started, Fault> {
    let webhook = match (&start.new.subject, &start.unsaved) {
        (Subject::Saved(id), _) => id.0,
        (Subject::Unsaved(_), Some(unsaved)) => insert_unsaved(unsaved, turn).await?,
        (Subject::Unsaved(_), None) => return Ok(Started::Gone),
    };
    let row = sqlx::query(lane_stop!(
        "SELECT l.id, l.held_total, ",
        "FROM webhooks w JOIN lanes l ON l.id = w.lane_id WHERE w.id = ?1"
    ))
    .bind(webhook)
    .bind(turn.now)
    .fetch_optional(&mut turn.conn)
    .await?;
    let Some(row) = row else {
        return Ok(Started::Gone);
    };
    let lane = lane_stop(&row)?;
    if lane.state != LaneState::Open {
        if start.unsaved.is_some() {
            drop_unsaved(&rows::json(&[webhook])?, turn).await?;
        }
        return Ok(Started::Held(lane));
    }
    let id = row.try_get("id")?;
    insert_event(start, turn).await?;
    insert_delivery(&start.new, (webhook, id, row.try_get("held_total")?), turn).await?;
    Ok(Started::Waiting(LaneId(id)))
}

async fn insert_event(start: &Start, turn: &mut Turn) -> Result<(), Fault> {
    let event = &start.new.event;
    sqlx::query(
        "INSERT INTO events
             (id, name, broker, consumer, provider, body, fingerprint, traceparent, received_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, zeroblob(16), ?7, ?8)",
    )
    .bind(start.new.event_id.0)
    .bind(event.event_name.as_str())
    .bind(&event.broker)
    .bind(&event.consumer.name)
    .bind(&event.provider.name)
    .bind(&start.body)
    .bind(&start.new.traceparent)
    .bind(turn.now)
    .execute(&mut turn.conn)
    .await?;
    Ok(())
}

/// `next_at` is the epoch: before all that wait.
async fn insert_delivery(
    new: &NewExecution,
    (webhook, lane, held_total): (i64, i64, i64),
    turn: &mut Turn,
) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO deliveries
             (id, event_id, webhook_id, lane_id, status, next_at, held_base, execution_until,
              created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, 'waiting', 0, ?5, ?6, ?7, ?7)",
    )
    .bind(new.id.0)
    .bind(new.event_id.0)
    .bind(webhook)
    .bind(lane)
    .bind(held_total)
    .bind(clock::later(turn.now, new.wait))
    .bind(turn.now)
    .execute(&mut turn.conn)
    .await?;
    Ok(())
}

/// E4.
async fn withdraw(id: DeliveryId, turn: &mut Turn) -> Result<bool, Fault> {
    let withdrawn = sqlx::query(
        "UPDATE deliveries
         SET status = 'discarded', next_at = NULL, last_outcome = 'withdrawn', updated_at = ?2
         WHERE id = ?1 AND status = 'waiting' AND execution_until IS NOT NULL",
    )
    .bind(id.0)
    .bind(turn.now)
    .execute(&mut turn.conn)
    .await?;
    Ok(withdrawn.rows_affected() > 0)
}

/// E6.
async fn sweep(keep: Duration, limit: u32, turn: &mut Turn) -> Result<SweptExecutions, Fault> {
    let withdrawn = sqlx::query(
        "UPDATE deliveries
         SET status = 'discarded', next_at = NULL, last_outcome = 'withdrawn', updated_at = ?1
         WHERE id IN (SELECT id FROM deliveries INDEXED BY deliveries_executions
                      WHERE execution_until <= ?1 AND status = 'waiting' LIMIT ?2)",
    )
    .bind(turn.now)
    .bind(limit)
    .execute(&mut turn.conn)
    .await?
    .rows_affected();
    let rows = sqlx::query(
        "DELETE FROM deliveries
         WHERE id IN (SELECT id FROM deliveries INDEXED BY deliveries_executions
                      WHERE execution_until <= ?1 AND next_at IS NULL LIMIT ?2)
         RETURNING id, event_id, webhook_id",
    )
    .bind(turn.now.saturating_sub(clock::micros(keep)))
    .bind(limit)
    .fetch_all(&mut turn.conn)
    .await?;
    let mut gone = Gone::default();
    for row in &rows {
        gone.deliveries.push(row.try_get("id")?);
        gone.events.push(row.try_get("event_id")?);
        gone.webhooks.push(row.try_get("webhook_id")?);
    }
    gone.forget(turn).await?;
    Ok(SweptExecutions { withdrawn, dropped: rows.len() as u64 })
}

/// Executions that were dropped; what belonged to them goes as well.
#[derive(Default)]
struct Gone {
    deliveries: Vec<uuid::Uuid>,
    events: Vec<uuid::Uuid>,
    webhooks: Vec<i64>,
}

impl Gone {
    async fn forget(&self, turn: &mut Turn) -> Result<(), Fault> {
        if self.deliveries.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "DELETE FROM attempts
             WHERE delivery_id IN (SELECT unhex(value, '-') FROM json_each(?1))",
        )
        .bind(rows::json(&self.deliveries)?)
        .execute(&mut turn.conn)
        .await?;
        sqlx::query("DELETE FROM events WHERE id IN (SELECT unhex(value, '-') FROM json_each(?1))")
            .bind(rows::json(&self.events)?)
            .execute(&mut turn.conn)
            .await?;
        drop_unsaved(&rows::json(&self.webhooks)?, turn).await
    }
}

/// Webhooks that were never saved, or are deleted, and that nothing refers to any more.
async fn drop_unsaved(webhooks: &str, turn: &mut Turn) -> Result<(), Fault> {
    sqlx::query(
        "DELETE FROM webhooks
         WHERE id IN (SELECT value FROM json_each(?1)) AND state = 'deleted'
           AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.webhook_id = webhooks.id)",
    )
    .bind(webhooks)
    .execute(&mut turn.conn)
    .await?;
    Ok(())
}
