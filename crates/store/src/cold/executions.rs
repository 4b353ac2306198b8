//! E1, E4, E6: tests of webhooks, and the event that a test is rendered from.

use std::time::Duration;

use postrider_domain::{
    AuditAction, AuditKind, DeliveryId, Event, LaneId, LaneState, Selector, WebhookId,
};
use uuid::Uuid;

use super::Tx;
use super::audit::Change;
use super::query::Query;
use super::row::Row;
use super::webhooks::{New, insert_unsaved, make_lane};
use crate::executions::{EVENTS_LOOKED_AT, sides};
use crate::fault::Fault;
use crate::{
    ExecutionView, LaneStop, NewExecution, Started, Store, StoreError, Subject, SweptExecutions,
    codec,
};

/// What a lane `l` and its limit `m` say of a test in it.
macro_rules! lane_stop {
    () => {
        "l.name, l.hold_cause, l.held_since, \
         case when m.pause_until > {now} then m.pause_until end as paused_until, \
         l.limited and (m.owner is null or m.lease_until is null or m.lease_until <= {now}) \
         as leaderless"
    };
}

const LANE_OF: &str = concat!(
    "select l.id, ",
    lane_stop!(),
    " from webhooks w join lanes l on l.id = w.lane_id left join limits m on m.id = l.limit_id
     where w.id = $1"
);

const LANE_NAMED: &str = concat!(
    "select l.id, ",
    lane_stop!(),
    " from lanes l left join limits m on m.id = l.limit_id where l.name = $1"
);

/// The fingerprint is never looked for.
const EVENT: &str = "
insert into events (id, name, broker, consumer, provider, body, fingerprint, traceparent,
    pair_hash, source, received_at {delivery_ids})
values ($1, $2, $3, $4, $5, $6, $7, $8, $10, 'api', {now} {delivery_ids:$9})";

/// E1: before all that wait.
const DELIVERY: &str = "
insert into deliveries (id, event_id, webhook_id, lane_id, status, next_at, execution_until,
    created_at, updated_at)
values ($1, $2, $3, $4, 'waiting', $5, {now+ms:$6}, {now}, {now})";

const VIEW: &str = concat!(
    "select d.status, ",
    lane_stop!(),
    " from deliveries d join lanes l on l.id = d.lane_id left join limits m on m.id = l.limit_id
     where d.id = $1 and d.execution_until is not null"
);

/// E4.
const WITHDRAW: &str = "
update deliveries set status = 'discarded', next_at = null, last_outcome = 'withdrawn',
    updated_at = {now}
where id = $1 and status = 'waiting' and execution_until is not null";

/// E6, those that nobody waits for.
const WITHDRAW_OLD: &str = "
update deliveries set status = 'discarded', next_at = null, last_outcome = 'withdrawn',
    updated_at = {now}
where id in (
    select id from deliveries
    where execution_until <= {now} and next_at is not null and status = 'waiting'
    limit $1 {skip})";

/// E6, those that are over.
const OLD: &str = "
select id, event_id, webhook_id from deliveries
where execution_until <= {now-ms:$2} and next_at is null limit $1 {skip}";

const HAS_OLD: &str = "select 1 as one from deliveries where execution_until <= {now} limit 1";

/// Webhooks that were never saved, or are deleted, and that nothing refers to any more.
const DROP_UNSAVED: &str = "
delete from webhooks
where id {in:$1} and state = 'deleted'
    and not exists (select 1 from deliveries d where d.webhook_id = webhooks.id)";

/// Bounded by the newest `$5` events; sides by name (`$1`, `$3`), or by what the text has to
/// hold where a label is asked for (`$2`, `$4`).
const LATEST: &str = "
select e.body from (
    select id, name, consumer, provider, body from events order by id desc limit $5) e
where e.name <> 'test'
    and ($1 is null or e.consumer = $1) and ($2 is null or e.body like $2 escape '!')
    and ($3 is null or e.provider = $3) and ($4 is null or e.body like $4 escape '!')
order by e.id desc limit $6";

/// Events whose labels are looked at.
const LABELLED: i64 = 500;

