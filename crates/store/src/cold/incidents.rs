//! What the monitor judges, and incidents.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use postrider_domain::{AuditAction, AuditKind, HoldCause, LaneId, WebhookUuid};
use uuid::Uuid;

use super::audit::Change;
use super::incident_row::{columns, incident};
use super::monitor_lease::holds;
use super::query::{Dialect, Query, Value};
use super::row::Row;
use super::webhooks::{self, stored};
use super::{Tx, notifications};
use crate::fault::Fault;
use crate::{
    Acknowledged, AlertStatus, Incident, IncidentCursor, IncidentFilter, IncidentFinding,
    IncidentKind, IncidentPage, IncidentSync, MasterKey, MonitorLease, Store, StoreError,
    StreakFact, Total, codec,
};

const STREAKS: &str = concat!(
    "select ",
    webhooks::columns!(),
    ", h.failures, h.failing_deliveries, h.failing_since, h.last_outcome, h.last_status_code, h.last_success_at
     from webhook_health h
     join webhooks w on w.id = h.webhook_id join lanes l on l.id = w.lane_id
     where w.state <> 'deleted' and w.id > $1 order by w.id limit $2"
);

const HELD: &str = "
select id, name, hold_cause, held_since from lanes
where hold_cause is not null order by name";

/// Deliveries that were set aside, each database by what it finds them with.
const POISONED: &str = "
select p.delivery_id, w.uuid
from poisoned p join deliveries d on d.id = p.delivery_id join webhooks w on w.id = p.webhook_id
where p.at > {now-ms:$1} and d.status = 'failed' and d.last_outcome = 'poison'
order by p.delivery_id limit $2";
const POISONED_SQLITE: &str = "
select d.id as delivery_id, w.uuid
from deliveries d {by:deliveries_poisoned} cross join webhooks w on w.id = d.webhook_id
where d.last_outcome = 'poison' and d.updated_at > {now-ms:$1} and d.status = 'failed'
order by d.updated_at limit $2";

const OPEN: &str = concat!(
    "select ",
    columns!(),
    " from incidents i where i.resolved_at is null and i.kind {in:$1} {lock}"
);

