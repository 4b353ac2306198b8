//! T1, T1c, T2: an event and its deliveries enter.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use postrider_domain::{DeliveryId, EventId};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};
use uuid::Uuid;

use super::bound::{CHUNK, chunks, push_ids};
use super::claims_at_intake::insert_claimed;
use super::fault::Fault;
use super::rows::json;
use super::writer::Turn;
use super::{SqliteStore, clock};
use crate::codec::{event_pair_hash, fingerprint, webhook_uuid};
use crate::intake::WantedClaims;
use crate::{
    Claim, Committed, IntakeBatch, IntakeEntry, IntakeResult, NewDelivery, NewEvent, StoreError,
};

impl SqliteStore {
    pub(crate) async fn commit_events(
        &self,
        batch: &IntakeBatch,
    ) -> Result<Option<Vec<IntakeResult>>, StoreError> {
        let entered = self.enter(batch, None).await?;
        Ok(entered.map(|(results, _)| results))
    }

    /// T1, with T1c for what may be claimed.
    pub(crate) async fn enter(
        &self,
        batch: &IntakeBatch,
        wanted: Option<WantedClaims>,
    ) -> Result<Option<(Vec<IntakeResult>, Vec<Claim>)>, StoreError> {
        let intake = Intake::new(batch, wanted, self.0.sweep_after);
        self.write(intake, |intake, turn| Box::pin(commit(intake, turn))).await
    }

    pub(crate) async fn make_due(&self, ids: &[DeliveryId]) -> Result<(), StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        self.write(ids, |ids, turn| Box::pin(make_due(ids, Lanes::Any, turn))).await
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
    wanted: Option<WantedClaims>,
    sweep_after: Duration,
    entries: Arc<Vec<IntakeEntry>>,
    terms: Vec<Option<Term>>,
}

/// When the call arrived, and how long its key holds at most; microseconds.
#[derive(Debug, Clone, Copy)]
struct Term {
    arrived: i64,
    longest: i64,
}

impl Intake {
    fn new(batch: &IntakeBatch, wanted: Option<WantedClaims>, sweep_after: Duration) -> Self {
        let term = |entry: &IntakeEntry| {
            entry.event.term.as_ref().map(|term| Term {
                arrived: clock::earlier(clock::now(), term.arrived.elapsed()),
                longest: clock::micros(term.longest),
            })
        };
        Self {
            version: batch.webhooks_version,
            wanted,
            sweep_after,
            entries: Arc::clone(&batch.entries),
            terms: batch.entries.iter().map(term).collect(),
        }
    }

    /// Those with a key: the key, the event, how long the key holds.
    fn keys(&self) -> Vec<(&str, &NewEvent, Option<Term>)> {
        let mut keys = Vec::new();
        for (entry, term) in self.entries.iter().zip(&self.terms) {
            keys.extend(entry.event.key.as_deref().map(|key| (key, &entry.event, *term)));
        }
        keys
    }
}

/// What became of the entries, and what was claimed.
type Entered = (Vec<IntakeResult>, Vec<Claim>);

/// T1 (`VERSION_IN_COMMIT`, `ATOMIC_KEY`), T1c.
async fn commit(intake: &Intake, turn: &mut Turn) -> Result<Option<Entered>, Fault> {
    let version: i64 =
        sqlx::query_scalar("SELECT webhooks_version FROM meta").fetch_one(&mut turn.conn).await?;
    if version != intake.version {
        return Ok(None);
    }
    let winners = take_keys(intake, turn).await?;
    let (new, repeats): (Vec<&IntakeEntry>, Vec<&IntakeEntry>) =
        intake.entries.iter().partition(|entry| is_new(&entry.event, &winners));
    insert_events(&new, turn).await?;
    let mut rows: Vec<(&NewEvent, NewDelivery)> = Vec::new();
    for entry in &new {
        rows.extend(entry.deliveries.iter().map(|delivery| (&entry.event, *delivery)));
    }
    let claims = match &intake.wanted {
        Some(wanted) => insert_claimed(&rows, wanted, intake.sweep_after, turn).await?,
        None => Vec::new(),
    };
    let claimed: HashSet<DeliveryId> = claims.iter().map(|claim| claim.id).collect();
    rows.retain(|(_, delivery)| !claimed.contains(&delivery.id));
    insert_deliveries(&rows, intake.sweep_after, turn).await?;
    if let Some(wanted) = &intake.wanted {
        let left = rows.iter().map(|(_, delivery)| delivery.id);
        let left: Vec<Uuid> = left.filter(|id| wanted.ids.contains(id)).map(|id| id.0).collect();
        make_due(&left, Lanes::Closed, turn).await?;
    }
    if repeats.is_empty() {
        return Ok(Some((vec![IntakeResult::Accepted; intake.entries.len()], claims)));
    }
    let earlier = committed_under(&repeats, turn).await?;
    Ok(Some((results(intake, &winners, &earlier)?, claims)))
}

fn is_new(event: &NewEvent, winners: &HashSet<EventId>) -> bool {
    event.key.is_none() || winners.contains(&event.id)
}

