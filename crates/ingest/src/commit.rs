//! Events of concurrent requests, committed in batches.
//!
//! Order of effects: match → commit → answer → publish; where publishing is behind, room for it
//! is waited for before the answer. A crash between commit and answer makes the client repeat
//! (its key finds the first); one between commit and publish leaves the deliveries to the store
//! path, which takes what nobody claimed. At most [`IN_FLIGHT`] commits
//! run at once: while they do, what arrives gathers for the next; when none runs, what is there
//! goes at once.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use postrider_domain::{DeliveryId, EventId, EventSource, LaneId, WebhookUuid};
use postrider_http_server::{MemoryBudget, Shared};
use postrider_queue::Fresh;
use postrider_store::{
    Entered, EventDocument, IntakeBatch, IntakeEntry, IntakeResult, KeyTerm, NewEvent, Store,
    StoreError,
};
use postrider_telemetry::step::{Step, reached};
use postrider_telemetry::{Supervisor, TraceContext};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::dispatch::{Dispatcher, Ready, make_due};
use crate::webhook_cache::{WebhookCache, Webhooks};

/// Commits under way at once.
const IN_FLIGHT: usize = 2;
/// Beside the one that is about to begin.
const OTHERS: u32 = 1;

/// Events of one commit.
const MAX_BATCH: usize = 500;

/// Jobs that wait for a commit.
const QUEUE: usize = 8_192;

/// How long a batch gathers at most while another commit runs.
const GATHER: Duration = Duration::from_millis(3);

/// How often a batch is matched while webhooks change under it, before nobody writes any more of
/// them until the batch is in.
const MATCHES: u32 = 8;

/// And how often then: once, unless the store could not keep other processes from writing them.
const MATCHES_AT_LAST: u32 = 16;

/// How long one statement may take before its clients are told to try again.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(20);

/// How often the committer looks, after the end was called, whether all was answered.
const DRAIN_POLL: Duration = Duration::from_millis(50);

/// A parsed event that wants to be committed.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) source: EventSource,
    pub(crate) key: Option<String>,
    pub(crate) term: Option<KeyTerm>,
    pub(crate) fingerprint: [u8; 16],
    pub(crate) event: EventDocument,
    /// The span of the call that brought it.
    pub(crate) trace: TraceContext,
}

/// What became of a candidate.
#[derive(Debug)]
pub(crate) enum CommitResult {
    /// It is on disk, by this call or an earlier one.
    Accepted { event_id: EventId, deliveries: Vec<(DeliveryId, WebhookUuid)>, duplicate: bool },
    /// Its key belongs to an event with other content.
    KeyReused,
    /// The store did not say that it is on disk.
    Away,
}

struct Job {
    candidates: Vec<Candidate>,
    answer: oneshot::Sender<Vec<CommitResult>>,
}

/// The way into the committer.
#[derive(Debug, Clone)]
pub(crate) struct Committer(mpsc::Sender<Job>);

/// What committing needs.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) shared: Shared,
    pub(crate) webhooks: WebhookCache,
    pub(crate) dispatcher: Dispatcher,
}

impl Committer {
    /// Starts the committer's task. It ends once `cancel` was called and nobody holds memory any more.
    pub(crate) fn start(
        parts: Arc<Parts>,
        memory: MemoryBudget,
        (tracker, supervisor): (&TaskTracker, &Supervisor),
        cancel: CancellationToken,
    ) -> Self {
        let (sender, jobs) = mpsc::channel(QUEUE);
        let spawner = tracker.clone();
        let slots = Arc::new(Semaphore::new(IN_FLIGHT));
        let all = Loop { parts, jobs, spawner, slots, memory, cancel };
        let all = Arc::new(Mutex::new(all));
        supervisor.spawn(tracker, "committer", move || {
            let all = Arc::clone(&all);
            async move { all.lock().await.run().await }
        });
        Self(sender)
    }

