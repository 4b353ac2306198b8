//! T3, T4: claims on unlimited lanes.

use postrider_domain::{DeliveryId, LaneId};
use sqlx::postgres::PgRow;

use super::Pg;
use super::fragments::{claim, claimed, open};
use super::rows::{self, fault, is_conflict, uuids};
use crate::{Claim, ClaimTerms, StoreError, codec};

/// T3. The instant of the sweep is kept when it lies behind the claim: then no index changes
/// and the claim is a HOT update. `$3`: the copies' ids.
const ROAD: &str = concat!(
    "update deliveries d set ",
    claim!(),
    ", claim_epoch = 0, next_at = greatest(d.next_at, now() + $2 * interval '1 millisecond') \
     from webhooks w, lanes l, events e \
     where d.id = any($3) and d.status = 'waiting' and d.claim_no = 0 and not l.limited \
     and e.id = d.event_id and ",
    open!(),
    " returning ",
    claimed!()
);

/// What the road brought for a lane that is held or paused becomes due, so that it goes when
/// the lane opens and not when the sweep comes.
const ROAD_CLOSED: &str = "
update deliveries d set next_at = d.created_at, updated_at = now()
from lanes l
where d.id = any($1) and d.status = 'waiting' and d.claim_no = 0 and d.next_at > now()
    and l.id = d.lane_id and not l.limited
    and (l.hold_cause is not null or l.pause_until > now())";

/// T4 for lane `$3`; `$4` is the most to claim, `$5` asks for a suspect.
const DUE: &str = concat!(
    "with picked as (select d.id, d.next_at from deliveries d, webhooks w, lanes l \
     where d.lane_id = $3 and d.next_at <= now() and d.status = 'waiting' \
     and (d.lost_claims >= 3) = $5 and not l.limited and ",
    open!(),
    " order by d.next_at, d.id limit $4 for update of d skip locked) \
     update deliveries d set ",
    claim!(),
    ", claim_epoch = 0, next_at = now() + $2 * interval '1 millisecond' \
     from picked p, webhooks w, lanes l, events e \
     where d.id = p.id and w.id = d.webhook_id and l.id = d.lane_id and e.id = d.event_id \
     returning p.next_at as turn, ",
    claimed!()
);

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] =
    &[("claim_road", ROAD), ("claim_road_closed", ROAD_CLOSED), ("claim_due", DUE)];

/// Tries of a claim that loses a deadlock against another claim of the same copies.
const TRIES: u32 = 5;

impl Pg {
    pub(crate) async fn claim_road(
        &self,
        ids: &[DeliveryId],
        terms: ClaimTerms,
    ) -> Result<Vec<Claim>, StoreError> {
        let mut tries = 0;
        let found = loop {
            tries += 1;
            match self.claim_road_once(ids, terms).await {
                Err(error) if is_conflict(&error) && tries < TRIES => {}
                done => break done.map_err(fault)?,
            }
        };
        if found.len() < ids.len() {
            let closed = sqlx::query(ROAD_CLOSED).bind(uuids(ids)).execute(&self.pool);
            closed.await.map_err(fault)?;
        }
        let mut claims = found.iter().map(rows::claim).collect::<Result<Vec<_>, _>>()?;
        claims.sort_unstable_by_key(|claim| claim.id);
        Ok(claims)
    }

    async fn claim_road_once(
        &self,
        ids: &[DeliveryId],
        terms: ClaimTerms,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        sqlx::query(ROAD)
            .bind(terms.worker.0)
            .bind(codec::millis(terms.length))
            .bind(uuids(ids))
            .fetch_all(&self.pool)
            .await
    }

    pub(crate) async fn claim_due(
        &self,
        lane: LaneId,
        limit: u32,
        suspect: bool,
        terms: ClaimTerms,
    ) -> Result<Vec<Claim>, StoreError> {
        let found = sqlx::query(DUE)
            .bind(terms.worker.0)
            .bind(codec::millis(terms.length))
            .bind(lane.0)
            .bind(if suspect { 1 } else { i64::from(limit) })
            .bind(suspect)
            .fetch_all(&self.pool)
            .await
            .map_err(fault)?;
        in_turn(&found)
    }
}

/// Claims in the order in which they were due.
pub(super) fn in_turn(found: &[PgRow]) -> Result<Vec<Claim>, StoreError> {
    let mut claims = found
        .iter()
        .map(|row| Ok((rows::at(row, "turn")?, rows::claim(row)?)))
        .collect::<Result<Vec<_>, StoreError>>()?;
    claims.sort_unstable_by_key(|(turn, claim)| (*turn, claim.id));
    Ok(claims.into_iter().map(|(_, claim)| claim).collect())
}
