//! T12, what is final waits again, and discards by hand, over all that a filter names.
//!
//! Such an act is a walk over candidates, oldest first, in chunks. Its row says what was asked
//! for and how far it came, and is written with each chunk: interrupted, it goes on where it was,
//! and repeated it finds each delivery marked that it has changed already.

use std::collections::{BTreeMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use postrider_domain::{AuditAction, AuditKind, DeliveryId, DeliveryStatus, EventId, StoredStatus};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::access_path::{AccessPath, Order, Position};
use super::audit::Change as Noted;
use super::list::push_filter;
use super::looked::Looked;
use super::query::Query;
use super::row::Row;
use crate::fault::Fault;
use crate::{BulkKind, BulkPlan, DeliveryFilter, DeliveryScope, Store, StoreError, codec};

/// Deliveries that one call changes at most, and looks at.
const MOST: u64 = 100_000;
const LOOKED_AT: u64 = 1_000_000;
/// Deliveries looked at, and changed, by one statement.
const CHUNK: u64 = 2_000;

const COLUMNS: &str = "
select d.id, d.status, w.state = 'enabled' as enabled, l.name as lane,
    (select h.name from lanes h where h.id = w.lane_id) as home ";

/// The id may be the caller's own, who says the same again when no answer came.
const BEGIN: &str = "
insert into bulk_acts (id, kind, filter, started_at) values ($1, $2, $3, $4)
on conflict (id) do nothing";

const FIND: &str = "select kind, filter, started_at, place, done from bulk_acts where id = $1";

/// Counts an act that has not finished, and changes nothing.
const UNFINISHED: &str = "update bulk_acts set done = done where id = $1 and finished_at is null";

const GO_ON: &str = "update bulk_acts set place = $2, done = done + $3 where id = $1";

const FINISH: &str = "
update bulk_acts set finished_at = coalesce(finished_at, {now}) where id = $1";

/// A replayed delivery starts in the lane that its webhook has now: the janitor sweeps a webhook
/// only for a while after a change. All of an act are due at one instant, and then in the order
/// of their ids.
const REPLAY: &str = "
update deliveries set status = 'waiting', attempt = 0, lost_claims = 0, refusals = 0,
    next_at = $3, maybe_sent = maybe_sent and not $4, updated_at = {now}, bulk_act = $2,
    lane_id = (select w.lane_id from webhooks w where w.id = deliveries.webhook_id)
where id {in:$1} and status in ('delivered', 'failed', 'discarded')
    and bulk_act is distinct from $2
    and exists (select 1 from webhooks w
                where w.id = deliveries.webhook_id and w.state = 'enabled')
returning id";

const NO_LONGER_LOST: &str = "delete from not_delivered where delivery_id {in:$1}";

/// Whoever locks the row first, claim or discard, wins.
const DISCARD: &str = "
update deliveries set status = 'discarded', next_at = null, last_outcome = 'withdrawn',
    last_status_code = null, updated_at = {now}, bulk_act = $2
where id {in:$1} and status = 'waiting' and bulk_act is distinct from $2
returning id";

/// An act as it is kept.
#[derive(Debug, Clone)]
struct Act {
    id: Uuid,
    kind: BulkKind,
    filter: DeliveryFilter,
    /// Deliveries made until then take part, and wait again as of then.
    started_at: Timestamp,
    place: Option<Uuid>,
    done: u64,
}

/// What was asked for, as text in its row.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Asked {
    forget_marks: bool,
    status: Option<DeliveryStatus>,
    scope: Option<DeliveryScope>,
    broker: Option<String>,
    webhook: Option<String>,
    consumer: Option<String>,
    provider: Option<String>,
    version: Option<String>,
    event: Option<String>,
    event_id: Option<EventId>,
    lane: Option<String>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    ids: Option<Vec<DeliveryId>>,
}

impl Asked {
    fn of(kind: BulkKind, filter: &DeliveryFilter) -> Self {
        let filter = filter.clone();
        Self {
            forget_marks: kind == BulkKind::Replay { forget_marks: true },
            status: filter.status,
            scope: filter.scope,
            broker: filter.broker,
            webhook: filter.webhook.map(|uuid| uuid.as_str().to_owned()),
            consumer: filter.consumer,
            provider: filter.provider,
            version: filter.version,
            event: filter.event.map(|event| event.as_str().to_owned()),
            event_id: filter.event_id,
            lane: filter.lane,
            since: filter.since,
            until: filter.until,
            ids: filter.ids,
        }
    }

