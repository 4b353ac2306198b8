//! How the candidates of a list are found: by the narrowest thing that the filter names, for
//! which there is an index in the order of the list.

use std::collections::BTreeSet;
use std::time::Duration;

use postrider_domain::DeliveryStatus;
use uuid::Uuid;

use super::query::Query;
use super::row::Row;
use crate::codec::pair_hash;
use crate::id_time::first_id;
use crate::{DeliveryFilter, DeliveryScope, Store, StoreError};

/// Candidates that one call looks at, at most.
pub(crate) const CANDIDATES: u64 = 20_000;
/// Webhooks looked at one by one; of more of them, what is looked for is not rare.
const WEBHOOKS_MOST: i64 = 100;

/// Pairs looked at one by one; of more of them, what is looked for is not rare.
const PAIRS_MOST: i64 = 100;
/// Events that are not folded into pairs yet, looked through for the pairs that they name.
const RECENT_MOST: i64 = 20_000;
/// As the monitor does: ids come from the clocks of several hosts.
const OVERLAP: Duration = Duration::from_mins(5);

const UNHASHED: &str = "select id from events where pair_hash is null limit 1";

const OF_CONSUMER: &str = "
select broker, consumer, provider from pairs
where consumer = $2 and ($3 is null or provider = $3) and ($1 is null or broker = $1) limit $4";

const OF_PROVIDER: &str = "
select broker, consumer, provider from pairs
where provider = $3 and ($2 is null or consumer = $2) and ($1 is null or broker = $1) limit $4";

const RECENT: &str = "
with k as materialized (
    select broker, consumer, provider from events where id > $4 order by id limit $5),
m as (
    select distinct broker, consumer, provider from k
    where ($1 is null or broker = $1) and ($2 is null or consumer = $2)
        and ($3 is null or provider = $3))
select (select count(*) from k) as seen, m.* from (select 1 as one) o left join m on true";

/// What a filter speaks of, beside a delivery.
pub(crate) const BESIDE: &str = "
cross join webhooks w cross join lanes l
where w.id = d.webhook_id and l.id = d.lane_id";

const COUNT_OPEN: &str = "
select count(*) as open from (
    select 1 as one from deliveries {by:deliveries_due} where next_at is not null limit $1) as counted";

/// Which end of a list comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    NewestFirst,
    OldestFirst,
}

impl Order {
    /// What lies behind a place, in the order of the list.
    fn behind(self) -> &'static str {
        match self {
            Self::NewestFirst => "<",
            Self::OldestFirst => ">",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::NewestFirst => "desc",
            Self::OldestFirst => "asc",
        }
    }

    /// The order by which the last of a list comes first.
    pub(crate) fn last_first(self) -> &'static str {
        match self {
            Self::NewestFirst => Self::OldestFirst.word(),
            Self::OldestFirst => Self::NewestFirst.word(),
        }
    }
}

/// A place in a list: what is behind it comes next.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Position {
    /// The event, in lists of events' deliveries.
    event: Uuid,
    delivery: Uuid,
}

impl Position {
    /// Behind the last candidate of a statement.
    pub(crate) fn at(candidate: Uuid) -> Self {
        Self { event: candidate, delivery: candidate }
    }
}

/// Where candidates come from.
#[derive(Debug, Clone)]
enum From {
    /// Deliveries, of one of these conditions each.
    Deliveries(Vec<Query>),
    /// Deliveries that are open.
    Open,
    /// Deliveries that came to this; the filter looks whether they still have.
    NotDelivered(&'static str),
    /// Deliveries of events, of one of these conditions each.
    Events(Vec<Query>),
}

/// How candidates are found.
#[derive(Debug, Clone)]
pub(crate) struct AccessPath {
    from: From,
    first: Option<Uuid>,
    end: Option<Uuid>,
}

impl Store {
    /// The access path of a filter; `None` when nothing can match it.
    pub(crate) async fn access_path(
        &self,
        filter: &DeliveryFilter,
    ) -> Result<Option<AccessPath>, StoreError> {
        let from = match filter {
            DeliveryFilter { ids: Some(ids), .. } => {
                let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
                From::Deliveries(vec![Query::new("id {in:$1}").bind(ids)])
            }
            DeliveryFilter { event_id: Some(id), .. } => {
                From::Events(vec![Query::new("id = $1").bind(*id)])
            }
            filter => match self.narrowest(filter).await? {
                Some(From::Deliveries(none) | From::Events(none)) if none.is_empty() => {
                    return Ok(None);
                }
                Some(from) => from,
                None => From::Deliveries(vec![Query::new("true")]),
            },
        };
        let (first, end) = (filter.since.map(first_id), filter.until.map(first_id));
        Ok(Some(AccessPath { from, first, end }))
    }

