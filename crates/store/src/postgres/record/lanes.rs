//! What a batch of outcomes says about lanes: holds, pauses, strikes.

use std::collections::BTreeMap;
use std::time::Duration;

use postrider_domain::{HoldCause, LaneId, Outcome};
use sqlx::postgres::PgRow;
use sqlx::{Postgres, Row, Transaction};

use crate::{HoldProof, Recorded, Transition, codec};

/// The first pause of a target that does not say how long, and the longest.
const FIRST_PAUSE: Duration = Duration::from_mins(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(15);
/// Refusals in a row that hold a lane without proof from a second webhook.
const STRIKES: i32 = 3;

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

/// One lane while a batch is gone through.
#[derive(Debug, Default)]
struct Lane {
    held: bool,
    /// An enabled webhook uses it; else there is nothing to hold.
    in_use: bool,
    secret_rev: i64,
    strikes: i32,
    strike_webhook: Option<i64>,
    pause_step: i32,
    pause: Option<Duration>,
    hold: Option<(HoldCause, Duration)>,
}

/// The lanes that a batch touches, after it.
#[derive(Debug, Default)]
pub(super) struct LaneNews(BTreeMap<LaneId, Lane>);

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

fn read(row: &PgRow) -> Result<(LaneId, Lane), sqlx::Error> {
    let lane = Lane {
        held: row.try_get("held")?,
        in_use: row.try_get("in_use")?,
        secret_rev: row.try_get("secret_rev")?,
        strikes: row.try_get("strikes")?,
        strike_webhook: row.try_get("strike_webhook")?,
        pause_step: row.try_get("pause_step")?,
        ..Lane::default()
    };
    Ok((LaneId(row.try_get("id")?), lane))
}

impl Lane {
    fn take(&mut self, recorded: &Recorded) {
        match recorded.transition {
            Transition::HeldBack { cause, secret_rev, proof, probe_after, .. } => {
                if !self.held && self.in_use && secret_rev == self.secret_rev {
                    self.refused(recorded.webhook_id.0, proof, cause, probe_after);
                }
            }
            Transition::Limited { pause } => self.limited(pause),
            Transition::Delivered
            | Transition::Retry { .. }
            | Transition::Failed { .. }
            | Transition::Released => self.calm(recorded),
        }
    }

    fn refused(&mut self, webhook: i64, proof: HoldProof, cause: HoldCause, probe: Duration) {
        let proven = match proof {
            HoldProof::One => true,
            HoldProof::Several => {
                self.strikes + 1 >= STRIKES
                    || self.strike_webhook.is_some_and(|first| first != webhook)
            }
        };
        if proven {
            self.held = true;
            self.hold = Some((cause, probe));
            self.strikes = 0;
            self.strike_webhook = None;
        } else {
            self.strikes += 1;
            self.strike_webhook = Some(webhook);
        }
    }

    fn limited(&mut self, said: Option<Duration>) {
        let pause = said.unwrap_or_else(|| {
            let doublings = u32::try_from(self.pause_step).unwrap_or(0).min(8);
            self.pause_step = self.pause_step.saturating_add(1);
            FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE)
        });
        self.pause = self.pause.max(Some(pause));
    }

    fn calm(&mut self, recorded: &Recorded) {
        let Some(attempt) = &recorded.attempt else {
            return;
        };
        if is_answer(attempt.outcome) {
            self.strikes = 0;
            self.strike_webhook = None;
        }
        if attempt.outcome == Outcome::Accepted {
            self.pause_step = 0;
        }
    }
}

/// Whether an answer shows that the credential is alive.
pub(super) fn is_answer(outcome: Outcome) -> bool {
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

async fn write(
    tx: &mut Transaction<'static, Postgres>,
    news: &LaneNews,
) -> Result<(), sqlx::Error> {
    let lanes: Vec<(&LaneId, &Lane)> = news.0.iter().collect();
    let hold = |lane: &Lane| lane.hold.map(|(cause, _)| cause.as_str());
    let probe = |lane: &Lane| lane.hold.map(|(_, probe)| codec::millis(probe));
    sqlx::query(WRITE)
        .bind(lanes.iter().map(|(id, _)| id.0).collect::<Vec<_>>())
        .bind(lanes.iter().map(|(_, lane)| lane.strikes).collect::<Vec<_>>())
        .bind(lanes.iter().map(|(_, lane)| lane.strike_webhook).collect::<Vec<_>>())
        .bind(lanes.iter().map(|(_, lane)| lane.pause_step).collect::<Vec<_>>())
        .bind(lanes.iter().map(|(_, lane)| lane.pause.map(codec::millis)).collect::<Vec<_>>())
        .bind(lanes.iter().map(|(_, lane)| hold(lane)).collect::<Vec<_>>())
        .bind(lanes.iter().map(|(_, lane)| probe(lane)).collect::<Vec<_>>())
        .execute(&mut **tx)
        .await
        .map(drop)
}
