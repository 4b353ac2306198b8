//! What a batch of outcomes does to its lanes: L4, L7, strikes and pauses, as a pure fold.

use std::collections::BTreeMap;
use std::time::Duration;

use postrider_domain::{HoldCause, LaneId, Outcome, WebhookId};
use serde::Serialize;
use sqlx::Row;

use super::clock;
use super::fault::Fault;
use super::rows::json;
use super::writer::Turn;
use crate::{HoldProof, Recorded, Transition};

/// First pause when the target did not say how long.
const FIRST_PAUSE: i64 = 60_000_000;
/// Longest pause of that kind.
const LONGEST_PAUSE: i64 = 900_000_000;
/// Refused credentials in a row before the next one holds the lane.
const STRIKES: i64 = 2;
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

    /// Applies one outcome. `doubled` is set once the batch lengthened the pause, because
    /// answers that came back together are one refusal, not several in a row.
    fn apply(&mut self, item: &Recorded, doubled: &mut bool, now: i64) {
        if let Some(attempt) = &item.attempt {
            if self.last_send_at.is_none_or(|last| last.saturating_add(SEND_GRAIN) <= now) {
                self.last_send_at = Some(now);
            }
            if shows_a_live_credential(attempt.outcome) {
                self.forgive();
            }
        }
        match item.transition {
            Transition::Delivered => self.pause_step = 0,
            Transition::HeldBack { cause, secret_rev, proof, probe_after, .. } => {
                if !self.is_held() && self.in_use && self.secret_rev == secret_rev {
                    self.refused(item.webhook_id, proof, (cause, probe_after), now);
                }
            }
            Transition::Limited { pause } => self.limited(pause, doubled, now),
            Transition::Retry { .. } | Transition::Failed { .. } | Transition::Released => {}
        }
    }

    fn forgive(&mut self) {
        self.strikes = 0;
        self.strike_webhook = None;
    }

    /// L4 (`HOLD_REV`): one proof, or two webhooks or three answers in a row.
    fn refused(
        &mut self,
        webhook: WebhookId,
        proof: HoldProof,
        (cause, probe_after): (HoldCause, Duration),
        now: i64,
    ) {
        let suffices = match proof {
            HoldProof::One => true,
            HoldProof::Several => {
                self.strikes >= STRIKES
                    || self.strike_webhook.is_some_and(|earlier| earlier != webhook.0)
            }
        };
        if suffices {
            self.hold_cause = Some(cause.as_str().to_owned());
            self.hold_gen += 1;
            self.held_since = Some(now);
            self.next_probe_at = Some(clock::later(now, probe_after));
            self.forgive();
        } else {
            self.strikes += 1;
            self.strike_webhook = Some(webhook.0);
        }
    }

    /// L7 (`PAUSE_MAX`).
    fn limited(&mut self, pause: Option<Duration>, doubled: &mut bool, now: i64) {
        if pause.is_none() && !*doubled {
            self.pause_step = (self.pause_step * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
            *doubled = true;
        }
        let length = pause.map_or(self.pause_step, clock::micros);
        let until = now.saturating_add(length);
        self.pause_until = Some(self.pause_until.map_or(until, |set| set.max(until)));
    }
}

/// Whether a target that answers like this took the credential.
fn shows_a_live_credential(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Accepted
        | Outcome::NotFound
        | Outcome::Permission
        | Outcome::Invalid
        | Outcome::ServerError => true,
        Outcome::Credential
        | Outcome::SecretMissing
        | Outcome::RateLimited
        | Outcome::Timeout
        | Outcome::ConnectError
        | Outcome::Redirected
        | Outcome::Blocked
        | Outcome::RenderError
        | Outcome::Lost
        | Outcome::Poison
        | Outcome::WebhookDeleted
        | Outcome::WebhookDisabled
        | Outcome::Withdrawn => false,
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
        let mut doubled: BTreeMap<LaneId, bool> = BTreeMap::new();
        for item in batch {
            if let Some(lane) = rows.get_mut(&item.lane_id) {
                lane.apply(item, doubled.entry(item.lane_id).or_default(), turn.now);
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
