//! What the monitor reads and writes.

use std::collections::BTreeMap;
use std::time::Duration;

use postrider_domain::HoldCause;
use serde::Serialize;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Connection, Row};
use uuid::Uuid;

use super::fault::Fault;
use super::rows::{json, outcome, status_code};
use super::webhooks::stored;
use super::writer::Turn;
use super::{Lite, clock, notifications};
use crate::codec::{hold_cause, incident_kind, severity, shown_name, webhook_uuid};
use crate::{
    AlertStatus, Incident, IncidentCursor, IncidentFilter, IncidentFinding, IncidentKind,
    IncidentPage, IncidentSync, MasterKey, MonitorFacts, MonitorLease, StoreError, StreakFact,
    WorkerId,
};

/// What an incident is read from.
macro_rules! columns {
    () => {
        "id, kind, subject, cause, severity, summary, next, opened_at, updated_at, \
         acknowledged_at, resolved_at"
    };
}

/// How long a poisoned delivery is told of.
const POISON_SHOWN: i64 = 7 * 86_400 * 1_000_000;

impl Lite {
    pub(crate) async fn monitor_lease(
        &self,
        owner: WorkerId,
        held: Option<MonitorLease>,
        length: Duration,
    ) -> Result<Option<MonitorLease>, StoreError> {
        self.write((owner, held, length), |(owner, held, length), turn| {
            Box::pin(take_lease(*owner, *held, *length, turn))
        })
        .await
    }

    pub(crate) async fn monitor_give_up(&self, lease: MonitorLease) -> Result<(), StoreError> {
        self.write(lease, |lease, turn| Box::pin(give_up(*lease, turn))).await
    }

    pub(crate) async fn monitor_facts(&self) -> Result<MonitorFacts, StoreError> {
        let mut conn = self.reader().await?;
        Ok(facts(&mut conn, &self.0.master_key).await?)
    }

    pub(crate) async fn sync_incidents(
        &self,
        lease: MonitorLease,
        sync: &IncidentSync,
    ) -> Result<Option<(Vec<Incident>, Vec<Incident>)>, StoreError> {
        self.write((lease, sync.clone()), |(lease, sync), turn| {
            Box::pin(synchronise(*lease, sync, turn))
        })
        .await
    }

    pub(crate) async fn incidents(
        &self,
        filter: IncidentFilter,
        after: Option<IncidentCursor>,
        limit: u32,
    ) -> Result<IncidentPage, StoreError> {
        let mut conn = self.reader().await?;
        let rows = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM incidents
              WHERE (NOT ?1 OR resolved_at IS NULL) AND (?2 IS NULL OR kind = ?2)
                AND (?3 IS NULL OR (opened_at, id) < (?3, ?4))
              ORDER BY opened_at DESC, id DESC LIMIT ?5",
        ))
        .bind(filter.open_only)
        .bind(filter.kind.map(IncidentKind::as_str))
        .bind(after.map(|cursor| cursor.opened_at.as_microsecond()))
        .bind(after.map(|cursor| cursor.id))
        // One more than asked for tells whether there is a next page.
        .bind(i64::from(limit) + 1)
        .fetch_all(&mut *conn)
        .await
        .map_err(Fault::Sql)?;
        let incidents = rows.iter().map(incident).collect::<Result<_, _>>()?;
        Ok(IncidentPage::of(incidents, limit))
    }

    pub(crate) async fn incident(&self, id: Uuid) -> Result<Option<Incident>, StoreError> {
        let mut conn = self.reader().await?;
        let row =
            sqlx::query(concat!("SELECT ", columns!(), " FROM incidents WHERE id = ?1")).bind(id);
        let row = row.fetch_optional(&mut *conn).await.map_err(Fault::Sql)?;
        Ok(row.as_ref().map(incident).transpose()?)
    }

    pub(crate) async fn acknowledge_incident(
        &self,
        id: Uuid,
    ) -> Result<Option<Incident>, StoreError> {
        self.write(id, |id, turn| Box::pin(acknowledge(*id, turn))).await
    }

    pub(crate) async fn open_incidents(&self) -> Result<Vec<(IncidentKind, u64)>, StoreError> {
        let mut conn = self.reader().await?;
        let rows: Vec<(String, u64)> = sqlx::query_as(
            "SELECT kind, count(*) FROM incidents WHERE resolved_at IS NULL GROUP BY kind",
        )
        .fetch_all(&mut *conn)
        .await
        .map_err(Fault::Sql)?;
        rows.into_iter().map(|(kind, open)| Ok((incident_kind(&kind)?, open))).collect()
    }

    pub(crate) async fn prune_incidents(
        &self,
        keep: Duration,
        limit: u32,
    ) -> Result<u64, StoreError> {
        self.write((keep, limit), |(keep, limit), turn| Box::pin(prune(*keep, *limit, turn))).await
    }
}

