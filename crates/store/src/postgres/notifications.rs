//! Alerts that are to be sent.

use std::time::Duration;

use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::Pg;
use super::incidents::{Tx, columns, incident};
use super::rows::{count, fault, get};
use crate::{
    AlertChannel, AlertResult, AlertStatus, Incident, MonitorLease, Notification, StoreError, codec,
};

const INSERT: &str = "
insert into notifications (id, incident_id, channel, status)
select u.id, u.incident_id, u.channel, $4
from unnest($1::uuid[], $2::uuid[], $3::text[]) as u (id, incident_id, channel)";

const LEASE_IS_VALID: &str = "
select exists (
    select from monitor_lease where owner = $1 and epoch = $2 and lease_until > now())";

/// Of one incident's alerts the oldest that is not finished goes first. What another monitor
/// is taking at this moment is skipped.
const CLAIM: &str = concat!(
    "with due as (
         select n.id from notifications n
         where n.channel = $3 and n.finished_at is null and n.next_at <= now()
             and exists (
                 select from monitor_lease
                 where owner = $1 and epoch = $2 and lease_until > now())
             and not exists (
                 select from notifications o
                 where o.incident_id = n.incident_id and o.channel = n.channel
                     and o.finished_at is null and (o.created_at, o.id) < (n.created_at, n.id))
         order by n.created_at, n.id limit $4
         for update of n skip locked)
     update notifications n
     set tries = n.tries + 1, next_at = now() + $5 * interval '1 millisecond'
     from due, incidents i
     where n.id = due.id and i.id = n.incident_id
     returning n.id, n.status, n.tries, n.created_at, ",
    columns!()
);

const SETTLE: &str = "
update notifications n
set finished_at = case when u.retry_ms is null then now() end, delivered = u.delivered,
    next_at = now() + coalesce(u.retry_ms, 0) * interval '1 millisecond'
from unnest($1::uuid[], $2::integer[], $3::boolean[], $4::bigint[])
    as u (id, tries, delivered, retry_ms)
where n.id = u.id and n.tries = u.tries and n.finished_at is null";

pub(super) const PRUNE: &str = "
delete from notifications where id in (
    select id from notifications
    where created_at < now() - $1 * interval '1 millisecond' limit $2)";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("insert_notifications", INSERT),
    ("monitor_lease_is_valid", LEASE_IS_VALID),
    ("claim_notifications", CLAIM),
    ("settle_notifications", SETTLE),
    ("prune_notifications", PRUNE),
];

/// One for each incident and channel.
pub(super) async fn insert(
    tx: &mut Tx,
    incidents: &[Incident],
    status: AlertStatus,
    channels: &[AlertChannel],
) -> Result<(), StoreError> {
    let (mut ids, mut about, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for incident in incidents {
        for channel in channels {
            ids.push(Uuid::now_v7());
            about.push(incident.id);
            names.push(channel.as_str());
        }
    }
    if ids.is_empty() {
        return Ok(());
    }
    let insert = sqlx::query(INSERT).bind(ids).bind(about).bind(names).bind(status.as_str());
    insert.execute(&mut **tx).await.map(drop).map_err(fault)
}

impl Pg {
    pub(crate) async fn claim_notifications(
        &self,
        lease: MonitorLease,
        channel: AlertChannel,
        limit: u32,
        hold: Duration,
    ) -> Result<Option<Vec<Notification>>, StoreError> {
        let rows = sqlx::query(CLAIM)
            .bind(lease.owner.0)
            .bind(lease.epoch)
            .bind(channel.as_str())
            .bind(i64::from(limit))
            .bind(codec::millis(hold))
            .fetch_all(&self.pool)
            .await
            .map_err(fault)?;
        if rows.is_empty() && !self.is_leased(lease).await? {
            return Ok(None);
        }
        let mut claimed: Vec<Notification> =
            rows.iter().map(notification).collect::<Result<_, _>>()?;
        claimed.sort_by_key(|each| each.id);
        Ok(Some(claimed))
    }

    async fn is_leased(&self, lease: MonitorLease) -> Result<bool, StoreError> {
        let valid = sqlx::query_scalar(LEASE_IS_VALID).bind(lease.owner.0).bind(lease.epoch);
        valid.fetch_one(&self.pool).await.map_err(fault)
    }

    pub(crate) async fn settle_notifications(
        &self,
        settled: &[(Uuid, u32, AlertResult)],
    ) -> Result<(), StoreError> {
        let (mut ids, mut tries, mut delivered, mut retries) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (id, count, result) in settled {
            ids.push(*id);
            tries.push(i32::try_from(*count).unwrap_or(i32::MAX));
            delivered.push(*result == AlertResult::Delivered);
            retries.push(match result {
                AlertResult::Retry(after) => Some(codec::millis(*after)),
                AlertResult::Delivered | AlertResult::GivenUp => None,
            });
        }
        let settle = sqlx::query(SETTLE).bind(ids).bind(tries).bind(delivered).bind(retries);
        settle.execute(&self.pool).await.map(drop).map_err(fault)
    }
}

fn notification(row: &PgRow) -> Result<Notification, StoreError> {
    Ok(Notification {
        id: get(row, "id")?,
        status: codec::alert_status(get(row, "status")?)?,
        tries: count(row, "tries")?,
        incident: incident(row)?,
    })
}
