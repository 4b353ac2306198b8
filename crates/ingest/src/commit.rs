//! Events of concurrent requests, committed in batches.
//!
//! Order of effects: match → commit → answer → publish. A crash between commit and answer makes
//! the client repeat (its key finds the first); one between commit and publish leaves the
//! deliveries to the store path, which takes what nobody claimed. At most [`IN_FLIGHT`] commits
//! run at once: while they do, what arrives gathers for the next; when none runs, what is there
//! goes at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use postrider_domain::{DeliveryId, Event, EventId, LaneId, WebhookUuid};
use postrider_queue::Message;
use postrider_store::{
    IntakeBatch, IntakeEntry, IntakeResult, KeyTerm, NewEvent, Store, StoreError,
};
use postrider_telemetry::step::{Step, reached};
use postrider_telemetry::{Metrics, TraceContext};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::body::Room;
use crate::road::Dispatcher;
use crate::table::{Table, TableCache};

/// Commits under way at once.
const IN_FLIGHT: usize = 2;

/// Events of one commit.
const MAX_BATCH: usize = 500;

/// Jobs that wait for a commit.
const QUEUE: usize = 8_192;

/// How long a batch gathers while another commit runs.
const GATHER: Duration = Duration::from_millis(3);

/// How often a batch is matched again because webhooks changed under it.
const MAX_MATCHES: u32 = 8;

/// How long one statement may take before its clients are told to try again.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(20);

/// How often the committer looks, after the end was called, whether all was answered.
const DRAIN_POLL: Duration = Duration::from_millis(50);

/// A parsed event that wants to be committed.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) key: Option<String>,
    pub(crate) term: Option<KeyTerm>,
    pub(crate) fingerprint: [u8; 16],
    pub(crate) event: Event,
    /// The span of the call that brought it.
    pub(crate) trace: TraceContext,
}

/// What became of a candidate.
#[derive(Debug)]
pub(crate) enum Fate {
    /// It is on disk, by this call or an earlier one.
    Accepted { event_id: EventId, deliveries: Vec<(DeliveryId, WebhookUuid)>, duplicate: bool },
    /// Its key belongs to an event with other content.
    KeyReused,
    /// The store did not say that it is on disk.
    Away,
}

struct Job {
    candidates: Vec<Candidate>,
    answer: oneshot::Sender<Vec<Fate>>,
}

/// The way into the committer.
#[derive(Debug, Clone)]
pub(crate) struct Committer(mpsc::Sender<Job>);

/// What committing needs.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) table: TableCache,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) metrics: Metrics,
}

impl Committer {
    /// Starts the committer's task. It ends once `cancel` was called and `room` is empty.
    pub(crate) fn start(
        parts: Arc<Parts>,
        room: Room,
        tracker: &TaskTracker,
        cancel: CancellationToken,
    ) -> Self {
        let (sender, jobs) = mpsc::channel(QUEUE);
        let spawner = tracker.clone();
        let slots = Arc::new(Semaphore::new(IN_FLIGHT));
        tracker.spawn(Loop { parts, jobs, spawner, slots, room, cancel }.run());
        Self(sender)
    }

    /// Commits all, in batches; the fates are in the order of the candidates.
    pub(crate) async fn submit(&self, candidates: Vec<Candidate>) -> Vec<Fate> {
        let mut pending = Vec::new();
        let mut rest = candidates.into_iter().peekable();
        while rest.peek().is_some() {
            let chunk: Vec<_> = rest.by_ref().take(MAX_BATCH).collect();
            let size = chunk.len();
            let (answer, fates) = oneshot::channel();
            let sent = self.0.try_send(Job { candidates: chunk, answer });
            pending.push((size, sent.is_ok().then_some(fates)));
        }
        let mut all = Vec::new();
        for (size, fates) in pending {
            let fates = match fates {
                Some(fates) => fates.await.ok(),
                None => None,
            };
            all.extend(fates.unwrap_or_else(|| (0..size).map(|_| Fate::Away).collect()));
        }
        all
    }
}

struct Loop {
    parts: Arc<Parts>,
    jobs: mpsc::Receiver<Job>,
    spawner: TaskTracker,
    slots: Arc<Semaphore>,
    room: Room,
    cancel: CancellationToken,
}

impl Loop {
    async fn run(mut self) {
        while let Some(job) = self.next_job().await {
            // Closed never: the semaphore lives as long as this loop.
            let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else {
                return;
            };
            let batch = self.gather(job).await;
            let parts = Arc::clone(&self.parts);
            self.spawner.spawn(async move { parts.commit_batch(batch, slot).await });
        }
    }

    async fn next_job(&mut self) -> Option<Job> {
        tokio::select! {
            biased;
            job = self.jobs.recv() => return job,
            () = self.cancel.cancelled() => {}
        }
        while !self.room.is_empty() {
            if let Ok(job) = tokio::time::timeout(DRAIN_POLL, self.jobs.recv()).await {
                return job;
            }
        }
        self.jobs.try_recv().ok()
    }

