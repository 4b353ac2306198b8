//! E1, E4, E6: executions, and the event that a test is rendered from.

use std::time::Duration;

use postrider_domain::{DeliveryId, Event, LaneId, Selector};
use sqlx::postgres::PgRow;
use sqlx::{Postgres, Transaction};

use super::Pg;
use super::rows::{at_opt, fault, get};
use super::webhooks::{insert_unsaved, make_lane};
use crate::executions::{EVENTS_LOOKED_AT, sides};
use crate::{
    ExecutionView, LaneStop, NewExecution, Started, StoreError, Subject, SweptExecutions,
    WebhookWrite, codec,
};

/// What a lane says of an execution in it. Alias `l`.
macro_rules! lane_stop {
    () => {
        "l.name, l.hold_cause, l.held_since, \
         case when l.pause_until > now() then l.pause_until end as paused_until, \
         l.limited and (l.owner is null or l.lease_until <= now()) as leaderless"
    };
}

/// E1, one statement: in a held lane it writes nothing. The event counts as one with a key, so
/// that no repeat is ever taken for it.
const START: &str = concat!(
    "with lane as (\
     select l.id, l.held_total, ",
    lane_stop!(),
    " from webhooks w join lanes l on l.id = w.lane_id where w.id = $1::bigint), \
     event as (\
     insert into events (id, name, broker, consumer, provider, body, fingerprint, traceparent, \
     delivery_ids, keyed) \
     select $2::uuid, $3::text, $4::text, $5::text, $6::text, $7::text, \
     decode(repeat('00', 16), 'hex'), $8::text, array[$9::uuid], true from lane where hold_cause is null), \
     delivery as (\
     insert into deliveries (id, event_id, webhook_id, lane_id, next_at, held_base, \
     execution_until) \
     select $9::uuid, $2::uuid, $1::bigint, id, timestamptz 'epoch', held_total, \
     now() + $10::bigint * interval '1 millisecond' \
     from lane where hold_cause is null) \
     select * from lane"
);

const VIEW: &str = concat!(
    "select d.status, ",
    lane_stop!(),
    " from deliveries d join lanes l on l.id = d.lane_id \
     where d.id = $1 and d.execution_until is not null"
);

/// E4.
const WITHDRAW: &str = "
update deliveries set status = 'discarded', next_at = null, last_outcome = 'withdrawn',
    updated_at = now()
where id = $1 and status = 'waiting' and execution_until is not null";

/// E6, those that nobody waits for.
const WITHDRAW_OLD: &str = "
with old as (
    select id from deliveries
    where execution_until <= now() and next_at is not null and status = 'waiting'
    limit $1
    for update skip locked)
update deliveries d set status = 'discarded', next_at = null, last_outcome = 'withdrawn',
    updated_at = now()
from old o where d.id = o.id";

/// E6, those that are over.
const DROP_OLD: &str = "
with old as (
    select id, event_id, webhook_id from deliveries
    where execution_until <= now() - $2 * interval '1 millisecond' and next_at is null
    limit $1
    for update skip locked),
attempt as (delete from attempts where delivery_id in (select id from old)),
event as (delete from events where id in (select event_id from old)),
delivery as (delete from deliveries where id in (select id from old))
select webhook_id from old";

/// Their webhooks, where they were never saved. A statement of its own: it has to see that the
/// deliveries are gone.
const DROP_UNSAVED: &str = "
delete from webhooks w
where w.id = any($1) and w.state = 'deleted'
    and not exists (select from deliveries d where d.webhook_id = w.id)";

/// Bounded by the newest `$5` events; sides by name (`$1`, `$3`) or by label (`$2`, `$4`).
const LATEST: &str = "
select e.body from (
    select id, name, consumer, provider, body from events order by id desc limit $5) e