    /// What the filter names that few deliveries have; `None`: all are looked at.
    async fn narrowest(&self, filter: &DeliveryFilter) -> Result<Option<From>, StoreError> {
        let shows_tests = filter.shows_executions();
        match filter.status {
            Some(DeliveryStatus::Failed) if !shows_tests => {
                return Ok(Some(From::NotDelivered("failed")));
            }
            Some(DeliveryStatus::Discarded) if !shows_tests => {
                return Ok(Some(From::NotDelivered("discarded")));
            }
            _ => {}
        }
        if let Some(webhooks) = self.by_webhook(filter).await? {
            return Ok(Some(From::Deliveries(webhooks)));
        }
        if let Some(pairs) = self.by_pair(filter).await? {
            return Ok(Some(From::Events(pairs)));
        }
        let is_open = match filter.status {
            Some(DeliveryStatus::Queued | DeliveryStatus::Retrying | DeliveryStatus::Held) => true,
            _ => filter.scope == Some(DeliveryScope::Open),
        };
        if is_open && self.few_are_open().await? {
            return Ok(Some(From::Open));
        }
        Ok(None)
    }

    /// Whether so few deliveries are open that all of them may be sorted.
    async fn few_are_open(&self) -> Result<bool, StoreError> {
        let most = i64::try_from(CANDIDATES).unwrap_or(i64::MAX);
        let row = self.row("count_open", &Query::new(COUNT_OPEN).bind(most + 1)).await?;
        Ok(row.map(|row| row.int("open")).transpose()?.unwrap_or(0) <= most)
    }

    /// The pairs that the filter names: those of its consumer or its provider that the monitor
    /// has folded together, and those of events that it has not. `None` when it names none, when
    /// they are very many, or when not all events are found by their pair.
    pub(crate) async fn by_pair(
        &self,
        filter: &DeliveryFilter,
    ) -> Result<Option<Vec<Query>>, StoreError> {
        let (consumer, provider) = (&filter.consumer, &filter.provider);
        let of = |hash: i64| Query::new("pair_hash = $1").bind(hash);
        if consumer.is_none() && provider.is_none() {
            return Ok(None);
        }
        if self.row("unhashed", &Query::new(UNHASHED)).await?.is_some() {
            return Ok(None);
        }
        if let (Some(broker), Some(consumer), Some(provider)) = (&filter.broker, consumer, provider)
        {
            return Ok(Some(vec![of(pair_hash(broker, consumer, provider))]));
        }
        let folded = self.events_until(OVERLAP, self.now().await?).await?;
        let named = |text| Query::new(text).bind(&filter.broker).bind(consumer).bind(provider);
        let recent = named(RECENT).bind(folded).bind(RECENT_MOST + 1);
        let recent = self.rows("recent_pairs", &recent).await?;
        if recent.first().map(|row| row.int("seen")).transpose()?.unwrap_or(0) > RECENT_MOST {
            return Ok(None);
        }
        let known = if consumer.is_some() { OF_CONSUMER } else { OF_PROVIDER };
        let known = self.rows("known_pairs", &named(known).bind(PAIRS_MOST + 1)).await?;
        let mut hashes = BTreeSet::new();
        for row in recent.iter().chain(&known) {
            if let Some(broker) = row.text_opt("broker")? {
                hashes.insert(pair_hash(broker, row.text("consumer")?, row.text("provider")?));
            }
        }
        let are_few = hashes.len() <= usize::try_from(PAIRS_MOST).unwrap_or(usize::MAX);
        Ok(are_few.then(|| hashes.into_iter().map(of).collect()))
    }

    /// The webhooks that the filter names; `None` when it names none, or very many.
    async fn by_webhook(&self, filter: &DeliveryFilter) -> Result<Option<Vec<Query>>, StoreError> {
        let named = match filter {
            DeliveryFilter { webhook: Some(uuid), .. } => {
                Query::new("select id from webhooks where uuid = $1 limit $2").bind(uuid.as_str())
            }
            DeliveryFilter { lane: Some(lane), .. } => Query::new(
                "select w.id from lanes l join webhooks w on w.lane_id = l.id
                 where l.name = $1 limit $2",
            )
            .bind(lane),
            _ => return Ok(None),
        };
        let rows = self.rows("webhooks_of_filter", &named.bind(WEBHOOKS_MOST + 1)).await?;
        if rows.len() > usize::try_from(WEBHOOKS_MOST).unwrap_or(usize::MAX) {
            return Ok(None);
        }
        let of = |row: &Row| Ok(Query::new("webhook_id = $1").bind(row.int("id")?));
        rows.iter().map(of).collect::<Result<_, StoreError>>().map(Some)
    }

