//! Facts of consumers and providers.

use std::time::Duration;

use jiff::Timestamp;
use postrider_domain::{EventId, PairFacts, PairKey, Verified};
use serde::Serialize;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use uuid::Uuid;

use super::fault::Fault;
use super::incidents::is_active;
use super::rows::json;
use super::writer::Turn;
use super::{Lite, clock};
use crate::codec::{self, broker_trouble, event_name};
use crate::pairs::happened;
use crate::{
    BrokerRead, DispatchFact, MonitorLease, PairFilter, PairRow, StoreError, ToldEvents, ToldPage,
};

impl Lite {
    pub(crate) async fn pairs(
        &self,
        filter: &PairFilter,
        after: Option<&PairKey>,
        limit: u32,
    ) -> Result<Vec<PairRow>, StoreError> {
        let mut conn = self.reader().await?;
        Ok(pairs(&mut conn, filter, after, limit).await?)
    }

    pub(crate) async fn save_pairs(
        &self,
        lease: MonitorLease,
        pairs: &[PairRow],
        events_until: Option<EventId>,
    ) -> Result<bool, StoreError> {
        self.write((lease, pairs.to_vec(), events_until), |(lease, pairs, until), turn| {
            Box::pin(save(*lease, pairs, *until, turn))
        })
        .await
    }

    pub(crate) async fn events_until(&self) -> Result<Option<Uuid>, StoreError> {
        let mut conn = self.reader().await?;
        let until = sqlx::query_scalar("SELECT events_until FROM monitor_lease");
        Ok(until.fetch_one(&mut *conn).await.map_err(Fault::Sql)?)
    }

    pub(crate) async fn told_events(
        &self,
        after: EventId,
        limit: u32,
    ) -> Result<ToldPage, StoreError> {
        let mut conn = self.reader().await?;
        Ok(told_events(&mut conn, after, limit).await?)
    }

    pub(crate) async fn dispatches(
        &self,
        events: &[EventId],
    ) -> Result<Vec<DispatchFact>, StoreError> {
        let mut conn = self.reader().await?;
        Ok(dispatches(&mut conn, events).await?)
    }

    pub(crate) async fn broker_reads(&self) -> Result<Vec<BrokerRead>, StoreError> {
        let mut conn = self.reader().await?;
        let rows = sqlx::query(
            "SELECT broker, answered_at, failing_since, cause, detail FROM broker_reads
             ORDER BY broker",
        )
        .fetch_all(&mut *conn)
        .await
        .map_err(Fault::Sql)?;
        Ok(rows.iter().map(broker_read).collect::<Result<_, _>>()?)
    }

    pub(crate) async fn save_broker_read(
        &self,
        lease: MonitorLease,
        read: &BrokerRead,
    ) -> Result<bool, StoreError> {
        self.write((lease, read.clone()), |(lease, read), turn| {
            Box::pin(save_read(*lease, read, turn))
        })
        .await
    }

    pub(crate) async fn keep_broker_reads(
        &self,
        lease: MonitorLease,
        brokers: &[String],
    ) -> Result<bool, StoreError> {
        self.write((lease, brokers.to_vec()), |(lease, brokers), turn| {
            Box::pin(keep_reads(*lease, brokers, turn))
        })
        .await
    }

    pub(crate) async fn prune_pairs(&self, keep: Duration) -> Result<u64, StoreError> {
        self.write(keep, |keep, turn| Box::pin(prune(*keep, turn))).await
    }
}

async fn pairs(
    conn: &mut SqliteConnection,
    filter: &PairFilter,
    after: Option<&PairKey>,
    limit: u32,
) -> Result<Vec<PairRow>, Fault> {
    let rows = sqlx::query(
        "SELECT broker, consumer, provider, first_publication_at, last_publication_at, owing,
                last_verification_at, last_verification_success, last_dispatch_at, watched
         FROM pairs
         WHERE (?1 IS NULL OR broker = ?1) AND (?2 IS NULL OR consumer = ?2)
           AND (?3 IS NULL OR provider = ?3)
           AND (?4 IS NULL OR (broker, consumer, provider) > (?4, ?5, ?6))
         ORDER BY broker, consumer, provider LIMIT ?7",
    )
    .bind(&filter.broker)
    .bind(&filter.consumer)
    .bind(&filter.provider)
    .bind(after.map(|key| key.broker.as_str()))
    .bind(after.map(|key| key.consumer.as_str()))
    .bind(after.map(|key| key.provider.as_str()))
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(pair_row).collect()
}