/// E1 with what is made of it before.
struct Start {
    new: NewExecution,
    body: String,
    unsaved: Option<New>,
}

impl Store {
    /// E1.
    pub async fn start_execution(&self, new: &NewExecution) -> Result<Started, StoreError> {
        let unsaved = match &new.subject {
            Subject::Saved(_) => None,
            Subject::Unsaved(write) => Some(New::of(write, self.key())?),
        };
        let start = Start { new: new.clone(), body: codec::event_text(&new.event)?, unsaved };
        self.change_noted("start_execution", start, |start, mut tx| {
            Box::pin(async move {
                let started = begin(start, tx.again()).await?;
                let noted = match started {
                    Started::Waiting(_) => vec![noted(&start.new, &mut tx).await?],
                    Started::Held(_) | Started::Gone => Vec::new(),
                };
                Ok((started, noted))
            })
        })
        .await
    }

    /// How an execution stands; `None` when there is none of this id.
    pub async fn execution(&self, id: DeliveryId) -> Result<Option<ExecutionView>, StoreError> {
        let Some(row) = self.row("execution", &Query::new(VIEW).bind(id)).await? else {
            return Ok(None);
        };
        let status = codec::stored_status(row.text("status")?)?;
        Ok(Some(ExecutionView { status, lane: lane_stop(&row)? }))
    }

    /// E4. Whether it was still waiting and is withdrawn now; `false`: it was claimed or is
    /// final.
    pub async fn withdraw_execution(&self, id: DeliveryId) -> Result<bool, StoreError> {
        Ok(self.run("withdraw_execution", Query::new(WITHDRAW).bind(id)).await? > 0)
    }

    /// E6, at most `limit` of each kind; `keep` is how long a final one can be looked up.
    pub async fn sweep_executions(
        &self,
        keep: Duration,
        limit: u32,
    ) -> Result<SweptExecutions, StoreError> {
        if self.row("has_old_executions", &Query::new(HAS_OLD)).await?.is_none() {
            return Ok(SweptExecutions::default());
        }
        let withdrawn =
            self.run("withdraw_old_executions", Query::new(WITHDRAW_OLD).bind(limit)).await?;
        let old = Query::new(OLD).bind(limit).bind(keep);
        let dropped = self
            .change("drop_old_executions", old, |old, mut tx| {
                Box::pin(async move {
                    let rows = tx.rows(old).await?;
                    drop_executions(&mut tx, &rows).await?;
                    Ok(rows.len() as u64)
                })
            })
            .await?;
        Ok(SweptExecutions { withdrawn, dropped })
    }

