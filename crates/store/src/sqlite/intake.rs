//! T1, T2: an event and its deliveries enter.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use postrider_domain::{DeliveryId, EventId};
use serde_json::value::RawValue;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::fault::Fault;
use super::rows::json;
use super::writer::Turn;
use super::{Lite, clock};
use crate::codec::{event_text, fingerprint, webhook_uuid};
use crate::{Committed, IntakeBatch, IntakeEntry, IntakeResult, KeyTerm, StoreError};

impl Lite {
    pub(crate) async fn commit_events(
        &self,
        batch: &IntakeBatch,
    ) -> Result<Option<Vec<IntakeResult>>, StoreError> {
        let intake = Intake::new(batch, self.0.sweep_after)?;
        self.write(intake, |intake, turn| Box::pin(commit(intake, turn))).await
    }

    pub(crate) async fn hurry(&self, ids: &[DeliveryId]) -> Result<(), StoreError> {
        let ids = json(ids)?;
        self.write(ids, |ids, turn| Box::pin(hurry(ids, turn))).await
    }

    pub(crate) async fn count_unclaimed(&self, limit: u32) -> Result<u32, StoreError> {
        let mut conn = self.reader().await?;
        let count: u32 = sqlx::query_scalar(
            "SELECT count(*) FROM (
                 SELECT 1 FROM lanes l CROSS JOIN deliveries d INDEXED BY deliveries_due
                 ON d.lane_id = l.id
                 WHERE d.next_at IS NOT NULL AND d.status = 'waiting' AND d.claim_no = 0
                 LIMIT ?1)",
        )
        .bind(limit)
        .fetch_one(&mut *conn)
        .await
        .map_err(Fault::Sql)?;
        Ok(count)
    }

    pub(crate) async fn free_key(&self, key: &str, event: EventId) -> Result<(), StoreError> {
        let key = (key.to_owned(), event);
        self.write(key, |(key, event), turn| Box::pin(free_key(key, *event, turn))).await
    }
}

/// A batch as its statements take it, built outside the writer's turn.
struct Intake {
    version: i64,
    sweep_after: Duration,
    /// Key (if any) and event of each entry, in order.
    order: Vec<(Option<String>, EventId)>,
    keys: String,
    events: String,
    deliveries: String,
}

impl Intake {
    fn new(batch: &IntakeBatch, sweep_after: Duration) -> Result<Self, StoreError> {
        let entries = &batch.entries;
        Ok(Self {
            version: batch.webhooks_version,
            sweep_after,
            order: entries.iter().map(|e| (e.event.key.clone(), e.event.id)).collect(),
            keys: keys_json(entries)?,
            events: events_json(entries)?,
            deliveries: deliveries_json(entries)?,
        })
    }

    fn has_keys(&self) -> bool {
        self.order.iter().any(|(key, _)| key.is_some())
    }
}

fn keys_json(entries: &[IntakeEntry]) -> Result<String, Fault> {
    let rows: Vec<_> = entries
        .iter()
        .filter_map(|entry| {
            let new = &entry.event;
            let key = new.key.as_deref()?;
            Some((key, new.id, hex::encode(new.fingerprint), new.term.as_ref().map(term_row)))
        })
        .collect();
    json(&rows)
}

/// When the call arrived, and how long its key holds at most.
fn term_row(term: &KeyTerm) -> (i64, i64) {
    (clock::earlier(clock::now(), term.arrived.elapsed()), clock::micros(term.longest))
}

fn events_json(entries: &[IntakeEntry]) -> Result<String, Fault> {
    let rows = entries.iter().map(event_row).collect::<Result<Vec<_>, _>>()?;
    json(&rows)
}

type EventRow<'a> =
    (EventId, &'a str, &'a str, &'a str, &'a str, Box<RawValue>, String, Option<&'a str>);

fn event_row(entry: &IntakeEntry) -> Result<EventRow<'_>, Fault> {
    let new = &entry.event;
    let event = &new.event;
    Ok((
        new.id,
        event.event_name.as_str(),
        &event.broker,
        &event.consumer.name,
        &event.provider.name,
        RawValue::from_string(event_text(event)?)?,
        hex::encode(new.fingerprint),
        new.traceparent.as_deref(),
    ))
}

