//! The webhooks of a batch of outcomes: W1 (park), and successes after one.

use std::collections::{BTreeMap, BTreeSet};

use postrider_domain::{Hold, HoldCause, LaneId, ParkPolicy, WebhookId};
use serde::Serialize;
use sqlx::Row;

use super::clock;
use super::fault::Fault;
use super::rows::json;
use super::writer::Turn;
use crate::{Recorded, codec};

/// Those that the batch says something about, or that were parked and have not succeeded since.
pub(super) async fn load(
    batch: &[Recorded],
    turn: &mut Turn,
) -> Result<BTreeMap<WebhookId, ParkPolicy>, Fault> {
    let all: BTreeSet<i64> = batch.iter().map(|item| item.webhook_id.0).collect();
    let touching = batch.iter().filter(|item| item.touches_lane());
    let touched: BTreeSet<i64> = touching.map(|item| item.webhook_id.0).collect();
    let rows = sqlx::query(
        "SELECT id, state = 'enabled' AS is_enabled, hold_cause, secrets_rev,
                hold_gen = good_gen AS is_good
         FROM webhooks
         WHERE id IN (SELECT value FROM json_each(?1))
           AND (hold_gen <> good_gen OR id IN (SELECT value FROM json_each(?2)))",
    )
    .bind(json(&all)?)
    .bind(json(&touched)?)
    .fetch_all(&mut turn.conn)
    .await?;
    let mut webhooks = BTreeMap::new();
    for row in rows {
        let cause: Option<String> = row.try_get("hold_cause")?;
        let policy = ParkPolicy {
            is_in_use: row.try_get("is_enabled")?,
            parked: cause.map(|cause| codec::hold_cause(&cause)).transpose()?,
            secrets_rev: row.try_get("secrets_rev")?,
            had_succeeded: row.try_get("is_good")?,
            ..ParkPolicy::default()
        };
        webhooks.insert(WebhookId(row.try_get("id")?), policy);
    }
    Ok(webhooks)
}

/// What becomes of a webhook's row.
#[derive(Serialize)]
struct Change {
    id: i64,
    succeeds: bool,
    cause: Option<&'static str>,
    probe_at: Option<i64>,
}

/// W1. A success counts before a park of the same batch.
pub(super) async fn store(
    webhooks: &BTreeMap<WebhookId, ParkPolicy>,
    turn: &mut Turn,
) -> Result<(), Fault> {
    let mut changes = Vec::new();
    for (id, policy) in webhooks {
        if policy.succeeds || policy.park.is_some() || policy.probe_after.is_some() {
            changes.push(Change {
                id: id.0,
                succeeds: policy.succeeds,
                cause: policy.park.map(HoldCause::as_str),
                probe_at: policy.probe_after.map(|wait| clock::later(turn.now, wait)),
            });
        }
    }
    if changes.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE webhooks
         SET good_gen = CASE WHEN n.value ->> 'succeeds' THEN hold_gen ELSE good_gen END,
             hold_gen = hold_gen + (n.value ->> 'cause' IS NOT NULL),
             held_since = CASE WHEN n.value ->> 'cause' IS NULL THEN held_since ELSE ?2 END,
             next_probe_at = CASE
                 WHEN n.value ->> 'cause' IS NOT NULL THEN n.value ->> 'probe_at'
                 WHEN hold_cause = 'credential'
                     THEN max(next_probe_at, coalesce(n.value ->> 'probe_at', next_probe_at))
                 ELSE next_probe_at END,
             probe_step = CASE WHEN n.value ->> 'cause' IS NULL THEN probe_step ELSE 0 END,
             probe_newest = CASE WHEN n.value ->> 'cause' IS NULL THEN probe_newest END,
             probe_last = CASE WHEN n.value ->> 'cause' IS NULL THEN probe_last END,
             has_aside = has_aside OR n.value ->> 'cause' IS NOT NULL,
             hold_cause = coalesce(n.value ->> 'cause', hold_cause)
         FROM json_each(?1) n WHERE webhooks.id = n.value ->> 'id'",
    )
    .bind(json(&changes)?)
    .bind(turn.now)
    .execute(&mut turn.conn)
    .await?;
    Ok(())
}

/// W4: the lanes that the batch held end the parks that they are held because of.
pub(super) async fn end_for_lanes(
    holds: impl Iterator<Item = (LaneId, Hold)>,
    turn: &mut Turn,
) -> Result<(), Fault> {
    for (lane, hold) in holds {
        sqlx::query(
            "UPDATE webhooks
             SET hold_cause = NULL, held_since = NULL, next_probe_at = NULL, probe_step = 0,
                 probe_newest = NULL, probe_last = NULL
             WHERE lane_id = ?1 AND hold_cause IS NOT NULL AND (hold_cause <> 'credential') = ?2",
        )
        .bind(lane.0)
        .bind(hold.cause.is_secret())
        .execute(&mut turn.conn)
        .await?;
    }
    Ok(())
}
