//! The one delivery that may leave a held lane, or that of a parked webhook: where no read proves a
//! credential, the holder of the probe sends one delivery instead. Under a limit it is a claim like
//! any other.

use postrider_domain::{HourBudget, LaneId, WebhookId};
use uuid::Uuid;

use super::SqliteStore;
use super::claims::{Right, one, take};
use super::claims_limited::{count, free_in_hour, has_old_claims, led};
use super::fault::Fault;
use super::writer::Turn;
use crate::codec::aside;
use crate::lanes::Probed;
use crate::{Claim, ClaimProbeDelivery, Lease, StoreError};

impl SqliteStore {
    pub(crate) async fn claim_probe_delivery(
        &self,
        asked: ClaimProbeDelivery,
    ) -> Result<Option<Claim>, StoreError> {
        self.write(asked, |asked, turn| Box::pin(claim_probe_delivery(*asked, turn))).await
    }
}

async fn claim_probe_delivery(
    asked: ClaimProbeDelivery,
    turn: &mut Turn,
) -> Result<Option<Claim>, Fault> {
    let ClaimProbeDelivery { lane, probe, lease, terms, .. } = asked;
    let Some(probed) = held(asked, turn).await? else { return Ok(None) };
    if !is_led(lease, turn).await? {
        return Ok(None);
    }
    let Some((id, probed)) = find(lane, probe.webhook, probed, turn).await? else {
        return Ok(None);
    };
    let found = one(id, terms, turn).await?;
    let taken = found.len();
    let epoch = lease.map_or(0, |lease| lease.epoch);
    let claims = take(found, Right { terms, epoch, fresh: false }, turn).await?;
    if let Some(lease) = lease {
        count(lease.limit, taken, asked.interval, turn).await?;
    }
    note(asked, probed, turn).await?;
    Ok(claims.into_iter().next())
}

/// What was probed of the lane or the webhook, if it is held as the probe says; the lane has to
/// be of the lease's limit, or of none.
async fn held(asked: ClaimProbeDelivery, turn: &mut Turn) -> Result<Option<Probed>, Fault> {
    let statement = match asked.probe.webhook {
        None => {
            "SELECT l.probe_newest, l.probe_last FROM lanes l JOIN limits m ON m.id = l.limit_id
             WHERE l.id = ?1 AND l.hold_cause <> 'manual' AND l.hold_gen = ?2
               AND l.secret_rev = ?3 AND ?6 IS NULL
               AND CASE WHEN m.limited THEN m.id = ?4
                        ELSE ?4 IS NULL AND coalesce(m.pause_until, 0) <= ?5 END"
        }
        Some(_) => {
            "SELECT w.probe_newest, w.probe_last
             FROM webhooks w JOIN lanes l ON l.id = w.lane_id JOIN limits m ON m.id = l.limit_id
             WHERE w.id = ?6 AND l.id = ?1 AND l.hold_cause IS NULL AND w.state = 'enabled'
               AND w.hold_cause = 'credential' AND w.hold_gen = ?2 AND w.secrets_rev = ?3
               AND CASE WHEN m.limited THEN m.id = ?4
                        ELSE ?4 IS NULL AND coalesce(m.pause_until, 0) <= ?5 END"
        }
    };
    let row: Option<(Option<Uuid>, Option<Uuid>)> = sqlx::query_as(statement)
        .bind(asked.lane.0)
        .bind(asked.probe.hold_gen)
        .bind(asked.probe.secret_rev)
        .bind(asked.lease.map(|lease| lease.limit.0))
        .bind(turn.now)
        .bind(asked.probe.webhook.map(|webhook| webhook.0))
        .fetch_optional(&mut turn.conn)
        .await?;
    Ok(row.map(|(newest, last)| Probed { newest, last }))
}

/// What waits in the lane and may be probed: of a parked webhook what stands aside, else what is
/// due.
macro_rules! find {
    ($beyond:literal, $order:literal) => {
        concat!(
            "SELECT d.id FROM deliveries d INDEXED BY deliveries_due
             CROSS JOIN webhooks w ON w.id = d.webhook_id
             WHERE d.lane_id = ?1 AND d.next_at >= ?2 AND d.next_at <= ?3
               AND d.status = 'waiting' AND d.lost_claims < 3 AND d.execution_until IS NULL
               AND w.lane_id = d.lane_id AND w.state = 'enabled'
               AND (w.hold_cause IS NULL OR w.id = ?4)",
            $beyond,
            $order
        )
    };
}

/// The one whose turn it is; a round that is at its end begins anew.
async fn find(
    lane: LaneId,
    webhook: Option<WebhookId>,
    probed: Probed,
    turn: &mut Turn,
) -> Result<Option<(Uuid, Probed)>, Fault> {
    let (first, last) = match webhook {
        Some(webhook) => (aside(webhook), aside(webhook)),
        None => (i64::MIN, turn.now),
    };
    if probed.newest.is_some() {
        let next: Option<Uuid> = sqlx::query_scalar(find!(
            " AND d.id <> ?5 AND (d.next_at, d.id) > (
                  coalesce((SELECT x.next_at FROM deliveries x WHERE x.id = ?6), ?2),
                  coalesce(?6, x''))",
            " ORDER BY d.next_at, d.id LIMIT 1"
        ))
        .bind(lane.0)
        .bind(first)
        .bind(last)
        .bind(webhook.map(|webhook| webhook.0))
        .bind(probed.newest)
        .bind(probed.last)
        .fetch_optional(&mut turn.conn)
        .await?;
        if let Some(next) = next {
            return Ok(Some((next, probed.then(next))));
        }
    }
    let newest: Option<Uuid> =
        sqlx::query_scalar(find!("", " ORDER BY d.next_at DESC, d.id DESC LIMIT 1"))
            .bind(lane.0)
            .bind(first)
            .bind(last)
            .bind(webhook.map(|webhook| webhook.0))
            .fetch_optional(&mut turn.conn)
            .await?;
    Ok(newest.map(|newest| (newest, Probed::default().then(newest))))
}

/// Whose turn it was.
async fn note(asked: ClaimProbeDelivery, probed: Probed, turn: &mut Turn) -> Result<(), Fault> {
    let (statement, id) = match asked.probe.webhook {
        Some(webhook) => (
            "UPDATE webhooks SET probe_step = probe_step + 1, probe_newest = ?2, probe_last = ?3
             WHERE id = ?1",
            webhook.0,
        ),
        None => (
            "UPDATE lanes SET probe_step = probe_step + 1, probe_newest = ?2, probe_last = ?3
             WHERE id = ?1",
            asked.lane.0,
        ),
    };
    sqlx::query(statement)
        .bind(id)
        .bind(probed.newest)
        .bind(probed.last)
        .execute(&mut turn.conn)
        .await?;
    Ok(())
}

/// Whether the leader may claim one more; without a limit anybody may.
async fn is_led(lease: Option<Lease>, turn: &mut Turn) -> Result<bool, Fault> {
    let Some(lease) = lease else {
        return Ok(true);
    };
    let Some(led) = led(lease, turn).await? else {
        return Ok(false);
    };
    if has_old_claims(lease, turn).await? {
        return Ok(false);
    }
    Ok(matches!(free_in_hour(lease.limit, led, turn).await?, HourBudget::Free(_)))
}