const INSERT: &str = "
insert into incidents (id, kind, subject, cause, severity, summary, next_step, opened_at, updated_at)
select v.*, {now}, {now} from (values ";

const UPDATE: &str = "
update incidents set summary = $2, next_step = $3, cause = $4, updated_at = {now} where id = $1";

const RESOLVE: &str =
    "update incidents set resolved_at = {now}, updated_at = {now} where id {in:$1}";

const THOSE: &str =
    concat!("select ", columns!(), " from incidents i where i.id {in:$1} order by i.id");

/// What `$1` and `$2` name: only the open ones, of which kind.
macro_rules! named {
    () => {
        "(not $1 or i.resolved_at is null) and ($2 is null or i.kind = $2)"
    };
}

const COUNT: &str = concat!(
    "select count(*) as found from (select 1 from incidents i where ",
    named!(),
    " limit $3) c"
);

const LIST: &str = concat!(
    "select ",
    columns!(),
    " from incidents i where ",
    named!(),
    " and ($3 is null or (i.opened_at, i.id) < ($3, $4))
     order by i.opened_at desc, i.id desc limit $5"
);

/// An incident that is over stays as it is; the first time counts.
const ACKNOWLEDGE: &str = "
update incidents set acknowledged_at = {now}
where id = $1 and resolved_at is null and acknowledged_at is null";

const COUNT_OPEN: &str =
    "select kind, count(*) as open from incidents where resolved_at is null group by kind";

const PRUNE: &str = "
delete from incidents where id in (
    select i.id from incidents i
    where i.resolved_at < {now-ms:$1}
        and not exists (select 1 from notifications n where n.incident_id = i.id)
    limit $2)";

/// How long a delivery that was set aside is told of.
const POISON_SHOWN: Duration = Duration::from_hours(7 * 24);
/// Deliveries set aside that are told of at one time.
const POISON_MOST: i64 = 1_000;
/// Webhooks read by one statement.
const STREAKS_PAGE: i64 = 2_000;
/// Incidents written by one statement.
const CHUNK: usize = 500;

impl Store {
    /// Streaks of every webhook that is not deleted and was ever attempted.
    pub async fn streaks(&self) -> Result<Vec<StreakFact>, StoreError> {
        let mut streaks = Vec::new();
        let mut after = i64::MIN;
        loop {
            let page = Query::new(STREAKS).bind(after).bind(STREAKS_PAGE);
            let rows = self.rows("streaks", &page).await?;
            for row in &rows {
                streaks.push(streak(row, self.key())?);
                after = row.int("id")?;
            }
            if rows.len() < usize::try_from(STREAKS_PAGE).unwrap_or(usize::MAX) {
                return Ok(streaks);
            }
        }
    }

    /// Held lanes: name, cause, since, backlog (counted up to a million over all of them).
    pub async fn held_lanes(
        &self,
    ) -> Result<Vec<(String, HoldCause, jiff::Timestamp, u64)>, StoreError> {
        let rows = self.rows("held_lanes", &Query::new(HELD)).await?;
        let lane = |row: &Row| row.int("id").map(LaneId);
        let lanes: Vec<LaneId> = rows.iter().map(lane).collect::<Result<_, _>>()?;
        let backlogs = self.backlogs(&lanes).await?;
        let mut held = Vec::with_capacity(rows.len());
        for row in &rows {
            let cause = codec::hold_cause(row.text("hold_cause")?)?;
            let backlog = backlogs.get(&lane(row)?).copied().unwrap_or_default();
            let since = row.at_opt("held_since")?.unwrap_or(jiff::Timestamp::UNIX_EPOCH);
            held.push((row.string("name")?, cause, since, backlog.waiting));
        }
        Ok(held)
    }

    /// Poisoned deliveries of the last seven days, a thousand at most: id and webhook.
    pub async fn poisoned(&self) -> Result<Vec<(Uuid, WebhookUuid)>, StoreError> {
        let text = match self.dialect() {
            Dialect::Postgres => POISONED,
            Dialect::Sqlite => POISONED_SQLITE,
        };
        let query = Query::new(text).bind(POISON_SHOWN).bind(POISON_MOST);
        let rows = self.rows("poisoned", &query).await?;
        let poison = |row: &Row| {
            Ok::<_, Fault>((row.uuid("delivery_id")?, codec::webhook_uuid(row.text("uuid")?)?))
        };
        Ok(rows.iter().map(poison).collect::<Result<_, _>>()?)
    }

    /// Makes the open incidents of the judged kinds exactly the findings: opens, updates,
    /// resolves, and writes a notification for each channel with it; only under a valid lease
    /// (`Ok(None)` otherwise). Returns those opened and those resolved.
    pub async fn sync_incidents(
        &self,
        lease: MonitorLease,
        sync: &IncidentSync,
    ) -> Result<Option<(Vec<Incident>, Vec<Incident>)>, StoreError> {
        self.change("sync_incidents", (lease, sync.clone()), |(lease, sync), tx| {
            Box::pin(synchronise(*lease, sync, tx))
        })
        .await
    }

    /// A page of incidents, newest first; `limit` 1 to 1,000.
    pub async fn incidents(
        &self,
        filter: IncidentFilter,
        after: Option<IncidentCursor>,
        limit: u32,
    ) -> Result<IncidentPage, StoreError> {
        let limit = limit.clamp(1, 1_000);
        let list = Query::new(LIST)
            .bind(filter.open_only)
            .bind(filter.kind.map(IncidentKind::as_str))
            .bind(after.map(|cursor| cursor.opened_at))
            .bind(after.map(|cursor| cursor.id))
            // One more than asked for tells whether there is a next page.
            .bind(i64::from(limit) + 1);
        let rows = self.rows("incidents", &list).await?;
        Ok(IncidentPage::of(rows.iter().map(incident).collect::<Result<_, _>>()?, limit))
    }

    /// How many incidents the filter names, counted up to 10,000.
    pub async fn count_incidents(&self, filter: IncidentFilter) -> Result<Total, StoreError> {
        let count =
            Query::new(COUNT).bind(filter.open_only).bind(filter.kind.map(IncidentKind::as_str));
        self.counted("count_incidents", count).await
    }

    /// One incident.
    pub async fn incident(&self, id: Uuid) -> Result<Option<Incident>, StoreError> {
        let row = self.row("incident", &Query::new(THOSE).bind(vec![id])).await?;
        Ok(row.as_ref().map(incident).transpose()?)
    }

    /// Notes that somebody has seen an open incident; the first time counts.
    pub async fn acknowledge_incident(&self, id: Uuid) -> Result<Acknowledged, StoreError> {
        let known = self.incident(id).await?;
        let subject = known.map(|known| format!("{} {}", known.kind.as_str(), known.subject));
        let seen = Change::new(AuditKind::Incident, id.to_string(), AuditAction::Acknowledged);
        let seen = seen.saying(subject.unwrap_or_default());
        let acknowledge = Query::new(ACKNOWLEDGE).bind(id);
        self.run_noted("acknowledge_incident", acknowledge, seen).await?;
        Ok(match self.incident(id).await? {
            None => Acknowledged::Unknown,
            Some(incident) if incident.acknowledged_at.is_some() => Acknowledged::Yes(incident),
            Some(incident) => Acknowledged::Resolved(incident),
        })
    }

    /// How many incidents are open, by kind; kinds without any are left out.
    pub async fn open_incidents(&self) -> Result<Vec<(IncidentKind, u64)>, StoreError> {
        let rows = self.rows("count_open_incidents", &Query::new(COUNT_OPEN)).await?;
        let count = |row: &Row| {
            Ok::<_, Fault>((codec::incident_kind(row.text("kind")?)?, row.tally("open")?))
        };
        Ok(rows.iter().map(count).collect::<Result<_, _>>()?)
    }

    /// Retention: drops notifications made before `keep` ago, and incidents that were resolved
    /// before that, `limit` of each at most. Returns how many rows went.
    pub async fn prune_incidents(&self, keep: Duration, limit: u32) -> Result<u64, StoreError> {
        let mut gone = 0;
        for statement in [notifications::PRUNE, PRUNE] {
            let prune = Query::new(statement).bind(keep).bind(limit);
            gone += self.run("prune_incidents", prune).await?;
        }
        Ok(gone)
    }
}

fn streak(row: &Row, key: &MasterKey) -> Result<StreakFact, Fault> {
    let webhook = stored(row, key)?;
    Ok(StreakFact {
        description: codec::shown_name(&webhook.webhook),
        webhook: webhook.webhook.uuid,
        lane: webhook.lane,
        failures: row.tally("failures")?,
        deliveries: row.tally("failing_deliveries")?,
        since: row.at_opt("failing_since")?,
        last_outcome: row.outcome("last_outcome")?,
        last_status_code: row.status_code("last_status_code")?,
        last_success_at: row.at_opt("last_success_at")?,
    })
}

/// What makes two findings, or a finding and an incident, the same condition.
type Condition<'a> = (IncidentKind, &'a str);

