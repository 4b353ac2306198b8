//! What a batch of outcomes says about webhooks: W1 (park), and successes after one.

use std::collections::{BTreeMap, BTreeSet};

use postrider_domain::{Hold, HoldCause, LaneId, ParkPolicy, WebhookId};
use sqlx::{PgConnection, Row};

use super::super::fragments::unpark;
use crate::{Recorded, codec};

/// After the lanes, in id order. Only those that the batch says something about, or that were
/// parked and have not succeeded since.
pub(super) const LOCK: &str = "
select id, state = 'enabled' as is_enabled, hold_cause, secrets_rev, hold_gen = good_gen as is_good
from webhooks
where id = any($1) and (id = any($2) or hold_gen <> good_gen)
order by id for no key update";

/// W1. A success counts before a park of the same batch.
pub(super) const WRITE: &str = "
update webhooks w set
    good_gen = case when n.succeeds then w.hold_gen else w.good_gen end,
    hold_gen = w.hold_gen + (n.cause is not null)::integer,
    held_since = case when n.cause is null then w.held_since else now() end,
    next_probe_at = case when n.cause is not null then now() + n.probe_ms * interval '1 millisecond'
        when w.hold_cause = 'credential'
            then greatest(w.next_probe_at, now() + n.probe_ms * interval '1 millisecond')
        else w.next_probe_at end,
    probe_step = case when n.cause is null then w.probe_step else 0 end,
    probe_newest = case when n.cause is null then w.probe_newest end,
    probe_last = case when n.cause is null then w.probe_last end,
    has_aside = w.has_aside or n.cause is not null,
    hold_cause = coalesce(n.cause, w.hold_cause)
from unnest($1::bigint[], $2::boolean[], $3::text[], $4::bigint[])
    as n (id, succeeds, cause, probe_ms)
where w.id = any($1) and w.id = n.id";

/// W4: the lane is held instead.
pub(super) const END: &str = concat!(
    "update webhooks w set ",
    unpark!(),
    " from unnest($1::bigint[], $2::boolean[]) as n (lane_id, for_secret) \
     where w.lane_id = any($1) and w.lane_id = n.lane_id and w.hold_cause is not null \
     and (w.hold_cause <> 'credential') = n.for_secret"
);

/// Locks what has to be looked at.
pub(super) async fn lock(
    conn: &mut PgConnection,
    batch: &[&Recorded],
) -> Result<BTreeMap<WebhookId, ParkPolicy>, sqlx::Error> {
    let of = |each: &&&Recorded| each.attempt.is_some() || each.touches_lane();
    let all: BTreeSet<i64> = batch.iter().filter(of).map(|each| each.webhook_id.0).collect();
    let touching = batch.iter().filter(|each| each.touches_lane());
    let touched: BTreeSet<i64> = touching.map(|each| each.webhook_id.0).collect();
    let list = |ids: BTreeSet<i64>| ids.into_iter().collect::<Vec<_>>();
    let query = sqlx::query(LOCK).bind(list(all)).bind(list(touched));
    let mut webhooks = BTreeMap::new();
    for row in query.fetch_all(conn).await? {
        let cause: Option<String> = row.try_get("hold_cause")?;
        let policy = ParkPolicy {
            is_in_use: row.try_get("is_enabled")?,
            parked: cause.and_then(|cause| codec::hold_cause(&cause).ok()),
            secrets_rev: row.try_get("secrets_rev")?,
            had_succeeded: row.try_get("is_good")?,
            ..ParkPolicy::default()
        };
        webhooks.insert(WebhookId(row.try_get("id")?), policy);
    }
    Ok(webhooks)
}

pub(super) async fn write(
    conn: &mut PgConnection,
    webhooks: &BTreeMap<WebhookId, ParkPolicy>,
) -> Result<(), sqlx::Error> {
    let is_changed = |policy: &ParkPolicy| {
        policy.succeeds || policy.park.is_some() || policy.probe_after.is_some()
    };
    let (mut ids, mut succeed, mut causes, mut probes) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (id, policy) in webhooks.iter().filter(|(_, policy)| is_changed(policy)) {
        ids.push(id.0);
        succeed.push(policy.succeeds);
        causes.push(policy.park.map(HoldCause::as_str));
        probes.push(policy.probe_after.map(codec::millis));
    }
    if ids.is_empty() {
        return Ok(());
    }
    let written = sqlx::query(WRITE).bind(ids).bind(succeed).bind(causes).bind(probes);
    written.execute(conn).await.map(drop)
}

/// The lanes that the batch held end the parks that they are held because of.
pub(super) async fn end_for_lanes(
    conn: &mut PgConnection,
    holds: impl Iterator<Item = (LaneId, Hold)>,
) -> Result<(), sqlx::Error> {
    let (lanes, for_secret): (Vec<i64>, Vec<bool>) =
        holds.map(|(lane, hold)| (lane.0, hold.cause.is_secret())).unzip();
    if lanes.is_empty() {
        return Ok(());
    }
    sqlx::query(END).bind(lanes).bind(for_secret).execute(conn).await.map(drop)
}