    fn filter(self) -> Result<DeliveryFilter, StoreError> {
        Ok(DeliveryFilter {
            status: self.status,
            scope: self.scope,
            broker: self.broker,
            webhook: self.webhook.as_deref().map(codec::webhook_uuid).transpose()?,
            consumer: self.consumer,
            provider: self.provider,
            version: self.version,
            event: self.event.as_deref().map(codec::event_name).transpose()?,
            event_id: self.event_id,
            lane: self.lane,
            since: self.since,
            until: self.until,
            ids: self.ids,
        })
    }
}

impl Act {
    fn new(id: Uuid, kind: BulkKind, filter: &DeliveryFilter, started_at: Timestamp) -> Self {
        // What comes in from now on takes no part; ids tell milliseconds.
        let end = started_at.saturating_add(SignedDuration::from_millis(1));
        let end = end.unwrap_or(Timestamp::MAX);
        let until = Some(filter.until.map_or(end, |until| until.min(end)));
        let filter = DeliveryFilter { until, ..filter.clone() };
        Self { id, kind, filter, started_at, place: None, done: 0 }
    }

    /// Whether this is what is asked for.
    fn is(&self, kind: BulkKind, filter: &DeliveryFilter) -> bool {
        let asked = Self::new(self.id, kind, filter, self.started_at);
        self.kind == kind && Asked::of(kind, &self.filter) == Asked::of(kind, &asked.filter)
    }

    fn read(id: Uuid, row: &Row) -> Result<Self, Fault> {
        let asked: Asked = serde_json::from_str(row.text("filter")?)?;
        let kind = match row.text("kind")? {
            "replay" => BulkKind::Replay { forget_marks: asked.forget_marks },
            "discard" => BulkKind::Discard,
            other => return Err(StoreError::Corrupt(format!("kind of act {other:?}")).into()),
        };
        let (started_at, place) = (row.at("started_at")?, row.uuid_opt("place")?);
        Ok(Self { id, kind, filter: asked.filter()?, started_at, place, done: row.tally("done")? })
    }

    /// What the audit log says of it: that it began, and with what in mind.
    fn noted(&self, asked: &str) -> Noted {
        let action = match self.kind {
            BulkKind::Replay { .. } => AuditAction::Replayed,
            BulkKind::Discard => AuditAction::Discarded,
        };
        let object = match self.filter.ids.as_deref() {
            Some([only]) => only.to_string(),
            Some(_) | None => self.id.to_string(),
        };
        Noted::new(AuditKind::Delivery, object, action).saying(given(asked))
    }

    /// Changes these and keeps how far the act came; which it changed.
    fn change(&self, ids: Vec<Uuid>, last: Option<Uuid>) -> Change {
        let act = match self.kind {
            BulkKind::Replay { forget_marks } => {
                Query::new(REPLAY).bind(ids).bind(self.id).bind(self.started_at).bind(forget_marks)
            }
            BulkKind::Discard => Query::new(DISCARD).bind(ids).bind(self.id),
        };
        let is_replay = self.kind != BulkKind::Discard;
        Change { id: self.id, act, is_replay, last: last.or(self.place) }
    }
}

/// Of what was asked for that which was given, as `key=value`.
fn given(asked: &str) -> String {
    let Ok(Value::Object(asked)) = serde_json::from_str(asked) else { return String::new() };
    let said = asked.iter().filter_map(|(key, value)| match value {
        Value::Null | Value::Bool(false) => None,
        Value::String(text) => Some(format!("{key}={text}")),
        Value::Array(ids) => Some(format!("{key}={}", ids.len())),
        other => Some(format!("{key}={other}")),
    });
    said.collect::<Vec<_>>().join(" ")
}

/// One chunk of an act.
struct Change {
    id: Uuid,
    act: Query,
    is_replay: bool,
    last: Option<Uuid>,
}