    /// Commits all, in batches; the results are in the order of the candidates.
    pub(crate) async fn submit(&self, candidates: Vec<Candidate>) -> Vec<CommitResult> {
        let mut pending = Vec::new();
        let mut rest = candidates.into_iter().peekable();
        while rest.peek().is_some() {
            let chunk: Vec<_> = rest.by_ref().take(MAX_BATCH).collect();
            let size = chunk.len();
            let (answer, results) = oneshot::channel();
            let sent = self.0.try_send(Job { candidates: chunk, answer });
            pending.push((size, sent.is_ok().then_some(results)));
        }
        let mut all = Vec::new();
        for (size, results) in pending {
            let results = match results {
                Some(results) => results.await.ok(),
                None => None,
            };
            all.extend(results.unwrap_or_else(|| (0..size).map(|_| CommitResult::Away).collect()));
        }
        all
    }
}

struct Loop {
    parts: Arc<Parts>,
    jobs: mpsc::Receiver<Job>,
    spawner: TaskTracker,
    slots: Arc<Semaphore>,
    memory: MemoryBudget,
    cancel: CancellationToken,
}

impl Loop {
    async fn run(&mut self) {
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
        while !self.memory.is_empty() {
            if let Ok(job) = tokio::time::timeout(DRAIN_POLL, self.jobs.recv()).await {
                return job;
            }
        }
        self.jobs.try_recv().ok()
    }

