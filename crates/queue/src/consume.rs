//! Taking messages from the dispatch queue, and acknowledging them.
//!
//! One task owns the connection, which only consumes, and its one channel. Acknowledgements are
//! handed to the task and written in batches. Messages are given back by closing the channel,
//! never by `basic.nack`: a requeued message goes to the front at once and would be handed out
//! in a circle.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::link::Health;
use crate::session::{Order, Shared, Task, Wanted};
use crate::topology::Topology;
use crate::{QueueConfig, QueueError, Received, Tag};

/// Messages between the task and the worker. What does not fit stays with the connection, where
/// the prefetch bounds it.
const WAITING: usize = 256;

/// Acknowledges messages, and says whether more are wanted. A clone is another handle.
#[derive(Debug, Clone)]
pub struct Settler {
    orders: mpsc::UnboundedSender<Order>,
}

impl Settler {
    /// Acknowledges, without waiting. Each message is received once, so what waits to be written
    /// is bounded by what may be held. Tags may come in any order and more than once. RabbitMQ
    /// learns of a message once all before it are acknowledged.
    pub fn ack(&self, tags: impl IntoIterator<Item = Tag>) {
        let tags: Vec<Tag> = tags.into_iter().collect();
        if !tags.is_empty() {
            self.order(Order::Ack(tags));
        }
    }

    /// Gives everything that is not acknowledged back to RabbitMQ, for other workers to take,
    /// and takes nothing until [`Settler::resume`].
    pub fn pause(&self) {
        self.order(Order::Want(Wanted::No));
    }

    /// Takes messages again.
    pub fn resume(&self) {
        self.order(Order::Want(Wanted::Yes));
    }

    fn order(&self, order: Order) {
        if self.orders.send(order).is_err() {
            tracing::debug!("queue.order_after_close");
        }
    }
}

/// Takes messages from the dispatch queue.
#[derive(Debug)]
pub struct Consumer {
    shared: Arc<Shared>,
    orders: mpsc::UnboundedSender<Order>,
    messages: mpsc::Receiver<Received>,
    /// Cancelled when nothing more is handed out.
    ended: CancellationToken,
}

impl Consumer {
    /// Starts the task that owns the connection and returns at once, whether or not RabbitMQ is
    /// there. The task tries for ever.
    ///
    /// When `cancel` does, nothing more is handed out, while acknowledgements are still written
    /// until [`Consumer::close`], until the consumer and all its settlers are gone, or for 60 s.
    pub fn start(config: QueueConfig, tracker: &TaskTracker, cancel: &CancellationToken) -> Self {
        let shared = Arc::new(Shared {
            health: Health::new(),
            generation: AtomicU64::new(0),
            malformed: AtomicU64::new(0),
        });
        let (orders, ordered) = mpsc::unbounded_channel();
        let (arrived, messages) = mpsc::channel(WAITING);
        let ended = cancel.child_token();
        let task = Task {
            topology: Topology::new(&config.prefix),
            config,
            shared: Arc::clone(&shared),
            orders: ordered,
            messages: arrived,
            wanted: Wanted::Yes,
            ended: ended.clone(),
            generation: 0,
        };
        let supervisor = task.config.supervisor.clone();
        let task = Arc::new(Mutex::new(task));
        supervisor.spawn(tracker, "consumer", move || {
            let task = Arc::clone(&task);
            async move { task.lock().await.run().await }
        });
        Self { shared, orders, messages, ended }
    }

    /// A handle that acknowledges.
    pub fn settler(&self) -> Settler {
        Settler { orders: self.orders.clone() }
    }

    /// The next message; `None` once cancelled.
    pub async fn next(&mut self) -> Option<Received> {
        let mut one = Vec::with_capacity(1);
        self.recv_many(&mut one, 1).await;
        one.pop()
    }

    /// Waits for at least one message and appends up to `max` (at least 1) to `buffer`. Returns
    /// how many; 0 once cancelled.
    pub async fn recv_many(&mut self, buffer: &mut Vec<Received>, max: usize) -> usize {
        let before = buffer.len();
        let ended = self.ended.clone();
        while let Some(1..) = ended
            .run_until_cancelled(self.messages.recv_many(buffer, max.max(1)))
            .await
            .filter(|_| !ended.is_cancelled())
        {
            // What came by a connection that is gone is handed out again by RabbitMQ.
            let current = self.shared.generation.load(Ordering::Relaxed);
            let mut place = 0;
            buffer.retain(|received| {
                place += 1;
                place <= before || received.tag.generation == current
            });
            if buffer.len() > before {
                return buffer.len() - before;
            }
        }
        buffer.truncate(before);
        0
    }

    /// Whether messages are being taken now.
    pub fn is_up(&self) -> bool {
        self.shared.health.is_up()
    }

    /// Waits until messages are being taken, at most `within`; ends early when [`Self::fatal`]
    /// says so. Returns whether they are.
    pub async fn ready(&self, within: Duration) -> bool {
        self.shared.health.ready(within).await
    }

    /// What a person must mend: a queue that exists with other arguments, an address that can't
    /// be used. It is tried again nevertheless.
    pub fn fatal(&self) -> Option<QueueError> {
        self.shared.health.fatal()
    }

    /// Why the link is not up.
    pub fn last_error(&self) -> Option<QueueError> {
        self.shared.health.last_error()
    }

    /// Messages that were not understood since the start. They were logged, and RabbitMQ keeps
    /// them among those that were set aside.
    pub fn malformed(&self) -> u64 {
        self.shared.malformed.load(Ordering::Relaxed)
    }

    /// Writes the acknowledgements given so far, gives the rest back and disconnects. Waits for
    /// RabbitMQ to say that it read them, at most `within`. Returns whether it did.
    pub async fn close(self, within: Duration) -> bool {
        let (done, written) = oneshot::channel();
        if self.orders.send(Order::Close(done)).is_err() {
            return false;
        }
        matches!(timeout(within, written).await, Ok(Ok(true)))
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}