impl Store {
    /// T12. Final deliveries of the filter, tests aside, wait again (attempt 0, claim number
    /// kept, marks kept unless `forget_marks`), oldest first; or waiting ones are discarded. At
    /// most 100,000 in one call; where there are more, the plan names the act to
    /// [resume](Self::resume_bulk).
    pub async fn bulk(
        &self,
        kind: BulkKind,
        filter: &DeliveryFilter,
    ) -> Result<BulkPlan, StoreError> {
        let act = Act::new(Uuid::now_v7(), kind, filter, self.now().await?);
        self.begin(&act).await?;
        self.go_on(act).await
    }

    /// As [`Self::bulk`], under an id of the caller's own: whoever got no answer knows it, and may
    /// say the same again or [resume](Self::resume_bulk). `None` when the id is another act's.
    pub async fn bulk_as(
        &self,
        id: Uuid,
        kind: BulkKind,
        filter: &DeliveryFilter,
    ) -> Result<Option<BulkPlan>, StoreError> {
        self.begin(&Act::new(id, kind, filter, self.now().await?)).await?;
        match self.act(id).await? {
            Some(act) if act.is(kind, filter) => self.go_on(act).await.map(Some),
            Some(_) | None => Ok(None),
        }
    }

    /// Goes on with an act where it was; `None` when there is none of this id. One that has
    /// finished changes nothing.
    pub async fn resume_bulk(&self, id: Uuid) -> Result<Option<BulkPlan>, StoreError> {
        let Some(act) = self.act(id).await? else { return Ok(None) };
        let resumed = Noted::new(AuditKind::Delivery, id.to_string(), AuditAction::Resumed);
        self.run_noted("resume_bulk", Query::new(UNFINISHED).bind(id), resumed).await?;
        self.go_on(act).await.map(Some)
    }

    /// What an act would do, looking at a million deliveries at most.
    pub async fn plan_bulk(
        &self,
        kind: BulkKind,
        filter: &DeliveryFilter,
    ) -> Result<BulkPlan, StoreError> {
        let act = Act::new(Uuid::nil(), kind, filter, self.now().await?);
        let mut tally = Tally::new(kind);
        let end = self.walk_bulk(act, &mut tally, false).await?;
        Ok(BulkPlan { id: None, ..tally.plan(&end) })
    }

    async fn begin(&self, act: &Act) -> Result<(), StoreError> {
        let asked = Asked::of(act.kind, &act.filter);
        let asked = serde_json::to_string(&asked).map_err(Fault::from)?;
        let noted = act.noted(&asked);
        let begin = Query::new(BEGIN).bind(act.id).bind(act.kind.as_str()).bind(asked);
        let begin = begin.bind(act.started_at);
        self.run_noted("begin_bulk", begin, noted).await.map(drop)
    }

    async fn act(&self, id: Uuid) -> Result<Option<Act>, StoreError> {
        let row = self.row("bulk_act", &Query::new(FIND).bind(id)).await?;
        Ok(row.map(|row| Act::read(id, &row)).transpose()?)
    }

    async fn go_on(&self, act: Act) -> Result<BulkPlan, StoreError> {
        let mut tally = Tally::new(act.kind);
        let end = self.walk_bulk(act, &mut tally, true).await?;
        if end.is_finished {
            self.run("finish_bulk", Query::new(FINISH).bind(end.act.id)).await?;
        }
        Ok(tally.plan(&end))
    }

    async fn walk_bulk(
        &self,
        mut act: Act,
        tally: &mut Tally,
        is_act: bool,
    ) -> Result<End, StoreError> {
        let Some(path) = self.access_path(&act.filter).await? else {
            return Ok(End { act, is_finished: true });
        };
        let mut looked_at = 0;
        while tally.changed < MOST && looked_at < LOOKED_AT {
            let place = act.place.map(Position::at);
            let rows = self.rows("bulk_candidates", &next(&path, &act, place)).await?;
            let looked = Looked::of(&rows, candidate)?;
            looked_at += looked.seen;
            let chosen = tally.choose(looked.found);
            if is_act {
                let ids = chosen.iter().map(|found| found.id).collect();
                let changed = self.change_bulk(act.change(ids, looked.last)).await?;
                tally.count(&chosen, |id| changed.contains(&id));
                act.done += changed.len() as u64;
            } else {
                tally.count(&chosen, |_| true);
            }
            act.place = looked.last.or(act.place);
            if looked.seen < CHUNK {
                return Ok(End { act, is_finished: true });
            }
        }
        Ok(End { act, is_finished: false })
    }