/// Renewal keeps the epoch, acquisition raises it.
async fn take_lease(
    owner: WorkerId,
    held: Option<MonitorLease>,
    length: Duration,
    turn: &mut Turn,
) -> Result<Option<MonitorLease>, Fault> {
    let mine = held.filter(|lease| lease.owner == owner).map(|lease| lease.epoch);
    let epoch: Option<i64> = sqlx::query_scalar(
        "UPDATE monitor_lease
         SET epoch = epoch + NOT coalesce(owner = ?1 AND epoch = ?2, 0), owner = ?1,
             lease_until = ?3
         WHERE owner IS NULL OR lease_until IS NULL OR lease_until <= ?4
            OR (owner = ?1 AND epoch = ?2)
         RETURNING epoch",
    )
    .bind(owner.0)
    .bind(mine)
    .bind(clock::later(turn.now, length))
    .bind(turn.now)
    .fetch_optional(&mut turn.conn)
    .await?;
    Ok(epoch.map(|epoch| MonitorLease { owner, epoch }))
}

async fn give_up(lease: MonitorLease, turn: &mut Turn) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE monitor_lease SET owner = NULL, lease_until = NULL
         WHERE owner = ?1 AND epoch = ?2",
    )
    .bind(lease.owner.0)
    .bind(lease.epoch)
    .execute(&mut turn.conn)
    .await?;
    Ok(())
}

async fn facts(conn: &mut SqliteConnection, key: &MasterKey) -> Result<MonitorFacts, Fault> {
    let mut snapshot = conn.begin().await?;
    Ok(MonitorFacts {
        streaks: streaks(&mut snapshot, key).await?,
        held: held(&mut snapshot).await?,
        poisoned: poisoned(&mut snapshot).await?,
    })
}

async fn streaks(conn: &mut SqliteConnection, key: &MasterKey) -> Result<Vec<StreakFact>, Fault> {
    let rows = sqlx::query(
        "SELECT w.id, w.uuid, w.rev, w.state, w.lane_id, l.name AS lane, l.limited,
                w.secret_names, w.document, w.created_at, w.updated_at, h.failures,
                h.failing_since, h.last_outcome, h.last_status_code, h.last_success_at
         FROM webhook_health h
         JOIN webhooks w ON w.id = h.webhook_id JOIN lanes l ON l.id = w.lane_id
         WHERE w.state <> 'deleted' ORDER BY w.id",
    )
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| streak(row, key)).collect()
}

fn streak(row: &SqliteRow, key: &MasterKey) -> Result<StreakFact, Fault> {
    let instant = |column| -> Result<Option<i64>, sqlx::Error> { row.try_get(column) };
    let webhook = stored(row, key)?;
    Ok(StreakFact {
        description: shown_name(&webhook.webhook),
        webhook: webhook.webhook.uuid,
        lane: webhook.lane,
        failures: row.try_get("failures")?,
        since: instant("failing_since")?.map(clock::timestamp).transpose()?,
        last_outcome: outcome(row, "last_outcome")?,
        last_status_code: status_code(row, "last_status_code")?,
        last_success_at: instant("last_success_at")?.map(clock::timestamp).transpose()?,
    })
}

