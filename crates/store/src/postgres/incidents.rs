//! What the monitor reads and writes.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff_sqlx::ToSqlx;
use postrider_domain::WebhookState;
use sqlx::postgres::PgRow;
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::rows::{at, at_opt, fault, get, http_status, tally};
use super::{Pg, notifications};
use crate::{
    AlertStatus, Incident, IncidentCursor, IncidentFilter, IncidentFinding, IncidentKind,
    IncidentPage, IncidentSync, MonitorFacts, MonitorLease, StoreError, StreakFact, WorkerId,
    codec,
};

const RENEW: &str = "
update monitor_lease set lease_until = now() + $3 * interval '1 millisecond'
where owner = $1 and epoch = $2
returning epoch";

const ACQUIRE: &str = "
update monitor_lease set owner = $1, epoch = epoch + 1,
    lease_until = now() + $2 * interval '1 millisecond'
where owner is null or lease_until <= now()
returning epoch";

const GIVE_UP: &str = "
update monitor_lease set owner = null, lease_until = '-infinity'
where owner = $1 and epoch = $2";

const LOCK_LEASE: &str = "
select epoch from monitor_lease
where owner = $1 and epoch = $2 and lease_until > now()
for update";

const STREAKS: &str = "
select w.id, w.uuid, w.rev, w.state, w.lane_id, w.document, w.secret_names, w.created_at,
    w.updated_at, l.name as lane, l.limited,
    h.failures, h.failing_since, h.last_outcome, h.last_status_code, h.last_success_at
from webhook_health h
join webhooks w on w.id = h.webhook_id
join lanes l on l.id = w.lane_id
where w.state <> 'deleted'
order by w.id";

const HELD: &str = "
select l.name, l.hold_cause, l.held_since, b.backlog
from lanes l cross join lateral (
    select count(*) as backlog from deliveries d
    where d.lane_id = l.id and d.next_at is not null and d.status = 'waiting') b
where l.hold_cause is not null
order by l.name";

const POISONED: &str = "
select p.delivery_id, w.uuid
from poisoned p
join deliveries d on d.id = p.delivery_id
join webhooks w on w.id = p.webhook_id
where p.at > now() - interval '7 days' and d.status = 'failed' and d.last_outcome = 'poison'
order by p.delivery_id";

/// What an incident is read from. Alias `i`.
macro_rules! columns {
    () => {
        "i.id as incident_id, i.kind, i.subject, i.cause, i.severity, i.summary, i.next_step, \
         i.opened_at, i.updated_at, i.acknowledged_at, i.resolved_at"
    };
}
pub(super) use columns;

const OPEN: &str = concat!(
    "select ",
    columns!(),
    " from incidents i where i.resolved_at is null and i.kind = any($1) for update"
);

const INSERT: &str = concat!(
    "insert into incidents as i (id, kind, subject, cause, severity, summary, next_step)
     select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[],
         $6::text[], $7::text[]) returning ",
    columns!()
);

const UPDATE: &str = "
update incidents i
set summary = u.summary, next_step = u.next_step, cause = u.cause, updated_at = now()
from unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) as u (id, summary, next_step, cause)
where i.id = u.id";

const RESOLVE: &str = concat!(
    "update incidents i set resolved_at = now(), updated_at = now()
     where i.id = any($1) returning ",
    columns!()
);

const LIST: &str = concat!(
    "select ",
    columns!(),
    " from incidents i
     where (not $1 or i.resolved_at is null) and ($2::text is null or i.kind = $2)
         and ($3::timestamptz is null or (i.opened_at, i.id) < ($3, $4::uuid))
     order by i.opened_at desc, i.id desc limit $5"
);

const ONE: &str = concat!("select ", columns!(), " from incidents i where i.id = $1");

/// An incident that is over stays as it is, and is returned as such.
const ACKNOWLEDGE: &str = concat!(
    "update incidents i set acknowledged_at = case
         when i.resolved_at is null then coalesce(i.acknowledged_at, now())
         else i.acknowledged_at end
     where i.id = $1 returning ",
    columns!()
);