    async fn change_bulk(&self, change: Change) -> Result<HashSet<Uuid>, StoreError> {
        self.change("bulk", change, |change, mut tx| {
            Box::pin(async move {
                let rows = tx.rows(&change.act).await?;
                let ids: Vec<Uuid> =
                    rows.iter().map(|row| row.uuid("id")).collect::<Result<_, _>>()?;
                if change.is_replay {
                    tx.run(&Query::new(NO_LONGER_LOST).bind(ids.clone())).await?;
                }
                let done = i64::try_from(ids.len()).unwrap_or(i64::MAX);
                let go_on = Query::new(GO_ON).bind(change.id).bind(change.last).bind(done);
                tx.run(&go_on).await?;
                Ok(ids.into_iter().collect())
            })
        })
        .await
    }
}

/// Where a call came to its end.
struct End {
    act: Act,
    is_finished: bool,
}

/// The next candidates and those among them that the filter names, oldest first.
fn next(path: &AccessPath, act: &Act, place: Option<Position>) -> Query {
    let order = Order::OldestFirst;
    let mut query = Query::new("with k as materialized (");
    path.candidates(&mut query, order, place, CHUNK);
    query.push("), m as (").push(COLUMNS);
    path.source(&mut query);
    query.push(" and d.execution_until is null");
    path.after(&mut query, order, place);
    push_filter(&mut query, &act.filter);
    query.push(")");
    Looked::<Candidate>::end(&mut query, order);
    query.push(" order by m.id");
    query
}

/// A delivery that the filter names.
struct Candidate {
    id: Uuid,
    is_final: bool,
    is_waiting: bool,
    enabled: bool,
    /// Where it waits, and where it will wait: the lane of its webhook.
    lane: String,
    home: String,
}

fn candidate(row: &Row) -> Result<Candidate, Fault> {
    let status = codec::stored_status(row.text("status")?)?;
    Ok(Candidate {
        id: row.uuid("id")?,
        is_final: status.is_final(),
        is_waiting: status == StoredStatus::Waiting,
        enabled: row.is("enabled")?,
        lane: row.string("lane")?,
        home: row.string("home")?,
    })
}

/// The plan as it grows.
struct Tally {
    kind: BulkKind,
    by_lane: BTreeMap<String, u64>,
    left_alone: u64,
    without_webhook: u64,
    changed: u64,
}

impl Tally {
    fn new(kind: BulkKind) -> Self {
        Self { kind, by_lane: BTreeMap::new(), left_alone: 0, without_webhook: 0, changed: 0 }
    }

    /// Those to change; the others are counted and left alone.
    fn choose(&mut self, found: Vec<Candidate>) -> Vec<Candidate> {
        let mut chosen = Vec::new();
        for candidate in found {
            match self.kind {
                BulkKind::Replay { .. } if !candidate.is_final => self.left_alone += 1,
                BulkKind::Replay { .. } if !candidate.enabled => self.without_webhook += 1,
                BulkKind::Discard if !candidate.is_waiting => self.left_alone += 1,
                BulkKind::Replay { .. } | BulkKind::Discard => chosen.push(candidate),
            }
        }
        chosen
    }

    fn count(&mut self, chosen: &[Candidate], is_changed: impl Fn(Uuid) -> bool) {
        for candidate in chosen.iter().filter(|candidate| is_changed(candidate.id)) {
            let lane = match self.kind {
                BulkKind::Replay { .. } => &candidate.home,
                BulkKind::Discard => &candidate.lane,
            };
            *self.by_lane.entry(lane.clone()).or_default() += 1;
            self.changed += 1;
        }
    }

    fn plan(self, end: &End) -> BulkPlan {
        BulkPlan {
            id: Some(end.act.id),
            by_lane: self.by_lane.into_iter().collect(),
            left_alone: self.left_alone,
            without_webhook: self.without_webhook,
            done: end.act.done,
            is_finished: end.is_finished,
        }
    }
}
