//! Events in lists and one by one.
//!
//! Lists cost a bounded amount of work, as those of deliveries do: what is looked through are
//! candidates, newest first, found by their pair where the filter names one.

use postrider_domain::{EventId, EventName};

use super::access_path::Order;
use super::looked::Looked;
use super::query::{Query, Value};
use super::row::Row;
use crate::fault::Fault;
use crate::id_time::first_id;
use crate::{
    DeliveryFilter, EventCursor, EventFilter, EventPage, EventRow, EventView, Store, StoreError,
    Total, codec,
};

/// Candidates that one call looks at, at most.
const CANDIDATES: u64 = 10_000;
/// Candidates of one statement, at first and at most.
const FIRST: u64 = 200;
const MOST: u64 = 5_000;
/// Deliveries that are shown of one event.
const DELIVERIES: u32 = 1_000;

const COLUMNS: &str = "
select e.id, e.name, e.broker, e.consumer, e.provider, e.source, e.received_at,
    {consumer_version} as consumer_version, {provider_version} as provider_version,
    {made} as made ";

const ONE: &str = ", e.body from events e where e.id = $1";

impl Store {
    /// A page of events, newest first, `limit` 1 to 1,000. A page may hold fewer than that and
    /// still have a next one: a call looks at 10,000 events at most.
    pub async fn events(
        &self,
        filter: &EventFilter,
        after: Option<EventCursor>,
        limit: u32,
    ) -> Result<EventPage, StoreError> {
        let limit = u64::from(limit.clamp(1, 1_000));
        let shown = usize::try_from(limit).unwrap_or(usize::MAX);
        let conditions = self.conditions(filter).await?;
        let mut place = after.map(|cursor| cursor.0);
        let (mut events, mut examined, mut chunk) = (Vec::new(), 0, (4 * limit).max(FIRST));
        loop {
            let wanted = limit + 1 - events.len() as u64;
            let query = page(&conditions, filter, place, chunk, wanted);
            let looked = Looked::of(&self.rows("events", &query).await?, event_row)?;
            events.extend(looked.found);
            examined += looked.seen;
            let last = events.get(shown.saturating_sub(1)).map(|row: &EventRow| row.id);
            if events.len() > shown {
                events.truncate(shown);
                return Ok(EventPage { events, next: last.map(EventCursor) });
            }
            let Some(end) = looked.last.filter(|_| looked.seen >= chunk) else {
                return Ok(EventPage { events, next: None });
            };
            if examined >= CANDIDATES {
                return Ok(EventPage { events, next: Some(EventCursor(EventId(end))) });
            }
            place = Some(EventId(end));
            chunk = (4 * chunk).min(MOST).min(CANDIDATES - examined);
        }
    }

    /// How many events the filter names, counted among 10,000 candidates.
    pub async fn count_events(&self, filter: &EventFilter) -> Result<Total, StoreError> {
        let conditions = self.conditions(filter).await?;
        let mut query = Query::new("with k as materialized (");
        candidates(&mut query, &conditions, filter, None, Total::MOST + 1);
        query.push("), m as (select 1 as one from k e where true");
        push_filter(&mut query, filter);
        query.push(") select (select count(*) from k) as seen, (select count(*) from m) as found");
        let row = self.row("count_events", &query).await?;
        let row = row.ok_or_else(|| StoreError::Corrupt("no count".to_owned()))?;
        Ok(Total::among(row.tally("found")?, row.tally("seen")?))
    }

    /// One event with what it led to.
    pub async fn event(&self, id: EventId) -> Result<Option<EventView>, StoreError> {
        let mut one = Query::new(COLUMNS).bind(id);
        one.push(ONE);
        let Some(row) = self.row("event", &one).await? else { return Ok(None) };
        let of = DeliveryFilter { event_id: Some(id), ..DeliveryFilter::default() };
        let page = self.deliveries(&of, None, DELIVERIES).await?;
        Ok(Some(EventView {
            row: event_row(&row)?,
            event: row.string("body")?,
            deliveries: page.deliveries,
            merged: self.merged_calls(id).await?,
        }))
    }

