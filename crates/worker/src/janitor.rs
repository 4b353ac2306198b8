//! J1-J6, E6: gives back claims that ran out, follows webhooks to their lanes, discards what no
//! webhook wants any more, moves aside what parked webhooks have waiting. Looks at no lane's state
//! and holds no lease (EXPIRE, REASSIGN, DISCARD).
//!
//! A claim lasts as long as its webhook's time-out, `POSTRIDER_CLAIM_MARGIN` and a second, and the
//! janitor of any worker looks every `POSTRIDER_JANITOR_INTERVAL`: what a dead worker had in hand
//! is back, marked as a possible duplicate, within 24 s by default.

use std::time::Duration;

use postrider_store::{Expired, GivenBack, Store, StoreError};
use postrider_telemetry::Metrics;
use tokio_util::sync::CancellationToken;

/// Rows in one statement.
const CHUNK: u32 = 500;
/// Statements of one kind in one round.
const CHUNKS_MAX: u32 = 20;
/// How long a test that is over can be looked up.
const KEEP_EXECUTIONS: Duration = Duration::from_hours(1);
/// After the store came back, claims whose outcomes wait in the workers are left alone this
/// long: it saves duplicates that need not be.
const AFTER_OUTAGE: Duration = Duration::from_secs(5);

/// Runs until cancelled.
pub(crate) async fn run(
    store: Store,
    metrics: Metrics,
    every: Duration,
    cancel: CancellationToken,
) {
    let mut wait = every;
    while cancel.run_until_cancelled(tokio::time::sleep(wait)).await.is_some() {
        wait = match round(&store, &metrics).await {
            Ok(()) => every,
            Err(error) => {
                tracing::warn!(%error, "janitor.failed");
                every.max(AFTER_OUTAGE)
            }
        };
    }
}

/// Tells of claims that were given back; whether that was a whole chunk.
fn tell(expired: &Expired, metrics: &Metrics, what: &str) -> bool {
    metrics.finished("failed", expired.poisoned.len() as u64);
    for id in &expired.poisoned {
        tracing::error!(delivery_id = %id, "delivery.poisoned");
    }
    let done = expired.given_back.len() + expired.poisoned.len();
    if done > 0 {
        tracing::warn!(given_back = expired.given_back.len(), "{what}");
    }
    done >= CHUNK as usize
}

/// What workers left that have gone silent (HEARTBEAT).
async fn give_back(store: &Store, metrics: &Metrics) -> Result<(), StoreError> {
    let mut after = None;
    for _ in 0..CHUNKS_MAX {
        let Some(GivenBack { worker, expired, complete }) = store.give_back(after, CHUNK).await?
        else {
            break;
        };
        if complete {
            tracing::warn!(worker = %worker.0, "worker.gone");
        }
        if !tell(&expired, metrics, "claims.given_back") {
            after = Some(worker);
        }
    }
    Ok(())
}

async fn round(store: &Store, metrics: &Metrics) -> Result<(), StoreError> {
    store.adopt_lanes().await?;
    for _ in 0..CHUNKS_MAX {
        if !tell(&store.expire_claims(CHUNK).await?, metrics, "claims.expired") {
            break;
        }
    }
    give_back(store, metrics).await?;
    for lane in store.end_leases_ahead().await? {
        tracing::warn!(lane, "lease.ended_too_far_ahead");
    }
    for _ in 0..CHUNKS_MAX {
        if store.reassign_lanes(CHUNK).await? < u64::from(CHUNK) {
            break;
        }
    }
    for _ in 0..CHUNKS_MAX {
        let discarded = store.discard(CHUNK).await?;
        metrics.finished("discarded", discarded);
        if discarded < u64::from(CHUNK) {
            break;
        }
    }
    for _ in 0..CHUNKS_MAX {
        if store.sort_parked(CHUNK).await? < u64::from(CHUNK) {
            break;
        }
    }
    for _ in 0..CHUNKS_MAX {
        let swept = store.sweep_executions(KEEP_EXECUTIONS, CHUNK).await?;
        if swept.withdrawn.max(swept.dropped) < u64::from(CHUNK) {
            break;
        }
    }
    Ok(())
}
