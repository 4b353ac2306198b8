//! L10: limits, and which lane has which, follow the settings.
//!
//! What is locked: the version of the webhooks, as every writer of webhooks does first; limits
//! in id order; then lanes.

use std::collections::{BTreeMap, BTreeSet};

use postrider_domain::{AuditAction, AuditKind, LaneId, LaneLimits};

use super::Tx;
use super::audit::Change;
use super::query::Query;
use super::row::Row;
use super::webhooks_version::raise_version;
use crate::codec::LimitColumns;
use crate::fault::Fault;
use crate::{LaneSpec, Store, StoreError};

/// Lanes with what their limits allow.
const AS_THEY_ARE: &str = "
select l.name, l.limited as lane_limited, m.name as limit_name, m.limited, m.rate_count,
    m.rate_per_ms, m.burst, m.concurrency, m.per_hour
from lanes l left join limits m on m.id = l.limit_id
where l.name {in:$1}";

const MAKE: &str = "
insert into limits (name, limited, rate_count, rate_per_ms, burst, concurrency, per_hour)
values ($1, $2, $3, $4, $5, $6, $7) on conflict (name) do nothing";

/// The limits that lanes `$1` have and will have (`$2`).
const LOCK: &str = "
select id from limits
where name {in:$2} or id in (select limit_id from lanes where name {in:$1})
order by id {lock}";

/// A limit to what settings say. A change of kind ends the lease; what unlimited claims have sent
/// lately is one request to a limit that begins.
const APPLY: &str = "
update limits set limited = $2, rate_count = $3, rate_per_ms = $4, burst = $5, concurrency = $6,
    per_hour = $7,
    epoch = case when limited = $2 then epoch else epoch + 1 end,
    owner = case when limited = $2 then owner end,
    lease_until = case when limited = $2 then lease_until else {now} end,
    next_send_at = case when limited = $2 or next_send_at > {now} then next_send_at else {now} end
where name = $1 and (limited <> $2 or rate_count is distinct from $3
    or rate_per_ms is distinct from $4 or burst <> $5 or concurrency <> $6
    or per_hour is distinct from $7)";

const LIMIT_OF: &str = "
select l.id as lane, l.limit_id as before, m.id as after
from lanes l join limits m on m.name = $2
where l.name = $1 and l.limit_id is distinct from m.id";

const TOP: &str = "
select max(epoch) + 1 as epoch, max(case when next_send_at > {now} then next_send_at end) as turn
from limits where id {in:$1}";

/// A lane that moves to another limit raises the epochs of both above either, so that claims of
/// the lane count as old ones wherever it is (OLD_CLAIMS), and takes along when the next request
/// is in its turn.
const RAISE: &str = "
update limits set epoch = $2, owner = null, lease_until = {now},
    next_send_at = coalesce($3, next_send_at)
where id {in:$1}";

const OF_OTHER_KIND: &str = "
select l.id, m.limited from lanes l join limits m on m.id = l.limit_id
where m.name {in:$1} and l.limited <> m.limited";

/// Fresh rows of a lane that has become limited are due now, oldest first; in chunks, as there
/// may be a million.
const DUE_NOW: &str = "
update deliveries set next_at = created_at, updated_at = {now}
where id in (
    select id from deliveries
    where lane_id = $1 and next_at > {now} and status = 'waiting' and claim_no = 0
    order by next_at, id limit 5000 {skip})";

/// Chunks of [`DUE_NOW`] at most; what is left over becomes due with its sweep.
const CHUNKS: u32 = 1000;

/// What applying settings changed.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    /// Limits and lanes.
    pub(crate) changed: u64,
    /// Lanes that are limited now and were not.
    pub(crate) limited: Vec<LaneId>,
}

impl Store {
    /// L10. Brings existing lanes to the limits that settings say, making limits that are
    /// missing; lanes that are not there are passed over. Where a limit's kind changes its
    /// epoch is raised and the owner cleared; where a lane moves to another limit those of both.
    /// How many limits and lanes changed. Where a lane's kind may change, caches of the webhook
    /// table are told.
    pub async fn sync_lanes(&self, specs: &[LaneSpec]) -> Result<u64, StoreError> {
        let rows = self.rows("lanes_as_they_are", &as_they_are(specs)).await?;
        if differing(&rows, specs)?.is_empty() {
            return Ok(0);
        }
        let applied =
            self.change_noted("sync_lanes", specs.to_vec(), |specs, tx| Box::pin(sync(specs, tx)));
        let applied = applied.await?;
        self.fresh_due_now(&applied.limited).await?;
        Ok(applied.changed)
    }

