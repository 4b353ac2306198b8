//! Deliveries for people and programs, and figures.
//!
//! Every list costs a bounded amount of work. What is looked through are candidates, in the order
//! of the list, found by the narrowest thing that the filter names ([`super::access_path`]); the filter
//! then picks among them. A call looks at [`super::access_path::CANDIDATES`] of them at most and answers what it
//! found, with a cursor to go on from.

use std::time::Duration;

use jiff::Timestamp;
use postrider_domain::{DeliveryId, DeliveryStatus, EventId, StoredStatus, WebhookId};
use uuid::Uuid;

use super::access_path::{AccessPath, Order, Position};
use super::looked::Looked;
use super::query::{Query, Value};
use super::row::Row;
use crate::attempts::RequestColumns;
use crate::fault::Fault;
use crate::id_time::first_id;
use crate::list::{LOOKED_BACK, MAX_WEBHOOKS};
use crate::{
    AttemptRow, Cursor, DeliveryFilter, DeliveryRow, DeliveryScope, DeliveryView, Page, Stats,
    Store, StoreError, Total, codec,
};

/// Candidates of one statement, at first and at most: rare ones should not cost many statements.
const FIRST: u64 = 200;
const MOST: u64 = 5_000;

/// Columns of a list. A fresh delivery and one that is due wait for their turn: no instant is
/// shown for them.
pub(crate) const COLUMNS: &str = "
select d.id, d.event_id, e.name as event_name, e.broker, e.consumer, e.provider,
    {consumer_version} as consumer_version,
    w.uuid as webhook_uuid, d.status, l.name as lane,
    l.hold_cause is not null or w.hold_cause is not null as held,
    d.attempts_recorded, d.last_outcome, d.last_status_code,
    case when d.status = 'waiting' and l.hold_cause is null and w.hold_cause is null
        and d.next_at > {now} and d.next_at < {aside} and d.claim_no > 0
        then d.next_at end as next_attempt_at,
    d.created_at, d.updated_at ";

const ONE: &str = ", d.webhook_id, e.body, e.traceparent
from deliveries d cross join events e cross join webhooks w cross join lanes l
where e.id = d.event_id and w.id = d.webhook_id and l.id = d.lane_id and d.id = $1";

const BETWEEN: &str = "select id from deliveries where id >= $1 and id <= $2 order by id limit 2";

const ATTEMPTS: &str = "
select number, started_at, {attempt_ms} as duration_ms, outcome, status_code, github_request_id,
    possible_duplicate, retry_after_capped, request, response, webhook_rev, span_id, renderer,
    request_bytes
from attempts where delivery_id = $1 order by claim_no";

/// The newest delivery of each event of a pair, among the newest `$4` of webhook `$1`.
const NEWEST: &str = "
select e.name, d.id
from (select id, event_id from deliveries
      where webhook_id = $1 order by id desc limit $4) d
cross join events e
where e.id = d.event_id and e.consumer = $2 and e.provider = $3 and e.name <> 'test'
order by d.id desc";

impl Store {
    /// A page of deliveries, newest first, `limit` 1 to 1,000. A page may hold fewer than that
    /// and still have a next one: a call looks at 20,000 deliveries at most.
    pub async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page, StoreError> {
        let limit = u64::from(limit.clamp(1, 1_000));
        let shown = usize::try_from(limit).unwrap_or(usize::MAX);
        let none = Page { deliveries: Vec::new(), next: None };
        let Some(path) = self.access_path(filter).await? else { return Ok(none) };
        let mut place = match after {
            None => None,
            Some(cursor) => Some(self.place(&path, cursor.0.0).await?),
        };
        let (mut deliveries, mut examined, mut chunk) = (Vec::new(), 0, (4 * limit).max(FIRST));
        loop {
            let wanted = limit + 1 - deliveries.len() as u64;
            let query = page(&path, filter, place, chunk, wanted);
            let looked = Looked::of(&self.rows("deliveries", &query).await?, delivery_row)?;
            deliveries.extend(looked.found);
            examined += looked.seen;
            let last = deliveries.get(shown.saturating_sub(1)).map(|row: &DeliveryRow| row.id);
            if deliveries.len() > shown {
                deliveries.truncate(shown);
                return Ok(Page { deliveries, next: last.map(Cursor) });
            }
            let Some(end) = looked.last.filter(|_| looked.seen >= chunk) else {
                return Ok(Page { deliveries, next: None });
            };
            if examined >= path.most() {
                return Ok(Page { deliveries, next: Some(Cursor(DeliveryId(end))) });
            }
            place = Some(Position::at(end));
            chunk = (4 * chunk).min(MOST).min(path.most() - examined);
        }
    }

