//! Alerts that are to be sent.

use std::time::Duration;

use uuid::Uuid;

use super::Tx;
use super::incident_row::{columns, incident};
use super::monitor_lease::holds;
use super::query::Query;
use super::row::Row;
use crate::fault::Fault;
use crate::{
    AlertChannel, AlertResult, AlertStatus, Incident, MonitorLease, Notification, Store,
    StoreError, UnseenIncident, codec,
};

const INSERT: &str = "
insert into notifications (id, incident_id, channel, status, reminder, created_at, next_at)
select v.*, {now}, {now} from (values ";

/// Of one incident's alerts the oldest that is not finished goes first. What another monitor
/// is taking at this moment is skipped.
const DUE: &str = "
select n.id from notifications n
where n.channel = $1 and n.finished_at is null and n.next_at <= {now}
    and not exists (
        select 1 from notifications o
        where o.incident_id = n.incident_id and o.channel = n.channel
            and o.finished_at is null and (o.created_at, o.id) < (n.created_at, n.id))
order by n.created_at, n.id limit $2 {skip}";

const TAKE: &str = "
update notifications set tries = tries + 1, next_at = {now+ms:$2} where id {in:$1}";

const TAKEN: &str = concat!(
    "select n.id, n.status, n.tries, n.reminder, ",
    columns!(),
    " from notifications n join incidents i on i.id = n.incident_id
     where n.id {in:$1} order by n.id"
);

/// `$4`: when it is tried again, if it is.
const SETTLE: &str = "
update notifications set finished_at = case when $4 is null then {now} end, delivered = $3,
    next_at = {now+ms:coalesce($4, 0)}
where id = $1 and tries = $2 and finished_at is null";

pub(crate) const PRUNE: &str = "
delete from notifications where id in (
    select id from notifications where created_at < {now-ms:$1} limit $2)";

/// Open incidents of which somebody may have to be reminded.
const UNSEEN: &str = "
select id, coalesce(reminded_at, opened_at) as told_at, reminders from incidents
where resolved_at is null and acknowledged_at is null";

/// Only the next one, once, and nobody is reminded of what is over or seen.
const REMINDED: &str = "
update incidents set reminders = $2, reminded_at = {now}
where id = $1 and reminders = $2 - 1 and resolved_at is null and acknowledged_at is null";

/// Reminders that could not be sent before they were of no use any more.
const LAPSED: &str = "
delete from notifications
where finished_at is null and reminder > 0 and incident_id in (
    select id from incidents where resolved_at is not null or acknowledged_at is not null)";

/// Alerts written by one statement.
const CHUNK: usize = 1_000;

/// One for each incident and channel.
pub(crate) async fn insert(
    tx: &mut Tx<'_>,
    incidents: &[Incident],
    status: AlertStatus,
    channels: &[AlertChannel],
) -> Result<(), Fault> {
    let told: Vec<(Uuid, u32)> = incidents.iter().map(|incident| (incident.id, 0)).collect();
    insert_of(tx, &told, status, channels).await
}

/// One for each incident, of which it is that reminder, and channel.
async fn insert_of(
    tx: &mut Tx<'_>,
    incidents: &[(Uuid, u32)],
    status: AlertStatus,
    channels: &[AlertChannel],
) -> Result<(), Fault> {
    let row = |(incident, reminder): (Uuid, u32), channel: &AlertChannel| {
        let (channel, status) = (channel.as_str().into(), status.as_str().into());
        [Uuid::now_v7().into(), incident.into(), channel, status, i64::from(reminder).into()]
    };
    let rows: Vec<_> = incidents
        .iter()
        .flat_map(|incident| channels.iter().map(move |channel| row(*incident, channel)))
        .collect();
    for chunk in rows.chunks(CHUNK) {
        let mut insert = Query::new(INSERT);
        insert.push_rows(chunk.iter().cloned());
        insert.push(") as v where true");
        tx.run(&insert).await?;
    }
    Ok(())
}

impl Store {
    /// Open incidents that nobody acknowledged, and how often they were told.
    pub async fn unseen_incidents(&self) -> Result<Vec<UnseenIncident>, StoreError> {
        let rows = self.rows("unseen_incidents", &Query::new(UNSEEN)).await?;
        let unseen = |row: &Row| {
            Ok::<_, Fault>(UnseenIncident {
                id: row.uuid("id")?,
                told_at: row.at("told_at")?,
                reminders: row.count("reminders")?,
            })
        };
        Ok(rows.iter().map(unseen).collect::<Result<_, _>>()?)
    }

    /// Writes the next reminder of each of these incidents for each channel, unless it is written
    /// already or the incident is over or seen meanwhile, and drops reminders that are of no use
    /// any more. How many incidents channels are reminded of; `None` without a valid lease.
    pub async fn remind(
        &self,
        lease: MonitorLease,
        due: &[UnseenIncident],
        channels: &[AlertChannel],
    ) -> Result<Option<usize>, StoreError> {
        let asked = (lease, due.to_vec(), channels.to_vec());
        self.change("remind", asked, |(lease, due, channels), mut tx| {
            Box::pin(async move {
                if !holds(&mut tx, *lease).await? {
                    return Ok(None);
                }
                tx.run(&Query::new(LAPSED)).await?;
                let mut told = Vec::with_capacity(due.len());
                for UnseenIncident { id, reminders, .. } in due {
                    let next = reminders.saturating_add(1);
                    let reminded = Query::new(REMINDED).bind(*id).bind(next);
                    if tx.run(&reminded).await? > 0 {
                        told.push((*id, next));
                    }
                }
                insert_of(&mut tx, &told, AlertStatus::Firing, channels).await?;
                Ok(Some(told.len()))
            })
        })
        .await
    }

    /// Takes alerts of a channel that are due, oldest first, for `hold`: nobody else gets them
    /// during that time, and somebody else does after it. Of the alerts of one incident only
    /// the oldest is given. `None` without a valid lease.
    pub async fn claim_notifications(
        &self,
        lease: MonitorLease,
        channel: AlertChannel,
        limit: u32,
        hold: Duration,
    ) -> Result<Option<Vec<Notification>>, StoreError> {
        let due = Query::new(DUE).bind(channel.as_str()).bind(limit.clamp(1, 1_000));
        self.change("claim_notifications", (lease, due, hold), |(lease, due, hold), mut tx| {
            Box::pin(async move {
                if !holds(&mut tx, *lease).await? {
                    return Ok(None);
                }
                let due = tx.rows(due).await?;
                let due: Vec<Uuid> =
                    due.iter().map(|row| row.uuid("id")).collect::<Result<_, _>>()?;
                tx.run(&Query::new(TAKE).bind(due.clone()).bind(*hold)).await?;
                let taken = tx.rows(&Query::new(TAKEN).bind(due)).await?;
                taken.iter().map(notification).collect::<Result<_, _>>().map(Some)
            })
        })
        .await
    }

    /// Notes what became of tries. A try that was taken over by somebody else changes nothing.
    pub async fn settle_notifications(
        &self,
        settled: &[(Uuid, u32, AlertResult)],
    ) -> Result<(), StoreError> {
        self.change("settle_notifications", settled.to_vec(), |settled, mut tx| {
            Box::pin(async move {
                for (id, tries, result) in settled {
                    let retry = match result {
                        AlertResult::Retry(after) => Some(codec::millis(*after)),
                        AlertResult::Delivered | AlertResult::GivenUp => None,
                    };
                    let delivered = *result == AlertResult::Delivered;
                    let settle = Query::new(SETTLE).bind(*id).bind(*tries).bind(delivered);
                    tx.run(&settle.bind(retry)).await?;
                }
                Ok(())
            })
        })
        .await
    }
}

fn notification(row: &Row) -> Result<Notification, Fault> {
    Ok(Notification {
        id: row.uuid("id")?,
        status: codec::alert_status(row.text("status")?)?,
        tries: row.count("tries")?,
        reminder: row.count("reminder")?,
        incident: incident(row)?,
    })
}
