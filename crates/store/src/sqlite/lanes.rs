//! L1-L10: leases, holds, pauses, probes.

use std::time::Duration;

use postrider_domain::LaneId;
use serde::Serialize;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::fault::Fault;
use super::rows::{json, limits};
use super::webhooks::{raise_version, select_webhooks, stored};
use super::writer::Turn;
use super::{Lite, clock};
use crate::codec::{LimitColumns, lane_state};
use crate::{LaneInfo, LaneSpec, LaneView, Lease, ProbeClaim, StoreError, StoredWebhook, WorkerId};

impl Lite {
    pub(crate) async fn survey(&self) -> Result<Vec<LaneView>, StoreError> {
        let mut conn = self.reader().await?;
        let now = clock::now();
        let rows = sqlx::query(
            "SELECT l.id, l.name, l.limited, l.rate_count, l.rate_per_ms, l.burst, l.concurrency,
                    l.per_hour, l.hold_cause, l.hold_gen, l.secret_rev, l.pause_until,
                    EXISTS (SELECT 1 FROM deliveries d INDEXED BY deliveries_due
                            WHERE d.lane_id = l.id AND d.next_at <= ?1
                              AND d.status = 'waiting') AS due,
                    EXISTS (SELECT 1 FROM deliveries d INDEXED BY deliveries_due
                            WHERE d.lane_id = l.id AND d.next_at IS NOT NULL) AS open,
                    coalesce(l.owner IS NOT NULL AND l.lease_until > ?1, 0) AS leased,
                    coalesce(l.hold_cause <> 'manual' AND l.next_probe_at <= ?1, 0) AS probe_due
             FROM lanes l ORDER BY l.id",
        )
        .bind(now)
        .fetch_all(&mut *conn)
        .await
        .map_err(Fault::Sql)?;
        Ok(rows.iter().map(|row| view(row, now)).collect::<Result<_, _>>()?)
    }

    pub(crate) async fn lanes(&self) -> Result<Vec<LaneInfo>, StoreError> {
        self.lane_infos(None).await
    }

    /// All lanes, or the one of this name.
    async fn lane_infos(&self, name: Option<&str>) -> Result<Vec<LaneInfo>, StoreError> {
        let mut conn = self.reader().await?;
        let rows = sqlx::query(
            "SELECT l.id, l.name, l.limited, l.rate_count, l.rate_per_ms, l.burst, l.concurrency,
                    l.per_hour, l.hold_cause, l.held_since, l.pause_until, l.last_send_at,
                    count(d.id) AS backlog, min(d.created_at) AS oldest_at
             FROM lanes l LEFT JOIN deliveries d INDEXED BY deliveries_due
               ON d.lane_id = l.id AND d.next_at IS NOT NULL AND d.status = 'waiting'
             WHERE ?1 IS NULL OR l.name = ?1
             GROUP BY l.id ORDER BY backlog DESC, l.name",
        )
        .bind(name)
        .fetch_all(&mut *conn)
        .await
        .map_err(Fault::Sql)?;
        let now = clock::now();
        Ok(rows.iter().map(|row| lane_info(row, now)).collect::<Result<_, _>>()?)
    }

    pub(crate) async fn acquire(
        &self,
        lane: LaneId,
        worker: WorkerId,
        length: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        self.write((lane, worker, length), |(lane, worker, length), turn| {
            Box::pin(acquire(*lane, *worker, *length, turn))
        })
        .await
    }

    pub(crate) async fn renew(
        &self,
        leases: &[Lease],
        length: Duration,
    ) -> Result<Vec<Lease>, StoreError> {
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        self.write((leases.to_vec(), length), |(leases, length), turn| {
            Box::pin(renew(leases, *length, turn))
        })
        .await
    }