    /// What waits already; while another commit runs, also what comes within [`GATHER`].
    async fn gather(&mut self, first: Job) -> Vec<Job> {
        let mut size = first.candidates.len();
        let mut batch = vec![first];
        let is_idle = self.slots.available_permits() + 1 == IN_FLIGHT;
        let deadline = tokio::time::Instant::now() + GATHER;
        while size < MAX_BATCH {
            let next = match self.jobs.try_recv() {
                Ok(job) => Some(job),
                Err(_) if is_idle => None,
                Err(_) => tokio::time::timeout_at(deadline, self.jobs.recv()).await.ok().flatten(),
            };
            let Some(job) = next else { break };
            size += job.candidates.len();
            batch.push(job);
        }
        batch
    }
}

/// A committed batch: the entries with what became of them.
struct Done {
    table: Arc<Table>,
    entries: Vec<IntakeEntry>,
    results: Vec<IntakeResult>,
}

impl Parts {
    async fn commit_batch(&self, jobs: Vec<Job>, slot: OwnedSemaphorePermit) {
        let mut traces = Vec::new();
        let mut entries = Vec::new();
        let mut askers = Vec::with_capacity(jobs.len());
        for job in jobs {
            askers.push((job.candidates.len(), job.answer));
            for candidate in job.candidates {
                traces.push(candidate.trace);
                entries.push(entry(candidate));
            }
        }
        let done = tokio::time::timeout(COMMIT_TIMEOUT, self.commit(entries)).await;
        drop(slot);
        let done = match done {
            Ok(Ok(done)) => done,
            Ok(Err(error)) => return tracing::warn!(%error, "intake could not commit"),
            Err(_) => return tracing::warn!("intake could not commit in time"),
        };
        self.count(&done.results);
        let messages = done.messages(&traces);
        answer(askers, done.fates());
        self.dispatcher.dispatch(&self.store, messages).await;
    }

    /// Matches and commits until the webhooks stood still in between (VERSION_IN_COMMIT).
    async fn commit(&self, entries: Vec<IntakeEntry>) -> Result<Done, StoreError> {
        let mut table = self.table.get(&self.store).await?;
        let mut batch = IntakeBatch { webhooks_version: table.version, entries };
        for _ in 0..MAX_MATCHES {
            batch.webhooks_version = table.version;
            for entry in &mut batch.entries {
                entry.deliveries = table.deliveries(&entry.event.event);
            }
            if let Some(results) = self.store.commit_events(&batch).await? {
                reached(Step::Committed, results.len());
                return Ok(Done { table, entries: batch.entries, results });
            }
            table = self.table.reload(&self.store).await?;
        }
        Err(StoreError::Unavailable("webhooks keep changing".to_owned()))
    }

    fn count(&self, results: &[IntakeResult]) {
        let accepted = results.iter().filter(|result| **result == IntakeResult::Accepted).count();
        self.metrics.events_received(accepted as u64);
        self.metrics.events_duplicate((results.len() - accepted) as u64);
    }
}

fn entry(candidate: Candidate) -> IntakeEntry {
    let event = NewEvent {
        id: EventId(Uuid::now_v7()),
        key: candidate.key,
        term: candidate.term,
        fingerprint: candidate.fingerprint,
        event: candidate.event,
        traceparent: Some(candidate.trace.to_traceparent()),
    };
    IntakeEntry { event, deliveries: Vec::new() }
}

fn answer(askers: Vec<(usize, oneshot::Sender<Vec<Fate>>)>, fates: Vec<Fate>) {
    let mut fates = fates.into_iter();
    for (size, asker) in askers {
        // A client that hung up does not need its answer.
        drop(asker.send(fates.by_ref().take(size).collect()));
    }
}

impl Done {
    /// Copies for the road. A limited lane is woken by one copy: its leader takes everything
    /// from the store.
    fn messages(&self, traces: &[TraceContext]) -> Vec<Message> {
        let mut woken: HashSet<LaneId> = HashSet::new();
        let mut messages = Vec::new();
        for ((entry, result), trace) in self.entries.iter().zip(&self.results).zip(traces) {
            if *result != IntakeResult::Accepted {
                continue;
            }
            for delivery in &entry.deliveries {
                let lane_id = delivery.lane_id;
                if !self.table.is_limited(lane_id) || woken.insert(lane_id) {
                    let trace = Some(*trace);
                    messages.push(Message { delivery_id: delivery.id, lane_id, trace });
                }
            }
        }
        messages
    }

    fn fates(self) -> Vec<Fate> {
        let Self { table, entries, results } = self;
        entries.iter().zip(results).map(|(entry, result)| fate(&table, entry, result)).collect()
    }
}

fn fate(table: &Table, entry: &IntakeEntry, result: IntakeResult) -> Fate {
    match result {
        IntakeResult::Accepted => {
            let made = entry.deliveries.iter();
            let named = made.filter_map(|one| Some((one.id, table.uuid(one.webhook_id)?.clone())));
            let deliveries = named.collect();
            Fate::Accepted { event_id: entry.event.id, deliveries, duplicate: false }
        }
        IntakeResult::Duplicate(first) if first.fingerprint != entry.event.fingerprint => {
            Fate::KeyReused
        }
        IntakeResult::Duplicate(first) => Fate::Accepted {
            event_id: first.event_id,
            deliveries: first.deliveries,
            duplicate: true,
        },
    }
}
