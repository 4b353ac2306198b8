//! The worker: takes what is due, claims it, renders, limits, sends, judges, records.
//!
//! A pure [scheduler](postrider_scheduler) decides what is claimed, started, renewed and given back; one task
//! ([`driver`]) tells it what happened and carries out what it decides; attempts run beside
//! ([`attempt`]); one task records ([`record`]); the janitor ([`janitor`]) repairs what crashes
//! left. The order of effects stands at the top of [`attempt`].

mod app_tokens;
mod attempt;
mod cache;
mod clock;
mod config;
mod credentials;
mod driver;
mod janitor;
mod keeper;
mod live;
mod log;
mod messages;
mod policy;
mod probe;
mod record;
mod runs;
mod traced;
mod trouble;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use postrider_domain::{DeliveryId, LaneId, Outcome};
use postrider_http_client::SetupError;
use postrider_queue::Consumer;
use postrider_scheduler::Scheduler;
use postrider_store::{ClaimsAtIntake, Recorded, Store, WorkerId};
use postrider_telemetry::step::{Step, reached};
use postrider_telemetry::{Metrics, QueueLink, Supervisor};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use config::WorkerConfig;

use driver::{Lasting, OutsideEvent, drive};
use record::Recorder;

/// Events that wait for the driver.
const EVENTS_WAITING: usize = 8_192;
/// Messages in one event.
const MESSAGES_MAX: usize = 256;
/// Outcomes that wait for the recorder; when full, attempts keep their permits and nothing more
/// is claimed.
const OUTCOMES_WAITING: usize = 4_096;
/// Recording and acknowledging what is left at the end.
const FLUSH_WITHIN: Duration = Duration::from_secs(10);
/// Attempts that have said how they ended, until they are gone.
const ATTEMPTS_WITHIN: Duration = Duration::from_millis(250);

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    outside: mpsc::Sender<OutsideEvent>,
    cancel: CancellationToken,
    cut: CancellationToken,
    tracker: TaskTracker,
    attempts: TaskTracker,
    driver: JoinHandle<()>,
    recorder: JoinHandle<()>,
    /// Ends when nothing can be recorded any more.
    outcomes: mpsc::Sender<Recorded>,
    queue: Option<Arc<Mutex<Consumer>>>,
    unusable: Arc<OnceLock<String>>,
    live: live::LiveClaims,
}

/// What intake tells a worker of the same process, and asks it.
#[derive(Debug, Clone)]
pub struct Waker(mpsc::Sender<OutsideEvent>);

impl Waker {
    /// Never waits: a hint that finds no room is made good by the next poll.
    pub fn wake(&self, lanes: &[LaneId]) {
        if self.0.try_send(OutsideEvent::Woken(lanes.to_vec())).is_err() {
            tracing::trace!("worker.busy");
        }
    }

    /// Asks which of these, that intake is about to commit, it may claim with that commit (T1c).
    /// Without an answer: none.
    pub fn offer(
        &self,
        deliveries: Vec<(DeliveryId, LaneId)>,
    ) -> oneshot::Receiver<ClaimsAtIntake> {
        let (answer, claims) = oneshot::channel();
        if self.0.try_send(OutsideEvent::Offered { deliveries, answer }).is_err() {
            tracing::trace!("worker.busy");
        }
        claims
    }
}

