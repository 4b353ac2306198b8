//! UNCLAIM.

use std::collections::HashSet;

use postrider_domain::{ClaimNo, DeliveryId};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::SqliteStore;
use super::claims_limited::{OLD_CLAIMS_WITHIN, give_back};
use super::clock;
use super::fault::Fault;
use super::rows::json;
use super::writer::Turn;
use crate::{Lease, StoreError, Unclaim, UnclaimNo, Unsettled, WorkerId};

/// What may be given back.
#[derive(Debug)]
enum Scope {
    /// These deliveries, as JSON.
    Ids(String),
    /// What is claimed without a lease in these lanes, as JSON.
    Lanes(String),
    Lease(Lease),
}

/// What stays claimed.
#[derive(Debug)]
struct Keeps {
    live: HashSet<(DeliveryId, ClaimNo)>,
    pending: HashSet<DeliveryId>,
}

impl SqliteStore {
    pub(crate) async fn unclaim(&self, asked: Unclaim<'_>) -> Result<Option<u64>, StoreError> {
        let Unclaim { worker, number, claim, kept } = asked;
        let scope = match claim {
            Unsettled::Fresh(ids) => Scope::Ids(json(ids)?),
            Unsettled::Due(lanes) => Scope::Lanes(json(lanes)?),
            Unsettled::Limited(lease) => Scope::Lease(lease),
        };
        let keeps = Keeps {
            live: kept.live.iter().copied().collect(),
            pending: kept.pending.iter().copied().collect(),
        };
        self.write((worker, number, scope, keeps), |(worker, number, scope, keeps), turn| {
            Box::pin(async move {
                if is_late(*worker, *number, turn).await? {
                    return Ok(None);
                }
                unclaim(*worker, scope, keeps, turn).await.map(Some)
            })
        })
        .await
    }
}

/// `UNCLAIM_NO`; also where the worker has no heartbeat.
async fn is_late(worker: WorkerId, number: UnclaimNo, turn: &mut Turn) -> Result<bool, Fault> {
    let numbered =
        sqlx::query("UPDATE workers SET unclaim_no = ?2 WHERE id = ?1 AND unclaim_no < ?2")
            .bind(worker.0)
            .bind(number.0)
            .execute(&mut turn.conn)
            .await?;
    Ok(numbered.rows_affected() == 0)
}

async fn unclaim(
    worker: WorkerId,
    scope: &Scope,
    keeps: &Keeps,
    turn: &mut Turn,
) -> Result<u64, Fault> {
    let held = held(worker, scope, turn).await?;
    let mine: Vec<_> = held
        .into_iter()
        .filter(|(id, claim_no)| {
            !keeps.live.contains(&(*id, *claim_no)) && !keeps.pending.contains(id)
        })
        .collect();
    if mine.is_empty() {
        return Ok(0);
    }
    if let Scope::Lease(lease) = scope {
        // Counted where it was counted, or not at all.
        give_back(&json(&mine)?, Some(lease.limit), turn).await?;
    }
    let ids: Vec<_> = mine.iter().map(|(id, _)| *id).collect();
    let unclaimed = sqlx::query(
        "UPDATE deliveries
         SET status = 'waiting', attempt = attempt - 1,
             next_at = CASE WHEN execution_until IS NULL THEN created_at ELSE 0 END,
             claimed_by = NULL, claimed_until = NULL, updated_at = ?2
         WHERE id IN (SELECT unhex(value, '-') FROM json_each(?1))",
    )
    .bind(json(&ids)?)
    .bind(turn.now)
    .execute(&mut turn.conn)
    .await?;
    Ok(unclaimed.rows_affected())
}

/// What the worker has claimed in the scope. A claimed row's `next_at` lies at the claim's end,
/// so what is due need not be looked at.
async fn held(
    worker: WorkerId,
    scope: &Scope,
    turn: &mut Turn,
) -> Result<Vec<(DeliveryId, ClaimNo)>, Fault> {
    let (lanes, epoch, until) = match scope {
        Scope::Lanes(lanes) => (lanes.clone(), 0, i64::MAX),
        Scope::Lease(lease) => {
            let until = clock::later(turn.now, OLD_CLAIMS_WITHIN);
            (lanes_of(*lease, turn).await?, lease.epoch, until)
        }
        Scope::Ids(ids) => {
            let rows = sqlx::query(
                "SELECT id, claim_no FROM deliveries
                 WHERE id IN (SELECT unhex(value, '-') FROM json_each(?1))
                   AND status = 'sending' AND claimed_by = ?2 AND claim_no = 1
                   AND claim_epoch = 0",
            )
            .bind(ids)
            .bind(worker.0)
            .fetch_all(&mut turn.conn)
            .await?;
            return rows.iter().map(claim).collect();
        }
    };
    let rows = sqlx::query(
        "SELECT d.id, d.claim_no FROM json_each(?1) l
         CROSS JOIN deliveries d INDEXED BY deliveries_due ON d.lane_id = l.value
         WHERE d.next_at > ?4 AND d.next_at <= ?5 AND d.status = 'sending' AND d.claimed_by = ?2
           AND d.claim_epoch = ?3",
    )
    .bind(lanes)
    .bind(worker.0)
    .bind(epoch)
    .bind(turn.now)
    .bind(until)
    .fetch_all(&mut turn.conn)
    .await?;
    rows.iter().map(claim).collect()
}

fn claim(row: &SqliteRow) -> Result<(DeliveryId, ClaimNo), Fault> {
    Ok((DeliveryId(row.try_get("id")?), ClaimNo(row.try_get("claim_no")?)))
}

/// Row numbers of the lanes in which a claim under the lease may lie, as JSON: of its limit, and
/// those that may have left it since, as the claim's epoch tells, which no other limit that this
/// worker leads may have too.
async fn lanes_of(lease: Lease, turn: &mut Turn) -> Result<String, Fault> {
    let lanes: Vec<i64> = sqlx::query_scalar(
        "SELECT l.id FROM lanes l CROSS JOIN limits m ON m.id = l.limit_id
         WHERE m.id = ?1 OR m.owner IS NOT ?2 OR m.epoch <> ?3",
    )
    .bind(lease.limit.0)
    .bind(lease.worker.0)
    .bind(lease.epoch)
    .fetch_all(&mut turn.conn)
    .await?;
    json(&lanes)
}
