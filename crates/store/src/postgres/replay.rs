//! T12: what is final waits again.

use std::collections::BTreeMap;

use sqlx::QueryBuilder;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::Pg;
use super::list::{FROM, push_filter};
use super::rows::{fault, get, tally};
use crate::{DeliveryFilter, ReplayPlan, StoreError};

/// Deliveries that one call replays at most, and one statement of it.
const MOST: i64 = 100_000;
const CHUNK: i64 = 2_000;

const REPLAYABLE: &str = " and d.status in ('delivered', 'failed', 'discarded') and w.state = 'enabled' \
     and d.execution_until is null";

/// A replayed delivery starts in the lane that its webhook has now.
const REPLAY: &str = "
), again as (
    update deliveries d set status = 'waiting', attempt = 0, lost_claims = 0, refusals = 0,
        next_at = now(), lane_id = w.lane_id, held_base = l.held_total,
        maybe_sent = d.maybe_sent and not c.forget, updated_at = now()
    from chosen c, webhooks w, lanes l
    where d.id = c.id and w.id = d.webhook_id and l.id = w.lane_id
    returning l.name)
select a.name, a.n, c.last, c.seen
from (select count(*) as seen, (array_agg(id order by id))[1] as last from chosen) c
left join (select name, count(*) as n from again group by name) a on true";

impl Pg {
    pub(crate) async fn replay(
        &self,
        filter: &DeliveryFilter,
        forget_marks: bool,
        act: bool,
    ) -> Result<ReplayPlan, StoreError> {
        let mut plan = self.replay_plan(filter).await?;
        if act {
            plan.by_lane = self.replay_now(filter, forget_marks).await?;
        }
        Ok(plan)
    }

    async fn replay_plan(&self, filter: &DeliveryFilter) -> Result<ReplayPlan, StoreError> {
        let mut query = QueryBuilder::new(
            "with matched as materialized (\
             select d.id, d.next_at is not null as open, w.state = 'enabled' as enabled, \
             w.lane_id",
        );
        query.push(FROM).push(" and d.execution_until is null");
        push_filter(&mut query, filter);
        query.push("), again as (select lane_id from matched where not open and enabled limit ");
        query.push_bind(MOST);
        query.push(
            ") select l.name, a.n, \
             (select count(*) from matched where open) as open, \
             (select count(*) from matched where not open and not enabled) as without_webhook \
             from (select) one \
             left join (select lane_id, count(*) as n from again group by lane_id) a on true \
             left join lanes l on l.id = a.lane_id \
             order by l.name",
        );
        let rows = query.build().fetch_all(&self.pool).await.map_err(fault)?;
        let mut plan = ReplayPlan::default();
        for row in &rows {
            plan.open = tally(row, "open")?;
            plan.without_webhook = tally(row, "without_webhook")?;
            if let Some(name) = get::<Option<String>, _>(row, "name")? {
                plan.by_lane.push((name, tally(row, "n")?));
            }
        }
        Ok(plan)
    }

    /// Newest first, chunk by chunk; each is a statement of its own.
    async fn replay_now(
        &self,
        filter: &DeliveryFilter,
        forget_marks: bool,
    ) -> Result<Vec<(String, u64)>, StoreError> {
        let mut by_lane: BTreeMap<String, u64> = BTreeMap::new();
        let mut before: Option<Uuid> = None;
        let mut left = MOST;
        while left > 0 {
            let rows = self.replay_chunk(filter, forget_marks, before, left.min(CHUNK)).await?;
            let Some(first) = rows.first() else { break };
            for row in &rows {
                if let Some(name) = get::<Option<String>, _>(row, "name")? {
                    *by_lane.entry(name).or_default() += tally(row, "n")?;
                }
            }
            let seen: i64 = get(first, "seen")?;
            if seen < CHUNK.min(left) {
                break;
            }
            before = get(first, "last")?;
            left -= seen;
        }
        Ok(by_lane.into_iter().collect())
    }

    async fn replay_chunk(
        &self,
        filter: &DeliveryFilter,
        forget_marks: bool,
        before: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<PgRow>, StoreError> {
        let mut query = QueryBuilder::new("with chosen as (select d.id, ");
        query.push_bind(forget_marks).push("::boolean as forget").push(FROM).push(REPLAYABLE);
        push_filter(&mut query, filter);
        if let Some(before) = before {
            query.push(" and d.id < ").push_bind(before);
        }
        query.push(" order by d.id desc limit ").push_bind(limit).push(" for update of d");
        query.push(REPLAY);
        query.build().fetch_all(&self.pool).await.map_err(fault)
    }
}