impl Worker {
    /// Starts a worker over the store, with a dispatch queue or (embedded) without one. `worker`
    /// must be new at each start (OWNER_NEW). `supervisor` learns of tasks that can't go on.
    pub fn start(
        config: WorkerConfig,
        store: Store,
        worker: WorkerId,
        queue: Option<Consumer>,
        metrics: Metrics,
        supervisor: &Supervisor,
    ) -> Result<Self, SetupError> {
        let (cancel, tracker) = (CancellationToken::new(), TaskTracker::new());
        let (outside, inbox) = mpsc::channel(EVENTS_WAITING);
        let (outcomes, to_record) = mpsc::channel(OUTCOMES_WAITING);
        metrics.expect_outcomes(Outcome::ALL.map(Outcome::as_str));
        let settings = config.scheduler();
        let (every, live, counted) = (config.janitor, live::LiveClaims::default(), metrics.clone());
        let client = config.client(supervisor)?;
        let minter = app_tokens::Minter::new(client.clone(), store.clone(), &config);
        let hands = driver::hands::Hands {
            context: Arc::new(attempt::Context {
                client,
                tokens: app_tokens::AppTokens::new(minter),
                cache: cache::Cache::new(store.clone(), config.redact_more.clone()),
                config,
                metrics,
                troubles: trouble::Troubles::default(),
                credentials: credentials::Book::default(),
            }),
            store: store.clone(),
            worker,
            clock: clock::Clock::start(),
            live: live.clone(),
            recorder: outcomes.clone(),
            settler: queue.as_ref().map(Consumer::settler),
            attempts: TaskTracker::new(),
            cut: CancellationToken::new(),
            stopping: cancel.clone(),
        };
        let (attempts, cut) = (hands.attempts.clone(), hands.cut.clone());
        let recorder = Recorder::new(store.clone(), hands.live.clone(), to_record, outside.clone());
        let recorder = record::supervised(recorder, supervisor, &tracker);
        let (keeper, stop) = (
            keeper::Keeper { context: Arc::clone(&hands.context), store: store.clone() },
            cancel.clone(),
        );
        supervisor.spawn(&tracker, "credentials", move || keeper.clone().run(stop.clone()));
        let stop = cancel.clone();
        let of_janitor = counted.clone();
        supervisor.spawn(&tracker, "janitor", move || {
            janitor::run(store.clone(), of_janitor.clone(), every, stop.clone())
        });
        let lasting = Arc::new(Mutex::new(Lasting::new(hands, settings, inbox)));
        let stop = cancel.clone();
        let driver = supervisor.spawn(&tracker, "scheduler", move || {
            drive(Arc::clone(&lasting), Scheduler::<Arc<attempt::HeldClaim>>::new, stop.clone())
        });
        let unusable: Arc<OnceLock<String>> = Arc::default();
        let queue = queue.map(|consumer| Arc::new(Mutex::new(consumer)));
        if let Some(queue) = queue.clone() {
            let (outside, unusable) = (outside.clone(), Arc::clone(&unusable));
            let stop = cancel.clone();
            supervisor.spawn(&tracker, "messages", move || {
                let told = (Arc::clone(&unusable), counted.clone());
                read(Arc::clone(&queue), outside.clone(), told, stop.clone())
            });
        }
        Ok(Self {
            outside,
            cancel,
            cut,
            tracker,
            attempts,
            driver,
            recorder,
            outcomes,
            queue,
            unusable,
            live,
        })
    }

    /// For ingest in the same process.
    pub fn waker(&self) -> Waker {
        Waker(self.outside.clone())
    }

    /// Deliveries that are claimed and not recorded yet.
    pub fn claims_in_flight(&self) -> u64 {
        self.live.count()
    }

    /// What is wrong with the queue that only a person can mend: queues that exist with other
    /// arguments.
    pub fn unusable_queue(&self) -> Option<&str> {
        self.unusable.get().map(String::as_str)
    }

    /// DRAIN: claims and sends nothing more, awaits what is sent, records it, gives back the
    /// rest, gives up leases. It takes as long as a request may take, at least the grace.
    pub async fn stop(self) {
        self.cancel.cancel();
        let Self { driver, recorder, outcomes, queue, tracker, attempts, cut, outside, .. } = self;
        drop((outcomes, outside));
        finished("scheduler", driver.await);
        attempts.close();
        if tokio::time::timeout(ATTEMPTS_WITHIN, attempts.wait()).await.is_err() {
            tracing::warn!(in_flight = attempts.len(), "shutdown.grace_used_up");
            cut.cancel();
        }
        if tokio::time::timeout(FLUSH_WITHIN, recorder).await.is_err() {
            tracing::warn!("shutdown.outcomes_not_recorded");
        }
        tracker.close();
        if tokio::time::timeout(Duration::from_secs(1), tracker.wait()).await.is_err() {
            tracing::debug!(left = tracker.len(), "shutdown.tasks_left");
        }
        if let Some(consumer) = queue.and_then(Arc::into_inner).map(Mutex::into_inner) {
            settled(consumer.close(FLUSH_WITHIN).await);
        }
    }
}

fn finished(what: &str, joined: Result<(), tokio::task::JoinError>) {
    if let Err(error) = joined {
        tracing::error!(%error, what, "shutdown.task_failed");
    }
}

fn settled(acknowledged: bool) {
    if !acknowledged {
        tracing::warn!("shutdown.messages_not_settled");
    }
}

/// Reads the queue until cancelled; what only a person can mend is left in `unusable`, and whether
/// it can be read in the metrics.
async fn read(
    consumer: Arc<Mutex<Consumer>>,
    outside: mpsc::Sender<OutsideEvent>,
    (unusable, metrics): (Arc<OnceLock<String>>, Metrics),
    cancel: CancellationToken,
) {
    let mut consumer = consumer.lock().await;
    let mut messages = Vec::new();
    let mut look = tokio::time::interval(Duration::from_secs(1));
    loop {
        let count = tokio::select! {
            () = cancel.cancelled() => return,
            _ = look.tick() => {
                metrics.set_queue_up(QueueLink::Consumer, consumer.is_up());
                if let Some(error) = consumer.fatal() {
                    unusable.get_or_init(|| error.to_string());
                }
                continue;
            }
            count = consumer.recv_many(&mut messages, MESSAGES_MAX) => count,
        };
        if count == 0 {
            return;
        }
        reached(Step::Taken, messages.iter().map(|message| message.deliveries.len()).sum());
        if outside.send(OutsideEvent::Received(std::mem::take(&mut messages))).await.is_err() {
            return;
        }
    }
}
