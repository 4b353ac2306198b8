//! The lanes of a batch of outcomes and their limits: read, folded, written where they changed.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use postrider_domain::{
    ClaimNo, DeliveryId, Hold, LaneId, LanePolicy, LimitPolicy, ParkPolicy, Rejection, WebhookId,
};
use serde::Serialize;
use sqlx::Row;

use super::clock;
use super::fault::Fault;
use super::rows::json;
use super::webhook_state;
use super::writer::Turn;
use crate::Recorded;

/// The part of a lane's row that outcomes change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct LaneRow {
    id: i64,
    /// An enabled webhook uses it; else there is nothing to hold.
    in_use: bool,
    has_credential: bool,
    unaffected: u32,
    hold_cause: Option<String>,
    hold_gen: i64,
    held_since: Option<i64>,
    secret_rev: i64,
    next_probe_at: Option<i64>,
    strikes: i64,
    strike_webhook: Option<i64>,
    limit: i64,
}

/// The part of a limit's row that outcomes change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct LimitRow {
    id: i64,
    pause_until: Option<i64>,
    pause_step: i64,
}

impl LimitRow {
    /// Takes over what the outcomes said (`PAUSE_MAX`).
    fn apply(&mut self, policy: &LimitPolicy, now: i64) {
        self.pause_step = i64::from(policy.pause_step);
        if let Some(pause) = policy.pause {
            self.pause_until = self.pause_until.max(Some(clock::later(now, pause)));
        }
    }
}

