//! Reading: deliveries for people and programs, and figures.

use postrider_domain::{DeliveryId, DeliveryStatus, EventId, LaneState, StoredStatus, WebhookId};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Connection, QueryBuilder, Row, Sqlite};
use uuid::Uuid;

use super::fault::Fault;
use super::rows::{json, outcome, status_code};
use super::{Lite, clock};
use crate::codec::{self, event_name, lane_state, stored_status, webhook_uuid};
use crate::list::LOOKED_BACK;
use crate::{
    AttemptView, Cursor, DeliveryFilter, DeliveryRow, DeliveryView, Page, Stats, StoreError,
};

impl Lite {
    pub(crate) async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page, StoreError> {
        let mut conn = self.reader().await?;
        Ok(page(&mut conn, filter, after, limit.clamp(1, 1_000)).await?)
    }

    pub(crate) async fn delivery(
        &self,
        id: DeliveryId,
    ) -> Result<Option<DeliveryView>, StoreError> {
        let mut conn = self.reader().await?;
        Ok(whole(&mut conn, id).await?)
    }

    pub(crate) async fn newest_deliveries(
        &self,
        webhooks: &[WebhookId],
        consumer: &str,
        provider: &str,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        let mut conn = self.reader().await?;
        Ok(newest(&mut conn, webhooks, consumer, provider).await?)
    }

    pub(crate) async fn stats(&self) -> Result<Stats, StoreError> {
        let mut conn = self.reader().await?;
        Ok(stats(&mut conn).await?)
    }
}

const COLUMNS: &str = "SELECT d.id, d.event_id, e.name AS event_name, e.broker, w.uuid, \
    e.consumer, e.provider, d.status, l.name AS lane, l.hold_cause, d.attempts_recorded, \
    d.last_outcome, d.last_status_code, d.claim_no, d.next_at, d.created_at, d.updated_at, \
    e.body ";

/// Where lists look; the order of the joins keeps SQLite walking the deliveries by id.
pub(super) const FROM: &str = "FROM deliveries d \
    CROSS JOIN events e ON e.id = d.event_id CROSS JOIN webhooks w ON w.id = d.webhook_id \
    CROSS JOIN lanes l ON l.id = d.lane_id WHERE true";

async fn page(
    conn: &mut SqliteConnection,
    filter: &DeliveryFilter,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<Page, Fault> {
    let mut query = QueryBuilder::new(COLUMNS);
    query.push(FROM);
    filtered(&mut query, filter)?;
    if let Some(Cursor(id)) = after {
        query.push(" AND d.id < ").push_bind(id.0);
    }
    query.push(" ORDER BY d.id DESC LIMIT ").push_bind(i64::from(limit) + 1);
    let rows = query.build().fetch_all(conn).await?;
    let now = clock::now();
    let mut deliveries =
        rows.iter().map(|row| delivery_row(row, now)).collect::<Result<Vec<_>, _>>()?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = deliveries.len() > shown;
    deliveries.truncate(shown);
    let next = if more { deliveries.last().map(|last| Cursor(last.id)) } else { None };
    Ok(Page { deliveries, next })
}

/// Appends the filter's conditions over `d`, `e`, `w` and `l`.
pub(super) fn filtered(
    query: &mut QueryBuilder<Sqlite>,
    filter: &DeliveryFilter,
) -> Result<(), Fault> {
    let DeliveryFilter {
        status,
        webhook,
        consumer,
        provider,
        event,
        event_id,
        lane,
        since,
        until,
        ids,
    } = filter;
    if !filter.shows_executions() {
        query.push(" AND d.execution_until IS NULL");
    }
    if let Some(status) = status {
        query.push(shown_as(*status));
    }
    if let Some(uuid) = webhook {
        query.push(" AND d.webhook_id IN (SELECT id FROM webhooks WHERE uuid = ");
        query.push_bind(uuid.as_str().to_owned()).push(")");
    }
    for (column, value) in [("e.consumer", consumer), ("e.provider", provider), ("l.name", lane)] {
        if let Some(value) = value {
            query.push(format_args!(" AND {column} = ")).push_bind(value.clone());
        }
    }
    if let Some(name) = event {
        query.push(" AND e.name = ").push_bind(name.as_str());
    }
    if let Some(id) = event_id {
        query.push(" AND d.event_id = ").push_bind(id.0);
    }
    if let Some(since) = since {
        query.push(" AND d.created_at >= ").push_bind(since.as_microsecond());
    }
    if let Some(until) = until {
        query.push(" AND d.created_at < ").push_bind(until.as_microsecond());
    }
    if let Some(ids) = ids {
        query.push(" AND d.id IN (SELECT unhex(value, '-') FROM json_each(");
        query.push_bind(json(ids)?).push("))");
    }
    Ok(())
}

/// The rows that [`DeliveryStatus::shown`] shows as `status`.
fn shown_as(status: DeliveryStatus) -> &'static str {
    match status {
        DeliveryStatus::Delivered => " AND d.status = 'delivered'",
        DeliveryStatus::Failed => " AND d.status = 'failed'",
        DeliveryStatus::Discarded => " AND d.status = 'discarded'",
        DeliveryStatus::Held => " AND d.status = 'waiting' AND l.hold_cause IS NOT NULL",
        DeliveryStatus::Queued => {
            " AND d.next_at IS NOT NULL AND d.attempts_recorded = 0 \
             AND NOT (d.status = 'waiting' AND l.hold_cause IS NOT NULL)"
        }
        DeliveryStatus::Retrying => {
            " AND d.next_at IS NOT NULL AND d.attempts_recorded > 0 \
             AND NOT (d.status = 'waiting' AND l.hold_cause IS NOT NULL)"
        }
    }
}