    pub(crate) async fn give_up(&self, leases: &[Lease]) -> Result<(), StoreError> {
        if leases.is_empty() {
            return Ok(());
        }
        self.write(leases.to_vec(), |leases, turn| Box::pin(give_up(leases, turn))).await
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

    pub(crate) async fn hold_by_hand(&self, name: &str) -> Result<Option<LaneInfo>, StoreError> {
        self.write(name.to_owned(), |name, turn| Box::pin(hold_by_hand(name, turn))).await?;
        Ok(self.lane_infos(Some(name)).await?.pop())
    }

    pub(crate) async fn release_by_hand(&self, name: &str) -> Result<Option<LaneInfo>, StoreError> {
        self.write(name.to_owned(), |name, turn| Box::pin(release_by_hand(name, turn))).await?;
        Ok(self.lane_infos(Some(name)).await?.pop())
    }

    pub(crate) async fn claim_probe(
        &self,
        lane: LaneId,
        lease: Option<Lease>,
        interval: Duration,
    ) -> Result<Option<ProbeClaim>, StoreError> {
        self.write((lane, lease, interval), |(lane, lease, interval), turn| {
            Box::pin(claim_probe(*lane, *lease, *interval, turn))
        })
        .await
    }

    pub(crate) async fn sync_lanes(&self, specs: &[LaneSpec]) -> Result<u64, StoreError> {
        self.write(specs_json(specs)?, |specs, turn| Box::pin(sync_lanes(specs, turn))).await
    }

    pub(crate) async fn lane_webhook(
        &self,
        lane: LaneId,
    ) -> Result<Option<StoredWebhook>, StoreError> {
        let mut conn = self.reader().await?;
        let row = sqlx::query(select_webhooks!(
            "WHERE w.lane_id = ?1 AND w.state = 'enabled' ORDER BY w.id LIMIT 1"
        ))
        .bind(lane.0)
        .fetch_optional(&mut *conn)
        .await
        .map_err(Fault::Sql)?;
        Ok(row.map(|row| stored(&row, &self.0.master_key)).transpose()?)
    }
}

fn view(row: &SqliteRow, now: i64) -> Result<LaneView, Fault> {
    let pause_until: Option<i64> = row.try_get("pause_until")?;
    let paused_for =
        pause_until.filter(|until| *until > now).map(|until| clock::duration(until - now));
    Ok(LaneView {
        id: LaneId(row.try_get("id")?),
        name: row.try_get("name")?,
        limits: limits(row)?.limits()?,
        state: lane_state(row.try_get("hold_cause")?)?,
        hold_gen: row.try_get("hold_gen")?,
        secret_rev: row.try_get("secret_rev")?,
        paused_for,
        due: row.try_get("due")?,
        open: row.try_get("open")?,
        leased: row.try_get("leased")?,
        probe_due: row.try_get("probe_due")?,
    })
}

fn lane_info(row: &SqliteRow, now: i64) -> Result<LaneInfo, Fault> {
    let instant = |column| -> Result<Option<i64>, sqlx::Error> { row.try_get(column) };
    let paused_until = instant("pause_until")?.filter(|until| *until > now);
    Ok(LaneInfo {
        id: LaneId(row.try_get("id")?),
        name: row.try_get("name")?,
        limits: limits(row)?.limits()?,
        state: lane_state(row.try_get("hold_cause")?)?,
        held_since: instant("held_since")?.map(clock::timestamp).transpose()?,
        paused_until: paused_until.map(clock::timestamp).transpose()?,
        last_send_at: instant("last_send_at")?.map(clock::timestamp).transpose()?,
        backlog: row.try_get("backlog")?,
        oldest_at: instant("oldest_at")?.map(clock::timestamp).transpose()?,
    })
}

/// Row number of the lane of this name.
pub(super) async fn lane_named(name: &str, turn: &mut Turn) -> Result<Option<i64>, Fault> {
    Ok(sqlx::query_scalar("SELECT id FROM lanes WHERE name = ?1")
        .bind(name)
        .fetch_optional(&mut turn.conn)
        .await?)
}

/// L1.
async fn acquire(
    lane: LaneId,
    worker: WorkerId,
    length: Duration,
    turn: &mut Turn,
) -> Result<Option<Lease>, Fault> {
    let epoch: Option<i64> = sqlx::query_scalar(
        "UPDATE lanes SET owner = ?2, epoch = epoch + 1, lease_until = ?3
         WHERE id = ?1 AND limited AND (owner IS NULL OR lease_until IS NULL OR lease_until <= ?4)
           AND (hold_cause IS NOT NULL
                OR EXISTS (SELECT 1 FROM deliveries d INDEXED BY deliveries_due
                           WHERE d.lane_id = ?1 AND d.next_at IS NOT NULL))
         RETURNING epoch",
    )
    .bind(lane.0)
    .bind(worker.0)
    .bind(clock::later(turn.now, length))
    .bind(turn.now)
    .fetch_optional(&mut turn.conn)
    .await?;
    Ok(epoch.map(|epoch| Lease { lane_id: lane, worker, epoch }))
}

/// A lease's owner as text, because JSON has no bytes.
fn lease_rows(leases: &[Lease]) -> Result<String, Fault> {
    let rows: Vec<_> =
        leases.iter().map(|lease| (lease.lane_id, lease.worker.0, lease.epoch)).collect();
    json(&rows)
}

/// L2.
async fn renew(leases: &[Lease], length: Duration, turn: &mut Turn) -> Result<Vec<Lease>, Fault> {
    let renewed: Vec<i64> = sqlx::query_scalar(
        "UPDATE lanes SET lease_until = ?2 FROM json_each(?1) n
         WHERE lanes.id = n.value ->> 0 AND lanes.owner = unhex(n.value ->> 1, '-')
           AND lanes.epoch = n.value ->> 2 AND lanes.limited
         RETURNING lanes.id",
    )
    .bind(lease_rows(leases)?)
    .bind(clock::later(turn.now, length))
    .fetch_all(&mut turn.conn)
    .await?;
    Ok(leases.iter().filter(|lease| renewed.contains(&lease.lane_id.0)).copied().collect())
}

/// L3.
async fn give_up(leases: &[Lease], turn: &mut Turn) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE lanes SET owner = NULL, lease_until = NULL FROM json_each(?1) n
         WHERE lanes.id = n.value ->> 0 AND lanes.owner = unhex(n.value ->> 1, '-')
           AND lanes.epoch = n.value ->> 2",
    )
    .bind(lease_rows(leases)?)
    .execute(&mut turn.conn)
    .await?;
    Ok(())
}