fn deliveries_json(entries: &[IntakeEntry]) -> Result<String, Fault> {
    let rows: Vec<_> = entries
        .iter()
        .flat_map(|entry| {
            let event = entry.event.id;
            entry.deliveries.iter().map(move |d| (d.id, event, d.webhook_id, d.lane_id))
        })
        .collect();
    json(&rows)
}

/// T1 (`VERSION_IN_COMMIT`, `ATOMIC_KEY`).
async fn commit(intake: &Intake, turn: &mut Turn) -> Result<Option<Vec<IntakeResult>>, Fault> {
    let version: i64 =
        sqlx::query_scalar("SELECT webhooks_version FROM meta").fetch_one(&mut turn.conn).await?;
    if version != intake.version {
        return Ok(None);
    }
    let winners = if intake.has_keys() { take_keys(intake, turn).await? } else { HashSet::new() };
    let lost = |(key, id): &&(Option<String>, EventId)| key.is_some() && !winners.contains(id);
    let losers: Vec<_> = intake.order.iter().filter(lost).collect();
    let repeats = json(&losers.iter().map(|(_, id)| id).collect::<Vec<_>>())?;
    insert_events(intake, &repeats, turn).await?;
    insert_deliveries(intake, &repeats, turn).await?;
    if losers.is_empty() {
        return Ok(Some(vec![IntakeResult::Accepted; intake.order.len()]));
    }
    let earlier = committed_under(&losers, turn).await?;
    results(intake, &winners, &earlier).map(Some)
}

/// The events whose keys are theirs now. A key whose term ended before the call arrived is
/// taken over.
async fn take_keys(intake: &Intake, turn: &mut Turn) -> Result<HashSet<EventId>, Fault> {
    let won: Vec<Uuid> = sqlx::query_scalar(
        "INSERT INTO idempotency (key, event_id, fingerprint, at, free_at)
         SELECT value ->> 0, unhex(value ->> 1, '-'), unhex(value ->> 2),
                coalesce(value ->> '$[3][0]', ?2), value ->> '$[3][0]' + value ->> '$[3][1]'
         FROM json_each(?1) WHERE true
         ON CONFLICT (key) DO UPDATE
             SET event_id = excluded.event_id, fingerprint = excluded.fingerprint,
                 at = excluded.at, free_at = excluded.free_at
             WHERE idempotency.free_at < excluded.at
         RETURNING event_id",
    )
    .bind(&intake.keys)
    .bind(turn.now)
    .fetch_all(&mut turn.conn)
    .await?;
    Ok(won.into_iter().map(EventId).collect())
}

async fn insert_events(intake: &Intake, repeats: &str, turn: &mut Turn) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO events
             (id, name, broker, consumer, provider, body, fingerprint, traceparent, received_at)
         SELECT unhex(value ->> 0, '-'), value ->> 1, value ->> 2, value ->> 3, value ->> 4,
                value ->> 5, unhex(value ->> 6), value ->> 7, ?3
         FROM json_each(?1)
         WHERE value ->> 0 NOT IN (SELECT value FROM json_each(?2))",
    )
    .bind(&intake.events)
    .bind(repeats)
    .bind(turn.now)
    .execute(&mut turn.conn)
    .await?;
    Ok(())
}

