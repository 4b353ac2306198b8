//! T3, T4: claims on unlimited lanes.

use postrider_domain::DeliveryId;
use sqlx::postgres::PgRow;

use super::PostgresStore;
use super::fragments::{claim, claim_end, claimed, event, open_lane, sendable, webhook};
use super::rows::{self, uuids};
use crate::{Claim, ClaimTerms, LaneShare, StoreError, codec};

/// T3, with making due what can't go, in one statement. The instant of the sweep is kept when it
/// lies behind the claim: then no index changes and the claim is a HOT update. `$4`: ids that
/// messages named; when all of them were claimed nothing more is looked at.
const FRESH: &str = concat!(
    "with claimed as (update deliveries d set ",
    claim!(),
    ", claim_epoch = 0, next_at = greatest(d.next_at, ",
    claim_end!(),
    ") from (select id, webhook_id, lane_id from deliveries \
     where id = any($4) and status = 'waiting' and claim_no = 0) p ",
    webhook!(),
    open_lane!("p.lane_id"),
    "where d.id = p.id and d.status = 'waiting' and d.claim_no = 0 and d.lane_id = w.lane_id \
     and case when d.execution_until is null then w.state = 'enabled' and w.hold_cause is null \
     else d.execution_until > now() end \
     returning ",
    claimed!(),
    "), left_over as (select (select count(*) from claimed) < cardinality($4) as is_some), \
     due as (update deliveries d set next_at = d.created_at, updated_at = now() \
     where (select is_some from left_over) and d.id = any($4) and d.status = 'waiting' \
     and d.claim_no = 0 and d.next_at > now() \
     and (select not l.limited and (l.hold_cause is not null or m.id is null \
     or m.pause_until > now()) \
     from lanes l left join limits m on m.id = l.limit_id where l.id = d.lane_id)) \
     select c.*, e.body, e.traceparent from claimed c ",
    event!()
);

/// T4 for lanes `$4`, of each at most `$5`; `$6` asks for a suspect.
const DUE: &str = concat!(
    "with picked as (select d.id, d.next_at, d.webhook_id, l.secret_rev \
     from unnest($4::bigint[], $5::integer[]) as u (lane_id, most) ",
    open_lane!("u.lane_id"),
    "cross join lateral (select d.id, d.next_at, d.webhook_id from deliveries d \
     where d.lane_id = u.lane_id and d.next_at <= now() and d.status = 'waiting' \
     and (d.lost_claims >= 3) = $6 and ",
    sendable!(),
    " order by d.next_at, d.id limit u.most for update of d skip locked) d \
     limit case when $6 then 1 end), \
     claimed as (update deliveries d set ",
    claim!(),
    ", claim_epoch = 0, next_at = ",
    claim_end!(),
    " from picked p ",
    webhook!(),
    "cross join lateral (select p.secret_rev) l \
     where d.id = p.id returning p.next_at as turn, ",
    claimed!(),
    ") select c.*, e.body, e.traceparent from claimed c ",
    event!()
);

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[("claim_fresh", FRESH), ("claim_due", DUE)];

impl PostgresStore {
    pub(crate) async fn claim_fresh(
        &self,
        ids: &[DeliveryId],
        terms: ClaimTerms,
    ) -> Result<Vec<Claim>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut ids = uuids(ids);
        ids.sort_unstable();
        ids.dedup();
        let ids = &ids;
        let found = self
            .step("claim_fresh", |conn| {
                Box::pin(async move {
                    sqlx::query(FRESH)
                        .bind(terms.worker.0)
                        .bind(codec::millis(terms.timeout))
                        .bind(codec::millis(terms.margin))
                        .bind(ids)
                        .fetch_all(&mut **conn)
                        .await
                })
            })
            .await?;
        let mut claims: Vec<Claim> =
            found.iter().filter_map(|row| rows::readable(row, terms)).collect();
        claims.sort_unstable_by_key(|claim| claim.id);
        Ok(claims)
    }

    pub(crate) async fn claim_due(
        &self,
        shares: &[LaneShare],
        suspect: bool,
        terms: ClaimTerms,
    ) -> Result<Vec<Claim>, StoreError> {
        let lanes: Vec<i64> = shares.iter().map(|share| share.lane.0).collect();
        let most = |share: &LaneShare| if suspect { 1 } else { codec::narrow(share.limit) };
        let most: Vec<i32> = shares.iter().map(most).collect();
        let (lanes, most) = (&lanes, &most);
        let found = self
            .step("claim_due", |conn| {
                Box::pin(async move {
                    sqlx::query(DUE)
                        .bind(terms.worker.0)
                        .bind(codec::millis(terms.timeout))
                        .bind(codec::millis(terms.margin))
                        .bind(lanes)
                        .bind(most)
                        .bind(suspect)
                        .fetch_all(&mut **conn)
                        .await
                })
            })
            .await?;
        Ok(in_turn(&found, terms))
    }
}

/// Claims in the order in which they were due.
pub(super) fn in_turn(found: &[PgRow], terms: ClaimTerms) -> Vec<Claim> {
    let mut claims: Vec<_> = found
        .iter()
        .filter_map(|row| Some((rows::at(row, "turn").ok()?, rows::readable(row, terms)?)))
        .collect();
    claims.sort_unstable_by_key(|(turn, claim)| (*turn, claim.id));
    claims.into_iter().map(|(_, claim)| claim).collect()
}
