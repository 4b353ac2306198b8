//! Records outcomes in batches (T6-T11).

use std::sync::Arc;
use std::time::Duration;

use postrider_domain::LaneId;
use postrider_store::{RecordReport, Recorded, Store, StoreError, Transition};
use postrider_telemetry::Supervisor;
use postrider_telemetry::step::{Step, reached};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::driver::OutsideEvent;
use crate::live::LiveClaims;
use postrider_scheduler::ClaimKey;

/// Outcomes in one statement.
const BATCH_MAX: usize = 200;
/// How long a batch is filled while more is coming.
const LINGER: Duration = Duration::from_millis(10);

/// The one task that records.
#[derive(Debug)]
pub(crate) struct Recorder {
    store: Store,
    live: LiveClaims,
    outcomes: mpsc::Receiver<Recorded>,
    outside: mpsc::Sender<OutsideEvent>,
    /// What is being recorded; it stays here if that panics.
    batch: Vec<Recorded>,
}

impl Recorder {
    pub(crate) fn new(
        store: Store,
        live: LiveClaims,
        outcomes: mpsc::Receiver<Recorded>,
        outside: mpsc::Sender<OutsideEvent>,
    ) -> Self {
        Self { store, live, outcomes, outside, batch: Vec::with_capacity(BATCH_MAX) }
    }

    /// Runs until all senders are gone and everything is recorded. While the store is away it
    /// keeps what it has and tries again; the bounded channel behind it then stops new claims.
    /// After a panic it goes on where it was.
    pub(crate) async fn run(&mut self) {
        loop {
            if self.batch.is_empty() && !self.fill().await {
                return;
            }
            self.flush().await;
            self.batch.clear();
        }
    }

    async fn fill(&mut self) -> bool {
        let batch = &mut self.batch;
        if self.outcomes.recv_many(batch, BATCH_MAX).await == 0 {
            return false;
        }
        // Alone on an idle worker it goes at once; in company it waits for more.
        if batch.len() > 1 && batch.len() < BATCH_MAX {
            let deadline = tokio::time::Instant::now() + LINGER;
            while batch.len() < BATCH_MAX {
                let room = BATCH_MAX - batch.len();
                match tokio::time::timeout_at(deadline, self.outcomes.recv_many(batch, room)).await
                {
                    Ok(0) | Err(_) => break,
                    Ok(_) => {}
                }
            }
        }
        true
    }

    /// Repeats whatever did not happen or may have: an outcome is recorded once (FENCE), and says
    /// what it says of its lane once (`RECORD_ONCE`). Only what the store can't hold is dropped.
    async fn flush(&self) {
        let batch = &self.batch;
        let mut pause = Duration::from_millis(50);
        let mut may_be_recorded = false;
        loop {
            match self.store.record(batch).await {
                Ok(report) => {
                    tell_late(&report, may_be_recorded);
                    break;
                }
                Err(error @ StoreError::Corrupt(_)) => {
                    // Their claims expire and the attempts are made again, marked.
                    tracing::error!(%error, lost = batch.len(), "outcomes.unrecordable");
                    break;
                }
                Err(error) => {
                    may_be_recorded |= matches!(error, StoreError::Unknown(_));
                    tracing::warn!(%error, waiting = batch.len(), "outcomes.not_recorded");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(1));
                }
            }
        }
        reached(Step::Recorded, batch.len());
        self.live.recorded(batch);
        let key = |recorded: &Recorded| ClaimKey { id: recorded.id, claim_no: recorded.claim_no };
        let claims = batch.iter().map(key).collect();
        let event = OutsideEvent::Recorded { claims, closed: closed_lanes(batch) };
        if self.outside.send(event).await.is_err() {
            tracing::debug!("record.nobody_listens");
        }
    }
}

/// Runs the recorder until there is nothing to record; after a panic it goes on where it was.
pub(crate) fn supervised(
    recorder: Recorder,
    supervisor: &Supervisor,
    tracker: &TaskTracker,
) -> JoinHandle<()> {
    let recorder = Arc::new(Mutex::new(recorder));
    supervisor.spawn(tracker, "recorder", move || {
        let recorder = Arc::clone(&recorder);
        async move { recorder.lock().await.run().await }
    })
}

/// What a batch recorded that had been committed before, though nobody knew, is not late.
fn tell_late(report: &RecordReport, may_be_recorded: bool) {
    for (id, claim_no) in &report.late {
        if may_be_recorded {
            tracing::debug!(delivery_id = %id, claim_no = claim_no.0, "outcome.late_or_recorded");
        } else {
            tracing::warn!(delivery_id = %id, claim_no = claim_no.0, "outcome.late");
        }
    }
}

/// Lanes whose hold or pause is committed now.
fn closed_lanes(batch: &[Recorded]) -> Vec<LaneId> {
    let closes = |transition: &Transition| match transition {
        Transition::CredentialRejected { .. } | Transition::Limited { .. } => true,
        Transition::Delivered
        | Transition::Retry { .. }
        | Transition::Failed { .. }
        | Transition::Released { .. }
        | Transition::Lost { .. } => false,
    };
    let mut lanes: Vec<LaneId> = batch
        .iter()
        .filter(|recorded| closes(&recorded.transition))
        .map(|recorded| recorded.lane_id)
        .collect();
    lanes.sort_unstable();
    lanes.dedup();
    lanes
}