/// L6 (`RELEASE_GEN`).
async fn release_probed(lane: LaneId, probe: ProbeClaim, turn: &mut Turn) -> Result<bool, Fault> {
    let opened = sqlx::query(
        "UPDATE lanes
         SET hold_cause = NULL, held_total = held_total + max(0, ?4 - held_since),
             held_since = NULL, next_probe_at = NULL, strikes = 0, strike_webhook = NULL
         WHERE id = ?1 AND hold_cause <> 'manual' AND hold_gen = ?2 AND secret_rev = ?3",
    )
    .bind(lane.0)
    .bind(probe.hold_gen)
    .bind(probe.secret_rev)
    .bind(turn.now)
    .execute(&mut turn.conn)
    .await?;
    Ok(opened.rows_affected() > 0)
}

/// L7 (`PAUSE_MAX`).
async fn pause_for(lane: LaneId, length: Duration, turn: &mut Turn) -> Result<(), Fault> {
    sqlx::query("UPDATE lanes SET pause_until = max(coalesce(pause_until, 0), ?2) WHERE id = ?1")
        .bind(lane.0)
        .bind(clock::later(turn.now, length))
        .execute(&mut turn.conn)
        .await?;
    Ok(())
}

/// L8. A lane that is held already goes on being held, from now on by hand.
async fn hold_by_hand(name: &str, turn: &mut Turn) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE lanes
         SET hold_cause = 'manual', hold_gen = hold_gen + 1,
             held_since = coalesce(held_since, ?2), next_probe_at = NULL
         WHERE name = ?1",
    )
    .bind(name)
    .bind(turn.now)
    .execute(&mut turn.conn)
    .await?;
    Ok(())
}

/// L8.
async fn release_by_hand(name: &str, turn: &mut Turn) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE lanes
         SET hold_cause = NULL, held_total = held_total + max(0, ?2 - held_since),
             held_since = NULL, next_probe_at = NULL, strikes = 0, strike_webhook = NULL
         WHERE name = ?1 AND hold_cause IS NOT NULL",
    )
    .bind(name)
    .bind(turn.now)
    .execute(&mut turn.conn)
    .await?;
    Ok(())
}

