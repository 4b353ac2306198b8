//! Deliveries for people and programs, and figures.

use postrider_domain::{DeliveryId, DeliveryStatus, EventId, StoredStatus, WebhookId};
use sqlx::postgres::PgRow;
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::Pg;
use super::rows::{at, at_opt, count, fault, get, http_status, tally};
use crate::list::LOOKED_BACK;
use crate::{
    AttemptView, Cursor, DeliveryFilter, DeliveryRow, DeliveryView, Page, Stats, StoreError, codec,
};

/// Columns of a list. A fresh delivery and one that is due wait for their turn: no instant is
/// shown for them.
const SELECT: &str = "
select d.id, d.event_id, e.name as event_name, e.broker, e.consumer, e.provider,
    w.uuid as webhook_uuid, d.status, l.name as lane, l.hold_cause is not null as held,
    d.attempts_recorded, d.last_outcome, d.last_status_code,
    case when d.status = 'waiting' and l.hold_cause is null and d.next_at > now()
        and d.claim_no > 0 then d.next_at end as next_attempt_at,
    d.created_at, d.updated_at, e.body";

pub(super) const FROM: &str = "
from deliveries d
join events e on e.id = d.event_id
join webhooks w on w.id = d.webhook_id
join lanes l on l.id = d.lane_id
where true";

const ATTEMPTS: &str = "
select number, started_at, duration_ms, outcome, status_code, github_request_id,
    possible_duplicate, request, response
from attempts where delivery_id = $1 order by claim_no";

const BACKLOG: &str = "
select l.name, l.hold_cause is null as open, b.waiting, b.sending,
    extract(epoch from now() - b.oldest_at)::double precision as oldest_s
from lanes l cross join lateral (
    select count(*) filter (where d.status = 'waiting') as waiting,
        count(*) filter (where d.status = 'sending') as sending,
        min(d.created_at) as oldest_at
    from deliveries d where d.lane_id = l.id and d.next_at is not null) b
order by b.waiting desc, l.name";

const NEWEST: &str = "
select distinct on (d.webhook_id, e.name) d.id
from unnest($1::bigint[]) w (id)
cross join lateral (
    select id, event_id, webhook_id from deliveries
    where webhook_id = w.id order by id desc limit $4) d
join events e on e.id = d.event_id
where e.consumer = $2 and e.provider = $3 and e.name <> 'test'
order by d.webhook_id, e.name, d.id desc";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] =
    &[("attempts", ATTEMPTS), ("backlog", BACKLOG), ("newest_deliveries", NEWEST)];

impl Pg {
    pub(crate) async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page, StoreError> {
        let limit = limit.clamp(1, 1000) as usize;
        let mut query = QueryBuilder::new(SELECT);
        query.push(FROM);
        push_filter(&mut query, filter);
        if let Some(Cursor(id)) = after {
            query.push(" and d.id < ").push_bind(id.0);
        }
        // One more than asked for tells whether there is a next page.
        query.push(" order by d.id desc limit ").push_bind(i64::try_from(limit + 1).unwrap_or(1));
        let rows = query.build().fetch_all(&self.pool).await.map_err(fault)?;
        let deliveries: Vec<DeliveryRow> =
            rows.iter().take(limit).map(delivery_row).collect::<Result<_, _>>()?;
        let more = rows.len() > limit;
        let next = deliveries.last().filter(|_| more).map(|last| Cursor(last.id));
        Ok(Page { deliveries, next })
    }

    pub(crate) async fn delivery(
        &self,
        id: DeliveryId,
    ) -> Result<Option<DeliveryView>, StoreError> {
        let mut query = QueryBuilder::new(SELECT);
        query.push(FROM).push(" and d.id = ").push_bind(id.0);
        let row = query.build().fetch_optional(&self.pool).await.map_err(fault)?;
        let Some(row) = row else { return Ok(None) };
        let attempts =
            sqlx::query(ATTEMPTS).bind(id.0).fetch_all(&self.pool).await.map_err(fault)?;
        Ok(Some(DeliveryView {
            row: delivery_row(&row)?,
            event: get(&row, "body")?,
            attempts: attempts.iter().map(attempt).collect::<Result<_, _>>()?,
        }))
    }

    pub(crate) async fn newest_deliveries(
        &self,
        webhooks: &[WebhookId],
        consumer: &str,
        provider: &str,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        let webhooks: Vec<i64> = webhooks.iter().map(|id| id.0).collect();
        let ids: Vec<Uuid> = sqlx::query_scalar(NEWEST)
            .bind(webhooks)
            .bind(consumer)
            .bind(provider)
            .bind(i64::from(LOOKED_BACK))
            .fetch_all(&self.pool)
            .await
            .map_err(fault)?;
        Ok(ids.into_iter().map(DeliveryId).collect())
    }