fn reads_alike(incident: &Incident, finding: &IncidentFinding) -> bool {
    incident.summary == finding.summary
        && incident.next == finding.next
        && incident.cause == finding.cause
}

/// `None`: the lease is not valid any more.
async fn synchronise(
    lease: MonitorLease,
    sync: &IncidentSync,
    mut tx: Tx<'_>,
) -> Result<Option<(Vec<Incident>, Vec<Incident>)>, Fault> {
    if !holds(&mut tx, lease).await? {
        return Ok(None);
    }
    let judged: Vec<String> = sync.judged.iter().map(|kind| kind.as_str().to_owned()).collect();
    let rows = tx.rows(&Query::new(OPEN).bind(judged)).await?;
    let open: Vec<Incident> = rows.iter().map(incident).collect::<Result<_, _>>()?;
    let opened = open_or_update(&mut tx, &open, &sync.findings).await?;
    let resolved = resolve(&mut tx, &open, &sync.findings).await?;
    notifications::insert(&mut tx, &opened, AlertStatus::Firing, &sync.channels).await?;
    notifications::insert(&mut tx, &resolved, AlertStatus::Resolved, &sync.channels).await?;
    Ok(Some((opened, resolved)))
}

/// Writes what is new, and what reads differently now. A finding told twice counts once, the
/// last wording wins.
async fn open_or_update(
    tx: &mut Tx<'_>,
    open: &[Incident],
    findings: &[IncidentFinding],
) -> Result<Vec<Incident>, Fault> {
    let known: HashMap<Condition<'_>, &Incident> =
        open.iter().map(|each| ((each.kind, each.subject.as_str()), each)).collect();
    let findings: BTreeMap<Condition<'_>, &IncidentFinding> =
        findings.iter().map(|each| ((each.kind, each.subject.as_str()), each)).collect();
    let mut new = Vec::new();
    for (condition, finding) in findings {
        match known.get(&condition) {
            None => new.push(finding),
            Some(incident) if !reads_alike(incident, finding) => {
                let update = Query::new(UPDATE).bind(incident.id).bind(&finding.summary);
                tx.run(&update.bind(&finding.next).bind(finding.cause)).await?;
            }
            Some(_) => {}
        }
    }
    let mut ids = Vec::with_capacity(new.len());
    for chunk in new.chunks(CHUNK) {
        let mut insert = Query::new(INSERT);
        insert.push_rows(chunk.iter().map(|finding| {
            let id = Uuid::now_v7();
            ids.push(id);
            new_row(id, finding)
        }));
        insert.push(") as v where true");
        tx.run(&insert).await?;
    }
    those(tx, ids).await
}

fn new_row(id: Uuid, finding: &IncidentFinding) -> [Value; 7] {
    [
        id.into(),
        finding.kind.as_str().into(),
        (&finding.subject).into(),
        finding.cause.into(),
        finding.severity.as_str().into(),
        (&finding.summary).into(),
        (&finding.next).into(),
    ]
}

async fn resolve(
    tx: &mut Tx<'_>,
    open: &[Incident],
    findings: &[IncidentFinding],
) -> Result<Vec<Incident>, Fault> {
    let found: HashSet<Condition<'_>> =
        findings.iter().map(|finding| (finding.kind, finding.subject.as_str())).collect();
    let is_over = |known: &&Incident| !found.contains(&(known.kind, known.subject.as_str()));
    let over: Vec<Uuid> = open.iter().filter(is_over).map(|known| known.id).collect();
    tx.run(&Query::new(RESOLVE).bind(over.clone())).await?;
    those(tx, over).await
}

async fn those(tx: &mut Tx<'_>, ids: Vec<Uuid>) -> Result<Vec<Incident>, Fault> {
    let rows = tx.rows(&Query::new(THOSE).bind(ids)).await?;
    rows.iter().map(incident).collect()
}