const COUNT_OPEN: &str =
    "select kind, count(*) as open from incidents where resolved_at is null group by kind";

const PRUNE: &str = "
delete from incidents where id in (
    select i.id from incidents i
    where i.resolved_at < now() - $1 * interval '1 millisecond'
        and not exists (select from notifications n where n.incident_id = i.id)
    limit $2)";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("monitor_renew", RENEW),
    ("monitor_acquire", ACQUIRE),
    ("monitor_give_up", GIVE_UP),
    ("monitor_lock_lease", LOCK_LEASE),
    ("streaks", STREAKS),
    ("held_lanes", HELD),
    ("poisoned", POISONED),
    ("open_incidents", OPEN),
    ("open_incident", INSERT),
    ("update_incident", UPDATE),
    ("resolve_incident", RESOLVE),
    ("incidents", LIST),
    ("incident", ONE),
    ("acknowledge_incident", ACKNOWLEDGE),
    ("count_open_incidents", COUNT_OPEN),
    ("prune_incidents", PRUNE),
];

pub(super) type Tx = Transaction<'static, Postgres>;

impl Pg {
    pub(crate) async fn monitor_lease(
        &self,
        owner: WorkerId,
        held: Option<MonitorLease>,
        length: Duration,
    ) -> Result<Option<MonitorLease>, StoreError> {
        let length = codec::millis(length);
        if let Some(held) = held.filter(|held| held.owner == owner) {
            let kept = sqlx::query(RENEW).bind(owner.0).bind(held.epoch).bind(length);
            if kept.fetch_optional(&self.pool).await.map_err(fault)?.is_some() {
                return Ok(Some(held));
            }
        }
        let epoch: Option<i64> = sqlx::query_scalar(ACQUIRE)
            .bind(owner.0)
            .bind(length)
            .fetch_optional(&self.pool)
            .await
            .map_err(fault)?;
        Ok(epoch.map(|epoch| MonitorLease { owner, epoch }))
    }

    pub(crate) async fn monitor_give_up(&self, lease: MonitorLease) -> Result<(), StoreError> {
        let given = sqlx::query(GIVE_UP).bind(lease.owner.0).bind(lease.epoch);
        given.execute(&self.pool).await.map(drop).map_err(fault)
    }

    pub(crate) async fn monitor_facts(&self) -> Result<MonitorFacts, StoreError> {
        let streaks = sqlx::query(STREAKS).fetch_all(&self.pool).await.map_err(fault)?;
        let held = sqlx::query(HELD).fetch_all(&self.pool).await.map_err(fault)?;
        let poisoned = sqlx::query(POISONED).fetch_all(&self.pool).await.map_err(fault)?;
        let held_lane = |row| {
            let cause = codec::hold_cause(get(row, "hold_cause")?)?;
            Ok((get(row, "name")?, cause, at(row, "held_since")?, tally(row, "backlog")?))
        };
        let poison = |row| Ok((get(row, "delivery_id")?, codec::webhook_uuid(get(row, "uuid")?)?));
        Ok(MonitorFacts {
            streaks: streaks.iter().map(|row| self.streak(row)).collect::<Result<_, _>>()?,
            held: held.iter().map(held_lane).collect::<Result<_, StoreError>>()?,
            poisoned: poisoned.iter().map(poison).collect::<Result<_, StoreError>>()?,
        })
    }

    fn streak(&self, row: &PgRow) -> Result<StreakFact, StoreError> {
        let stored = self.read_webhook(row)?;
        debug_assert_ne!(stored.state, WebhookState::Deleted);
        Ok(StreakFact {
            description: codec::shown_name(&stored.webhook),
            webhook: stored.webhook.uuid,
            lane: stored.lane,
            failures: tally(row, "failures")?,
            since: at_opt(row, "failing_since")?,
            last_outcome: get::<Option<&str>, _>(row, "last_outcome")?
                .map(codec::outcome)
                .transpose()?,
            last_status_code: http_status(row, "last_status_code")?,
            last_success_at: at_opt(row, "last_success_at")?,
        })
    }

