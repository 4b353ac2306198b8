//! Alerts that are to be sent.

use std::time::Duration;

use serde::Serialize;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::fault::Fault;
use super::incidents::{incident, is_active};
use super::rows::json;
use super::writer::Turn;
use super::{Lite, clock};
use crate::codec::alert_status;
use crate::{
    AlertChannel, AlertResult, AlertStatus, Incident, MonitorLease, Notification, StoreError,
};

/// A notification as the statement reads it.
#[derive(Serialize)]
struct NewRow {
    id: Uuid,
    incident: Uuid,
    channel: &'static str,
}

/// One for each incident and channel.
pub(super) async fn insert(
    incidents: &[Incident],
    status: AlertStatus,
    channels: &[AlertChannel],
    turn: &mut Turn,
) -> Result<(), Fault> {
    let mut rows = Vec::new();
    for incident in incidents {
        for channel in channels {
            let channel = channel.as_str();
            rows.push(NewRow { id: Uuid::now_v7(), incident: incident.id, channel });
        }
    }
    sqlx::query(
        "INSERT INTO notifications (id, incident_id, channel, status, created_at, next_at)
         SELECT unhex(value ->> 'id', '-'), unhex(value ->> 'incident', '-'),
                value ->> 'channel', ?2, ?3, ?3
         FROM json_each(?1)",
    )
    .bind(json(&rows)?)
    .bind(status.as_str())
    .bind(turn.now)
    .execute(&mut turn.conn)
    .await?;
    Ok(())
}

/// Drops those made before.
pub(super) async fn prune(before: i64, limit: u32, turn: &mut Turn) -> Result<u64, Fault> {
    let gone = sqlx::query(
        "DELETE FROM notifications WHERE id IN (
             SELECT id FROM notifications WHERE created_at < ?1 LIMIT ?2)",
    )
    .bind(before)
    .bind(limit)
    .execute(&mut turn.conn)
    .await?;
    Ok(gone.rows_affected())
}

impl Lite {
    pub(crate) async fn claim_notifications(
        &self,
        lease: MonitorLease,
        channel: AlertChannel,
        limit: u32,
        hold: Duration,
    ) -> Result<Option<Vec<Notification>>, StoreError> {
        self.write((lease, channel, limit, hold), |(lease, channel, limit, hold), turn| {
            Box::pin(claim(*lease, *channel, *limit, *hold, turn))
        })
        .await
    }

    pub(crate) async fn settle_notifications(
        &self,
        settled: &[(Uuid, u32, AlertResult)],
    ) -> Result<(), StoreError> {
        self.write(settled.to_vec(), |settled, turn| Box::pin(settle(settled, turn))).await
    }
}

async fn claim(
    lease: MonitorLease,
    channel: AlertChannel,
    limit: u32,
    hold: Duration,
    turn: &mut Turn,
) -> Result<Option<Vec<Notification>>, Fault> {
    if !is_active(lease, turn).await? {
        return Ok(None);
    }
    let due: Vec<Uuid> = sqlx::query_scalar(
        "UPDATE notifications SET tries = tries + 1, next_at = ?4
         WHERE id IN (
             SELECT n.id FROM notifications n
             WHERE n.channel = ?1 AND n.finished_at IS NULL AND n.next_at <= ?2
               AND NOT EXISTS (
                   SELECT 1 FROM notifications o
                   WHERE o.incident_id = n.incident_id AND o.channel = n.channel
                     AND o.finished_at IS NULL AND (o.created_at, o.id) < (n.created_at, n.id))
             ORDER BY n.created_at, n.id LIMIT ?3)
         RETURNING id",
    )
    .bind(channel.as_str())
    .bind(turn.now)
    .bind(limit)
    .bind(clock::later(turn.now, hold))
    .fetch_all(&mut turn.conn)
    .await?;
    let rows = sqlx::query(
        "SELECT n.id AS notification_id, n.status, n.tries, i.id, i.kind, i.subject, i.cause,
                i.severity, i.summary, i.next, i.opened_at, i.updated_at, i.acknowledged_at,
                i.resolved_at
         FROM json_each(?1) taken
         JOIN notifications n ON n.id = unhex(taken.value, '-')
         JOIN incidents i ON i.id = n.incident_id ORDER BY n.id",
    )
    .bind(json(&due)?)
    .fetch_all(&mut turn.conn)
    .await?;
    Ok(Some(rows.iter().map(notification).collect::<Result<_, _>>()?))
}

fn notification(row: &SqliteRow) -> Result<Notification, Fault> {
    Ok(Notification {
        id: row.try_get("notification_id")?,
        status: alert_status(row.try_get("status")?)?,
        tries: row.try_get("tries")?,
        incident: incident(row)?,
    })
}

async fn settle(settled: &[(Uuid, u32, AlertResult)], turn: &mut Turn) -> Result<(), Fault> {
    for (id, tries, result) in settled {
        let (next_at, finished_at) = match result {
            AlertResult::Retry(after) => (clock::later(turn.now, *after), None),
            AlertResult::Delivered | AlertResult::GivenUp => (turn.now, Some(turn.now)),
        };
        sqlx::query(
            "UPDATE notifications SET next_at = ?3, finished_at = ?4, delivered = ?5
             WHERE id = ?1 AND tries = ?2 AND finished_at IS NULL",
        )
        .bind(id)
        .bind(tries)
        .bind(next_at)
        .bind(finished_at)
        .bind(*result == AlertResult::Delivered)
        .execute(&mut turn.conn)
        .await?;
    }
    Ok(())
}
