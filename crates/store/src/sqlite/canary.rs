//! The one delivery that may leave a held lane: where no read proves a credential, the holder
//! of the lane's probe sends one delivery instead.

use postrider_domain::LaneId;

use super::Lite;
use super::claims::{Pick, Right, due, take};
use super::fault::Fault;
use super::writer::Turn;
use crate::{Claim, ClaimTerms, Lease, ProbeClaim, StoreError};

impl Lite {
    pub(crate) async fn claim_canary(
        &self,
        lane: LaneId,
        probe: ProbeClaim,
        lease: Option<Lease>,
        terms: ClaimTerms,
    ) -> Result<Option<Claim>, StoreError> {
        self.write((lane, probe, lease, terms), |(lane, probe, lease, terms), turn| {
            Box::pin(claim_canary(*lane, *probe, *lease, *terms, turn))
        })
        .await
    }
}

async fn claim_canary(
    lane: LaneId,
    probe: ProbeClaim,
    lease: Option<Lease>,
    terms: ClaimTerms,
    turn: &mut Turn,
) -> Result<Option<Claim>, Fault> {
    let held: Option<i64> = sqlx::query_scalar(
        "SELECT id FROM lanes
         WHERE id = ?1 AND hold_cause = 'credential' AND hold_gen = ?2 AND secret_rev = ?3
           AND coalesce(pause_until, 0) <= ?4
           AND (NOT limited OR owner = ?5 AND epoch = ?6 AND lease_until > ?4)",
    )
    .bind(lane.0)
    .bind(probe.hold_gen)
    .bind(probe.secret_rev)
    .bind(turn.now)
    .bind(lease.map(|lease| lease.worker.0))
    .bind(lease.map(|lease| lease.epoch))
    .fetch_optional(&mut turn.conn)
    .await?;
    if held.is_none() {
        return Ok(None);
    }
    let claims = due(lane, Pick { limit: 1, suspect: false, executions: false }, turn).await?;
    let epoch = lease.map_or(0, |lease| lease.epoch);
    take(&claims, Right { terms, epoch, road: false }, turn).await?;
    Ok(claims.into_iter().next())
}
