//! Where fresh deliveries go after their commit.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use postrider_domain::{DeliveryId, LaneId};
use postrider_queue::{Message, Published, Publisher};
use postrider_store::Store;
use postrider_telemetry::step::{Step, reached};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Batches that are being published at once; a batch that finds no place is left to the store.
const PUBLISHING: usize = 64;

/// How often unclaimed deliveries are counted while the queue is away.
const COUNT_INTERVAL: Duration = Duration::from_secs(5);

/// Wakes the workers of these lanes; must return at once.
pub type Wake = Arc<dyn Fn(&[LaneId]) + Send + Sync>;

/// How workers learn of fresh deliveries.
#[derive(Clone)]
pub enum Road {
    /// Over RabbitMQ.
    Queue(Publisher),
    /// Workers run in this process and are woken.
    InProcess(Wake),
}

impl fmt::Debug for Road {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queue(_) => "Road::Queue",
            Self::InProcess(_) => "Road::InProcess",
        })
    }
}

/// Sends fresh deliveries down the road.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    road: Road,
    slots: Semaphore,
    /// Too many deliveries wait unpublished.
    is_full: AtomicBool,
}

impl Dispatcher {
    pub(crate) fn new(road: Road) -> Self {
        Self { road, slots: Semaphore::new(PUBLISHING), is_full: AtomicBool::new(false) }
    }

    /// Whether intake has to stop until the queue is back.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    /// Publishes copies, or wakes the workers here. What the road does not take becomes due in
    /// the store at once (T2); should that fail too, the sweep finds it.
    pub(crate) async fn dispatch(&self, store: &Store, messages: Vec<Message>) {
        if messages.is_empty() {
            return;
        }
        match &self.road {
            Road::InProcess(wake) => wake(&lanes(&messages)),
            Road::Queue(publisher) => {
                let refused = self.publish(publisher, messages).await;
                hurry(store, &refused).await;
            }
        }
    }

    /// Wakes the workers of lanes that changed; over RabbitMQ they look each second anyway.
    pub(crate) fn wake(&self, lanes: &[LaneId]) {
        match &self.road {
            Road::InProcess(wake) if !lanes.is_empty() => wake(lanes),
            Road::InProcess(_) | Road::Queue(_) => {}
        }
    }

    /// The deliveries that the road refused.
    async fn publish(&self, publisher: &Publisher, messages: Vec<Message>) -> Vec<DeliveryId> {
        let ids: Vec<_> = messages.iter().map(|message| message.delivery_id).collect();
        let Some(_slot) = publisher.is_up().then(|| self.slots.try_acquire().ok()).flatten() else {
            return ids;
        };
        let answers = publisher.publish(messages).await;
        reached(Step::Published, answers.len());
        let results = answers.into_iter().chain(std::iter::repeat(Published::Refused));
        let refused = ids.into_iter().zip(results);
        refused.filter(|(_, result)| *result == Published::Refused).map(|(id, _)| id).collect()
    }

    /// Counts while the queue is away, until `cancel`; returns at once without a queue.
    pub(crate) async fn guard(&self, store: &Store, most: u32, cancel: CancellationToken) {
        let Road::Queue(publisher) = &self.road else {
            return;
        };
        let mut ticks = tokio::time::interval(COUNT_INTERVAL);
        while cancel.run_until_cancelled(ticks.tick()).await.is_some() {
            let is_full = !publisher.is_up() && self.over_the_bound(store, most).await;
            if self.is_full.swap(is_full, Ordering::Relaxed) != is_full {
                tracing::warn!(is_full, "deliveries wait unpublished up to the bound");
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

async fn hurry(store: &Store, refused: &[DeliveryId]) {
    if refused.is_empty() {
        return;
    }
    if let Err(error) = store.hurry(refused).await {
        tracing::warn!(%error, refused = refused.len(), "left to the sweep");
    }
}

fn lanes(messages: &[Message]) -> Vec<LaneId> {
    let distinct: BTreeSet<LaneId> = messages.iter().map(|message| message.lane_id).collect();
    distinct.into_iter().collect()
}
