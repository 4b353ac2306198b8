//! Lanes for workers and for people; L6-L8: pauses, holds by hand, releases.

use std::time::Duration;

use postrider_domain::{LaneId, LimitId};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::claims_limited::OLD_CLAIMS_WITHIN;
use super::fault::Fault;
use super::rows::{json, limits};
use super::writer::Turn;
use super::{SqliteStore, clock};
use crate::codec::lane_state;
use crate::lanes::POLL_PAGE;
use crate::{LanePage, LaneStatus, LimitStatus, Poll, ProbeClaim, StoreError};

/// What a worker has to know of each lane: each part reads one row of the index of open
/// deliveries, in its order.
macro_rules! poll {
    ($which:literal) => {
        concat!(
            "WITH page AS MATERIALIZED (
                 SELECT * FROM lanes WHERE ",
            $which,
            " ORDER BY id LIMIT 1000),
             shared AS MATERIALIZED (
                 SELECT m.*, NOT m.limited OR NOT EXISTS (
                     SELECT 1 FROM lanes o
                     CROSS JOIN deliveries d INDEXED BY deliveries_due ON d.lane_id = o.id
                     WHERE o.limit_id = m.id AND d.next_at > ?1 AND d.next_at <= ?2
                       AND d.status = 'sending' AND d.claimed_until > ?1
                       AND d.claim_epoch <> m.epoch) AS clean
                 FROM limits m WHERE m.id IN (SELECT limit_id FROM page))
             SELECT l.id, l.name, l.hold_cause, l.hold_gen, l.secret_rev,
                    CASE WHEN l.hold_cause IS NULL THEN (
                             SELECT min(w.next_probe_at)
                             FROM webhooks w INDEXED BY webhooks_parked
                             WHERE w.lane_id = l.id AND w.hold_cause IS NOT NULL
                               AND w.state = 'enabled')
                         WHEN l.hold_cause <> 'manual' THEN l.next_probe_at
                         END AS probe_at,
                    EXISTS (SELECT 1 FROM deliveries d INDEXED BY deliveries_due
                            WHERE d.lane_id = l.id AND d.next_at <= ?1
                              AND d.status = 'waiting') AS due,
                    EXISTS (SELECT 1 FROM deliveries d INDEXED BY deliveries_due
                            WHERE d.lane_id = l.id AND d.next_at IS NOT NULL) AS open,
                    m.id AS limit_id, m.limited, m.rate_count, m.rate_per_ms, m.burst,
                    m.concurrency, m.per_hour, m.epoch, m.pause_until, m.next_send_at,
                    coalesce(m.owner IS NOT NULL AND m.lease_until > ?1, 0) AS leased, m.clean
             FROM page l JOIN shared m ON m.id = l.limit_id ORDER BY l.id"
        )
    };
}

impl SqliteStore {
    pub(crate) async fn poll(&self, which: Poll<'_>) -> Result<LanePage, StoreError> {
        let mut conn = self.reader().await?;
        let now = clock::now();
        let query = match which {
            Poll::Those(lanes) => {
                let query = sqlx::query(poll!("id IN (SELECT value FROM json_each(?3))"));
                query.bind(now).bind(clock::later(now, OLD_CLAIMS_WITHIN)).bind(json(lanes)?)
            }
            Poll::Page(after) => {
                let query = sqlx::query(poll!("id > ?3"));
                let after = after.map_or(i64::MIN, |lane| lane.0);
                query.bind(now).bind(clock::later(now, OLD_CLAIMS_WITHIN)).bind(after)
            }
        };
        let rows = query.fetch_all(&mut *conn).await.map_err(Fault::Sql)?;
        let lanes = rows.iter().map(|row| status(row, now)).collect::<Result<Vec<_>, _>>()?;
        let next = match which {
            Poll::Page(_) if lanes.len() == POLL_PAGE => lanes.last().map(|lane| lane.id),
            Poll::Page(_) | Poll::Those(_) => None,
        };
        Ok(LanePage { lanes, next })
    }

