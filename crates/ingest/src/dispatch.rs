//! Where fresh deliveries go after their commit: to the dispatch queue, and from there to workers.
//!
//! Publishing takes as long as RabbitMQ takes to confirm. What waits for it is held in memory up
//! to a bound; beyond, answers to clients wait a moment, which slows them down; beyond that, rows
//! are made due in the store (T2), where workers find them without the queue. So while the queue
//! is there intake goes on publishing, however large a burst is.
//!
//! While the queue is away all rows are made due; once more than `POSTRIDER_MAX_UNPUBLISHED` rows
//! that were never claimed wait (counted every five seconds), events are refused with 503.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use postrider_domain::{DeliveryId, LaneId};
use postrider_queue::{Fresh, Published, Publisher, pack};
use postrider_store::{ClaimsAtIntake, Store, StoreError};
use postrider_telemetry::TraceContext;
use postrider_telemetry::step::{Step, reached};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::sync::CancellationToken;

/// Deliveries that wait in memory to be confirmed, over all commits.
const WAITING_MAX: usize = 100_000;
/// How long an answer waits for room among them.
const ANSWER_WAITS: Duration = Duration::from_secs(1);
/// How long a commit waits for what a worker of its process may claim with it.
const OFFER_WAITS: Duration = Duration::from_millis(20);
/// Rows that are made due by one statement.
const DUE_AT_ONCE: usize = 1_000;
/// Tries of it, with growing pauses; what is not made due then waits for its sweep.
const DUE_TRIES: usize = 4;
/// How often unclaimed deliveries are counted while the queue is away.
const COUNT_INTERVAL: Duration = Duration::from_secs(5);

/// Wakes the workers of these lanes; must return at once.
pub type Wake = Arc<dyn Fn(&[LaneId]) + Send + Sync>;
/// Asks a worker of this process which of these deliveries, that are about to be committed, may be
/// claimed with that commit; no answer means none. Must return at once.
pub type Offer =
    Arc<dyn Fn(Vec<(DeliveryId, LaneId)>) -> oneshot::Receiver<ClaimsAtIntake> + Send + Sync>;

/// How workers learn of fresh deliveries.
#[derive(Clone)]
pub enum DispatchQueue {
    /// Over RabbitMQ.
    RabbitMq(Publisher),
    /// Workers run in this process and are woken.
    InProcess {
        /// Tells them of what they did not claim at intake.
        wake: Wake,
        /// Asks what they may claim there.
        offer: Offer,
    },
}

impl fmt::Debug for DispatchQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RabbitMq(_) => "DispatchQueue::RabbitMq",
            Self::InProcess { .. } => "DispatchQueue::InProcess",
        })
    }
}

/// What a commit made for workers to do.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    /// Deliveries that any worker may claim, in the order of their events.
    pub(crate) fresh: Vec<Fresh>,
    /// Limited lanes that got deliveries, each with the span of the call that brought its first:
    /// their leaders take them from the store.
    pub(crate) wake: Vec<(LaneId, Option<TraceContext>)>,
}

/// How what is committed gets to workers.
#[derive(Debug)]
pub(crate) enum Handover {
    /// Published, with room for it in memory.
    Queue(OwnedSemaphorePermit),
    /// Workers in this process are woken.
    InProcess,
    /// Made due in the store.
    Store,
}

/// Sends what commits made to workers.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    queue: DispatchQueue,
    memory: Memory,
    /// Too many deliveries wait unpublished.
    is_full: AtomicBool,
    /// Rows were made due because there was no room.
    is_behind: AtomicBool,
}

impl Dispatcher {
    pub(crate) fn new(queue: DispatchQueue) -> Self {
        Self {
            queue,
            memory: Memory::new(),
            is_full: AtomicBool::new(false),
            is_behind: AtomicBool::new(false),
        }
    }

    /// Whether intake has to stop until the queue is back.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    /// What of these a worker of this process claims with the commit that makes them (T1c).
    pub(crate) async fn offer(
        &self,
        deliveries: impl Iterator<Item = (DeliveryId, LaneId)>,
    ) -> Option<ClaimsAtIntake> {
        let DispatchQueue::InProcess { offer, .. } = &self.queue else { return None };
        let deliveries: Vec<_> = deliveries.collect();
        if deliveries.is_empty() {
            return None;
        }
        tokio::time::timeout(OFFER_WAITS, offer(deliveries)).await.ok()?.ok()
    }

    /// How to hand over what is committed; when there is no room in memory it takes up to a second,
    /// and whoever sent it should wait as long.
    pub(crate) async fn handover(&self, ready: &Ready) -> Handover {
        match &self.queue {
            DispatchQueue::InProcess { .. } => Handover::InProcess,
            DispatchQueue::RabbitMq(publisher) if !publisher.is_up() => Handover::Store,
            DispatchQueue::RabbitMq(_) => {
                let permit = self.memory.enter(ready.fresh.len(), ANSWER_WAITS).await;
                let is_behind = permit.is_none();
                if self.is_behind.swap(is_behind, Ordering::Relaxed) != is_behind {
                    tracing::warn!(is_behind, "dispatch.behind");
                }
                permit.map_or(Handover::Store, Handover::Queue)
            }
        }
    }

