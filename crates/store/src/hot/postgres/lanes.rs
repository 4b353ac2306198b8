//! Lanes for workers and for people; L6-L8: pauses, holds by hand, releases.

use std::time::Duration;

use postrider_domain::{LaneId, LaneLimits, LimitId};
use sqlx::Connection;
use sqlx::postgres::PgRow;

use super::PostgresStore;
use super::fault::Fault;
use super::fragments::{old_claims, release, unpark};
use super::rows::get;
use crate::codec::{self, LimitColumns};
use crate::lanes::POLL_PAGE;
use crate::{LanePage, LaneStatus, LimitStatus, Poll, ProbeClaim, StoreError};

/// What a worker has to know of each lane of a page, and of their limits: each part reads one
/// row of the index of open deliveries, in its order; a limit is looked at once.
macro_rules! poll {
    ($which:literal) => {
        concat!(
            "with page as materialized (select l.id, l.name, l.limit_id, l.hold_cause, \
             l.hold_gen, l.secret_rev, l.next_probe_at from lanes l \
             where l.limit_id is not null and ",
            $which,
            " order by l.id limit 1000), \
             shared as materialized (select distinct limit_id as id from page), \
             dirty as materialized (select s.id from shared s \
             cross join lateral (select m.epoch from limits m \
             where m.id = s.id and m.limited limit 1) m where ",
            old_claims!("s.id", "m.epoch", "$1::bigint"),
            ") select l.id, l.name, l.hold_cause, l.hold_gen, l.secret_rev, \
             p.probe_at <= now() as probe_due, case when p.probe_at > now() then \
             ceil(extract(epoch from p.probe_at - now()) * 1000)::bigint end as probe_ms, \
             (select true from deliveries d where d.lane_id = l.id and d.next_at <= now() \
             and d.status = 'waiting' order by d.next_at, d.id limit 1) as due, \
             (select true from deliveries d where d.lane_id = l.id and d.next_at is not null \
             order by d.next_at, d.id limit 1) as open, \
             l.limit_id, m.limited, m.rate_count, m.rate_per_ms, m.burst, m.concurrency, \
             m.per_hour, m.epoch, m.owner is not null and m.lease_until > now() as leased, \
             case when m.pause_until > now() then ceil(extract(epoch from \
             m.pause_until - now()) * 1000)::bigint end as paused_ms, \
             case when m.next_send_at > now() then ceil(extract(epoch from \
             m.next_send_at - now()) * 1000)::bigint end as next_send_ms, \
             l.limit_id <> all(array(select id from dirty)) as clean \
             from page l \
             cross join lateral (select m.* from limits m where m.id = l.limit_id limit 1) m \
             cross join lateral (select case when l.hold_cause is null then (\
             select min(w.next_probe_at) from webhooks w where w.lane_id = l.id \
             and w.hold_cause is not null and w.state = 'enabled') \
             when l.hold_cause <> 'manual' then l.next_probe_at end as probe_at limit 1) p \
             order by l.id"
        )
    };
}

/// POLL: those of `$2`.
const POLL_THOSE: &str = poll!("l.id = any($2::bigint[])");
/// POLL: those after `$2`.
const POLL_PAGE_AFTER: &str = poll!("l.id > $2::bigint");

/// L6 (RELEASE_GEN).
const RELEASE_PROBED: &str = concat!(
    "update lanes l set ",
    release!(),
    " where l.id = $1 and l.hold_gen = $2 and l.secret_rev = $3 \
     and l.hold_cause is not null and l.hold_cause <> 'manual'"
);

/// W2 (RELEASE_GEN).
const UNPARK_PROBED: &str = concat!(
    "update webhooks set ",
    unpark!(),
    " where id = $1 and hold_gen = $2 and secrets_rev = $3 and hold_cause is not null"
);

/// L7 (PAUSE_MAX).
const PAUSE: &str = "
update limits
set pause_until = greatest(pause_until, now() + $2 * interval '1 millisecond')
where id = (select limit_id from lanes where id = $1)";

/// The limit of its own for a lane that has none, from its own columns, unless there is one of
/// its name.
const ADOPT_LIMITS: &str = "
insert into limits (name, limited, rate_count, rate_per_ms, burst, concurrency, per_hour)
select name, limited, rate_count, rate_per_ms, burst, concurrency, per_hour
from lanes where limit_id is null order by name
on conflict (name) do nothing";

const ADOPT_LANES: &str = "
update lanes l set limit_id = m.id, limited = m.limited
from limits m where l.limit_id is null and m.name = l.name";

