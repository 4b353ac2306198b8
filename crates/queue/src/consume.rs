//! Taking deliveries from the road, and acknowledging them.
//!
//! One task owns the connection, which only consumes, and its one channel. Acknowledgements are
//! handed to the task and written in batches. Messages are given back by closing the channel,
//! never by `basic.nack`: a requeued message goes to the front at once and would be handed out
//! in a circle.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::inbox::Inbox;
use crate::link::Health;
use crate::session;
use crate::topology::Topology;
use crate::{Message, QueueConfig, QueueError};

/// Names one taken message until it is acknowledged. A tag of a connection that is gone is
/// ignored: RabbitMQ hands the message out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tag {
    pub(crate) generation: u64,
    pub(crate) delivery: u64,
}

/// A message that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The message.
    pub message: Message,
    /// RabbitMQ has handed it out before: it may have been worked.
    pub redelivered: bool,
    /// For [`Settler::ack`].
    pub tag: Tag,
    /// `<exchange>:<routing key>` that it came by, for the spans of a recorded trace.
    pub destination: Option<Arc<str>>,
}

/// What the task is told.
#[derive(Debug)]
pub(crate) enum Order {
    /// These are settled.
    Ack(Vec<Tag>),
    /// Write what was ordered before, then leave. Answers whether all was written.
    Close(oneshot::Sender<bool>),
}

/// Whether messages are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Yes,
    No,
}

/// What the task and its users share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) health: Health,
    pub(crate) inbox: Inbox,
    pub(crate) malformed: AtomicU64,
}

/// Acknowledges messages. A clone is another handle.
#[derive(Debug, Clone)]
pub struct Settler {
    orders: mpsc::UnboundedSender<Order>,
}

impl Settler {
    /// Acknowledges, without waiting. Each message is taken once, so what waits to be written is
    /// bounded by what may be held. Tags may come in any order and more than once.
    pub fn ack(&self, tags: impl IntoIterator<Item = Tag>) {
        let tags: Vec<Tag> = tags.into_iter().collect();
        if !tags.is_empty() && self.orders.send(Order::Ack(tags)).is_err() {
            tracing::debug!("queue.ack_after_close");
        }
    }
}

/// Takes messages from all queues of the road.
#[derive(Debug)]
pub struct Consumer {
    shared: Arc<Shared>,
    orders: mpsc::UnboundedSender<Order>,
    wanted: watch::Sender<Wanted>,
}

impl Consumer {
    /// Starts the task that owns the connection and returns at once, whether or not RabbitMQ is
    /// there. The task tries for ever.
    ///
    /// When `cancel` does, nothing more is handed out, while acknowledgements are still written
    /// until [`Consumer::close`], until the consumer and all its settlers are gone, or for 60 s.
    pub fn start(config: QueueConfig, tracker: &TaskTracker, cancel: CancellationToken) -> Self {
        let shared = Arc::new(Shared {
            health: Health::new(),
            inbox: Inbox::default(),
            malformed: AtomicU64::new(0),
        });
        let (orders, ordered) = mpsc::unbounded_channel();
        let wanted = watch::Sender::new(Wanted::Yes);
        let task = session::Task {
            topology: Topology::new(&config.prefix, config.queues),
            config,
            shared: Arc::clone(&shared),
            orders: ordered,
            wanted: wanted.subscribe(),
            cancel,
            generation: 0,
        };
        tracker.spawn(task.run());
        Self { shared, orders, wanted }
    }

    /// A handle that acknowledges.
    pub fn settler(&self) -> Settler {
        Settler { orders: self.orders.clone() }
    }

    /// The next message; `None` once cancelled.
    pub async fn next(&mut self) -> Option<Taken> {
        let mut one = Vec::with_capacity(1);
        self.recv_many(&mut one, 1).await;
        one.pop()
    }

    /// Waits for at least one message and appends up to `max` (at least 1) to `buffer`. Returns
    /// how many; 0 once cancelled.
    pub async fn recv_many(&mut self, buffer: &mut Vec<Taken>, max: usize) -> usize {
        self.shared.inbox.recv_many(buffer, max).await
    }

    /// Gives everything that is not acknowledged back to RabbitMQ, for other workers to take,
    /// and takes nothing until [`Consumer::resume`].
    pub fn pause(&self) {
        self.wanted.send_replace(Wanted::No);
    }

    /// Takes messages again.
    pub fn resume(&self) {
        self.wanted.send_replace(Wanted::Yes);
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

    /// Messages that were not understood since the start. They were acknowledged and logged.
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