where e.name <> 'test'
    and ($1::text is null or e.consumer = $1)
    and ($2::text is null or e.body::jsonb #> '{consumer,labels}' ? $2)
    and ($3::text is null or e.provider = $3)
    and ($4::text is null or e.body::jsonb #> '{provider,labels}' ? $4)
order by e.id desc limit 1";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("start_execution", START),
    ("execution", VIEW),
    ("withdraw_execution", WITHDRAW),
    ("withdraw_old_executions", WITHDRAW_OLD),
    ("drop_old_executions", DROP_OLD),
    ("drop_unsaved_webhooks", DROP_UNSAVED),
    ("latest_event", LATEST),
];

type Tx = Transaction<'static, Postgres>;

impl Pg {
    pub(crate) async fn start_execution(&self, new: &NewExecution) -> Result<Started, StoreError> {
        let mut tx = self.pool.begin().await.map_err(fault)?;
        let webhook = match &new.subject {
            Subject::Saved(id) => id.0,
            Subject::Unsaved(write) => self.unsaved(&mut tx, write).await?,
        };
        let event = &new.event;
        let lane = sqlx::query(START)
            .bind(webhook)
            .bind(new.event_id.0)
            .bind(event.event_name.as_str())
            .bind(&event.broker)
            .bind(&event.consumer.name)
            .bind(&event.provider.name)
            .bind(codec::event_text(event)?)
            .bind(&new.traceparent)
            .bind(new.id.0)
            .bind(codec::millis(new.wait))
            .fetch_optional(&mut *tx)
            .await
            .map_err(fault)?;
        let Some(row) = lane else {
            return Ok(Started::Gone);
        };
        let lane = lane_stop(&row)?;
        if lane.state != postrider_domain::LaneState::Open {
            tx.rollback().await.map_err(fault)?;
            return Ok(Started::Held(lane));
        }
        tx.commit().await.map_err(fault)?;
        Ok(Started::Waiting(LaneId(get(&row, "id")?)))
    }

    async fn unsaved(&self, tx: &mut Tx, write: &WebhookWrite) -> Result<i64, StoreError> {
        let document = codec::seal_webhook(&write.webhook, &self.key)?;
        let lane = make_lane(tx, &write.lane).await?.id;
        insert_unsaved(tx, write, lane, &document).await
    }

    pub(crate) async fn execution(
        &self,
        id: DeliveryId,
    ) -> Result<Option<ExecutionView>, StoreError> {
        let row = sqlx::query(VIEW).bind(id.0).fetch_optional(&self.pool).await.map_err(fault)?;
        let view = |row: &PgRow| {
            let status = codec::stored_status(get(row, "status")?)?;
            Ok(ExecutionView { status, lane: lane_stop(row)? })
        };
        row.as_ref().map(view).transpose()
    }

    pub(crate) async fn withdraw_execution(&self, id: DeliveryId) -> Result<bool, StoreError> {
        let withdrawn = sqlx::query(WITHDRAW).bind(id.0).execute(&self.pool).await;
        Ok(withdrawn.map_err(fault)?.rows_affected() > 0)
    }

    pub(crate) async fn sweep_executions(
        &self,
        keep: Duration,
        limit: u32,
    ) -> Result<SweptExecutions, StoreError> {
        let limit = i64::from(limit);
        let withdrawn = sqlx::query(WITHDRAW_OLD).bind(limit).execute(&self.pool).await;
        let withdrawn = withdrawn.map_err(fault)?.rows_affected();
        let webhooks: Vec<i64> = sqlx::query_scalar(DROP_OLD)
            .bind(limit)
            .bind(codec::millis(keep))
            .fetch_all(&self.pool)
            .await
            .map_err(fault)?;
        let dropped = u64::try_from(webhooks.len()).unwrap_or(u64::MAX);
        if dropped > 0 {
            sqlx::query(DROP_UNSAVED).bind(webhooks).execute(&self.pool).await.map_err(fault)?;
        }
        Ok(SweptExecutions { withdrawn, dropped })
    }

    pub(crate) async fn latest_event(
        &self,
        consumer: Option<&Selector>,
        provider: Option<&Selector>,
    ) -> Result<Option<Event>, StoreError> {
        let (consumer, provider) = (sides(consumer), sides(provider));
        let body: Option<String> = sqlx::query_scalar(LATEST)
            .bind(consumer.0)
            .bind(consumer.1)
            .bind(provider.0)
            .bind(provider.1)
            .bind(EVENTS_LOOKED_AT)
            .fetch_optional(&self.pool)
            .await
            .map_err(fault)?;
        body.as_deref().map(codec::event).transpose()
    }
}

fn lane_stop(row: &PgRow) -> Result<LaneStop, StoreError> {
    Ok(LaneStop {
        lane: get(row, "name")?,
        state: codec::lane_state(get(row, "hold_cause")?)?,
        held_since: at_opt(row, "held_since")?,
        paused_until: at_opt(row, "paused_until")?,
        leaderless: get::<Option<bool>, _>(row, "leaderless")?.unwrap_or(false),
    })
}
