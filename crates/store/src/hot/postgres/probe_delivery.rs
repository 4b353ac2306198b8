//! The one delivery that may leave a held lane, or that of a parked webhook: where no read proves a
//! credential, the holder of the probe sends one delivery instead.
//!
//! Under a limit it is a claim like any other (T5): the limit's row is locked first, old claims
//! are waited for, it counts in the hour and takes its turn.

use postrider_domain::{HourBudget, LaneId, WebhookId};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::PostgresStore;
use super::claims_limited::{count, free_in_hour, lock_limit};
use super::fault::Fault;
use super::fragments::{aside, claim, claim_end, claimed, event, webhook};
use super::rows::{get, readable};
use crate::lanes::Probed;
use crate::{Claim, ClaimProbeDelivery, Lease, StoreError, codec};

/// Whether the lane `l` is one of limit `$4`, whose row is locked; without one it has to be
/// unlimited.
macro_rules! of_limit {
    () => {
        "(select case when m.limited then m.id = $4 \
         else $4::bigint is null and m.pause_until <= now() end \
         from limits m where m.id = l.limit_id)"
    };
}

/// Lane `$1`, held, but not by hand, under generation `$2` with secret revision `$3`.
const LOCK_HELD: &str = concat!(
    "select l.secret_rev, l.probe_newest, l.probe_last from lanes l \
     where l.id = $1 and l.hold_cause <> 'manual' and l.hold_gen = $2 and l.secret_rev = $3 \
     and ",
    of_limit!(),
    " for update of l"
);

/// Webhook `$5` of lane `$1`, which is open, parked under generation `$2` with revision `$3`.
const LOCK_PARKED: &str = concat!(
    "select l.secret_rev, w.probe_newest, w.probe_last from webhooks w \
     join lanes l on l.id = w.lane_id \
     where w.id = $5 and l.id = $1 and w.hold_cause = 'credential' and w.hold_gen = $2 \
     and w.secrets_rev = $3 and w.state = 'enabled' and l.hold_cause is null and ",
    of_limit!(),
    " for no key update of w"
);

/// What waits in lane `$1` and may be probed: of webhook `$2`, if one is parked, what stands
/// aside, else what is due. `$lower` and `$order` say where to begin.
macro_rules! find {
    ($beyond:literal, $order:literal) => {
        concat!(
            "select d.id from deliveries d where d.lane_id = $1 \
             and d.next_at >= case when $2::bigint is null then '-infinity' else ",
            aside!("$2::bigint"),
            " end and d.next_at <= case when $2::bigint is null then now() else ",
            aside!("$2::bigint"),
            " end and ",
            $beyond,
            "d.status = 'waiting' and d.lost_claims < 3 and d.execution_until is null \
             and (select w.state = 'enabled' and (w.hold_cause is null or w.id = $2) \
             from webhooks w where w.id = d.webhook_id and w.lane_id = d.lane_id) ",
            $order,
            " limit 1 for update of d skip locked"
        )
    };
}

const FIND_NEWEST: &str = find!("", "order by d.next_at desc, d.id desc");

/// After `$4`, if that still waits; the newest (`$3`) had its turn.
const FIND_NEXT: &str = find!(
    "(d.next_at, d.id) > (coalesce((select x.next_at from deliveries x where x.id = $4), \
     '-infinity'), coalesce($4, '00000000-0000-0000-0000-000000000000'::uuid)) \
     and d.id <> $3 and ",
    "order by d.next_at, d.id"
);

/// CLAIM of `$4`, whose row is locked, under secret revision `$5` and epoch `$6`.
const CANARY: &str = concat!(
    "with picked as (select d.id, d.webhook_id from deliveries d where d.id = $4), \
     claimed as (update deliveries d set ",
    claim!(),
    ", claim_epoch = $6, next_at = ",
    claim_end!(),
    " from picked p ",
    webhook!(),
    "cross join lateral (select $5::bigint as secret_rev) l \
     where d.id = p.id returning ",
    claimed!(),
    ") select c.*, e.body, e.traceparent from claimed c ",
    event!()
);

const PROBED_LANE: &str = "
update lanes set probe_step = probe_step + 1, probe_newest = $2, probe_last = $3 where id = $1";