    /// Publishes, or wakes the workers here. What the queue does not take becomes due in the
    /// store at once (T2); should that fail too, the sweep finds it.
    pub(crate) async fn dispatch(&self, store: &Store, ready: Ready, handover: Handover) {
        match (handover, &self.queue) {
            (Handover::Queue(permit), DispatchQueue::RabbitMq(publisher)) => {
                let refused = publish(publisher, &ready).await;
                drop(permit);
                make_due(store, &refused).await;
            }
            (Handover::InProcess, DispatchQueue::InProcess { wake, .. }) => {
                let lanes = ready.lanes();
                if !lanes.is_empty() {
                    wake(&lanes);
                }
            }
            (Handover::Queue(_) | Handover::InProcess | Handover::Store, _) => {
                let ids: Vec<DeliveryId> = ready.fresh.iter().map(|fresh| fresh.id).collect();
                make_due(store, &ids).await;
            }
        }
    }

    /// Wakes the workers of lanes that changed; over RabbitMQ they look each second anyway.
    pub(crate) fn wake(&self, lanes: &[LaneId]) {
        match &self.queue {
            DispatchQueue::InProcess { wake, .. } if !lanes.is_empty() => wake(lanes),
            DispatchQueue::InProcess { .. } | DispatchQueue::RabbitMq(_) => {}
        }
    }

    /// Counts while the queue is away, until `cancel`; returns at once without a queue.
    pub(crate) async fn guard(&self, store: &Store, most: u32, cancel: CancellationToken) {
        let DispatchQueue::RabbitMq(publisher) = &self.queue else {
            return;
        };
        let mut ticks = tokio::time::interval(COUNT_INTERVAL);
        while cancel.run_until_cancelled(ticks.tick()).await.is_some() {
            let is_full = !publisher.is_up() && self.over_the_bound(store, most).await;
            if self.is_full.swap(is_full, Ordering::Relaxed) != is_full {
                tracing::warn!(is_full, "dispatch.full");
            }
        }
    }

    async fn over_the_bound(&self, store: &Store, most: u32) -> bool {
        match store.count_unclaimed(most.saturating_add(1)).await {
            Ok(count) => count > most,
            Err(_) => self.is_full(),
        }
    }
}

impl Ready {
    /// The lanes that got something, each once.
    fn lanes(&self) -> Vec<LaneId> {
        let fresh = self.fresh.iter().map(|fresh| fresh.lane);
        let distinct: BTreeSet<LaneId> =
            fresh.chain(self.wake.iter().map(|(lane, _)| *lane)).collect();
        distinct.into_iter().collect()
    }
}

/// Room for deliveries that wait to be confirmed.
#[derive(Debug)]
struct Memory(Arc<Semaphore>);

impl Memory {
    fn new() -> Self {
        Self(Arc::new(Semaphore::new(WAITING_MAX)))
    }

    /// Room for so many, in turn; `None` when there is none within that time. A commit that is
    /// larger than the whole gets it when it is empty.
    async fn enter(&self, deliveries: usize, within: Duration) -> Option<OwnedSemaphorePermit> {
        let wanted = u32::try_from(deliveries.min(WAITING_MAX)).ok()?;
        let entered = Arc::clone(&self.0).acquire_many_owned(wanted);
        tokio::time::timeout(within, entered).await.ok()?.ok()
    }
}

/// Returns the deliveries that the queue refused.
async fn publish(publisher: &Publisher, ready: &Ready) -> Vec<DeliveryId> {
    let messages = pack(&ready.fresh, &ready.wake);
    let of_each: Vec<usize> = messages.iter().map(|message| message.deliveries.len()).collect();
    let results = publisher.publish(messages).await.into_iter();
    let results = results.chain(std::iter::repeat(Published::Refused));
    let each = of_each.into_iter().zip(results);
    let each = each.flat_map(|(count, published)| std::iter::repeat_n(published, count));
    let mut refused = Vec::new();
    for (fresh, published) in ready.fresh.iter().zip(each) {
        match published {
            Published::Confirmed => {}
            Published::Refused => refused.push(fresh.id),
        }
    }
    reached(Step::Published, ready.fresh.len());
    refused
}

/// Makes deliveries due that no message tells of.
pub(crate) async fn make_due(store: &Store, ids: &[DeliveryId]) {
    for some in ids.chunks(DUE_AT_ONCE) {
        let tries = ExponentialBuilder::default().with_jitter().with_max_times(DUE_TRIES);
        let due = (|| store.make_due(some)).retry(tries).when(StoreError::may_pass).await;
        if let Err(error) = due {
            tracing::warn!(%error, deliveries = some.len(), "dispatch.left_to_sweep");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_commit_waits_for_room_and_not_for_ever() {
        let (short, long) = (Duration::from_millis(30), Duration::from_secs(30));
        let memory = Memory::new();
        let first = memory.enter(WAITING_MAX - 10, long).await.unwrap();
        let second = memory.enter(10, long).await.unwrap();
        let begun = tokio::time::Instant::now();
        assert!(memory.enter(1, short).await.is_none());
        assert!(begun.elapsed() >= short);
        assert!(memory.enter(0, short).await.is_some(), "a wake-up needs no room");
        let (third, ()) = tokio::join!(memory.enter(20, long), async {
            drop(second);
            tokio::task::yield_now().await;
            drop(first);
        });
        assert!(third.is_some());
        drop(third);
        assert!(memory.enter(WAITING_MAX * 2, short).await.is_some(), "the largest gets through");
    }

    #[test]
    fn each_lane_is_woken_once() {
        let fresh =
            |lane| Fresh { id: DeliveryId(uuid::Uuid::now_v7()), lane: LaneId(lane), call: None };
        let ready =
            Ready { fresh: vec![fresh(3), fresh(1), fresh(3)], wake: vec![(LaneId(2), None)] };
        assert_eq!(ready.lanes(), [LaneId(1), LaneId(2), LaneId(3)]);
    }
}