    pub(crate) async fn sync_incidents(
        &self,
        lease: MonitorLease,
        sync: &IncidentSync,
    ) -> Result<Option<(Vec<Incident>, Vec<Incident>)>, StoreError> {
        let mut tx = self.pool.begin().await.map_err(fault)?;
        if !holds(&mut tx, lease).await? {
            return Ok(None);
        }
        let judged: Vec<&str> = sync.judged.iter().map(|kind| kind.as_str()).collect();
        let rows = sqlx::query(OPEN).bind(judged).fetch_all(&mut *tx).await.map_err(fault)?;
        let open: Vec<Incident> = rows.iter().map(incident).collect::<Result<_, _>>()?;
        let opened = open_or_update(&mut tx, &open, &sync.findings).await?;
        let resolved = resolve(&mut tx, &open, &sync.findings).await?;
        notifications::insert(&mut tx, &opened, AlertStatus::Firing, &sync.channels).await?;
        notifications::insert(&mut tx, &resolved, AlertStatus::Resolved, &sync.channels).await?;
        tx.commit().await.map_err(fault)?;
        Ok(Some((opened, resolved)))
    }

    pub(crate) async fn incidents(
        &self,
        filter: IncidentFilter,
        after: Option<IncidentCursor>,
        limit: u32,
    ) -> Result<IncidentPage, StoreError> {
        let rows = sqlx::query(LIST)
            .bind(filter.open_only)
            .bind(filter.kind.map(IncidentKind::as_str))
            .bind(after.map(|cursor| cursor.opened_at.to_sqlx()))
            .bind(after.map(|cursor| cursor.id))
            // One more than asked for tells whether there is a next page.
            .bind(i64::from(limit) + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(fault)?;
        let incidents = rows.iter().map(incident).collect::<Result<_, _>>()?;
        Ok(IncidentPage::of(incidents, limit))
    }

    pub(crate) async fn incident(&self, id: Uuid) -> Result<Option<Incident>, StoreError> {
        let row = sqlx::query(ONE).bind(id).fetch_optional(&self.pool).await.map_err(fault)?;
        row.as_ref().map(incident).transpose()
    }

    pub(crate) async fn acknowledge_incident(
        &self,
        id: Uuid,
    ) -> Result<Option<Incident>, StoreError> {
        let row = sqlx::query(ACKNOWLEDGE).bind(id).fetch_optional(&self.pool);
        row.await.map_err(fault)?.as_ref().map(incident).transpose()
    }

    pub(crate) async fn open_incidents(&self) -> Result<Vec<(IncidentKind, u64)>, StoreError> {
        let rows = sqlx::query(COUNT_OPEN).fetch_all(&self.pool).await.map_err(fault)?;
        let count = |row| Ok((codec::incident_kind(get(row, "kind")?)?, tally(row, "open")?));
        rows.iter().map(count).collect()
    }

    pub(crate) async fn prune_incidents(
        &self,
        keep: Duration,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let mut gone = 0;
        for statement in [notifications::PRUNE, PRUNE] {
            let prune = sqlx::query(statement).bind(codec::millis(keep)).bind(i64::from(limit));
            gone += prune.execute(&self.pool).await.map_err(fault)?.rows_affected();
        }
        Ok(gone)
    }
}

/// Whether the lease is valid; it stays so for this transaction.
pub(super) async fn holds(tx: &mut Tx, lease: MonitorLease) -> Result<bool, StoreError> {
    let valid = sqlx::query(LOCK_LEASE).bind(lease.owner.0).bind(lease.epoch);
    Ok(valid.fetch_optional(&mut **tx).await.map_err(fault)?.is_some())
}

fn reads_alike(incident: &Incident, finding: &IncidentFinding) -> bool {
    incident.summary == finding.summary
        && incident.next == finding.next
        && incident.cause == finding.cause
}

/// What makes two findings, or a finding and an incident, the same condition.
type Condition<'a> = (IncidentKind, &'a str);

