//! HEARTBEAT, AHEAD: workers that went silent, and the process before this one.

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row};
use uuid::Uuid;

use super::fault::Fault;
use super::janitor::{Ended, expire};
use super::rows::json;
use super::writer::Turn;
use super::{SqliteStore, clock};
use crate::{Beat, Expired, GivenBack, StoreError, TroubledWorker, WorkerId, codec};

/// The longest lease where no worker tells.
const LEASE: i64 = 10_000_000;
/// Claims given back in one turn.
const CHUNK: u32 = 500;

/// A worker that went silent.
#[derive(Debug, Clone, Copy)]
struct Silent {
    worker: Uuid,
    /// How far ahead none of its claims ends, microseconds.
    too_far: i64,
}

impl SqliteStore {
    pub(crate) async fn beat(&self, beat: Beat) -> Result<(), StoreError> {
        self.write(beat, |beat, turn| Box::pin(remember(*beat, turn))).await
    }

    pub(crate) async fn troubled_workers(&self) -> Result<Vec<TroubledWorker>, StoreError> {
        let mut conn = self.reader().await?;
        let rows = sqlx::query(
            "SELECT id, trouble, trouble_since FROM workers
             WHERE trouble IS NOT NULL AND beat_at > ?1 - claim ORDER BY id",
        )
        .bind(clock::now())
        .fetch_all(&mut *conn)
        .await
        .map_err(Fault::from)?;
        let troubled = |row: &sqlx::sqlite::SqliteRow| {
            Ok(TroubledWorker {
                worker: WorkerId(row.try_get("id").map_err(Fault::from)?),
                what: row.try_get("trouble").map_err(Fault::from)?,
                since: clock::timestamp(row.try_get("trouble_since").map_err(Fault::from)?)?,
            })
        };
        rows.iter().map(troubled).collect()
    }

    pub(crate) async fn give_back(
        &self,
        after: Option<WorkerId>,
        limit: u32,
    ) -> Result<Option<GivenBack>, StoreError> {
        let now = clock::now();
        let mut conn = self.reader().await?;
        let Some(silent) = silent(&mut conn, after, now).await? else { return Ok(None) };
        let found = left_by(&mut conn, silent, now, limit).await?;
        drop(conn);
        let complete = u32::try_from(found.len()).is_ok_and(|count| count < limit);
        let given_back = self
            .write((silent, json(&found)?, complete), |(silent, ids, complete), turn| {
                Box::pin(give_back(*silent, ids, *complete, turn))
            })
            .await?;
        Ok(Some(given_back))
    }

    pub(crate) async fn end_leases_ahead(&self) -> Result<Vec<String>, StoreError> {
        self.write((), |(), turn| Box::pin(end_leases_ahead(turn))).await
    }

    pub(crate) async fn void_predecessor(&self) -> Result<Expired, StoreError> {
        let mut all = Expired::default();
        loop {
            let part = self.write((), |(), turn| Box::pin(void(turn))).await?;
            if part.given_back.is_empty() && part.poisoned.is_empty() {
                return Ok(all);
            }
            all.given_back.extend(part.given_back);
            all.poisoned.extend(part.poisoned);
        }
    }
}

async fn remember(beat: Beat, turn: &mut Turn) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO workers (id, beat_at, claim, lease, trouble, trouble_since, unclaim_no)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (id) DO UPDATE
         SET beat_at = excluded.beat_at, claim = excluded.claim, lease = excluded.lease,
             trouble = excluded.trouble, trouble_since = excluded.trouble_since,
             unclaim_no = max(unclaim_no, excluded.unclaim_no)",
    )
    .bind(beat.worker.0)
    .bind(turn.now)
    .bind(clock::micros(beat.claim))
    .bind(clock::micros(beat.lease))
    .bind(beat.trouble.map(|trouble| trouble.what))
    .bind(beat.trouble.map(|trouble| clock::earlier(turn.now, trouble.lasts)))
    .bind(beat.unclaimed.0)
    .execute(&mut turn.conn)
    .await?;
    Ok(())
}