    /// One condition for each part of the events that may match.
    async fn conditions(&self, filter: &EventFilter) -> Result<Vec<Query>, StoreError> {
        let pairs = DeliveryFilter {
            broker: filter.broker.clone(),
            consumer: filter.consumer.clone(),
            provider: filter.provider.clone(),
            ..DeliveryFilter::default()
        };
        let pairs = self.by_pair(&pairs).await?;
        Ok(pairs.unwrap_or_else(|| vec![Query::new("true")]))
    }
}

/// The next candidates and those among them that the filter names.
fn page(
    conditions: &[Query],
    filter: &EventFilter,
    place: Option<EventId>,
    chunk: u64,
    wanted: u64,
) -> Query {
    let order = Order::NewestFirst;
    let mut query = Query::new("with k as materialized (");
    candidates(&mut query, conditions, filter, place, chunk);
    query.push("), m as (").push(COLUMNS).push("from k e where true");
    push_filter(&mut query, filter);
    query.push(" order by e.id desc");
    query.push_with(" limit $)", i64::try_from(wanted).unwrap_or(i64::MAX));
    Looked::<EventRow>::end(&mut query, order);
    query.push(" order by m.id desc");
    query
}

/// Appends a statement for `most` candidates behind `place`, newest first.
fn candidates(
    query: &mut Query,
    conditions: &[Query],
    filter: &EventFilter,
    place: Option<EventId>,
    most: u64,
) {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let bounds: [(&str, Option<Value>); 3] = [
        (" and id >= $", filter.since.map(|since| first_id(since).into())),
        (" and id < $", filter.until.map(|until| first_id(until).into())),
        (" and id < $", place.map(Value::from)),
    ];
    if conditions.is_empty() {
        query.push("select * from events where false");
        return;
    }
    query.push("select * from (");
    for (index, condition) in conditions.iter().enumerate() {
        query.push(if index > 0 { " union all " } else { "" });
        query.push("select * from (select * from events where ");
        query.push_query(condition);
        for (bound, value) in &bounds {
            if let Some(value) = value {
                query.push_with(bound, value.clone());
            }
        }
        query.push_with(&format!(" order by id desc limit $) as u{index}"), most);
    }
    query.push_with(") as u order by id desc limit $", most);
}

/// Appends the filter's conditions over `e`.
fn push_filter(query: &mut Query, filter: &EventFilter) {
    let EventFilter { broker, consumer, provider, version, event, unmatched, .. } = filter;
    if *event != Some(EventName::Test) {
        query.push(" and e.name <> 'test'");
    }
    if *unmatched {
        query.push(" and {made} = 0");
    }
    let conditions: [(&str, Option<Value>); 5] = [
        (" and e.broker = $", broker.as_ref().map(Value::from)),
        (" and e.consumer = $", consumer.as_ref().map(Value::from)),
        (" and e.provider = $", provider.as_ref().map(Value::from)),
        (" and e.name = $", event.map(|event| event.as_str().into())),
        (" and {consumer_version} = $", version.as_ref().map(Value::from)),
    ];
    for (condition, value) in conditions {
        if let Some(value) = value {
            query.push_with(condition, value);
        }
    }
}

fn event_row(row: &Row) -> Result<EventRow, Fault> {
    Ok(EventRow {
        id: EventId(row.uuid("id")?),
        event_name: codec::event_name(row.text("name")?)?,
        broker: row.string("broker")?,
        consumer: row.string("consumer")?,
        consumer_version: row.string_opt("consumer_version")?.unwrap_or_default(),
        provider: row.string("provider")?,
        provider_version: row.string_opt("provider_version")?.unwrap_or_default(),
        source: row.text_opt("source")?.map(codec::event_source).transpose()?,
        received_at: row.at("received_at")?,
        deliveries: row.count("made")?,
    })
}