    pub(crate) async fn stats(&self) -> Result<Stats, StoreError> {
        let rows = sqlx::query(BACKLOG).fetch_all(&self.pool).await.map_err(fault)?;
        let mut stats = Stats::default();
        for row in &rows {
            stats.backlog.push((get(row, "name")?, tally(row, "waiting")?));
            stats.sending += tally(row, "sending")?;
            let oldest: Option<f64> = get(row, "oldest_s")?;
            if let (true, Some(seconds)) = (get(row, "open")?, oldest) {
                let age = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default();
                stats.oldest_pending = stats.oldest_pending.max(Some(age));
            }
        }
        Ok(stats)
    }
}

/// Adds a filter's conditions; aliases as in [`FROM`].
pub(super) fn push_filter(query: &mut QueryBuilder<Postgres>, filter: &DeliveryFilter) {
    if !filter.shows_executions() {
        query.push(" and d.execution_until is null");
    }
    if let Some(status) = filter.status {
        query.push(" and ").push(shown(status));
    }
    if let Some(webhook) = &filter.webhook {
        query.push(" and d.webhook_id in (select id from webhooks where uuid = ");
        query.push_bind(webhook.as_str().to_owned()).push(")");
    }
    if let Some(event) = filter.event_id {
        query.push(" and d.id = any(select unnest(delivery_ids) from events where id = ");
        query.push_bind(event.0).push(")");
    }
    if let Some(ids) = &filter.ids {
        query.push(" and d.id = any(").push_bind(super::rows::uuids(ids)).push(")");
    }
    let texts = [
        (" and e.consumer = ", filter.consumer.clone()),
        (" and e.provider = ", filter.provider.clone()),
        (" and e.name = ", filter.event.map(|event| event.as_str().to_owned())),
        (" and l.name = ", filter.lane.clone()),
    ];
    for (condition, value) in texts {
        if let Some(value) = value {
            query.push(condition).push_bind(value);
        }
    }
    for (condition, value) in
        [(" and d.created_at >= ", filter.since), (" and d.created_at < ", filter.until)]
    {
        if let Some(instant) = value {
            query.push(condition).push_bind(jiff_sqlx::ToSqlx::to_sqlx(instant));
        }
    }
}

/// The condition that a shown status is (HELD_DERIVED).
fn shown(status: DeliveryStatus) -> &'static str {
    match status {
        DeliveryStatus::Delivered => "d.status = 'delivered'",
        DeliveryStatus::Failed => "d.status = 'failed'",
        DeliveryStatus::Discarded => "d.status = 'discarded'",
        DeliveryStatus::Held => {
            "d.next_at is not null and d.status = 'waiting' and l.hold_cause is not null"
        }
        DeliveryStatus::Queued => {
            "d.next_at is not null and d.attempts_recorded = 0 \
             and (d.status = 'sending' or l.hold_cause is null)"
        }
        DeliveryStatus::Retrying => {
            "d.next_at is not null and d.attempts_recorded > 0 \
             and (d.status = 'sending' or l.hold_cause is null)"
        }
    }
}

fn delivery_row(row: &PgRow) -> Result<DeliveryRow, StoreError> {
    let stored: StoredStatus = codec::stored_status(get(row, "status")?)?;
    let attempts = count(row, "attempts_recorded")?;
    Ok(DeliveryRow {
        id: DeliveryId(get(row, "id")?),
        event_id: EventId(get(row, "event_id")?),
        event_name: codec::event_name(get(row, "event_name")?)?,
        broker: get(row, "broker")?,
        webhook_uuid: codec::webhook_uuid(get(row, "webhook_uuid")?)?,
        consumer: get(row, "consumer")?,
        provider: get(row, "provider")?,
        status: DeliveryStatus::shown(stored, get(row, "held")?, attempts),
        lane: get(row, "lane")?,
        attempts,
        last_outcome: get::<Option<&str>, _>(row, "last_outcome")?
            .map(codec::outcome)
            .transpose()?,
        last_status_code: http_status(row, "last_status_code")?,
        next_attempt_at: at_opt(row, "next_attempt_at")?,
        created_at: at(row, "created_at")?,
        updated_at: at(row, "updated_at")?,
    })
}

fn attempt(row: &PgRow) -> Result<AttemptView, StoreError> {
    Ok(AttemptView {
        number: count(row, "number")?,
        started_at: at(row, "started_at")?,
        duration: codec::from_millis(get(row, "duration_ms")?),
        outcome: codec::outcome(get(row, "outcome")?)?,
        status_code: http_status(row, "status_code")?,
        github_request_id: get(row, "github_request_id")?,
        possible_duplicate: get(row, "possible_duplicate")?,
        request: get(row, "request")?,
        response: get(row, "response")?,
    })
}