fn count(count: i64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl LaneRow {
    /// What outcomes say about it so far: nothing.
    fn policy(&self) -> LanePolicy {
        LanePolicy {
            held: self.hold_cause.is_some(),
            in_use: self.in_use,
            has_credential: self.has_credential,
            secret_rev: self.secret_rev,
            parked_webhook: self.strike_webhook.map(WebhookId),
            unaffected: self.unaffected,
            hold: None,
        }
    }

    /// Takes over what the outcomes said.
    fn apply(&mut self, policy: &LanePolicy, now: i64) {
        self.strikes = i64::from(!policy.held && policy.parked_webhook.is_some());
        self.strike_webhook = policy.parked_webhook.map(|webhook| webhook.0);
        if let Some(hold) = policy.hold {
            self.hold_cause = Some(hold.cause.as_str().to_owned());
            self.hold_gen += 1;
            self.held_since = Some(now);
            self.next_probe_at = Some(clock::later(now, hold.probe_after));
        }
    }
}

/// The lanes of a batch and their webhooks, as it leaves them.
pub(super) struct Lanes {
    policies: BTreeMap<LaneId, LanePolicy>,
    webhooks: BTreeMap<WebhookId, ParkPolicy>,
    /// Lanes that this batch held.
    pub(super) held: Vec<LaneId>,
}

impl Lanes {
    /// Reads the lanes of `batch`, applies it, and writes what changed.
    pub(super) async fn record(batch: &[Recorded], turn: &mut Turn) -> Result<Self, Fault> {
        let mut rows = load(batch, turn).await?;
        let mut limits = load_limits(rows.values(), turn).await?;
        let mut news = News::of(&rows, &limits);
        news.webhooks = webhook_state::load(batch, turn).await?;
        let is_calm = rows.values().all(|lane| lane.strikes == 0)
            && limits.values().all(|limit| limit.pause_step == 0)
            && news.webhooks.is_empty();
        if !is_calm || batch.iter().any(Recorded::touches_lane) {
            let (before, limits_before) = (rows.clone(), limits.clone());
            let repeated = repeated(batch, turn).await?;
            let first = batch.iter().filter(|item| !repeated.contains(&(item.id, item.claim_no)));
            first.for_each(|item| news.add(item, &rows));
            news.apply(&mut rows, &mut limits, turn.now);
            store_limits(&changed(&limits, &limits_before), turn).await?;
            store(&changed(&rows, &before), turn).await?;
            webhook_state::store(&news.webhooks, turn).await?;
            webhook_state::end_for_lanes(news.holds(), turn).await?;
        }
        let held = news.holds().map(|(id, _)| id).collect();
        Ok(Self { policies: news.lanes, webhooks: news.webhooks, held })
    }

    /// What a rejection means to its delivery. A lane that is not there can't be held.
    pub(super) fn rejection(&self, recorded: &Recorded) -> Rejection {
        let webhook = self.webhooks.get(&recorded.webhook_id).copied().unwrap_or_default();
        self.policies
            .get(&recorded.lane_id)
            .map_or(Rejection::Outdated, |lane| webhook.rejection(lane, &recorded.evidence()))
    }
}

/// What a batch says about lanes, limits and webhooks.
struct News {
    lanes: BTreeMap<LaneId, LanePolicy>,
    webhooks: BTreeMap<WebhookId, ParkPolicy>,
    limits: BTreeMap<i64, LimitPolicy>,
}

impl News {
    fn of(rows: &BTreeMap<LaneId, LaneRow>, limits: &BTreeMap<i64, LimitRow>) -> Self {
        let limit = |limit: &LimitRow| LimitPolicy::new(count(limit.pause_step));
        Self {
            lanes: rows.iter().map(|(id, row)| (*id, row.policy())).collect(),
            webhooks: BTreeMap::new(),
            limits: limits.iter().map(|(id, row)| (*id, limit(row))).collect(),
        }
    }

    fn add(&mut self, recorded: &Recorded, rows: &BTreeMap<LaneId, LaneRow>) {
        let (evidence, mut calm) = (recorded.evidence(), ParkPolicy::default());
        let webhook = self.webhooks.get_mut(&recorded.webhook_id).unwrap_or(&mut calm);
        if let Some(lane) = self.lanes.get_mut(&recorded.lane_id) {
            lane.add(&evidence, webhook);
        }
        let limit = rows.get(&recorded.lane_id).map(|row| row.limit);
        if let Some(limit) = limit.and_then(|limit| self.limits.get_mut(&limit)) {
            limit.add(&evidence);
        }
    }

    fn holds(&self) -> impl Iterator<Item = (LaneId, Hold)> {
        self.lanes.iter().filter_map(|(id, lane)| Some((*id, lane.hold?)))
    }

    fn apply(
        &self,
        rows: &mut BTreeMap<LaneId, LaneRow>,
        limits: &mut BTreeMap<i64, LimitRow>,
        now: i64,
    ) {
        for (id, policy) in &self.lanes {
            if let Some(row) = rows.get_mut(id) {
                row.apply(policy, now);
            }
        }
        for (id, policy) in &self.limits {
            if let Some(row) = limits.get_mut(id) {
                row.apply(policy, now);
            }
        }
    }
}

/// `RECORD_ONCE`: claims whose attempt is kept already: the batch was committed before, and nobody
/// knew.
async fn repeated(
    batch: &[Recorded],
    turn: &mut Turn,
) -> Result<HashSet<(DeliveryId, ClaimNo)>, Fault> {
    let claims: Vec<_> = batch.iter().map(|item| (item.id, item.claim_no)).collect();
    let rows = sqlx::query(
        "SELECT a.delivery_id, a.claim_no FROM json_each(?1) n
         CROSS JOIN attempts a ON a.delivery_id = unhex(n.value ->> 0, '-')
                              AND a.claim_no = n.value ->> 1
         WHERE a.outcome <> 'lost'",
    )
    .bind(json(&claims)?)
    .fetch_all(&mut turn.conn)
    .await?;
    let read = |row: &sqlx::sqlite::SqliteRow| -> Result<_, Fault> {
        Ok((DeliveryId(row.try_get("delivery_id")?), ClaimNo(row.try_get("claim_no")?)))
    };
    rows.iter().map(read).collect()
}

fn changed<'a, K: Ord, R: PartialEq>(
    now: &'a BTreeMap<K, R>,
    before: &BTreeMap<K, R>,
) -> Vec<&'a R> {
    now.iter().filter(|(id, row)| before.get(id) != Some(row)).map(|(_, row)| row).collect()
}