    /// How many deliveries the filter names, counted among 10,000 candidates.
    pub async fn count_deliveries(&self, filter: &DeliveryFilter) -> Result<Total, StoreError> {
        let Some(path) = self.access_path(filter).await? else {
            return Ok(Total { count: 0, is_exact: true });
        };
        let mut query = Query::new("with k as materialized (");
        path.candidates(&mut query, Order::NewestFirst, None, Total::MOST + 1);
        query.push("), m as (select 1 as one ");
        path.source(&mut query);
        push_filter(&mut query, filter);
        query.push(") select (select count(*) from k) as seen, (select count(*) from m) as found");
        let row = self.row("count_deliveries", &query).await?;
        let row = row.ok_or_else(|| StoreError::Corrupt("no count".to_owned()))?;
        Ok(Total::among(row.tally("found")?, row.tally("seen")?))
    }

    /// One delivery with its event and attempts.
    pub async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryView>, StoreError> {
        let mut one = Query::new(COLUMNS).bind(id);
        one.push(ONE);
        let Some(row) = self.row("delivery", &one).await? else { return Ok(None) };
        let attempts = self.rows("attempts", &Query::new(ATTEMPTS).bind(id)).await?;
        Ok(Some(DeliveryView {
            row: delivery_row(&row)?,
            webhook_id: WebhookId(row.int("webhook_id")?),
            event: row.string("body")?,
            traceparent: row.string_opt("traceparent")?,
            attempts: attempts.iter().map(attempt).collect::<Result<_, _>>()?,
        }))
    }

    /// The deliveries whose ids lie between these two, the first two of them.
    pub async fn deliveries_between(
        &self,
        first: Uuid,
        last: Uuid,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        let between = Query::new(BETWEEN).bind(first).bind(last);
        let rows = self.rows("deliveries_between", &between).await?;
        let id = |row: &Row| Ok::<_, Fault>(DeliveryId(row.uuid("id")?));
        Ok(rows.iter().map(id).collect::<Result<_, _>>()?)
    }

    /// Of each of these webhooks (at most 150) and each event the newest delivery for the pair,
    /// oldest first, among the newest 10,000 deliveries of the webhook.
    pub async fn newest_deliveries(
        &self,
        webhooks: &[WebhookId],
        consumer: &str,
        provider: &str,
    ) -> Result<Vec<DeliveryRow>, StoreError> {
        let mut ids = Vec::new();
        for webhook in webhooks.iter().take(MAX_WEBHOOKS) {
            let newest = Query::new(NEWEST).bind(*webhook).bind(consumer).bind(provider);
            let rows = self.rows("newest_deliveries", &newest.bind(LOOKED_BACK)).await?;
            let mut names = Vec::new();
            for row in &rows {
                let name = row.string("name")?;
                if !names.contains(&name) {
                    ids.push(DeliveryId(row.uuid("id")?));
                    names.push(name);
                }
            }
        }
        let filter = DeliveryFilter { ids: Some(ids), ..DeliveryFilter::default() };
        let mut page = self.deliveries(&filter, None, 1_000).await?;
        page.deliveries.reverse();
        Ok(page.deliveries)
    }

    /// Figures of this moment; counted as [`Store::lanes`] counts.
    pub async fn stats(&self) -> Result<Stats, StoreError> {
        Ok(Stats::of(&self.lanes().await?, self.now().await?))
    }

    /// The database's clock.
    pub async fn now(&self) -> Result<Timestamp, StoreError> {
        let row = self.row("now", &Query::new("select {now} as now")).await?;
        let row = row.ok_or_else(|| StoreError::Corrupt("no clock".to_owned()))?;
        Ok(row.at("now")?)
    }
}

/// The next candidates and those among them that the filter names.
fn page(
    path: &AccessPath,
    filter: &DeliveryFilter,
    place: Option<Position>,
    chunk: u64,
    wanted: u64,
) -> Query {
    let order = Order::NewestFirst;
    let mut query = Query::new("with k as materialized (");
    path.candidates(&mut query, order, place, chunk);
    query.push("), m as (").push(COLUMNS);
    path.source(&mut query);
    path.after(&mut query, order, place);
    push_filter(&mut query, filter);
    query.push(path.sorted(order));
    query.push_with(" limit $)", i64::try_from(wanted).unwrap_or(i64::MAX));
    Looked::<DeliveryRow>::end(&mut query, order);
    query.push(path.sorted(order).replace("e.id", "m.event_id").replace("d.id", "m.id").as_str());
    query
}