/// L9 (`PROBE_CLAIM`, `PROBE_ANY`).
async fn claim_probe(
    lane: LaneId,
    lease: Option<Lease>,
    interval: Duration,
    turn: &mut Turn,
) -> Result<Option<ProbeClaim>, Fault> {
    let lease = lease.filter(|lease| lease.lane_id == lane);
    let row: Option<(i64, i64)> = sqlx::query_as(
        "UPDATE lanes SET next_probe_at = ?2
         WHERE id = ?1 AND hold_cause <> 'manual' AND next_probe_at <= ?3
           AND (NOT limited OR (owner = ?4 AND epoch = ?5 AND lease_until > ?3))
         RETURNING hold_gen, secret_rev",
    )
    .bind(lane.0)
    .bind(clock::later(turn.now, interval))
    .bind(turn.now)
    .bind(lease.map(|lease| lease.worker.0))
    .bind(lease.map(|lease| lease.epoch))
    .fetch_optional(&mut turn.conn)
    .await?;
    Ok(row.map(|(hold_gen, secret_rev)| ProbeClaim { hold_gen, secret_rev }))
}

/// A lane's settings as the statement reads them.
#[derive(Serialize)]
struct SpecRow<'a> {
    name: &'a str,
    limited: bool,
    rate_count: Option<i64>,
    rate_per_ms: Option<i64>,
    burst: i64,
    concurrency: i64,
    per_hour: Option<i64>,
}

/// Lanes as [`sync_lanes`] takes them.
pub(super) fn specs_json(specs: &[LaneSpec]) -> Result<String, Fault> {
    json(&specs.iter().map(spec_row).collect::<Vec<_>>())
}

fn spec_row(spec: &LaneSpec) -> SpecRow<'_> {
    let LimitColumns { limited, rate_count, rate_per_ms, burst, concurrency, per_hour } =
        spec.limits.into();
    SpecRow { name: &spec.name, limited, rate_count, rate_per_ms, burst, concurrency, per_hour }
}

/// L10. Where the kind changes, caches of the webhook table are told as well.
pub(super) async fn sync_lanes(specs: &str, turn: &mut Turn) -> Result<u64, Fault> {
    let flipped: Vec<i64> = sqlx::query_scalar(
        "SELECT l.id FROM json_each(?1) n JOIN lanes l ON l.name = n.value ->> 'name'
         WHERE l.limited <> n.value ->> 'limited'",
    )
    .bind(specs)
    .fetch_all(&mut turn.conn)
    .await?;
    let changed = sqlx::query(
        "UPDATE lanes
         SET limited = n.limited, rate_count = n.rate_count, rate_per_ms = n.rate_per_ms,
             burst = n.burst, concurrency = n.concurrency, per_hour = n.per_hour,
             epoch = epoch + (lanes.limited <> n.limited),
             owner = CASE WHEN lanes.limited = n.limited THEN owner END,
             lease_until = CASE WHEN lanes.limited = n.limited THEN lease_until END
         FROM (SELECT value ->> 'name' AS name, value ->> 'limited' AS limited,
                      value ->> 'rate_count' AS rate_count, value ->> 'rate_per_ms' AS rate_per_ms,
                      value ->> 'burst' AS burst, value ->> 'concurrency' AS concurrency,
                      value ->> 'per_hour' AS per_hour
               FROM json_each(?1)) n
         WHERE lanes.name = n.name
           AND (lanes.limited, lanes.rate_count, lanes.rate_per_ms, lanes.burst,
                lanes.concurrency, lanes.per_hour)
               IS NOT (n.limited, n.rate_count, n.rate_per_ms, n.burst, n.concurrency, n.per_hour)",
    )
    .bind(specs)
    .execute(&mut turn.conn)
    .await?;
    if !flipped.is_empty() {
        order_limited(&json(&flipped)?, turn).await?;
        raise_version(turn).await?;
    }
    Ok(changed.rows_affected())
}

/// Lanes that are limited now: their fresh rows are due at once, oldest first.
async fn order_limited(lanes: &str, turn: &mut Turn) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE deliveries INDEXED BY deliveries_due SET next_at = created_at
         WHERE lane_id IN (SELECT id FROM lanes WHERE limited
                             AND id IN (SELECT value FROM json_each(?1)))
           AND next_at IS NOT NULL AND status = 'waiting' AND claim_no = 0",
    )
    .bind(lanes)
    .execute(&mut turn.conn)
    .await?;
    Ok(())
}