/// A delivery of a limited lane is due at once, because its leader takes the oldest first.
async fn insert_deliveries(intake: &Intake, repeats: &str, turn: &mut Turn) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO deliveries
             (id, event_id, webhook_id, lane_id, status, next_at, held_base, created_at, updated_at)
         SELECT unhex(new.value ->> 0, '-'), unhex(new.value ->> 1, '-'), new.value ->> 2,
                new.value ->> 3, 'waiting', CASE WHEN l.limited THEN ?3 ELSE ?4 END,
                coalesce(l.held_total, 0), ?3, ?3
         FROM json_each(?1) new LEFT JOIN lanes l ON l.id = new.value ->> 3
         WHERE new.value ->> 1 NOT IN (SELECT value FROM json_each(?2))",
    )
    .bind(&intake.deliveries)
    .bind(repeats)
    .bind(turn.now)
    .bind(clock::later(turn.now, intake.sweep_after))
    .execute(&mut turn.conn)
    .await?;
    Ok(())
}

/// What the keys' winners were, of this batch or of earlier ones.
async fn committed_under(
    losers: &[&(Option<String>, EventId)],
    turn: &mut Turn,
) -> Result<HashMap<String, Committed>, Fault> {
    let keys = json(&losers.iter().map(|(key, _)| key).collect::<Vec<_>>())?;
    let rows = sqlx::query(
        "SELECT i.key, i.event_id, i.fingerprint, d.id AS delivery_id, w.uuid
         FROM idempotency i
         LEFT JOIN deliveries d ON d.event_id = i.event_id
         LEFT JOIN webhooks w ON w.id = d.webhook_id
         WHERE i.key IN (SELECT value FROM json_each(?1))
         ORDER BY i.key, d.id",
    )
    .bind(keys)
    .fetch_all(&mut turn.conn)
    .await?;
    let mut found = HashMap::new();
    for row in &rows {
        let committed = found.entry(row.try_get::<String, _>("key")?).or_insert(committed(row)?);
        committed.deliveries.extend(delivery_of(row)?);
    }
    Ok(found)
}

fn committed(row: &SqliteRow) -> Result<Committed, Fault> {
    Ok(Committed {
        event_id: EventId(row.try_get("event_id")?),
        deliveries: Vec::new(),
        fingerprint: fingerprint(&row.try_get::<Vec<u8>, _>("fingerprint")?)?,
    })
}

fn delivery_of(
    row: &SqliteRow,
) -> Result<Option<(DeliveryId, postrider_domain::WebhookUuid)>, Fault> {
    let id: Option<Uuid> = row.try_get("delivery_id")?;
    let uuid: Option<String> = row.try_get("uuid")?;
    match (id, uuid) {
        (Some(id), Some(uuid)) => Ok(Some((DeliveryId(id), webhook_uuid(&uuid)?))),
        (None, _) | (_, None) => Ok(None),
    }
}

fn results(
    intake: &Intake,
    winners: &HashSet<EventId>,
    earlier: &HashMap<String, Committed>,
) -> Result<Vec<IntakeResult>, Fault> {
    let result = |(key, id): &(Option<String>, EventId)| match key {
        Some(key) if !winners.contains(id) => earlier
            .get(key)
            .map(|committed| IntakeResult::Duplicate(committed.clone()))
            .ok_or_else(|| StoreError::Corrupt("a used idempotency key has no row".to_owned())),
        Some(_) | None => Ok(IntakeResult::Accepted),
    };
    Ok(intake.order.iter().map(result).collect::<Result<_, _>>()?)
}

/// T2. What is due already keeps its place.
async fn hurry(ids: &str, turn: &mut Turn) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE deliveries SET next_at = ?2
         WHERE id IN (SELECT unhex(value, '-') FROM json_each(?1))
           AND status = 'waiting' AND claim_no = 0 AND next_at > ?2",
    )
    .bind(ids)
    .bind(turn.now)
    .execute(&mut turn.conn)
    .await?;
    Ok(())
}

/// A key without a term has NULL, which is not later than anything.
async fn free_key(key: &str, event: EventId, turn: &mut Turn) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE idempotency SET free_at = ?3 WHERE key = ?1 AND event_id = ?2 AND free_at > ?3",
    )
    .bind(key)
    .bind(event.0)
    .bind(turn.now)
    .execute(&mut turn.conn)
    .await?;
    Ok(())
}