    /// The place that a cursor names.
    pub(crate) async fn place(
        &self,
        path: &AccessPath,
        cursor: Uuid,
    ) -> Result<Position, StoreError> {
        let mut place = Position::at(cursor);
        if path.is_of_events() {
            let query = Query::new("select event_id from deliveries where id = $1").bind(cursor);
            if let Some(row) = self.row("place", &query).await? {
                place.event = row.uuid("event_id")?;
            }
        }
        Ok(place)
    }
}

impl AccessPath {
    /// Appends a statement for `most` candidates behind `place`, with their columns.
    pub(crate) fn candidates(
        &self,
        query: &mut Query,
        order: Order,
        place: Option<Position>,
        most: u64,
    ) {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let (table, conditions) = match &self.from {
            From::Deliveries(conditions) => ("deliveries", conditions.as_slice()),
            From::Events(conditions) => ("events", conditions.as_slice()),
            From::Open => {
                ("deliveries {by:deliveries_due}", &[Query::new("next_at is not null")] as &[_])
            }
            From::NotDelivered(status) => {
                query.push("select d.* from (select * from (");
                query.push("select delivery_id as id from not_delivered where status = ");
                query.push_with("$) as n where true", *status);
                self.bounds(query, order, place);
                query.push_with(&format!(" order by id {} limit $) as n ", order.word()), most);
                query.push("cross join deliveries d where d.id = n.id");
                return;
            }
        };
        query.push("select * from (");
        for (index, condition) in conditions.iter().enumerate() {
            if index > 0 {
                query.push(" union all ");
            }
            query.push(&format!("select * from (select * from {table} where "));
            query.push_query(condition);
            self.bounds(query, order, place);
            query.push_with(&format!(" order by id {} limit $) as u{index}", order.word()), most);
        }
        query.push_with(&format!(") as u order by id {} limit $", order.word()), most);
    }

    /// Candidates that one call looks at. Those that do not lie side by side cost several times as
    /// much.
    pub(crate) fn most(&self) -> u64 {
        match self.from {
            From::Deliveries(_) | From::Open => CANDIDATES,
            From::NotDelivered(_) | From::Events(_) => CANDIDATES / 2,
        }
    }

    fn is_of_events(&self) -> bool {
        matches!(self.from, From::Events(_))
    }

    fn bounds(&self, query: &mut Query, order: Order, place: Option<Position>) {
        // An event is made before its deliveries.
        if let Some(first) = self.first.filter(|_| !self.is_of_events()) {
            query.push_with(" and id >= $", first);
        }
        if let Some(end) = self.end {
            query.push_with(" and id < $", end);
        }
        if let Some(place) = place {
            if self.is_of_events() {
                query.push_with(&format!(" and id {}= $", order.behind()), place.event);
            } else {
                query.push_with(&format!(" and id {} $", order.behind()), place.delivery);
            }
        }
    }

    /// Appends where deliveries `d`, events `e`, webhooks `w` and lanes `l` of the candidates `k`
    /// come from; conditions may follow.
    pub(crate) fn source(&self, query: &mut Query) {
        let (tables, condition) = if self.is_of_events() {
            ("from k e cross join deliveries d", " and {of_event}")
        } else {
            ("from k d cross join events e", " and e.id = d.event_id")
        };
        query.push(tables).push(BESIDE).push(condition);
    }

    /// Appends what leaves out deliveries of the place's own event that come before it.
    pub(crate) fn after(&self, query: &mut Query, order: Order, place: Option<Position>) {
        if let Some(place) = place.filter(|_| self.is_of_events()) {
            query.push_with(&format!(" and (e.id, d.id) {} ($, ", order.behind()), place.event);
            query.push_with("$)", place.delivery);
        }
    }

    /// The order of the list.
    pub(crate) fn sorted(&self, order: Order) -> &'static str {
        match (self.is_of_events(), order) {
            (false, Order::NewestFirst) => " order by d.id desc",
            (false, Order::OldestFirst) => " order by d.id",
            (true, Order::NewestFirst) => " order by e.id desc, d.id desc",
            (true, Order::OldestFirst) => " order by e.id, d.id",
        }
    }
}