async fn held(
    conn: &mut SqliteConnection,
) -> Result<Vec<(String, HoldCause, jiff::Timestamp, u64)>, Fault> {
    let rows: Vec<(String, String, i64, u64)> = sqlx::query_as(
        "SELECT l.name, l.hold_cause, coalesce(l.held_since, 0),
                (SELECT count(*) FROM deliveries d INDEXED BY deliveries_due
                 WHERE d.lane_id = l.id AND d.next_at IS NOT NULL AND d.status = 'waiting')
         FROM lanes l WHERE l.hold_cause IS NOT NULL ORDER BY l.name",
    )
    .fetch_all(conn)
    .await?;
    let read = |(name, cause, since, backlog): (String, String, i64, u64)| {
        Ok((name, hold_cause(&cause)?, clock::timestamp(since)?, backlog))
    };
    rows.into_iter().map(read).collect()
}

async fn poisoned(
    conn: &mut SqliteConnection,
) -> Result<Vec<(Uuid, postrider_domain::WebhookUuid)>, Fault> {
    let rows: Vec<(Uuid, String)> = sqlx::query_as(
        "SELECT d.id, w.uuid FROM deliveries d INDEXED BY deliveries_poisoned
         CROSS JOIN webhooks w ON w.id = d.webhook_id
         WHERE d.last_outcome = 'poison' AND d.updated_at >= ?1 AND d.status = 'failed'
         ORDER BY d.updated_at",
    )
    .bind(clock::now() - POISON_SHOWN)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|(id, uuid)| Ok((id, webhook_uuid(&uuid)?))).collect()
}

pub(super) fn incident(row: &SqliteRow) -> Result<Incident, Fault> {
    let instant = |column| -> Result<Option<i64>, sqlx::Error> { row.try_get(column) };
    Ok(Incident {
        id: row.try_get("id")?,
        kind: incident_kind(row.try_get("kind")?)?,
        subject: row.try_get("subject")?,
        cause: row.try_get("cause")?,
        severity: severity(row.try_get("severity")?)?,
        summary: row.try_get("summary")?,
        next: row.try_get("next")?,
        opened_at: clock::timestamp(row.try_get("opened_at")?)?,
        updated_at: clock::timestamp(row.try_get("updated_at")?)?,
        acknowledged_at: instant("acknowledged_at")?.map(clock::timestamp).transpose()?,
        resolved_at: instant("resolved_at")?.map(clock::timestamp).transpose()?,
    })
}

async fn synchronise(
    lease: MonitorLease,
    sync: &IncidentSync,
    turn: &mut Turn,
) -> Result<Option<(Vec<Incident>, Vec<Incident>)>, Fault> {
    if !is_active(lease, turn).await? {
        return Ok(None);
    }
    let resolved = resolve_missing(&sync.findings, &sync.judged, turn).await?;
    let opened = open_or_update(&sync.findings, turn).await?;
    notifications::insert(&opened, AlertStatus::Firing, &sync.channels, turn).await?;
    notifications::insert(&resolved, AlertStatus::Resolved, &sync.channels, turn).await?;
    Ok(Some((opened, resolved)))
}

/// An incident that is over stays as it is, and is returned as such.
async fn acknowledge(id: Uuid, turn: &mut Turn) -> Result<Option<Incident>, Fault> {
    let row = sqlx::query(concat!(
        "UPDATE incidents SET acknowledged_at =
             CASE WHEN resolved_at IS NULL THEN coalesce(acknowledged_at, ?2)
                  ELSE acknowledged_at END
         WHERE id = ?1 RETURNING ",
        columns!()
    ))
    .bind(id)
    .bind(turn.now)
    .fetch_optional(&mut turn.conn)
    .await?;
    row.as_ref().map(incident).transpose()
}

