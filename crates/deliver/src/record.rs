//! Records outcomes in batches, then settles their copies (T6-T11; acknowledged after the
//! commit, pipelined).

use std::time::Duration;

use postrider_domain::LaneId;
use postrider_queue::{Settler, Tag};
use postrider_store::{Recorded, Store, StoreError, Transition};
use postrider_telemetry::step::{Step, reached};
use tokio::sync::mpsc;

/// Outcomes in one statement.
const BATCH_MAX: usize = 200;
/// How long a batch is filled while more is coming.
const LINGER: Duration = Duration::from_millis(10);

/// An outcome on its way to the store.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) recorded: Recorded,
    pub(crate) tag: Option<Tag>,
}

/// Lanes whose hold or pause is committed now.
pub(crate) type Committed = Vec<LaneId>;

/// The one task that records.
pub(crate) struct Recorder {
    pub(crate) store: Store,
    pub(crate) entries: mpsc::Receiver<Entry>,
    pub(crate) settler: Option<Settler>,
    pub(crate) committed: mpsc::Sender<Committed>,
}

impl Recorder {
    /// Runs until all senders are gone and everything is recorded. While the store is away it
    /// keeps what it has and tries again; the bounded channel behind it then stops new claims.
    pub(crate) async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while self.fill(&mut batch).await {
            self.flush(&batch).await;
            batch.clear();
        }
    }

    async fn fill(&mut self, batch: &mut Vec<Entry>) -> bool {
        if self.entries.recv_many(batch, BATCH_MAX).await == 0 {
            return false;
        }
        // Alone on an idle worker it goes at once; in company it waits for more.
        if batch.len() > 1 && batch.len() < BATCH_MAX {
            let deadline = tokio::time::Instant::now() + LINGER;
            while batch.len() < BATCH_MAX {
                let room = BATCH_MAX - batch.len();
                match tokio::time::timeout_at(deadline, self.entries.recv_many(batch, room)).await {
                    Ok(0) | Err(_) => break,
                    Ok(_) => {}
                }
            }
        }
        true
    }

    async fn flush(&self, batch: &[Entry]) {
        let outcomes: Vec<Recorded> = batch.iter().map(|entry| entry.recorded.clone()).collect();
        let mut pause = Duration::from_millis(50);
        loop {
            match self.store.record(&outcomes).await {
                Ok(report) => {
                    for (id, claim_no) in report.late {
                        tracing::warn!(delivery_id = %id, claim_no = claim_no.0, "outcome.late");
                    }
                    break;
                }
                Err(error @ StoreError::Unavailable(_)) => {
                    tracing::warn!(%error, waiting = outcomes.len(), "outcomes.not_recorded");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(1));
                }
                Err(error) => {
                    // Their claims expire and the attempts are made again, marked.
                    tracing::error!(%error, lost = outcomes.len(), "outcomes.unrecordable");
                    break;
                }
            }
        }
        reached(Step::Recorded, batch.len());
        self.settle(batch).await;
    }

    async fn settle(&self, batch: &[Entry]) {
        if let Some(settler) = &self.settler {
            settler.ack(batch.iter().filter_map(|entry| entry.tag));
        }
        reached(Step::Settled, batch.len());
        let closed = closed_lanes(batch);
        if !closed.is_empty() && self.committed.send(closed).await.is_err() {
            tracing::debug!("the worker has stopped listening");
        }
    }
}

fn closed_lanes(batch: &[Entry]) -> Committed {
    let closes = |transition: &Transition| match transition {
        Transition::HeldBack { .. } | Transition::Limited { .. } => true,
        Transition::Delivered
        | Transition::Retry { .. }
        | Transition::Failed { .. }
        | Transition::Released => false,
    };
    let mut lanes: Vec<LaneId> = batch
        .iter()
        .filter(|entry| closes(&entry.recorded.transition))
        .map(|entry| entry.recorded.lane_id)
        .collect();
    lanes.sort_unstable();
    lanes.dedup();
    lanes
}