/// The events whose keys are theirs now. A key whose term ended before the call arrived is
/// taken over.
async fn take_keys(intake: &Intake, turn: &mut Turn) -> Result<HashSet<EventId>, Fault> {
    let now = turn.now;
    let mut won = HashSet::new();
    for chunk in chunks(&intake.keys()) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO idempotency (key, event_id, fingerprint, at, free_at) ",
        );
        query.push_values(chunk, |mut values, (key, event, term)| {
            values
                .push_bind(*key)
                .push_bind(event.id.0)
                .push_bind(event.fingerprint.as_slice())
                .push_bind(term.map_or(now, |term| term.arrived))
                .push_bind(term.map(|term| term.arrived + term.longest));
        });
        query.push(
            " ON CONFLICT (key) DO UPDATE \
             SET event_id = excluded.event_id, fingerprint = excluded.fingerprint, \
                 at = excluded.at, free_at = excluded.free_at \
             WHERE idempotency.free_at < excluded.at \
             RETURNING event_id",
        );
        let ids: Vec<Uuid> = query.build_query_scalar().fetch_all(&mut turn.conn).await?;
        won.extend(ids.into_iter().map(EventId));
    }
    Ok(won)
}

async fn insert_events(new: &[&IntakeEntry], turn: &mut Turn) -> Result<(), Fault> {
    let now = turn.now;
    for chunk in chunks(new) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO events \
             (id, name, broker, consumer, provider, body, fingerprint, traceparent, received_at, \
             pair_hash, source) ",
        );
        query.push_values(chunk, |mut values, entry| {
            let (new, event) = (&entry.event, entry.event.event.event());
            values
                .push_bind(new.id.0)
                .push_bind(event.event_name.as_str())
                .push_bind(event.broker.as_str())
                .push_bind(event.consumer.name.as_str())
                .push_bind(event.provider.name.as_str())
                .push_bind(new.event.text())
                .push_bind(new.fingerprint.as_slice())
                .push_bind(new.traceparent.as_deref())
                .push_bind(now)
                .push_bind(event_pair_hash(event))
                .push_bind(new.source.as_str());
        });
        query.build().execute(&mut turn.conn).await?;
    }
    Ok(())
}

/// A delivery of a limited lane is due at once, because its leader takes the oldest first.
async fn insert_deliveries(
    rows: &[(&NewEvent, NewDelivery)],
    sweep_after: Duration,
    turn: &mut Turn,
) -> Result<(), Fault> {
    let swept = clock::later(turn.now, sweep_after);
    for chunk in chunks(rows) {
        let mut query =
            QueryBuilder::<Sqlite>::new("WITH n (id, event_id, webhook_id, lane_id) AS (");
        query.push_values(chunk, |mut values, (event, delivery)| {
            values
                .push_bind(delivery.id.0)
                .push_bind(event.id.0)
                .push_bind(delivery.webhook_id.0)
                .push_bind(delivery.lane_id.0);
        });
        query.push(
            ") INSERT INTO deliveries \
             (id, event_id, webhook_id, lane_id, status, next_at, created_at, updated_at) \
             SELECT n.id, n.event_id, n.webhook_id, n.lane_id, 'waiting', CASE WHEN l.limited THEN ",
        );
        query.push_bind(turn.now).push(" ELSE ").push_bind(swept).push(" END, ");
        query.push_bind(turn.now).push(", ").push_bind(turn.now);
        query.push(" FROM n LEFT JOIN lanes l ON l.id = n.lane_id");
        query.build().execute(&mut turn.conn).await?;
    }
    Ok(())
}

/// What the keys' winners were, of this batch or of earlier ones.
async fn committed_under(
    repeats: &[&IntakeEntry],
    turn: &mut Turn,
) -> Result<HashMap<String, Committed>, Fault> {
    let keys: Vec<_> = repeats.iter().map(|entry| entry.event.key.as_deref()).collect();
    let rows = sqlx::query(
        "SELECT i.key, i.event_id, i.fingerprint, d.id AS delivery_id, w.uuid
         FROM idempotency i
         LEFT JOIN deliveries d ON d.event_id = i.event_id
         LEFT JOIN webhooks w ON w.id = d.webhook_id
         WHERE i.key IN (SELECT value FROM json_each(?1))
         ORDER BY i.key, d.id",
    )
    .bind(json(&keys)?)
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
    let result = |entry: &IntakeEntry| match &entry.event.key {
        Some(key) if !winners.contains(&entry.event.id) => earlier
            .get(key)
            .map(|committed| IntakeResult::Duplicate(committed.clone()))
            .ok_or_else(|| StoreError::Corrupt("a used idempotency key has no row".to_owned())),
        Some(_) | None => Ok(IntakeResult::Accepted),
    };
    Ok(intake.entries.iter().map(result).collect::<Result<_, _>>()?)
}

/// Of which lanes deliveries become due.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lanes {
    Any,
    /// Unlimited ones that are held or paused: what a message brought there need not wait for the
    /// sweep.
    Closed,
}

/// T2. What is due already keeps its place.
pub(super) async fn make_due(ids: &[Uuid], lanes: Lanes, turn: &mut Turn) -> Result<(), Fault> {
    for ids in ids.chunks(CHUNK) {
        let mut query = QueryBuilder::<Sqlite>::new("UPDATE deliveries SET next_at = ");
        query.push_bind(turn.now).push(" WHERE id IN ");
        push_ids(&mut query, ids);
        query.push(" AND status = 'waiting' AND claim_no = 0 AND next_at > ").push_bind(turn.now);
        if matches!(lanes, Lanes::Closed) {
            query.push(
                " AND lane_id IN (SELECT l.id FROM lanes l JOIN limits m ON m.id = l.limit_id \
                 WHERE NOT l.limited AND (l.hold_cause IS NOT NULL OR m.pause_until > ",
            );
            query.push_bind(turn.now).push("))");
        }
        query.build().execute(&mut turn.conn).await?;
    }
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