fn delivery_row(row: &SqliteRow, now: i64) -> Result<DeliveryRow, Fault> {
    let stored = stored_status(row.try_get("status")?)?;
    let held = lane_state(row.try_get("hold_cause")?)? != LaneState::Open;
    let attempts = row.try_get("attempts_recorded")?;
    Ok(DeliveryRow {
        id: DeliveryId(row.try_get("id")?),
        event_id: EventId(row.try_get("event_id")?),
        event_name: event_name(row.try_get("event_name")?)?,
        broker: row.try_get("broker")?,
        webhook_uuid: webhook_uuid(row.try_get("uuid")?)?,
        consumer: row.try_get("consumer")?,
        provider: row.try_get("provider")?,
        status: DeliveryStatus::shown(stored, held, attempts),
        lane: row.try_get("lane")?,
        attempts,
        last_outcome: outcome(row, "last_outcome")?,
        last_status_code: status_code(row, "last_status_code")?,
        next_attempt_at: next_attempt(row, stored, held, now)?,
        created_at: clock::timestamp(row.try_get("created_at")?)?,
        updated_at: clock::timestamp(row.try_get("updated_at")?)?,
    })
}

/// Only a retry that still lies ahead: what is due waits for its turn, and the instant of a
/// fresh row is the sweep's.
fn next_attempt(
    row: &SqliteRow,
    stored: StoredStatus,
    held: bool,
    now: i64,
) -> Result<Option<jiff::Timestamp>, Fault> {
    let claim_no: i64 = row.try_get("claim_no")?;
    let next_at: Option<i64> = row.try_get("next_at")?;
    let waits = stored == StoredStatus::Waiting && !held && claim_no > 0;
    let ahead = next_at.filter(|next_at| waits && *next_at > now);
    Ok(ahead.map(clock::timestamp).transpose()?)
}

async fn newest(
    conn: &mut SqliteConnection,
    webhooks: &[WebhookId],
    consumer: &str,
    provider: &str,
) -> Result<Vec<DeliveryId>, Fault> {
    let mut ids = Vec::new();
    for webhook in webhooks {
        let found: Vec<Uuid> = sqlx::query_scalar(
            "SELECT max(d.id) FROM (
                 SELECT id, event_id FROM deliveries INDEXED BY deliveries_of_webhook
                 WHERE webhook_id = ?1 ORDER BY id DESC LIMIT ?4) d
             JOIN events e ON e.id = d.event_id
             WHERE e.consumer = ?2 AND e.provider = ?3 AND e.name <> 'test'
             GROUP BY e.name",
        )
        .bind(webhook.0)
        .bind(consumer)
        .bind(provider)
        .bind(LOOKED_BACK)
        .fetch_all(&mut *conn)
        .await?;
        ids.extend(found.into_iter().map(DeliveryId));
    }
    Ok(ids)
}

async fn whole(conn: &mut SqliteConnection, id: DeliveryId) -> Result<Option<DeliveryView>, Fault> {
    let mut snapshot = conn.begin().await?;
    let filter = DeliveryFilter { ids: Some(vec![id]), ..DeliveryFilter::default() };
    let mut query = QueryBuilder::new(COLUMNS);
    query.push(FROM);
    filtered(&mut query, &filter)?;
    let Some(row) = query.build().fetch_optional(&mut *snapshot).await? else {
        return Ok(None);
    };
    let attempts = sqlx::query(
        "SELECT number, started_at, duration, outcome, status_code, github_request_id,
                possible_duplicate, request, response
         FROM attempts WHERE delivery_id = ?1 ORDER BY claim_no",
    )
    .bind(id.0)
    .fetch_all(&mut *snapshot)
    .await?;
    Ok(Some(DeliveryView {
        row: delivery_row(&row, clock::now())?,
        event: row.try_get("body")?,
        attempts: attempts.iter().map(attempt).collect::<Result<_, _>>()?,
    }))
}

fn attempt(row: &SqliteRow) -> Result<AttemptView, Fault> {
    Ok(AttemptView {
        number: row.try_get("number")?,
        started_at: clock::timestamp(row.try_get("started_at")?)?,
        duration: clock::duration(row.try_get("duration")?),
        outcome: codec::outcome(row.try_get("outcome")?)?,
        status_code: status_code(row, "status_code")?,
        github_request_id: row.try_get("github_request_id")?,
        possible_duplicate: row.try_get("possible_duplicate")?,
        request: row.try_get("request")?,
        response: row.try_get("response")?,
    })
}

async fn stats(conn: &mut SqliteConnection) -> Result<Stats, Fault> {
    let rows: Vec<(String, u64, u64, Option<i64>)> = sqlx::query_as(
        "SELECT l.name, count(*) FILTER (WHERE d.status = 'waiting') AS backlog,
                count(*) FILTER (WHERE d.status = 'sending'),
                min(d.created_at) FILTER (WHERE l.hold_cause IS NULL)
         FROM lanes l LEFT JOIN deliveries d INDEXED BY deliveries_due
           ON d.lane_id = l.id AND d.next_at IS NOT NULL
         GROUP BY l.id ORDER BY backlog DESC, l.name",
    )
    .fetch_all(conn)
    .await?;
    let oldest = rows.iter().filter_map(|(.., oldest)| *oldest).min();
    let age = |created_at| clock::duration(clock::now().saturating_sub(created_at));
    Ok(Stats {
        sending: rows.iter().map(|(_, _, sending, _)| sending).sum(),
        oldest_pending: oldest.map(age),
        backlog: rows.into_iter().map(|(lane, waiting, ..)| (lane, waiting)).collect(),
    })
}
