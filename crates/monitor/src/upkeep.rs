//! What keeps the store in order: retention, lanes as settings say, holds that end by themselves.

use std::time::Duration;

use postrider_domain::LaneRules;
use postrider_store::{Author, LaneSpec, Store, StoreError};
use tokio::time::{Instant, sleep};

/// Rows that retention looks at in one statement.
const PRUNE_CHUNK: u32 = 2_000;
/// Statements about incidents in one round of retention.
const PRUNE_CHUNKS_MAX: u32 = 200;
/// How long after its end retention begins again, and the upkeep of lanes.
pub(crate) const PRUNE_EVERY: Duration = Duration::from_mins(10);
pub(crate) const LANES_EVERY: Duration = Duration::from_mins(10);
/// Events that get their pair in one statement.
const HASH_CHUNK: u32 = 2_000;
/// Such statements of one round, with pauses as long as they took.
const HASH_CHUNKS_MAX: u32 = 1_000;
/// Idempotency keys live this long.
const KEEP_KEYS: Duration = Duration::from_hours(7 * 24);

/// Does it, each part when it is called.
#[derive(Debug)]
pub(crate) struct Upkeep {
    pub(crate) store: Store,
    /// How long history is kept.
    pub(crate) retention: Duration,
    /// Limits that lanes should have.
    pub(crate) lanes: LaneRules,
}

impl Upkeep {
    /// L10: settings may have changed since a lane was made.
    async fn sync_lanes(&self) -> Result<(), StoreError> {
        let lanes = self.store.lanes().await?;
        let specs: Vec<LaneSpec> = lanes
            .into_iter()
            .map(|lane| {
                let (limit, limits) = self.lanes.limit_of(&lane.name);
                LaneSpec { name: lane.name, limit, limits }
            })
            .collect();
        let author = Author { who: "settings".to_owned(), route: "settings".to_owned() };
        let changed = self.store.by(author).sync_lanes(&specs).await?;
        if changed > 0 {
            tracing::info!(changed, "lanes.limits_changed");
        }
        Ok(())
    }

    /// Forgets what is older than it has to be kept.
    pub(crate) async fn prune(&self) -> Result<(), StoreError> {
        let keep = self.retention;
        self.store.prune(keep, KEEP_KEYS, PRUNE_CHUNK).await?;
        for _ in 0..PRUNE_CHUNKS_MAX {
            if self.store.prune_incidents(keep, PRUNE_CHUNK).await? == 0 {
                break;
            }
        }
        self.store.prune_pairs(keep).await?;
        for _ in 0..PRUNE_CHUNKS_MAX {
            if self.store.prune_audit(keep, PRUNE_CHUNK).await? < u64::from(PRUNE_CHUNK) {
                break;
            }
        }
        Ok(())
    }

    /// Limits as settings say, events of before that have no pair yet, and what nothing refers
    /// to any more.
    pub(crate) async fn look_after_lanes(&self) -> Result<(), StoreError> {
        self.sync_lanes().await?;
        for _ in 0..HASH_CHUNKS_MAX {
            let began = Instant::now();
            if self.store.hash_events(HASH_CHUNK).await? == 0 {
                break;
            }
            sleep(began.elapsed()).await;
        }
        self.store.prune_webhooks(self.retention, PRUNE_CHUNK).await.map(drop)
    }

    /// L8: lanes that were held by hand until a time.
    pub(crate) async fn open_due_holds(&self) -> Result<(), StoreError> {
        let author = Author { who: "postrider".to_owned(), route: "lanes/hold until".to_owned() };
        self.store.by(author).release_due_holds().await.map(drop)
    }
}
