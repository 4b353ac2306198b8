//! What a batch of outcomes says about lanes: holds, pauses, strikes.

use std::collections::BTreeMap;

use postrider_domain::{LaneId, WebhookId};
use sqlx::postgres::PgRow;
use sqlx::{Postgres, Row, Transaction};

use crate::lane_fold::LaneFold;
use crate::{Recorded, Transition, codec};

/// In id order: the one lock order for lanes.
pub(super) const LOCK: &str = "
select id, hold_cause is not null as held, secret_rev, strikes, strike_webhook, pause_step,
    exists (
        select from webhooks w where w.lane_id = lanes.id and w.state = 'enabled') as in_use
from lanes where id = any($1) order by id for update";

/// L4 and L7 (PAUSE_MAX), and the strikes.
pub(super) const WRITE: &str = "
update lanes l set
    strikes = n.strikes, strike_webhook = n.strike_webhook, pause_step = n.pause_step,
    pause_until = greatest(l.pause_until, now() + n.pause_ms * interval '1 millisecond'),
    hold_cause = coalesce(n.cause, l.hold_cause),
    hold_gen = l.hold_gen + case when n.cause is null then 0 else 1 end,
    held_since = case when n.cause is null then l.held_since else now() end,
    next_probe_at = case when n.cause is null then l.next_probe_at
        else now() + n.probe_ms * interval '1 millisecond' end
from unnest($1::bigint[], $2::integer[], $3::bigint[], $4::integer[], $5::bigint[], $6::text[],
    $7::bigint[]) as n (id, strikes, strike_webhook, pause_step, pause_ms, cause, probe_ms)
where l.id = n.id";

/// The lanes that a batch touches, after it.
#[derive(Debug, Default)]
pub(super) struct LaneNews(BTreeMap<LaneId, LaneFold>);

impl LaneNews {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the lane is held now, by this batch or before.
    pub(super) fn is_held(&self, lane: LaneId) -> bool {
        self.0.get(&lane).is_some_and(|lane| lane.held)
    }

    /// HOLD_REV: whether a refusal under this revision speaks of the secret in force.
    pub(super) fn is_current(&self, lane: LaneId, secret_rev: i64) -> bool {
        self.0.get(&lane).is_some_and(|lane| lane.secret_rev == secret_rev)
    }

    /// Lanes that this batch held.
    pub(super) fn newly_held(&self) -> Vec<LaneId> {
        self.0.iter().filter(|(_, lane)| lane.hold.is_some()).map(|(id, _)| *id).collect()
    }
}

/// Lanes whose row has to be locked; none in a calm batch.
pub(super) fn touched(batch: &[&Recorded]) -> Vec<LaneId> {
    let mut lanes: Vec<LaneId> = batch
        .iter()
        .filter(|each| match each.transition {
            Transition::HeldBack { .. } | Transition::Limited { .. } => true,
            Transition::Delivered
            | Transition::Retry { .. }
            | Transition::Failed { .. }
            | Transition::Released => false,
        })
        .map(|each| each.lane_id)
        .collect();
    lanes.sort_unstable();
    lanes.dedup();
    // All lanes of the batch then: the others' strikes are seen to in the same way.
    if !lanes.is_empty() {
        lanes = batch.iter().map(|each| each.lane_id).collect();
        lanes.sort_unstable();
        lanes.dedup();
    }
    lanes
}

/// Locks the lanes, goes through the batch in its order, writes them.
pub(super) async fn record(
    tx: &mut Transaction<'static, Postgres>,
    touched: &[LaneId],
    batch: &[&Recorded],
) -> Result<LaneNews, sqlx::Error> {
    if touched.is_empty() {
        return Ok(LaneNews::default());
    }
    let ids: Vec<i64> = touched.iter().map(|lane| lane.0).collect();
    let found = sqlx::query(LOCK).bind(ids).fetch_all(&mut **tx).await?;
    let mut news = LaneNews(found.iter().map(read).collect::<Result<_, _>>()?);
    for each in batch {
        if let Some(lane) = news.0.get_mut(&each.lane_id) {
            lane.take(each);
        }
    }
    write(tx, &news).await?;
    Ok(news)
}

fn read(row: &PgRow) -> Result<(LaneId, LaneFold), sqlx::Error> {
    let count = |column| row.try_get(column).map(|count: i32| u32::try_from(count).unwrap_or(0));
    let strike_webhook: Option<i64> = row.try_get("strike_webhook")?;
    let lane = LaneFold::of_row(
        row.try_get("held")?,
        row.try_get("in_use")?,
        row.try_get("secret_rev")?,
        count("strikes")?,
        strike_webhook.map(WebhookId),
        count("pause_step")?,
    );
    Ok((LaneId(row.try_get("id")?), lane))
}

async fn write(
    tx: &mut Transaction<'static, Postgres>,
    news: &LaneNews,
) -> Result<(), sqlx::Error> {
    let lanes: Vec<(&LaneId, &LaneFold)> = news.0.iter().collect();
    let count = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    let webhook = |lane: &LaneFold| lane.strike_webhook.map(|webhook| webhook.0);
    let hold = |lane: &LaneFold| lane.hold.map(|(cause, _)| cause.as_str());
    let probe = |lane: &LaneFold| lane.hold.map(|(_, probe)| codec::millis(probe));
    sqlx::query(WRITE)
        .bind(lanes.iter().map(|(id, _)| id.0).collect::<Vec<_>>())
        .bind(lanes.iter().map(|(_, lane)| count(lane.strikes)).collect::<Vec<_>>())
        .bind(lanes.iter().map(|(_, lane)| webhook(lane)).collect::<Vec<_>>())
        .bind(lanes.iter().map(|(_, lane)| count(lane.pause_step)).collect::<Vec<_>>())
        .bind(lanes.iter().map(|(_, lane)| lane.pause.map(codec::millis)).collect::<Vec<_>>())
        .bind(lanes.iter().map(|(_, lane)| hold(lane)).collect::<Vec<_>>())
        .bind(lanes.iter().map(|(_, lane)| probe(lane)).collect::<Vec<_>>())
        .execute(&mut **tx)
        .await
        .map(drop)
}