/// The first silent worker after this one. A beat that lies ahead is one of a clock that ran
/// ahead: a worker that lives beats again within a second.
async fn silent(
    conn: &mut SqliteConnection,
    after: Option<WorkerId>,
    now: i64,
) -> Result<Option<Silent>, Fault> {
    let row = sqlx::query(
        "SELECT id, claim FROM workers
         WHERE (?1 IS NULL OR id > ?1) AND (beat_at < ?2 - claim OR beat_at > ?2 + claim)
         ORDER BY id LIMIT 1",
    )
    .bind(after.map(|worker| worker.0))
    .bind(now)
    .fetch_optional(conn)
    .await?;
    let read = |row: sqlx::sqlite::SqliteRow| {
        let too_far = Beat::too_far(clock::duration(row.try_get("claim")?));
        Ok(Silent { worker: row.try_get("id")?, too_far: codec::micros(too_far) })
    };
    row.map(read).transpose()
}

/// Claims of a silent worker that have ended (AHEAD). What lies before now in `next_at` is found
/// in each round.
async fn left_by(
    conn: &mut SqliteConnection,
    silent: Silent,
    now: i64,
    limit: u32,
) -> Result<Vec<Uuid>, Fault> {
    let mut snapshot = conn.begin().await?;
    Ok(sqlx::query_scalar(
        "SELECT d.id FROM lanes l
         CROSS JOIN deliveries d INDEXED BY deliveries_due ON d.lane_id = l.id
         WHERE d.next_at > ?1 AND d.status = 'sending' AND d.claimed_by = ?2
           AND (d.claimed_until <= ?1 OR d.claimed_until > ?3)
         LIMIT ?4",
    )
    .bind(now)
    .bind(silent.worker)
    .bind(now.saturating_add(silent.too_far))
    .bind(limit)
    .fetch_all(&mut *snapshot)
    .await?)
}

async fn give_back(
    silent: Silent,
    ids: &str,
    complete: bool,
    turn: &mut Turn,
) -> Result<GivenBack, Fault> {
    let Silent { worker, too_far } = silent;
    let expired = expire(ids, Ended::Of { worker, too_far }, turn).await?;
    let complete = complete && !is_sending(worker, turn).await?;
    if complete {
        let forget = sqlx::query("DELETE FROM workers WHERE id = ?1").bind(worker);
        forget.execute(&mut turn.conn).await?;
    }
    Ok(GivenBack { worker: WorkerId(worker), expired, complete })
}

async fn is_sending(worker: Uuid, turn: &mut Turn) -> Result<bool, Fault> {
    Ok(sqlx::query_scalar(
        "SELECT EXISTS (
             SELECT 1 FROM lanes l
             CROSS JOIN deliveries d INDEXED BY deliveries_due ON d.lane_id = l.id
             WHERE d.next_at > ?2 AND d.status = 'sending' AND d.claimed_by = ?1)",
    )
    .bind(worker)
    .bind(turn.now)
    .fetch_one(&mut turn.conn)
    .await?)
}

async fn end_leases_ahead(turn: &mut Turn) -> Result<Vec<String>, Fault> {
    Ok(sqlx::query_scalar(
        "UPDATE limits SET owner = NULL, lease_until = NULL
         WHERE owner IS NOT NULL
           AND lease_until > ?1 + 2 * coalesce(
               (SELECT lease FROM workers WHERE id = owner),
               (SELECT max(lease) FROM workers), ?2)
         RETURNING name",
    )
    .bind(turn.now)
    .bind(LEASE)
    .fetch_all(&mut turn.conn)
    .await?)
}

/// All claims, a chunk at a time, then all leases.
async fn void(turn: &mut Turn) -> Result<Expired, Fault> {
    let claimed: Vec<Uuid> = sqlx::query_scalar(
        "SELECT d.id FROM lanes l
         CROSS JOIN deliveries d INDEXED BY deliveries_due ON d.lane_id = l.id
         WHERE d.next_at IS NOT NULL AND d.status = 'sending'
         LIMIT ?1",
    )
    .bind(CHUNK)
    .fetch_all(&mut turn.conn)
    .await?;
    if !claimed.is_empty() {
        return expire(&json(&claimed)?, Ended::All, turn).await;
    }
    for sql in [
        "UPDATE limits SET owner = NULL, lease_until = NULL WHERE owner IS NOT NULL",
        "UPDATE monitor_lease SET owner = NULL, lease_until = NULL WHERE owner IS NOT NULL",
        "DELETE FROM workers",
    ] {
        sqlx::query(sql).execute(&mut turn.conn).await?;
    }
    Ok(Expired::default())
}