    /// What waits already; while another commit runs, also what comes until that ends, or within
    /// [`GATHER`].
    async fn gather(&mut self, first: Job) -> Vec<Job> {
        let Self { jobs, slots, .. } = self;
        let mut size = first.candidates.len();
        let mut batch = vec![first];
        // At once when no other runs.
        let mut others_end = pin!(tokio::time::timeout(GATHER, slots.acquire_many(OTHERS)));
        while size < MAX_BATCH {
            let next = tokio::select! {
                biased;
                job = jobs.recv() => job,
                _ = &mut others_end => None,
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
    table: Arc<Webhooks>,
    entries: Arc<Vec<IntakeEntry>>,
    entered: Entered,
}

/// The webhooks that a batch was matched with, and what became of its entries.
type Matched = (Arc<Webhooks>, Entered);

impl Parts {
    pub(crate) fn store(&self) -> &Store {
        &self.shared.store
    }

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
        let mut batch = IntakeBatch { webhooks_version: 0, entries: entries.into() };
        let done = tokio::time::timeout(COMMIT_TIMEOUT, self.commit(&mut batch)).await;
        drop(slot);
        let (table, entered) = match done {
            Ok(Ok(done)) => done,
            Ok(Err(error)) => {
                tracing::warn!(%error, "intake.commit_failed");
                drop(askers);
                if matches!(error, StoreError::Unknown(_)) {
                    self.leave_to_store(&batch).await;
                }
                return;
            }
            Err(_) => return tracing::warn!("intake.commit_timed_out"),
        };
        let done = Done { table, entries: batch.entries, entered };
        self.count(&done.entered.results);
        let ready = done.ready(&traces);
        let handover = self.dispatcher.handover(&ready).await;
        answer(askers, done.commit_results());
        self.dispatcher.dispatch(self.store(), ready, handover).await;
    }

    /// Matches and commits until the webhooks stood still in between (VERSION_IN_COMMIT); where
    /// they never do, they are made to.
    async fn commit(&self, batch: &mut IntakeBatch) -> Result<Matched, StoreError> {
        let mut table = self.webhooks.get(self.store()).await?;
        for _ in 0..MATCHES {
            if let Some(entered) = self.commit_as_matched(batch, &table).await? {
                return Ok((table, entered));
            }
            table = self.webhooks.reload(self.store()).await?;
        }
        let _pause = self.shared.webhook_writes.write().await;
        let at_last = Box::pin(self.commit_at_last(batch));
        Box::pin(self.store().while_webhooks_stand_still(at_last)).await
    }

    async fn commit_at_last(&self, batch: &mut IntakeBatch) -> Result<Matched, StoreError> {
        for _ in 0..MATCHES_AT_LAST {
            let table = self.webhooks.reload(self.store()).await?;
            if let Some(entered) = self.commit_as_matched(batch, &table).await? {
                return Ok((table, entered));
            }
        }
        Err(StoreError::Unavailable("webhooks keep changing".to_owned()))
    }

    /// `None`: they have changed since.
    async fn commit_as_matched(
        &self,
        batch: &mut IntakeBatch,
        table: &Webhooks,
    ) -> Result<Option<Entered>, StoreError> {
        batch.webhooks_version = table.version;
        for entry in Arc::make_mut(&mut batch.entries) {
            entry.deliveries = table.deliveries(entry.event.event.event());
        }
        let deliveries = batch.entries.iter().flat_map(|entry| &entry.deliveries);
        let unlimited = deliveries.filter(|new| !table.is_limited(new.lane_id));
        let offered = unlimited.map(|new| (new.id, new.lane_id));
        let claims = self.dispatcher.offer(offered).await;
        let entered = self.store().commit_events_claiming(batch, claims).await?;
        Ok(entered.inspect(|entered| reached(Step::Committed, entered.results.len())))
    }

    /// Nobody was answered and nothing was published, but it may have been committed: then the
    /// deliveries are due at once, and do not wait for their sweep.
    async fn leave_to_store(&self, batch: &IntakeBatch) {
        let deliveries = batch.entries.iter().flat_map(|entry| &entry.deliveries);
        let ids: Vec<DeliveryId> = deliveries.map(|delivery| delivery.id).collect();
        make_due(self.store(), &ids).await;
    }

    fn count(&self, results: &[IntakeResult]) {
        let accepted = results.iter().filter(|result| **result == IntakeResult::Accepted).count();
        self.shared.metrics.events_received(accepted as u64);
        self.shared.metrics.events_duplicate((results.len() - accepted) as u64);
    }
}

fn entry(candidate: Candidate) -> IntakeEntry {
    let event = NewEvent {
        id: EventId(Uuid::now_v7()),
        source: candidate.source,
        key: candidate.key,
        term: candidate.term,
        fingerprint: candidate.fingerprint,
        event: candidate.event,
        traceparent: Some(candidate.trace.to_traceparent()),
    };
    IntakeEntry { event, deliveries: Vec::new() }
}

fn answer(askers: Vec<(usize, oneshot::Sender<Vec<CommitResult>>)>, results: Vec<CommitResult>) {
    let mut results = results.into_iter();
    for (size, asker) in askers {
        // A client that hung up does not need its answer.
        drop(asker.send(results.by_ref().take(size).collect()));
    }
}

impl Done {
    /// What workers get to do that was not claimed with the commit. A limited lane is woken by its
    /// name alone: its leader takes everything from the store.
    fn ready(&self, calls: &[TraceContext]) -> Ready {
        let mut woken: HashSet<LaneId> = HashSet::new();
        let mut ready = Ready::default();
        let Entered { results, claimed } = &self.entered;
        for ((entry, result), call) in self.entries.iter().zip(results).zip(calls) {
            if *result != IntakeResult::Accepted {
                continue;
            }
            for delivery in &entry.deliveries {
                let lane = delivery.lane_id;
                if claimed.contains(&delivery.id) {
                    continue;
                }
                if !self.table.is_limited(lane) {
                    ready.fresh.push(Fresh { id: delivery.id, lane, call: Some(*call) });
                } else if woken.insert(lane) {
                    ready.wake.push((lane, Some(*call)));
                }
            }
        }
        ready
    }

    fn commit_results(self) -> Vec<CommitResult> {
        let Self { table, entries, entered } = self;
        entries
            .iter()
            .zip(entered.results)
            .map(|(entry, result)| commit_result(&table, entry, result))
            .collect()
    }
}

fn commit_result(table: &Webhooks, entry: &IntakeEntry, result: IntakeResult) -> CommitResult {
    match result {
        IntakeResult::Accepted => {
            let made = entry.deliveries.iter();
            let named = made.filter_map(|one| Some((one.id, table.uuid(one.webhook_id)?.clone())));
            let deliveries = named.collect();
            CommitResult::Accepted { event_id: entry.event.id, deliveries, duplicate: false }
        }
        IntakeResult::Duplicate(first) if first.fingerprint != entry.event.fingerprint => {
            CommitResult::KeyReused
        }
        IntakeResult::Duplicate(first) => CommitResult::Accepted {
            event_id: first.event_id,
            deliveries: first.deliveries,
            duplicate: true,
        },
    }
}
