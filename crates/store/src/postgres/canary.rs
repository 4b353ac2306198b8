//! The one delivery that may leave a held lane: where no read proves a credential, the holder
//! of the lane's probe sends one delivery instead.

use postrider_domain::LaneId;

use super::Pg;
use super::fragments::{claim, claimed};
use super::rows::{self, fault};
use crate::{Claim, ClaimTerms, Lease, ProbeClaim, StoreError, codec};

/// CLAIM of the oldest due delivery of lane `$3`, held for its credential under generation `$4`
/// with secret revision `$5`; a limited lane only for its leader (`$6`, epoch `$7`).
const CANARY: &str = concat!(
    "with held as (select l.id from lanes l \
     where l.id = $3 and l.hold_cause = 'credential' and l.hold_gen = $4 \
     and l.secret_rev = $5 and l.pause_until <= now() \
     and (not l.limited or l.owner = $6 and l.epoch = $7 and l.lease_until > now()) \
     for update of l), \
     picked as (select d.id from held h, deliveries d, webhooks w \
     where d.lane_id = h.id and d.next_at <= now() and d.status = 'waiting' \
     and d.lost_claims < 3 and d.execution_until is null and w.id = d.webhook_id + 0 and w.state = 'enabled' \
     and d.lane_id = w.lane_id \
     order by d.next_at, d.id limit 1 for update of d skip locked) \
     update deliveries d set ",
    claim!(),
    ", claim_epoch = coalesce($7, 0), next_at = now() + $2 * interval '1 millisecond' \
     from picked p, webhooks w, lanes l, events e \
     where d.id = p.id and w.id = d.webhook_id and l.id = d.lane_id and e.id = d.event_id \
     returning ",
    claimed!()
);

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[("claim_canary", CANARY)];

impl Pg {
    pub(crate) async fn claim_canary(
        &self,
        lane: LaneId,
        probe: ProbeClaim,
        lease: Option<Lease>,
        terms: ClaimTerms,
    ) -> Result<Option<Claim>, StoreError> {
        let found = sqlx::query(CANARY)
            .bind(terms.worker.0)
            .bind(codec::millis(terms.length))
            .bind(lane.0)
            .bind(probe.hold_gen)
            .bind(probe.secret_rev)
            .bind(lease.map(|lease| lease.worker.0))
            .bind(lease.map(|lease| lease.epoch))
            .fetch_optional(&self.pool)
            .await
            .map_err(fault)?;
        found.as_ref().map(rows::claim).transpose()
    }
}