/// A pair as the statement reads it; instants in microseconds.
#[derive(Serialize)]
struct SavedRow<'a> {
    broker: &'a str,
    consumer: &'a str,
    provider: &'a str,
    first: Option<i64>,
    last: Option<i64>,
    owing: String,
    verified: Option<i64>,
    success: Option<bool>,
    dispatched: Option<i64>,
    watched: String,
}

impl<'a> SavedRow<'a> {
    fn of(PairRow { key, facts, watched }: &'a PairRow) -> Result<Self, StoreError> {
        let micros = |instant: Option<Timestamp>| instant.map(Timestamp::as_microsecond);
        Ok(Self {
            broker: &key.broker,
            consumer: &key.consumer,
            provider: &key.provider,
            first: micros(facts.first_publication),
            last: micros(facts.last_publication),
            owing: codec::list_text(&facts.owing)?,
            verified: micros(facts.last_verification.map(|newest| newest.at)),
            success: facts.last_verification.and_then(|newest| newest.success),
            dispatched: micros(facts.last_dispatch),
            watched: codec::list_text(watched)?,
        })
    }
}

async fn save(
    lease: MonitorLease,
    pairs: &[PairRow],
    events_until: Option<EventId>,
    turn: &mut Turn,
) -> Result<bool, Fault> {
    if !is_active(lease, turn).await? {
        return Ok(false);
    }
    let rows: Vec<SavedRow<'_>> = pairs.iter().map(SavedRow::of).collect::<Result<_, _>>()?;
    sqlx::query(
        "INSERT INTO pairs (broker, consumer, provider, first_publication_at,
             last_publication_at, owing, last_verification_at, last_verification_success,
             last_dispatch_at, watched, seen_at)
         SELECT value ->> 'broker', value ->> 'consumer', value ->> 'provider',
                value ->> 'first', value ->> 'last', value ->> 'owing', value ->> 'verified',
                value ->> 'success', value ->> 'dispatched', value ->> 'watched', ?2
         FROM json_each(?1) WHERE true
         ON CONFLICT (broker, consumer, provider) DO UPDATE SET
             first_publication_at = excluded.first_publication_at,
             last_publication_at = excluded.last_publication_at, owing = excluded.owing,
             last_verification_at = excluded.last_verification_at,
             last_verification_success = excluded.last_verification_success,
             last_dispatch_at = excluded.last_dispatch_at, watched = excluded.watched,
             seen_at = excluded.seen_at",
    )
    .bind(json(&rows)?)
    .bind(turn.now)
    .execute(&mut turn.conn)
    .await?;
    if let Some(until) = events_until {
        sqlx::query("UPDATE monitor_lease SET events_until = max(coalesce(events_until, ?1), ?1)")
            .bind(until.0)
            .execute(&mut turn.conn)
            .await?;
    }
    Ok(true)
}

/// Under load very many events tell the same; by the second they are few.
async fn told_events(
    conn: &mut SqliteConnection,
    after: EventId,
    limit: u32,
) -> Result<ToldPage, Fault> {
    let rows = sqlx::query(
        r#"WITH chunk AS MATERIALIZED (
             SELECT e.id, e.name, e.broker, e.consumer, e.provider, e.received_at,
                    CASE WHEN instr(e.body, '"occurred_at":') > 0
                         THEN e.body ->> 'occurred_at' END AS occurred_at,
                    CASE WHEN e.name = 'provider_verification_published'
                         THEN e.body ->> 'verification_success' END AS success,
                    EXISTS (SELECT 1 FROM deliveries d INDEXED BY deliveries_of_event
                            WHERE d.event_id = e.id) AS dispatched
             FROM events e WHERE e.id > ?1 ORDER BY e.id LIMIT ?2)
         SELECT broker, consumer, provider, name, occurred_at, success,
                min(received_at) AS first_at, max(received_at) AS last_at, max(id) AS newest,
                max(CASE WHEN dispatched THEN id END) AS dispatched, count(*) AS events
         FROM chunk
         GROUP BY broker, consumer, provider, name, occurred_at, success,
                  received_at / 1000000"#,
    )
    .bind(after.0)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    let mut page = ToldPage { told: Vec::with_capacity(rows.len()), last: None, count: 0 };
    for row in &rows {
        page.last = page.last.max(Some(EventId(row.try_get("newest")?)));
        page.count += row.try_get::<u64, _>("events")?;
        page.told.push(told(row)?);
    }
    Ok(page)
}

fn told(row: &SqliteRow) -> Result<ToldEvents, Fault> {
    let occurred: Option<&str> = row.try_get("occurred_at")?;
    let dispatched: Option<Uuid> = row.try_get("dispatched")?;
    Ok(ToldEvents {
        key: key(row)?,
        event: event_name(row.try_get("name")?)?,
        success: row.try_get("success")?,
        first_at: happened(occurred, clock::timestamp(row.try_get("first_at")?)?),
        last_at: happened(occurred, clock::timestamp(row.try_get("last_at")?)?),
        dispatched: dispatched.map(EventId),
    })
}