const HAS_ORPHANS: &str = "select exists (select from lanes where limit_id is null)";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("poll_those", POLL_THOSE),
    ("poll_page", POLL_PAGE_AFTER),
    ("release_probed", RELEASE_PROBED),
    ("unpark_probed", UNPARK_PROBED),
    ("pause", PAUSE),
    ("adopt_limits", ADOPT_LIMITS),
    ("adopt_lanes", ADOPT_LANES),
    ("has_orphans", HAS_ORPHANS),
];

impl PostgresStore {
    pub(crate) async fn poll(&self, which: Poll<'_>) -> Result<LanePage, StoreError> {
        let within = self.old_claims_within();
        let rows = self
            .step("poll", |conn| {
                Box::pin(async move {
                    let query = match which {
                        Poll::Those(lanes) => {
                            let lanes: Vec<i64> = lanes.iter().map(|lane| lane.0).collect();
                            sqlx::query(POLL_THOSE).bind(within).bind(lanes)
                        }
                        Poll::Page(after) => {
                            let after = after.map_or(i64::MIN, |lane| lane.0);
                            sqlx::query(POLL_PAGE_AFTER).bind(within).bind(after)
                        }
                    };
                    query.fetch_all(&mut **conn).await
                })
            })
            .await?;
        let lanes = rows.iter().map(status).collect::<Result<Vec<_>, _>>()?;
        let next = match which {
            Poll::Page(_) if lanes.len() == POLL_PAGE => lanes.last().map(|lane| lane.id),
            Poll::Page(_) | Poll::Those(_) => None,
        };
        Ok(LanePage { lanes, next })
    }

    pub(crate) async fn release_probed(
        &self,
        lane: LaneId,
        probe: ProbeClaim,
    ) -> Result<bool, StoreError> {
        let (statement, id) = match probe.webhook {
            Some(webhook) => (UNPARK_PROBED, webhook.0),
            None => (RELEASE_PROBED, lane.0),
        };
        self.step("release_probed", |conn| {
            Box::pin(async move {
                let released = sqlx::query(statement)
                    .bind(id)
                    .bind(probe.hold_gen)
                    .bind(probe.secret_rev)
                    .execute(&mut **conn)
                    .await?;
                Ok::<_, sqlx::Error>(released.rows_affected() > 0)
            })
        })
        .await
    }

    pub(crate) async fn pause(&self, lane: LaneId, pause: Duration) -> Result<(), StoreError> {
        self.step("pause", |conn| {
            Box::pin(async move {
                let paused = sqlx::query(PAUSE).bind(lane.0).bind(codec::millis(pause));
                paused.execute(&mut **conn).await.map(drop)
            })
        })
        .await
    }

    pub(crate) async fn adopt_lanes(&self) -> Result<u64, StoreError> {
        self.step("adopt_lanes", |conn| {
            Box::pin(async move {
                let some: bool = sqlx::query_scalar(HAS_ORPHANS).fetch_one(&mut **conn).await?;
                if !some {
                    return Ok::<_, Fault>(0);
                }
                let mut tx = conn.begin().await?;
                sqlx::query(ADOPT_LIMITS).execute(&mut *tx).await?;
                let adopted = sqlx::query(ADOPT_LANES).execute(&mut *tx).await?;
                tx.commit().await?;
                Ok(adopted.rows_affected())
            })
        })
        .await
    }
}

/// The limits in a row that has a limit's columns.
pub(super) fn limits(row: &PgRow) -> Result<LaneLimits, StoreError> {
    LimitColumns {
        limited: get(row, "limited")?,
        rate_count: get(row, "rate_count")?,
        rate_per_ms: get(row, "rate_per_ms")?,
        burst: get(row, "burst")?,
        concurrency: get(row, "concurrency")?,
        per_hour: get(row, "per_hour")?,
    }
    .limits()
}

fn status(row: &PgRow) -> Result<LaneStatus, StoreError> {
    let is = |column| get::<Option<bool>, _>(row, column).map(|found| found.unwrap_or(false));
    let duration =
        |column| get::<Option<i64>, _>(row, column).map(|found| found.map(codec::from_millis));
    let epoch = get(row, "epoch")?;
    Ok(LaneStatus {
        id: LaneId(get(row, "id")?),
        name: get(row, "name")?,
        state: codec::lane_state(get(row, "hold_cause")?)?,
        hold_gen: get(row, "hold_gen")?,
        secret_rev: get(row, "secret_rev")?,
        due: is("due")?,
        open: is("open")?,
        probe_due: is("probe_due")?,
        probe_in: duration("probe_ms")?,
        limit: LimitStatus {
            id: LimitId(get(row, "limit_id")?),
            limits: limits(row)?,
            paused_for: duration("paused_ms")?,
            leased: is("leased")?,
            clean: is("clean")?.then_some(epoch),
            next_send_in: duration("next_send_ms")?,
        },
    })
}
