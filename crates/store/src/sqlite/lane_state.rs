//! The lanes of a batch of outcomes: read, folded, written where they changed.

use std::collections::BTreeMap;

use postrider_domain::{LaneId, WebhookId};
use serde::Serialize;
use sqlx::Row;

use super::clock;
use super::fault::Fault;
use super::rows::json;
use super::writer::Turn;
use crate::Recorded;
use crate::lane_fold::LaneFold;

/// `last_send_at` is kept no finer than this, to spare writes.
const SEND_GRAIN: i64 = 1_000_000;

/// The part of a lane's row that outcomes change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct LaneRow {
    pub(super) id: i64,
    /// An enabled webhook uses it; else there is nothing to hold.
    in_use: bool,
    hold_cause: Option<String>,
    hold_gen: i64,
    held_since: Option<i64>,
    pub(super) secret_rev: i64,
    pause_until: Option<i64>,
    pause_step: i64,
    next_probe_at: Option<i64>,
    strikes: i64,
    strike_webhook: Option<i64>,
    last_send_at: Option<i64>,
}

impl LaneRow {
    pub(super) fn is_held(&self) -> bool {
        self.hold_cause.is_some()
    }

    /// What outcomes say about it so far: nothing.
    fn fold(&self) -> LaneFold {
        let count = |count: i64| u32::try_from(count).unwrap_or(u32::MAX);
        LaneFold::of_row(
            self.is_held(),
            self.in_use,
            self.secret_rev,
            count(self.strikes),
            self.strike_webhook.map(WebhookId),
            count(self.pause_step),
        )
    }

    /// Takes over what the outcomes said (`PAUSE_MAX`).
    fn apply(&mut self, fold: &LaneFold, now: i64) {
        self.strikes = i64::from(fold.strikes);
        self.strike_webhook = fold.strike_webhook.map(|webhook| webhook.0);
        self.pause_step = i64::from(fold.pause_step);
        if let Some(pause) = fold.pause {
            self.pause_until = self.pause_until.max(Some(clock::later(now, pause)));
        }
        if let Some((cause, probe_after)) = fold.hold {
            self.hold_cause = Some(cause.as_str().to_owned());
            self.hold_gen += 1;
            self.held_since = Some(now);
            self.next_probe_at = Some(clock::later(now, probe_after));
        }
    }

    fn sent(&mut self, now: i64) {
        if self.last_send_at.is_none_or(|last| last.saturating_add(SEND_GRAIN) <= now) {
            self.last_send_at = Some(now);
        }
    }
}

/// The lanes of a batch, before and after.
pub(super) struct Lanes {
    rows: BTreeMap<LaneId, LaneRow>,
    /// Lanes that this batch held.
    pub(super) held: Vec<LaneId>,
}

impl Lanes {
    /// Reads the lanes of `batch`, applies it, and writes what changed.
    pub(super) async fn record(batch: &[Recorded], turn: &mut Turn) -> Result<Self, Fault> {
        let mut rows = load(batch, turn).await?;
        let before = rows.clone();
        let mut folds: BTreeMap<LaneId, LaneFold> =
            rows.iter().map(|(id, row)| (*id, row.fold())).collect();
        for item in batch {
            if let Some(fold) = folds.get_mut(&item.lane_id) {
                fold.take(item);
            }
            if let Some(lane) = rows.get_mut(&item.lane_id)
                && item.attempt.is_some()
            {
                lane.sent(turn.now);
            }
        }
        for (id, fold) in &folds {
            if let Some(lane) = rows.get_mut(id) {
                lane.apply(fold, turn.now);
            }
        }
        let changed: Vec<_> = rows
            .iter()
            .filter(|(id, row)| before.get(id) != Some(row))
            .map(|(_, row)| row)
            .collect();
        store(&changed, turn).await?;
        let was_open = |id: &LaneId| before.get(id).is_some_and(|row| !row.is_held());
        let held = rows
            .iter()
            .filter(|(id, row)| row.is_held() && was_open(id))
            .map(|(id, _)| *id)
            .collect();
        Ok(Self { rows, held })
    }

    pub(super) fn get(&self, lane: LaneId) -> Option<&LaneRow> {
        self.rows.get(&lane)
    }
}

async fn load(batch: &[Recorded], turn: &mut Turn) -> Result<BTreeMap<LaneId, LaneRow>, Fault> {
    let mut ids: Vec<_> = batch.iter().map(|item| item.lane_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let rows = sqlx::query(
        "SELECT id, hold_cause, hold_gen, held_since, secret_rev, pause_until, pause_step,
                next_probe_at, strikes, strike_webhook, last_send_at,
                EXISTS (SELECT 1 FROM webhooks w
                        WHERE w.lane_id = lanes.id AND w.state = 'enabled') AS in_use
         FROM lanes WHERE id IN (SELECT value FROM json_each(?1))",
    )
    .bind(json(&ids)?)
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
            pause_until: row.try_get("pause_until")?,
            pause_step: row.try_get("pause_step")?,
            next_probe_at: row.try_get("next_probe_at")?,
            strikes: row.try_get("strikes")?,
            strike_webhook: row.try_get("strike_webhook")?,
            last_send_at: row.try_get("last_send_at")?,
        };
        Ok((LaneId(lane.id), lane))
    };
    rows.iter().map(read).collect()
}

async fn store(changed: &[&LaneRow], turn: &mut Turn) -> Result<(), Fault> {
    if changed.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE lanes
         SET hold_cause = n.value ->> 'hold_cause', hold_gen = n.value ->> 'hold_gen',
             held_since = n.value ->> 'held_since', pause_until = n.value ->> 'pause_until',
             pause_step = n.value ->> 'pause_step', next_probe_at = n.value ->> 'next_probe_at',
             strikes = n.value ->> 'strikes', strike_webhook = n.value ->> 'strike_webhook',
             last_send_at = n.value ->> 'last_send_at'
         FROM json_each(?1) n WHERE lanes.id = n.value ->> 'id'",
    )
    .bind(json(changed)?)
    .execute(&mut turn.conn)
    .await?;
    Ok(())
}