/// Appends the filter's conditions over `d`, `e`, `w` and `l`.
pub(crate) fn push_filter(query: &mut Query, filter: &DeliveryFilter) {
    let DeliveryFilter {
        status,
        scope,
        webhook,
        broker,
        consumer,
        provider,
        version,
        event,
        event_id,
        lane,
        since,
        until,
        ids,
    } = filter;
    if !filter.shows_executions() {
        query.push(" and d.execution_until is null");
    }
    if let Some(status) = status {
        query.push(" and ").push(shown(*status));
    }
    match scope {
        None => {}
        Some(DeliveryScope::Open) => {
            query.push(" and d.next_at is not null");
        }
        Some(DeliveryScope::Failing) => {
            query.push(" and d.status <> 'delivered' and d.last_outcome is not null");
        }
    }
    if let Some(ids) = ids {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        query.push_with(" and d.id {in:$}", ids);
    }
    let conditions: [(&str, Option<Value>); 9] = [
        (" and w.uuid = $", webhook.as_ref().map(|uuid| uuid.as_str().into())),
        (" and e.broker = $", broker.as_ref().map(Value::from)),
        (" and e.consumer = $", consumer.as_ref().map(Value::from)),
        (" and e.provider = $", provider.as_ref().map(Value::from)),
        (" and {consumer_version} = $", version.as_ref().map(Value::from)),
        (" and e.name = $", event.map(|event| event.as_str().into())),
        (" and e.id = $", event_id.map(Value::from)),
        (" and l.name = $", lane.as_ref().map(Value::from)),
        (" and d.id >= $", since.map(|since| first_id(since).into())),
    ];
    for (condition, value) in conditions {
        if let Some(value) = value {
            query.push_with(condition, value);
        }
    }
    if let Some(until) = until {
        query.push_with(" and d.id < $", first_id(*until));
    }
}

/// The condition that a shown status is (HELD_DERIVED).
fn shown(status: DeliveryStatus) -> &'static str {
    match status {
        DeliveryStatus::Delivered => "d.status = 'delivered'",
        DeliveryStatus::Failed => "d.status = 'failed'",
        DeliveryStatus::Discarded => "d.status = 'discarded'",
        DeliveryStatus::Held => {
            "d.next_at is not null and d.status = 'waiting' \
             and (l.hold_cause is not null or w.hold_cause is not null)"
        }
        DeliveryStatus::Queued => {
            "d.next_at is not null and d.attempts_recorded = 0 \
             and (d.status = 'sending' or l.hold_cause is null and w.hold_cause is null)"
        }
        DeliveryStatus::Retrying => {
            "d.next_at is not null and d.attempts_recorded > 0 \
             and (d.status = 'sending' or l.hold_cause is null and w.hold_cause is null)"
        }
    }
}

pub(crate) fn delivery_row(row: &Row) -> Result<DeliveryRow, Fault> {
    let stored: StoredStatus = codec::stored_status(row.text("status")?)?;
    let attempts = row.count("attempts_recorded")?;
    Ok(DeliveryRow {
        id: DeliveryId(row.uuid("id")?),
        event_id: EventId(row.uuid("event_id")?),
        event_name: codec::event_name(row.text("event_name")?)?,
        broker: row.string("broker")?,
        webhook_uuid: codec::webhook_uuid(row.text("webhook_uuid")?)?,
        consumer: row.string("consumer")?,
        provider: row.string("provider")?,
        consumer_version: row.string_opt("consumer_version")?.unwrap_or_default(),
        status: DeliveryStatus::shown(stored, row.is("held")?, attempts),
        lane: row.string("lane")?,
        attempts,
        last_outcome: row.outcome("last_outcome")?,
        last_status_code: row.status_code("last_status_code")?,
        next_attempt_at: row.at_opt("next_attempt_at")?,
        created_at: row.at("created_at")?,
        updated_at: row.at("updated_at")?,
    })
}

fn attempt(row: &Row) -> Result<AttemptRow, Fault> {
    let request = RequestColumns {
        text: row.string("request")?,
        webhook_rev: row.int_opt("webhook_rev")?,
        span_id: row.int_opt("span_id")?,
        renderer: row.int_opt("renderer")?,
        bytes: row.int_opt("request_bytes")?,
    };
    let row = AttemptRow {
        number: row.count("number")?,
        started_at: row.at("started_at")?,
        duration: Duration::from_millis(row.tally("duration_ms")?),
        outcome: codec::outcome(row.text("outcome")?)?,
        status_code: row.status_code("status_code")?,
        github_request_id: row.string_opt("github_request_id")?,
        possible_duplicate: row.is("possible_duplicate")?,
        retry_after_capped: row.is("retry_after_capped")?,
        request: request.kept(),
        response: row.string("response")?,
    };
    Ok(row.shown())
}