async fn prune(keep: Duration, limit: u32, turn: &mut Turn) -> Result<u64, Fault> {
    let before = turn.now.saturating_sub(clock::micros(keep));
    let told = notifications::prune(before, limit, turn).await?;
    let gone = sqlx::query(
        "DELETE FROM incidents WHERE id IN (
             SELECT i.id FROM incidents i
             WHERE i.resolved_at < ?1
               AND NOT EXISTS (SELECT 1 FROM notifications n WHERE n.incident_id = i.id)
             LIMIT ?2)",
    )
    .bind(before)
    .bind(limit)
    .execute(&mut turn.conn)
    .await?;
    Ok(told + gone.rows_affected())
}

pub(super) async fn is_active(lease: MonitorLease, turn: &mut Turn) -> Result<bool, Fault> {
    Ok(sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM monitor_lease
                        WHERE owner = ?1 AND epoch = ?2 AND lease_until > ?3)",
    )
    .bind(lease.owner.0)
    .bind(lease.epoch)
    .bind(turn.now)
    .fetch_one(&mut turn.conn)
    .await?)
}

async fn resolve_missing(
    findings: &[IncidentFinding],
    judged: &[IncidentKind],
    turn: &mut Turn,
) -> Result<Vec<Incident>, Fault> {
    let found: Vec<_> = findings.iter().map(|f| (f.kind.as_str(), &f.subject)).collect();
    let judged: Vec<_> = judged.iter().map(|kind| kind.as_str()).collect();
    let rows = sqlx::query(concat!(
        "UPDATE incidents SET resolved_at = ?2, updated_at = ?2
         WHERE resolved_at IS NULL AND kind IN (SELECT value FROM json_each(?3))
           AND (kind, subject) NOT IN (SELECT value ->> 0, value ->> 1 FROM json_each(?1))
         RETURNING ",
        columns!()
    ))
    .bind(json(&found)?)
    .bind(turn.now)
    .bind(json(&judged)?)
    .fetch_all(&mut turn.conn)
    .await?;
    rows.iter().map(incident).collect()
}

/// A finding as the statement reads it.
#[derive(Serialize)]
struct FindingRow<'a> {
    id: Uuid,
    kind: &'static str,
    subject: &'a str,
    cause: &'static str,
    severity: &'static str,
    summary: &'a str,
    next: &'a str,
}

/// Inserts what is new and updates what reads differently now; returns what is new, which is
/// known by the ids made here. A finding told twice counts once, the last wording wins.
async fn open_or_update(
    findings: &[IncidentFinding],
    turn: &mut Turn,
) -> Result<Vec<Incident>, Fault> {
    let mut rows: BTreeMap<(IncidentKind, &str), FindingRow<'_>> = BTreeMap::new();
    for finding in findings {
        let row = FindingRow {
            id: uuid::Builder::from_random_bytes(rand::random()).into_uuid(),
            kind: finding.kind.as_str(),
            subject: &finding.subject,
            cause: finding.cause,
            severity: finding.severity.as_str(),
            summary: &finding.summary,
            next: &finding.next,
        };
        rows.insert((finding.kind, &finding.subject), row);
    }
    let rows: Vec<_> = rows.into_values().collect();
    let written = sqlx::query(concat!(
        "INSERT INTO incidents (id, kind, subject, cause, severity, summary, next, opened_at,
                                updated_at)
         SELECT unhex(value ->> 'id', '-'), value ->> 'kind', value ->> 'subject',
                value ->> 'cause', value ->> 'severity', value ->> 'summary', value ->> 'next',
                ?2, ?2
         FROM json_each(?1) WHERE true
         ON CONFLICT (kind, subject) WHERE resolved_at IS NULL DO UPDATE
         SET summary = excluded.summary, next = excluded.next, cause = excluded.cause,
             updated_at = excluded.updated_at
         WHERE (incidents.summary, incidents.next, incidents.cause)
             IS NOT (excluded.summary, excluded.next, excluded.cause)
         RETURNING ",
        columns!()
    ))
    .bind(json(&rows)?)
    .bind(turn.now)
    .fetch_all(&mut turn.conn)
    .await?;
    let written = written.iter().map(incident).collect::<Result<Vec<_>, _>>()?;
    let is_new = |incident: &Incident| rows.iter().any(|row| row.id == incident.id);
    Ok(written.into_iter().filter(is_new).collect())
}