async fn open_or_update(
    tx: &mut Tx,
    open: &[Incident],
    findings: &[IncidentFinding],
) -> Result<Vec<Incident>, StoreError> {
    let mut known: HashMap<Condition<'_>, Option<&Incident>> =
        open.iter().map(|each| ((each.kind, each.subject.as_str()), Some(each))).collect();
    let (mut new, mut changed) = (Vec::new(), Vec::new());
    for finding in findings {
        let condition = (finding.kind, finding.subject.as_str());
        match known.insert(condition, None) {
            None => new.push(finding),
            Some(Some(incident)) if !reads_alike(incident, finding) => {
                changed.push((incident.id, finding));
            }
            // As it was, or found twice.
            Some(_) => {}
        }
    }
    update(tx, &changed).await?;
    insert(tx, &new).await
}

async fn update(tx: &mut Tx, changed: &[(Uuid, &IncidentFinding)]) -> Result<(), StoreError> {
    if changed.is_empty() {
        return Ok(());
    }
    let text = |read: fn(&IncidentFinding) -> &str| -> Vec<&str> {
        changed.iter().map(|(_, finding)| read(finding)).collect()
    };
    sqlx::query(UPDATE)
        .bind(changed.iter().map(|(id, _)| *id).collect::<Vec<_>>())
        .bind(text(|finding| &finding.summary))
        .bind(text(|finding| &finding.next))
        .bind(text(|finding| finding.cause))
        .execute(&mut **tx)
        .await
        .map(drop)
        .map_err(fault)
}

async fn insert(tx: &mut Tx, new: &[&IncidentFinding]) -> Result<Vec<Incident>, StoreError> {
    if new.is_empty() {
        return Ok(Vec::new());
    }
    let text = |read: fn(&IncidentFinding) -> &str| -> Vec<&str> {
        new.iter().map(|finding| read(finding)).collect()
    };
    let rows = sqlx::query(INSERT)
        .bind(new.iter().map(|_| Uuid::now_v7()).collect::<Vec<_>>())
        .bind(text(|finding| finding.kind.as_str()))
        .bind(text(|finding| &finding.subject))
        .bind(text(|finding| finding.cause))
        .bind(text(|finding| finding.severity.as_str()))
        .bind(text(|finding| &finding.summary))
        .bind(text(|finding| &finding.next))
        .fetch_all(&mut **tx)
        .await
        .map_err(fault)?;
    by_age(&rows)
}

async fn resolve(
    tx: &mut Tx,
    open: &[Incident],
    findings: &[IncidentFinding],
) -> Result<Vec<Incident>, StoreError> {
    let found: HashSet<Condition<'_>> =
        findings.iter().map(|finding| (finding.kind, finding.subject.as_str())).collect();
    let is_over = |known: &&Incident| !found.contains(&(known.kind, known.subject.as_str()));
    let over: Vec<Uuid> = open.iter().filter(is_over).map(|known| known.id).collect();
    if over.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(RESOLVE).bind(over).fetch_all(&mut **tx).await.map_err(fault)?;
    by_age(&rows)
}

fn by_age(rows: &[PgRow]) -> Result<Vec<Incident>, StoreError> {
    let mut incidents: Vec<Incident> = rows.iter().map(incident).collect::<Result<_, _>>()?;
    incidents.sort_unstable_by_key(|incident| incident.id);
    Ok(incidents)
}

pub(super) fn incident(row: &PgRow) -> Result<Incident, StoreError> {
    Ok(Incident {
        id: get(row, "incident_id")?,
        kind: codec::incident_kind(get(row, "kind")?)?,
        subject: get(row, "subject")?,
        cause: get(row, "cause")?,
        severity: codec::severity(get(row, "severity")?)?,
        summary: get(row, "summary")?,
        next: get(row, "next_step")?,
        opened_at: at(row, "opened_at")?,
        updated_at: at(row, "updated_at")?,
        acknowledged_at: at_opt(row, "acknowledged_at")?,
        resolved_at: at_opt(row, "resolved_at")?,
    })
}