const PROBED_WEBHOOK: &str = "
update webhooks set probe_step = probe_step + 1, probe_newest = $2, probe_last = $3 where id = $1";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("lock_held", LOCK_HELD),
    ("lock_parked", LOCK_PARKED),
    ("find_newest", FIND_NEWEST),
    ("find_next", FIND_NEXT),
    ("claim_probe_delivery", CANARY),
    ("probed_lane", PROBED_LANE),
    ("probed_webhook", PROBED_WEBHOOK),
];

impl PostgresStore {
    pub(crate) async fn claim_probe_delivery(
        &self,
        asked: ClaimProbeDelivery,
    ) -> Result<Option<Claim>, StoreError> {
        self.step("claim_probe_delivery", |conn| {
            Box::pin(async move {
                let mut tx = conn.begin().await?;
                let claimed = match asked.lease {
                    Some(lease) => self.claim_led(&mut tx, asked, lease).await?,
                    None => claim(&mut tx, asked).await?,
                };
                match asked.lease {
                    _ if claimed.is_none() => tx.rollback().await?,
                    Some(lease) => {
                        count(&mut tx, lease.limit, 1, asked.interval).await?;
                        tx.commit().await?;
                    }
                    None => tx.commit().await?,
                }
                Ok::<_, Fault>(claimed)
            })
        })
        .await
    }

    async fn claim_led(
        &self,
        tx: &mut PgConnection,
        asked: ClaimProbeDelivery,
        lease: Lease,
    ) -> Result<Option<Claim>, Fault> {
        let Some(led) = lock_limit(tx, lease).await? else {
            return Ok(None);
        };
        if self.has_old_claims(tx, lease).await? {
            return Ok(None);
        }
        match free_in_hour(tx, lease.limit, led).await? {
            HourBudget::Free(_) => claim(tx, asked).await,
            HourBudget::Full { .. } => Ok(None),
        }
    }
}

async fn claim(conn: &mut PgConnection, asked: ClaimProbeDelivery) -> Result<Option<Claim>, Fault> {
    let ClaimProbeDelivery { lane, probe, lease, terms, .. } = asked;
    let held = sqlx::query(if probe.webhook.is_some() { LOCK_PARKED } else { LOCK_HELD })
        .bind(lane.0)
        .bind(probe.hold_gen)
        .bind(probe.secret_rev)
        .bind(lease.map(|lease| lease.limit.0));
    let held = match probe.webhook {
        Some(webhook) => held.bind(webhook.0),
        None => held,
    };
    let Some(held) = held.fetch_optional(&mut *conn).await? else { return Ok(None) };
    let probed = Probed { newest: get(&held, "probe_newest")?, last: get(&held, "probe_last")? };
    let Some((id, probed)) = find(conn, lane, probe.webhook, probed).await? else {
        return Ok(None);
    };
    let claimed = sqlx::query(CANARY)
        .bind(terms.worker.0)
        .bind(codec::millis(terms.timeout))
        .bind(codec::millis(terms.margin))
        .bind(id)
        .bind(get::<i64, _>(&held, "secret_rev")?)
        .bind(lease.map_or(0, |lease| lease.epoch))
        .fetch_optional(&mut *conn)
        .await?;
    let (statement, of) = match probe.webhook {
        Some(webhook) => (PROBED_WEBHOOK, webhook.0),
        None => (PROBED_LANE, lane.0),
    };
    let noted = sqlx::query(statement).bind(of).bind(probed.newest).bind(probed.last);
    noted.execute(conn).await?;
    Ok(claimed.and_then(|row| readable(&row, terms)))
}

/// The one whose turn it is; a round that is at its end begins anew.
async fn find(
    conn: &mut PgConnection,
    lane: LaneId,
    webhook: Option<WebhookId>,
    probed: Probed,
) -> Result<Option<(Uuid, Probed)>, Fault> {
    let webhook = webhook.map(|webhook| webhook.0);
    if probed.newest.is_some() {
        let next: Option<Uuid> = sqlx::query_scalar(FIND_NEXT)
            .bind(lane.0)
            .bind(webhook)
            .bind(probed.newest)
            .bind(probed.last)
            .fetch_optional(&mut *conn)
            .await?;
        if let Some(next) = next {
            return Ok(Some((next, probed.then(next))));
        }
    }
    let newest: Option<Uuid> =
        sqlx::query_scalar(FIND_NEWEST).bind(lane.0).bind(webhook).fetch_optional(conn).await?;
    Ok(newest.map(|newest| (newest, Probed::default().then(newest))))
}
