//! What a batch of outcomes says about lanes: holds, pauses, rejections.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use postrider_domain::{
    ClaimNo, DeliveryId, Hold, LaneId, LanePolicy, LimitId, LimitPolicy, ParkPolicy, Rejection,
    WebhookId,
};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::webhooks;
use crate::{Recorded, codec};

/// Limits before lanes, each in id order: the one lock order. Only those that the batch says
/// something about, or that have something which an answer clears.
pub(super) const LOCK_LIMITS: &str = "
select id, pause_step from limits
where id = any(array(select limit_id from lanes where id = any($1)))
    and (pause_step > 0 or id = any(array(select limit_id from lanes where id = any($2))))
order by id for update";

/// Likewise, and all lanes of the limits that were locked.
pub(super) const LOCK: &str = "
select id, hold_cause is not null as held, right(name, 5) <> '/none' as has_credential,
    secret_rev, limit_id,
    case when hold_cause is null then (
        select case when w.hold_cause = 'credential' then w.id end
        from webhooks w where w.id = strike_webhook)
    else strike_webhook end as parked_webhook,
    coalesce((
        select true from webhooks w where w.lane_id = lanes.id and w.state = 'enabled'
        limit 1), false) as in_use,
    case when id = any($4) then (
        select count(*) from webhooks w where w.lane_id = lanes.id and w.state = 'enabled'
            and (w.hold_cause is null or w.hold_cause = 'credential')) else 0 end as unaffected
from lanes
where id = any($1) and (id = any($2) or strikes > 0 or limit_id = any($3))
order by id for update";

/// `RECORD_ONCE`: claims whose attempt is kept already, by the same batch before: nobody knew
/// whether it was committed, and now the locked lanes say so.
pub(super) const REPEATED: &str = "
select u.id, u.claim_no from unnest($1::uuid[], $2::bigint[]) as u (id, claim_no)
where coalesce((
    select a.outcome <> 'lost' from attempts a
    where a.delivery_id = u.id and a.claim_no = u.claim_no), false)";

/// L7 (PAUSE_MAX).
pub(super) const WRITE_LIMITS: &str = "
update limits m set pause_step = n.pause_step,
    pause_until = greatest(m.pause_until, now() + n.pause_ms * interval '1 millisecond')
from unnest($1::bigint[], $2::integer[], $3::bigint[]) as n (id, pause_step, pause_ms)
where m.id = any($1) and m.id = n.id";

/// L4, and the webhook that was parked first.
pub(super) const WRITE: &str = "
update lanes l set
    strikes = n.strikes, strike_webhook = n.strike_webhook,
    hold_cause = coalesce(n.cause, l.hold_cause),
    hold_gen = l.hold_gen + (n.cause is not null)::integer,
    held_since = case when n.cause is null then l.held_since else now() end,
    next_probe_at = case when n.cause is null then l.next_probe_at
        else now() + n.probe_ms * interval '1 millisecond' end
from unnest($1::bigint[], $2::integer[], $3::bigint[], $4::text[], $5::bigint[])
    as n (id, strikes, strike_webhook, cause, probe_ms)
where l.id = any($1) and l.id = n.id";

/// The lanes that were locked, their limits and webhooks, as the batch leaves them.
#[derive(Debug, Default)]
pub(super) struct LaneNews {
    lanes: BTreeMap<LaneId, Lane>,
    limits: BTreeMap<LimitId, LimitPolicy>,
    webhooks: BTreeMap<WebhookId, ParkPolicy>,
}

#[derive(Debug)]
struct Lane {
    policy: LanePolicy,
    /// None: the janitor has not given it one yet.
    limit: Option<LimitId>,
}

impl LaneNews {
    fn is_empty(&self) -> bool {
        self.lanes.is_empty() && self.limits.is_empty() && self.webhooks.is_empty()
    }

    fn add(&mut self, recorded: &Recorded) {
        let (evidence, mut calm) = (recorded.evidence(), ParkPolicy::default());
        let webhook = self.webhooks.get_mut(&recorded.webhook_id).unwrap_or(&mut calm);
        let Some(lane) = self.lanes.get_mut(&recorded.lane_id) else {
            // A calm lane has nothing to take from it.
            LanePolicy::default().add(&evidence, webhook);
            return;
        };
        lane.policy.add(&evidence, webhook);
        if let Some(limit) = lane.limit.and_then(|limit| self.limits.get_mut(&limit)) {
            limit.add(&evidence);
        }
    }

    /// What a rejection means to its delivery. A lane that is not there can't be held.
    pub(super) fn rejection(&self, recorded: &Recorded) -> Rejection {
        let lane = self.lanes.get(&recorded.lane_id);
        let webhook = self.webhooks.get(&recorded.webhook_id).copied().unwrap_or_default();
        lane.map_or(Rejection::Outdated, |lane| {
            webhook.rejection(&lane.policy, &recorded.evidence())
        })
    }

    /// Lanes that this batch held.
    pub(super) fn newly_held(&self) -> Vec<LaneId> {
        self.holds().map(|(id, _)| id).collect()
    }

    fn holds(&self) -> impl Iterator<Item = (LaneId, Hold)> {
        self.lanes.iter().filter_map(|(id, lane)| Some((*id, lane.policy.hold?)))
    }
}