    /// LIMITED_LEFT, the other way round: nothing waits for a sweep in a limited lane.
    pub(crate) async fn fresh_due_now(&self, lanes: &[LaneId]) -> Result<(), StoreError> {
        for lane in lanes {
            for _ in 0..CHUNKS {
                let due_now = Query::new(DUE_NOW).bind(lane.0);
                if self.run("fresh_due_now", due_now).await? == 0 {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// What was applied, and what the audit log says of it.
async fn sync(specs: &[LaneSpec], mut tx: Tx<'_>) -> Result<(Applied, Vec<Change>), Fault> {
    let rows = tx.rows(&as_they_are(specs)).await?;
    let differing = differing(&rows, specs)?;
    if differing.values().any(|differs| *differs == Differs::Kind) {
        raise_version(&mut tx).await?;
    }
    let specs: Vec<LaneSpec> =
        specs.iter().filter(|spec| differing.contains_key(spec.name.as_str())).cloned().collect();
    let applied = apply(&mut tx, &specs).await?;
    let noted = |spec: &LaneSpec| {
        let detail = format!("lane {}: {}", spec.name, words(spec.limits));
        Change::new(AuditKind::Limit, &spec.limit, AuditAction::Changed).saying(detail)
    };
    let changes = if applied.changed > 0 { specs.iter().map(noted).collect() } else { Vec::new() };
    Ok((applied, changes))
}

/// What a limit allows, in words.
fn words(limits: LaneLimits) -> String {
    let per_hour = limits.per_hour.map(|most| format!(", {most} an hour")).unwrap_or_default();
    let LaneLimits { rate, burst, concurrency, .. } = limits;
    format!("{rate}, burst {burst}, {concurrency} at a time{per_hour}")
}

fn as_they_are(specs: &[LaneSpec]) -> Query {
    let names: Vec<String> = specs.iter().map(|spec| spec.name.clone()).collect();
    Query::new(AS_THEY_ARE).bind(names)
}

/// How a lane differs from its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Differs {
    /// What its limit allows.
    Numbers,
    /// It may become limited, or unlimited.
    Kind,
}

fn differing<'a>(rows: &[Row], specs: &'a [LaneSpec]) -> Result<BTreeMap<&'a str, Differs>, Fault> {
    let specs: BTreeMap<&str, &LaneSpec> =
        specs.iter().map(|spec| (spec.name.as_str(), spec)).collect();
    let mut differing = BTreeMap::new();
    for row in rows {
        let Some(spec) = specs.get(row.text("name")?) else { continue };
        let wanted = LimitColumns::from(spec.limits);
        let is_elsewhere = row.text_opt("limit_name")? != Some(spec.limit.as_str());
        if is_elsewhere || row.is("lane_limited")? != wanted.limited {
            differing.insert(spec.name.as_str(), Differs::Kind);
        } else if limit_columns(row)? != wanted {
            differing.insert(spec.name.as_str(), Differs::Numbers);
        }
    }
    Ok(differing)
}

/// A limit's columns, under their names in `row`.
pub(crate) fn limit_columns(row: &Row) -> Result<LimitColumns, Fault> {
    Ok(LimitColumns {
        limited: row.is("limited")?,
        rate_count: row.int_opt("rate_count")?,
        rate_per_ms: row.int_opt("rate_per_ms")?,
        burst: row.int("burst")?,
        concurrency: row.int("concurrency")?,
        per_hour: row.int_opt("per_hour")?,
    })
}

fn bound(statement: &'static str, spec: &LaneSpec) -> Query {
    let columns = LimitColumns::from(spec.limits);
    Query::new(statement)
        .bind(&spec.limit)
        .bind(columns.limited)
        .bind(columns.rate_count)
        .bind(columns.rate_per_ms)
        .bind(columns.burst)
        .bind(columns.concurrency)
        .bind(columns.per_hour)
}

/// Makes the lane's limit when it is missing, and leaves one that is there.
pub(crate) async fn make(tx: &mut Tx<'_>, spec: &LaneSpec) -> Result<(), Fault> {
    tx.run(&bound(MAKE, spec)).await.map(drop)
}

/// Brings limits, and lanes that exist, to what settings say.
pub(crate) async fn apply(tx: &mut Tx<'_>, specs: &[LaneSpec]) -> Result<Applied, Fault> {
    let limits: BTreeMap<&String, &LaneSpec> =
        specs.iter().map(|spec| (&spec.limit, spec)).collect();
    for spec in limits.values() {
        make(tx, spec).await?;
    }
    let lanes: Vec<String> = specs.iter().map(|spec| spec.name.clone()).collect();
    let names: Vec<String> = limits.keys().copied().cloned().collect();
    tx.rows(&Query::new(LOCK).bind(lanes).bind(names.clone())).await?;
    let mut applied = Applied::default();
    for spec in limits.values() {
        applied.changed += tx.run(&bound(APPLY, spec)).await?;
    }
    for spec in specs {
        applied.changed += move_lane(tx, spec).await?;
    }
    let of_other_kind = tx.rows(&Query::new(OF_OTHER_KIND).bind(names)).await?;
    for row in &of_other_kind {
        let (lane, limited) = (row.int("id")?, row.is("limited")?);
        let set = Query::new("update lanes set limited = $2 where id = $1").bind(lane);
        tx.run(&set.bind(limited)).await?;
        if limited {
            applied.limited.push(LaneId(lane));
        }
    }
    Ok(applied)
}

async fn move_lane(tx: &mut Tx<'_>, spec: &LaneSpec) -> Result<u64, Fault> {
    let Some(row) = tx.row(&Query::new(LIMIT_OF).bind(&spec.name).bind(&spec.limit)).await? else {
        return Ok(0);
    };
    let after = row.int("after")?;
    let sides: BTreeSet<i64> = row.int_opt("before")?.into_iter().chain([after]).collect();
    let sides: Vec<i64> = sides.into_iter().collect();
    let top = tx.one(&Query::new(TOP).bind(sides.clone())).await?;
    let raise = Query::new(RAISE).bind(sides).bind(top.int("epoch")?).bind(top.at_opt("turn")?);
    tx.run(&raise).await?;
    let set = Query::new("update lanes set limit_id = $2 where id = $1").bind(row.int("lane")?);
    tx.run(&set.bind(after)).await
}