async fn dispatches(
    conn: &mut SqliteConnection,
    events: &[EventId],
) -> Result<Vec<DispatchFact>, Fault> {
    let rows: Vec<(Uuid, bool, Option<i64>)> = sqlx::query_as(
        "SELECT d.event_id, max(d.next_at IS NOT NULL),
                max(CASE WHEN d.status = 'delivered' THEN d.updated_at END)
         FROM json_each(?1) wanted
         CROSS JOIN deliveries d INDEXED BY deliveries_of_event
             ON d.event_id = unhex(wanted.value, '-')
         GROUP BY d.event_id",
    )
    .bind(json(events)?)
    .fetch_all(conn)
    .await?;
    let fact = |(event, open, delivered_at): (Uuid, bool, Option<i64>)| {
        let delivered_at = delivered_at.map(clock::timestamp).transpose()?;
        Ok(DispatchFact { event: EventId(event), open, delivered_at })
    };
    rows.into_iter().map(fact).collect()
}

async fn save_read(lease: MonitorLease, read: &BrokerRead, turn: &mut Turn) -> Result<bool, Fault> {
    if !is_active(lease, turn).await? {
        return Ok(false);
    }
    let failing = read.failing.as_ref();
    sqlx::query(
        "INSERT INTO broker_reads (broker, answered_at, failing_since, cause, detail)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (broker) DO UPDATE SET answered_at = excluded.answered_at,
             failing_since = excluded.failing_since, cause = excluded.cause,
             detail = excluded.detail",
    )
    .bind(&read.broker)
    .bind(read.answered_at.map(Timestamp::as_microsecond))
    .bind(failing.map(|(since, ..)| since.as_microsecond()))
    .bind(failing.map(|(_, trouble, _)| trouble.as_str()))
    .bind(failing.map_or("", |(_, _, detail)| detail))
    .execute(&mut turn.conn)
    .await?;
    Ok(true)
}

async fn keep_reads(
    lease: MonitorLease,
    brokers: &[String],
    turn: &mut Turn,
) -> Result<bool, Fault> {
    if !is_active(lease, turn).await? {
        return Ok(false);
    }
    sqlx::query("DELETE FROM broker_reads WHERE broker NOT IN (SELECT value FROM json_each(?1))")
        .bind(json(brokers)?)
        .execute(&mut turn.conn)
        .await?;
    Ok(true)
}

async fn prune(keep: Duration, turn: &mut Turn) -> Result<u64, Fault> {
    let before = turn.now.saturating_sub(clock::micros(keep));
    let gone = sqlx::query("DELETE FROM pairs WHERE seen_at < ?1").bind(before);
    Ok(gone.execute(&mut turn.conn).await?.rows_affected())
}

fn key(row: &SqliteRow) -> Result<PairKey, Fault> {
    Ok(PairKey {
        broker: row.try_get("broker")?,
        consumer: row.try_get("consumer")?,
        provider: row.try_get("provider")?,
    })
}

fn instant(row: &SqliteRow, column: &str) -> Result<Option<Timestamp>, Fault> {
    let micros: Option<i64> = row.try_get(column)?;
    Ok(micros.map(clock::timestamp).transpose()?)
}

fn pair_row(row: &SqliteRow) -> Result<PairRow, Fault> {
    let success = row.try_get("last_verification_success")?;
    let verified = instant(row, "last_verification_at")?;
    let facts = PairFacts {
        first_publication: instant(row, "first_publication_at")?,
        last_publication: instant(row, "last_publication_at")?,
        owing: codec::list(row.try_get("owing")?)?,
        last_verification: verified.map(|at| Verified { at, success }),
        last_dispatch: instant(row, "last_dispatch_at")?,
    };
    Ok(PairRow { key: key(row)?, facts, watched: codec::list(row.try_get("watched")?)? })
}

fn broker_read(row: &SqliteRow) -> Result<BrokerRead, Fault> {
    let since = instant(row, "failing_since")?;
    let trouble: Option<&str> = row.try_get("cause")?;
    let failing = since.zip(trouble).map(|(since, trouble)| {
        Ok::<_, Fault>((since, broker_trouble(trouble)?, row.try_get("detail")?))
    });
    Ok(BrokerRead {
        broker: row.try_get("broker")?,
        answered_at: instant(row, "answered_at")?,
        failing: failing.transpose()?,
    })
}
