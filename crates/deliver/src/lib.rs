//! The worker: takes what is due, claims it, renders, limits, sends, judges, records.
//!
//! One task ([`hub`]) owns the state of all lanes and decides what to claim; attempts run beside
//! it ([`step`]); one task records ([`record`]); the janitor ([`janitor`]) repairs what crashes
//! left. The order of effects stands at the top of [`step`].

mod cache;
mod clock;
mod config;
mod hub;
mod janitor;
mod lane;
mod log;
mod pacer;
mod policy;
mod probe;
mod record;
mod step;
mod target;
mod traced;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use postrider_domain::{LaneId, Outcome};
use postrider_queue::Consumer;
use postrider_store::{Store, WorkerId};
use postrider_telemetry::Metrics;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use config::WorkerConfig;
pub use target::ClientError;

use hub::{Hub, Note};
use record::Recorder;

/// Notes that wait for the hub.
const NOTES_WAITING: usize = 8_192;
/// Outcomes that wait for the recorder; when full, attempts keep their places and nothing more
/// is claimed.
const OUTCOMES_WAITING: usize = 4_096;
/// Recording and acknowledging what is left after the last attempt.
const FLUSH_WITHIN: Duration = Duration::from_secs(10);

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    notes: mpsc::Sender<Note>,
    cancel: CancellationToken,
    tracker: TaskTracker,
    hub: JoinHandle<()>,
    recorder: JoinHandle<()>,
    road: Option<JoinHandle<Consumer>>,
    unusable: Arc<OnceLock<String>>,
}

/// Tells a worker of the same process that something was committed for lanes.
#[derive(Debug, Clone)]
pub struct Waker(mpsc::Sender<Note>);

impl Waker {
    /// Never waits: a hint that finds no room is made good by the next poll.
    pub fn wake(&self, lanes: &[LaneId]) {
        if self.0.try_send(Note::Wake(lanes.to_vec())).is_err() {
            tracing::trace!("the worker is busy; its next poll will see it");
        }
    }
}

impl Worker {
    /// Starts a worker over the store, with a road or (embedded) without one. `worker` must be
    /// new at each start (OWNER_NEW).
    pub fn start(
        config: WorkerConfig,
        store: Store,
        worker: WorkerId,
        road: Option<Consumer>,
        metrics: Metrics,
    ) -> Result<Self, ClientError> {
        let cancel = CancellationToken::new();
        let tracker = TaskTracker::new();
        let (notes, inbox) = mpsc::channel(NOTES_WAITING);
        let (outcomes, entries) = mpsc::channel(OUTCOMES_WAITING);
        let settler = road.as_ref().map(Consumer::settler);
        let (committed, lanes) = mpsc::channel(64);
        metrics.expect_outcomes(Outcome::ALL.map(Outcome::as_str));
        let janitor = janitor::run(store.clone(), config.janitor, cancel.clone());
        let context = Arc::new(step::Context {
            client: target::Client::new(&config)?,
            cache: cache::Cache::new(store.clone()),
            config,
            metrics,
        });
        tracker.spawn(janitor);
        tracker.spawn(pass_on(lanes, notes.clone()));
        let recorder =
            Recorder { store: store.clone(), entries, settler: settler.clone(), committed };
        let recorder = tracker.spawn(recorder.run());
        let channels = (notes.clone(), outcomes, settler);
        let hub = Hub::new(context, store, worker, tracker.clone(), channels);
        let hub = tracker.spawn(hub.run(inbox, cancel.clone()));
        let unusable: Arc<OnceLock<String>> = Arc::default();
        let road = road.map(|consumer| {
            let unusable = Arc::clone(&unusable);
            tracker.spawn(hub::read_road(consumer, notes.clone(), unusable, cancel.clone()))
        });
        Ok(Self { notes, cancel, tracker, hub, recorder, road, unusable })
    }

    /// For ingest in the same process.
    pub fn waker(&self) -> Waker {
        Waker(self.notes.clone())
    }

    /// Whether the deciding task still runs.
    pub fn is_alive(&self) -> bool {
        !self.hub.is_finished() && !self.recorder.is_finished()
    }

    /// What is wrong with the road that only a person can mend: queues that exist with other
    /// arguments.
    pub fn unusable_road(&self) -> Option<&str> {
        self.unusable.get().map(String::as_str)
    }

    /// DRAIN: stops claiming, awaits what is sent within the grace, records it, gives back the
    /// rest by closing the channel, gives up leases.
    pub async fn stop(self) {
        self.cancel.cancel();
        let Self { hub, recorder, road, tracker, notes, .. } = self;
        drop(notes);
        finished("hub", hub.await);
        // The hub held the last sender but those of attempts that outlived the grace.
        if tokio::time::timeout(FLUSH_WITHIN, recorder).await.is_err() {
            tracing::warn!("shutdown.outcomes_not_recorded");
        }
        if let Some(road) = road
            && let Ok(Ok(consumer)) = tokio::time::timeout(FLUSH_WITHIN, road).await
        {
            finished_road(consumer.close(FLUSH_WITHIN).await);
        }
        tracker.close();
        if tokio::time::timeout(Duration::from_secs(1), tracker.wait()).await.is_err() {
            tracing::debug!(left = tracker.len(), "shutdown.tasks_left");
        }
    }
}

fn finished(what: &str, joined: Result<(), tokio::task::JoinError>) {
    if let Err(error) = joined {
        tracing::error!(%error, what, "shutdown.task_failed");
    }
}

fn finished_road(acknowledged: bool) {
    if !acknowledged {
        tracing::warn!("shutdown.copies_not_settled");
    }
}

/// Carries the recorder's word to the hub.
async fn pass_on(mut lanes: mpsc::Receiver<Vec<LaneId>>, notes: mpsc::Sender<Note>) {
    while let Some(ids) = lanes.recv().await {
        hub::send(&notes, Note::Committed(ids)).await;
    }
}
