//! What the monitor reads and writes.

use std::time::Duration;

use postrider_domain::WebhookState;
use sqlx::postgres::PgRow;
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::Pg;
use super::rows::{at, at_opt, fault, get, http_status, tally};
use crate::{
    Incident, IncidentFinding, MonitorFacts, MonitorLease, StoreError, StreakFact, WorkerId, codec,
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

const OPEN: &str = "
select id, kind, subject, summary, next_step, opened_at, updated_at, resolved_at
from incidents where resolved_at is null for update";

const INSERT: &str = "
insert into incidents (id, kind, subject, summary, next_step) values ($1, $2, $3, $4, $5)
returning id, kind, subject, summary, next_step, opened_at, updated_at, resolved_at";

const UPDATE: &str = "
update incidents set summary = $2, next_step = $3, updated_at = now() where id = $1";

const RESOLVE: &str = "
update incidents set resolved_at = now(), updated_at = now() where id = $1
returning id, kind, subject, summary, next_step, opened_at, updated_at, resolved_at";

const LIST: &str = "
select id, kind, subject, summary, next_step, opened_at, updated_at, resolved_at
from incidents where not $1 or resolved_at is null
order by opened_at desc, id desc limit $2";

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
];

type Tx = Transaction<'static, Postgres>;

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
        findings: &[IncidentFinding],
    ) -> Result<Option<(Vec<Incident>, Vec<Incident>)>, StoreError> {
        let mut tx = self.pool.begin().await.map_err(fault)?;
        let valid = sqlx::query(LOCK_LEASE).bind(lease.owner.0).bind(lease.epoch);
        if valid.fetch_optional(&mut *tx).await.map_err(fault)?.is_none() {
            return Ok(None);
        }
        let rows = sqlx::query(OPEN).fetch_all(&mut *tx).await.map_err(fault)?;
        let open: Vec<Incident> = rows.iter().map(incident).collect::<Result<_, _>>()?;
        let opened = open_or_update(&mut tx, &open, findings).await?;
        let resolved = resolve(&mut tx, &open, findings).await?;
        tx.commit().await.map_err(fault)?;
        Ok(Some((opened, resolved)))
    }

    pub(crate) async fn incidents(
        &self,
        open_only: bool,
        limit: u32,
    ) -> Result<Vec<Incident>, StoreError> {
        let rows = sqlx::query(LIST)
            .bind(open_only)
            .bind(i64::from(limit.clamp(1, 1000)))
            .fetch_all(&self.pool)
            .await
            .map_err(fault)?;
        rows.iter().map(incident).collect()
    }
}

fn is_of(incident: &Incident, finding: &IncidentFinding) -> bool {
    incident.kind == finding.kind && incident.subject == finding.subject
}

async fn open_or_update(
    tx: &mut Tx,
    open: &[Incident],
    findings: &[IncidentFinding],
) -> Result<Vec<Incident>, StoreError> {
    let mut opened: Vec<Incident> = Vec::new();
    for finding in findings {
        if opened.iter().any(|incident| is_of(incident, finding)) {
            continue;
        }
        match open.iter().find(|incident| is_of(incident, finding)) {
            None => opened.push(insert(tx, finding).await?),
            Some(known) if known.summary == finding.summary && known.next == finding.next => {}
            Some(known) => {
                sqlx::query(UPDATE)
                    .bind(known.id)
                    .bind(&finding.summary)
                    .bind(&finding.next)
                    .execute(&mut **tx)
                    .await
                    .map_err(fault)?;
            }
        }
    }
    Ok(opened)
}

async fn insert(tx: &mut Tx, finding: &IncidentFinding) -> Result<Incident, StoreError> {
    let row = sqlx::query(INSERT)
        .bind(Uuid::now_v7())
        .bind(finding.kind.as_str())
        .bind(&finding.subject)
        .bind(&finding.summary)
        .bind(&finding.next)
        .fetch_one(&mut **tx)
        .await
        .map_err(fault)?;
    incident(&row)
}

async fn resolve(
    tx: &mut Tx,
    open: &[Incident],
    findings: &[IncidentFinding],
) -> Result<Vec<Incident>, StoreError> {
    let mut resolved = Vec::new();
    for over in open.iter().filter(|known| !findings.iter().any(|f| is_of(known, f))) {
        let row = sqlx::query(RESOLVE).bind(over.id).fetch_one(&mut **tx).await.map_err(fault)?;
        resolved.push(incident(&row)?);
    }
    Ok(resolved)
}

fn incident(row: &PgRow) -> Result<Incident, StoreError> {
    Ok(Incident {
        id: get(row, "id")?,
        kind: codec::incident_kind(get(row, "kind")?)?,
        subject: get(row, "subject")?,
        summary: get(row, "summary")?,
        next: get(row, "next_step")?,
        opened_at: at(row, "opened_at")?,
        updated_at: at(row, "updated_at")?,
        resolved_at: at_opt(row, "resolved_at")?,
    })
}