async fn load(batch: &[Recorded], turn: &mut Turn) -> Result<BTreeMap<LaneId, LaneRow>, Fault> {
    let mut ids: Vec<_> = batch.iter().map(|item| item.lane_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let touched: Vec<_> =
        batch.iter().filter(|item| item.touches_lane()).map(|item| item.lane_id).collect();
    let rows = sqlx::query(
        "SELECT id, hold_cause, hold_gen, held_since, secret_rev, next_probe_at, strikes, limit_id,
                CASE WHEN hold_cause IS NULL
                     THEN (SELECT w.id FROM webhooks w
                           WHERE w.id = strike_webhook AND w.hold_cause = 'credential')
                     ELSE strike_webhook END AS parked_webhook,
                substr(name, -5) <> '/none' AS has_credential,
                EXISTS (SELECT 1 FROM webhooks w
                        WHERE w.lane_id = lanes.id AND w.state = 'enabled') AS in_use,
                CASE WHEN id IN (SELECT value FROM json_each(?2))
                     THEN (SELECT count(*) FROM webhooks w
                           WHERE w.lane_id = lanes.id AND w.state = 'enabled'
                             AND (w.hold_cause IS NULL OR w.hold_cause = 'credential'))
                     ELSE 0 END AS unaffected
         FROM lanes WHERE id IN (SELECT value FROM json_each(?1))",
    )
    .bind(json(&ids)?)
    .bind(json(&touched)?)
    .fetch_all(&mut turn.conn)
    .await?;
    let read = |row: &sqlx::sqlite::SqliteRow| -> Result<(LaneId, LaneRow), Fault> {
        let lane = LaneRow {
            id: row.try_get("id")?,
            in_use: row.try_get("in_use")?,
            hold_cause: row.try_get("hold_cause")?,
            hold_gen: row.try_get("hold_gen")?,
            held_since: row.try_get("held_since")?,
            secret_rev: row.try_get("secret_rev")?,
            next_probe_at: row.try_get("next_probe_at")?,
            strikes: row.try_get("strikes")?,
            strike_webhook: row.try_get("parked_webhook")?,
            has_credential: row.try_get("has_credential")?,
            unaffected: row.try_get("unaffected")?,
            limit: row.try_get("limit_id")?,
        };
        Ok((LaneId(lane.id), lane))
    };
    rows.iter().map(read).collect()
}

async fn load_limits<'a>(
    lanes: impl Iterator<Item = &'a LaneRow>,
    turn: &mut Turn,
) -> Result<BTreeMap<i64, LimitRow>, Fault> {
    let ids: BTreeSet<i64> = lanes.map(|lane| lane.limit).collect();
    let rows: Vec<(i64, Option<i64>, i64)> = sqlx::query_as(
        "SELECT id, pause_until, pause_step FROM limits
         WHERE id IN (SELECT value FROM json_each(?1))",
    )
    .bind(json(&ids)?)
    .fetch_all(&mut turn.conn)
    .await?;
    let limit = |(id, pause_until, pause_step)| (id, LimitRow { id, pause_until, pause_step });
    Ok(rows.into_iter().map(limit).collect())
}

async fn store_limits(changed: &[&LimitRow], turn: &mut Turn) -> Result<(), Fault> {
    if changed.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE limits
         SET pause_until = n.value ->> 'pause_until', pause_step = n.value ->> 'pause_step'
         FROM json_each(?1) n WHERE limits.id = n.value ->> 'id'",
    )
    .bind(json(changed)?)
    .execute(&mut turn.conn)
    .await?;
    Ok(())
}

async fn store(changed: &[&LaneRow], turn: &mut Turn) -> Result<(), Fault> {
    if changed.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE lanes
         SET hold_cause = n.value ->> 'hold_cause', hold_gen = n.value ->> 'hold_gen',
             held_since = n.value ->> 'held_since', next_probe_at = n.value ->> 'next_probe_at',
             strikes = n.value ->> 'strikes', strike_webhook = n.value ->> 'strike_webhook'
         FROM json_each(?1) n WHERE lanes.id = n.value ->> 'id'",
    )
    .bind(json(changed)?)
    .execute(&mut turn.conn)
    .await?;
    Ok(())
}