    pub(crate) async fn release_probed(
        &self,
        lane: LaneId,
        probe: ProbeClaim,
    ) -> Result<bool, StoreError> {
        self.write((lane, probe), |(lane, probe), turn| {
            Box::pin(release_probed(*lane, *probe, turn))
        })
        .await
    }

    pub(crate) async fn pause(&self, lane: LaneId, pause: Duration) -> Result<(), StoreError> {
        self.write((lane, pause), |(lane, length), turn| Box::pin(pause_for(*lane, *length, turn)))
            .await
    }

    /// Only processes of the version before make lanes without a limit, and there is no other
    /// process over a file.
    #[expect(clippy::unused_async, reason = "as over Postgres")]
    pub(crate) async fn adopt_lanes(&self) -> Result<u64, StoreError> {
        Ok(0)
    }
}

fn status(row: &SqliteRow, now: i64) -> Result<LaneStatus, Fault> {
    let ahead = |column| -> Result<Option<Duration>, sqlx::Error> {
        let instant: Option<i64> = row.try_get(column)?;
        Ok(instant.filter(|at| *at > now).map(|at| clock::duration(at - now)))
    };
    let (is_clean, epoch): (bool, i64) = (row.try_get("clean")?, row.try_get("epoch")?);
    Ok(LaneStatus {
        id: LaneId(row.try_get("id")?),
        name: row.try_get("name")?,
        state: lane_state(row.try_get("hold_cause")?)?,
        hold_gen: row.try_get("hold_gen")?,
        secret_rev: row.try_get("secret_rev")?,
        due: row.try_get("due")?,
        open: row.try_get("open")?,
        probe_due: row.try_get::<Option<i64>, _>("probe_at")?.is_some_and(|at| at <= now),
        probe_in: ahead("probe_at")?,
        limit: LimitStatus {
            id: LimitId(row.try_get("limit_id")?),
            limits: limits(row)?.limits()?,
            paused_for: ahead("pause_until")?,
            leased: row.try_get("leased")?,
            clean: is_clean.then_some(epoch),
            next_send_in: ahead("next_send_at")?,
        },
    })
}

/// L6, W2 (`RELEASE_GEN`).
async fn release_probed(lane: LaneId, probe: ProbeClaim, turn: &mut Turn) -> Result<bool, Fault> {
    let (statement, id) = match probe.webhook {
        None => (
            "UPDATE lanes
             SET hold_cause = NULL, held_since = NULL, next_probe_at = NULL, strikes = 0,
                 strike_webhook = NULL, probe_step = 0, probe_newest = NULL, probe_last = NULL
             WHERE id = ?1 AND hold_cause <> 'manual' AND hold_gen = ?2 AND secret_rev = ?3",
            lane.0,
        ),
        Some(webhook) => (
            "UPDATE webhooks
             SET hold_cause = NULL, held_since = NULL, next_probe_at = NULL, probe_step = 0,
                 probe_newest = NULL, probe_last = NULL
             WHERE id = ?1 AND hold_cause IS NOT NULL AND hold_gen = ?2 AND secrets_rev = ?3",
            webhook.0,
        ),
    };
    let opened = sqlx::query(statement)
        .bind(id)
        .bind(probe.hold_gen)
        .bind(probe.secret_rev)
        .execute(&mut turn.conn)
        .await?;
    Ok(opened.rows_affected() > 0)
}

/// L7 (`PAUSE_MAX`).
async fn pause_for(lane: LaneId, length: Duration, turn: &mut Turn) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE limits SET pause_until = max(coalesce(pause_until, 0), ?2)
         WHERE id = (SELECT limit_id FROM lanes WHERE id = ?1)",
    )
    .bind(lane.0)
    .bind(clock::later(turn.now, length))
    .execute(&mut turn.conn)
    .await?;
    Ok(())
}