    /// The newest event, tests aside, whose sides are selected, among the newest 20,000.
    pub async fn latest_event(
        &self,
        consumer: Option<&Selector>,
        provider: Option<&Selector>,
    ) -> Result<Option<Event>, StoreError> {
        let (consumer, provider) = (sides(consumer), sides(provider));
        let latest = Query::new(LATEST)
            .bind(consumer.0)
            .bind(consumer.1.map(holding).transpose()?)
            .bind(provider.0)
            .bind(provider.1.map(holding).transpose()?)
            .bind(EVENTS_LOOKED_AT)
            .bind(if consumer.1.or(provider.1).is_some() { LABELLED } else { 1 });
        for row in self.rows("latest_event", &latest).await? {
            let event = codec::event(row.text("body")?)?;
            let has = |labels: &[String], label: Option<&str>| {
                label.is_none_or(|label| labels.iter().any(|one| one == label))
            };
            if has(&event.consumer.labels, consumer.1) && has(&event.provider.labels, provider.1) {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }
}

/// The pattern of a text that holds this label.
fn holding(label: &str) -> Result<String, StoreError> {
    let label = codec::list_text(&[label])?;
    let label = label.trim_matches(['[', ']']);
    let label = label.replace('!', "!!").replace('%', "!%").replace('_', "!_");
    Ok(format!("%{label}%"))
}

/// E1: in a held lane nothing is written.
async fn begin(start: &Start, mut tx: Tx<'_>) -> Result<Started, Fault> {
    let found = match (&start.new.subject, &start.unsaved) {
        (Subject::Saved(id), _) => tx.row(&Query::new(LANE_OF).bind(*id)).await?,
        (Subject::Unsaved(write), _) => {
            tx.row(&Query::new(LANE_NAMED).bind(&write.lane.name)).await?
        }
    };
    if let Some(row) = &found {
        let lane = lane_stop(row)?;
        if lane.state != LaneState::Open {
            return Ok(Started::Held(lane));
        }
    }
    let lane = found.map(|row| row.int("id")).transpose()?.map(LaneId);
    let (webhook, lane) = match (&start.new.subject, &start.unsaved, lane) {
        (Subject::Saved(id), _, Some(lane)) => (*id, lane),
        (Subject::Unsaved(write), Some(new), lane) => {
            let lane = match lane {
                Some(lane) => lane,
                None => make_lane(&mut tx, &write.lane).await?,
            };
            (insert_unsaved(&mut tx, new, lane).await?, lane)
        }
        (Subject::Saved(_), _, None) | (Subject::Unsaved(_), None, _) => return Ok(Started::Gone),
    };
    insert(start, webhook, lane, &mut tx).await?;
    Ok(Started::Waiting(lane))
}

/// What the audit log says of a test.
async fn noted(new: &NewExecution, tx: &mut Tx<'_>) -> Result<Change, Fault> {
    let uuid = match &new.subject {
        Subject::Unsaved(write) => write.webhook.uuid.to_string(),
        Subject::Saved(id) => {
            let uuid = Query::new("select uuid from webhooks where id = $1").bind(*id);
            tx.one(&uuid).await?.string("uuid")?
        }
    };
    let saved = if matches!(new.subject, Subject::Saved(_)) { "" } else { ", not saved" };
    let detail = format!("delivery {}{saved}", new.id);
    Ok(Change::new(AuditKind::Webhook, uuid, AuditAction::Tested).saying(detail))
}

async fn insert(
    start: &Start,
    webhook: WebhookId,
    lane: LaneId,
    tx: &mut Tx<'_>,
) -> Result<(), Fault> {
    let (new, event) = (&start.new, &start.new.event);
    let insert = Query::new(EVENT)
        .bind(new.event_id)
        .bind(event.event_name.as_str())
        .bind(&event.broker)
        .bind(&event.consumer.name)
        .bind(&event.provider.name)
        .bind(&start.body)
        .bind(vec![0_u8; 16])
        .bind(&new.traceparent)
        .bind(new.id)
        .bind(codec::event_pair_hash(event));
    tx.run(&insert).await?;
    let insert = Query::new(DELIVERY)
        .bind(new.id)
        .bind(new.event_id)
        .bind(webhook)
        .bind(lane.0)
        .bind(jiff::Timestamp::UNIX_EPOCH)
        .bind(new.wait);
    tx.run(&insert).await.map(drop)
}

/// Drops tests with what belongs to them.
async fn drop_executions(tx: &mut Tx<'_>, rows: &[Row]) -> Result<(), Fault> {
    let ids =
        |column| rows.iter().map(|row| row.uuid(column)).collect::<Result<Vec<Uuid>, Fault>>();
    let (deliveries, events) = (ids("id")?, ids("event_id")?);
    let webhooks: Vec<i64> =
        rows.iter().map(|row| row.int("webhook_id")).collect::<Result<_, _>>()?;
    for (statement, ids) in [
        ("delete from attempts where delivery_id {in:$1}", &deliveries),
        ("delete from not_delivered where delivery_id {in:$1}", &deliveries),
        ("delete from events where id {in:$1}", &events),
        ("delete from deliveries where id {in:$1}", &deliveries),
    ] {
        tx.run(&Query::new(statement).bind(ids.clone())).await?;
    }
    tx.run(&Query::new(DROP_UNSAVED).bind(webhooks)).await.map(drop)
}

fn lane_stop(row: &Row) -> Result<LaneStop, Fault> {
    Ok(LaneStop {
        lane: row.string("name")?,
        state: codec::lane_state(row.text_opt("hold_cause")?)?,
        held_since: row.at_opt("held_since")?,
        paused_until: row.at_opt("paused_until")?,
        leaderless: row.is("leaderless")?,
    })
}