/// Locks what has to be looked at, goes through the batch in its order, writes it.
pub(super) async fn record(
    conn: &mut PgConnection,
    batch: &[&Recorded],
) -> Result<LaneNews, sqlx::Error> {
    let telling = batch.iter().filter(|each| each.attempt.is_some() || each.touches_lane());
    let lanes: BTreeSet<i64> = telling.map(|each| each.lane_id.0).collect();
    if lanes.is_empty() {
        return Ok(LaneNews::default());
    }
    let touching = batch.iter().filter(|each| each.touches_lane());
    let touched: BTreeSet<i64> = touching.map(|each| each.lane_id.0).collect();
    let mut news = lock(conn, lanes, touched).await?;
    news.webhooks = webhooks::lock(conn, batch).await?;
    if news.is_empty() {
        return Ok(news);
    }
    let repeated = repeated(conn, batch).await?;
    for each in batch.iter().filter(|each| !repeated.contains(&(each.id, each.claim_no))) {
        news.add(each);
    }
    write_limits(conn, &news).await?;
    write(conn, &news).await?;
    webhooks::write(conn, &news.webhooks).await?;
    webhooks::end_for_lanes(conn, news.holds()).await?;
    Ok(news)
}

async fn lock(
    conn: &mut PgConnection,
    lanes: BTreeSet<i64>,
    touched: BTreeSet<i64>,
) -> Result<LaneNews, sqlx::Error> {
    let all = |ids: BTreeSet<i64>| ids.into_iter().collect::<Vec<_>>();
    let (lanes, touched) = (all(lanes), all(touched));
    let mut news = LaneNews::default();
    let query = sqlx::query(LOCK_LIMITS).bind(&lanes).bind(&touched);
    for row in query.fetch_all(&mut *conn).await? {
        let limit = LimitPolicy::new(count(&row, "pause_step")?);
        news.limits.insert(LimitId(row.try_get("id")?), limit);
    }
    let limits: Vec<i64> = news.limits.keys().map(|limit| limit.0).collect();
    let query = sqlx::query(LOCK).bind(lanes).bind(&touched).bind(limits).bind(&touched);
    for row in query.fetch_all(&mut *conn).await? {
        news.lanes.insert(LaneId(row.try_get("id")?), read(&row)?);
    }
    Ok(news)
}

async fn repeated(
    conn: &mut PgConnection,
    batch: &[&Recorded],
) -> Result<HashSet<(DeliveryId, ClaimNo)>, sqlx::Error> {
    let (ids, claims): (Vec<_>, Vec<_>) =
        batch.iter().map(|each| (each.id.0, each.claim_no.0)).unzip();
    let rows = sqlx::query(REPEATED).bind(ids).bind(claims).fetch_all(conn).await?;
    let read =
        |row: &PgRow| Ok((DeliveryId(row.try_get("id")?), ClaimNo(row.try_get("claim_no")?)));
    rows.iter().map(read).collect()
}

fn count(row: &PgRow, column: &str) -> Result<u32, sqlx::Error> {
    row.try_get(column).map(|count: i32| u32::try_from(count).unwrap_or(0))
}

fn read(row: &PgRow) -> Result<Lane, sqlx::Error> {
    let parked: Option<i64> = row.try_get("parked_webhook")?;
    let unaffected: i64 = row.try_get("unaffected")?;
    let policy = LanePolicy {
        held: row.try_get("held")?,
        in_use: row.try_get("in_use")?,
        has_credential: row.try_get("has_credential")?,
        secret_rev: row.try_get("secret_rev")?,
        parked_webhook: parked.map(WebhookId),
        unaffected: u32::try_from(unaffected).unwrap_or(u32::MAX),
        hold: None,
    };
    let limit: Option<i64> = row.try_get("limit_id")?;
    Ok(Lane { policy, limit: limit.map(LimitId) })
}

async fn write_limits(conn: &mut PgConnection, news: &LaneNews) -> Result<(), sqlx::Error> {
    let (mut ids, mut steps, mut pauses) = (Vec::new(), Vec::new(), Vec::new());
    for (id, limit) in &news.limits {
        ids.push(id.0);
        steps.push(codec::narrow(limit.pause_step));
        pauses.push(limit.pause.map(codec::millis));
    }
    let written = sqlx::query(WRITE_LIMITS).bind(ids).bind(steps).bind(pauses);
    written.execute(conn).await.map(drop)
}

async fn write(conn: &mut PgConnection, news: &LaneNews) -> Result<(), sqlx::Error> {
    let lanes: Vec<(&LaneId, &LanePolicy)> =
        news.lanes.iter().map(|(id, lane)| (id, &lane.policy)).collect();
    let webhook = |lane: &LanePolicy| lane.parked_webhook.map(|webhook| webhook.0);
    let strikes = |lane: &LanePolicy| i32::from(!lane.held && lane.parked_webhook.is_some());
    let cause = |lane: &LanePolicy| lane.hold.map(|hold| hold.cause.as_str());
    let probe = |lane: &LanePolicy| lane.hold.map(|hold| codec::millis(hold.probe_after));
    sqlx::query(WRITE)
        .bind(lanes.iter().map(|(id, _)| id.0).collect::<Vec<_>>())
        .bind(lanes.iter().map(|(_, lane)| strikes(lane)).collect::<Vec<_>>())
        .bind(lanes.iter().map(|(_, lane)| webhook(lane)).collect::<Vec<_>>())
        .bind(lanes.iter().map(|(_, lane)| cause(lane)).collect::<Vec<_>>())
        .bind(lanes.iter().map(|(_, lane)| probe(lane)).collect::<Vec<_>>())
        .execute(conn)
        .await
        .map(drop)
}
