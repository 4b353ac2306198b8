//! The consumer's task and what it is told: it connects, hands messages out, writes
//! acknowledgements, and connects again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::audit::Auditor;
use crate::channel::{Arrival, Channel, ReceiveOutcome, Source};
use crate::link::{self, Health, LinkState, Waits};
use crate::old::OldQueues;
use crate::settle::Unwritten;
use crate::topology::{Topology, delivery_queue_name};
use crate::{QueueConfig, QueueError, Received, Tag};

/// Orders that are written together.
const ORDERS_AT_ONCE: usize = 256;
/// For acknowledgements after a cancellation, for somebody may forget a settler somewhere.
const LINGER: Duration = Duration::from_mins(1);
/// Between two looks at a link that reports nothing.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const ROLE: &str = "consumer";

/// Whether messages are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Yes,
    No,
}

/// What the task is told.
#[derive(Debug)]
pub(crate) enum Order {
    /// These are settled.
    Ack(Vec<Tag>),
    /// Whether messages are wanted from now on.
    Want(Wanted),
    /// Write what was ordered before, then leave. Answers whether all was written.
    Close(oneshot::Sender<bool>),
}

/// What the task and its users share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) health: Health,
    /// The connection whose messages may be handed out; 0 while there is none.
    pub(crate) generation: AtomicU64,
    pub(crate) malformed: AtomicU64,
}

/// Why a session or a wait ended.
enum End {
    /// The link is gone or a queue is.
    Lost(QueueError),
    /// Look again at what is wanted.
    Again,
    /// Everybody is done, or a close was ordered and wants an answer.
    Leave(Option<oneshot::Sender<bool>>),
}

pub(crate) struct Task {
    pub(crate) config: QueueConfig,
    pub(crate) topology: Topology,
    pub(crate) shared: Arc<Shared>,
    pub(crate) orders: mpsc::UnboundedReceiver<Order>,
    pub(crate) messages: mpsc::Sender<Received>,
    pub(crate) wanted: Wanted,
    /// Nothing more is to be handed out.
    pub(crate) ended: CancellationToken,
    pub(crate) generation: u64,
}

impl Task {
    /// Runs until closed, or ended and no longer needed. After a panic it connects anew.
    pub(crate) async fn run(&mut self) {
        let mut waits = Waits::new();
        while !self.ended.is_cancelled() {
            match self.turn(&mut waits).await {
                End::Lost(_) | End::Again => {}
                End::Leave(done) => {
                    answer(done, false);
                    break;
                }
            }
        }
    }

    /// One connection and the wait after it.
    async fn turn(&mut self, waits: &mut Waits) -> End {
        match self.connect_and_serve(waits).await {
            End::Lost(error) => {
                self.shared.health.set(ROLE, LinkState::Down(error));
                self.before_retry(waits).await
            }
            end @ (End::Again | End::Leave(_)) => end,
        }
    }

    /// One connection from its start to its end, or one wait while nothing is wanted.
    async fn connect_and_serve(&mut self, waits: &mut Waits) -> End {
        if self.wanted == Wanted::No {
            return self.while_paused().await;
        }
        self.generation += 1;
        let old = Arc::new(OldQueues::of(&self.config));
        let opening = Channel::open(&self.config, &self.topology, Arc::clone(&old), ROLE);
        let channel = match link::or_cancelled(&self.ended, opening).await {
            None => return End::Leave(None),
            Some(Err(error)) => return End::Lost(error),
            Some(Ok(channel)) => channel,
        };
        waits.reset();
        self.shared.health.set(ROLE, LinkState::Up);
        self.serve(channel, old).await
    }

    async fn serve(&mut self, mut channel: Channel, old: Arc<OldQueues>) -> End {
        let (found, mut finds) = mpsc::channel(1);
        let queue = delivery_queue_name(&self.config.prefix);
        let kept = self.config.old_queues_kept;
        let auditor = Auditor::new(channel.connection(), queue, old, kept, found);
        self.shared.generation.store(self.generation, Ordering::Relaxed);
        let end = tokio::select! {
            end = self.pump(&mut channel, &mut finds) => end,
            lost = auditor.run() => End::Lost(lost),
        };
        self.shared.generation.store(0, Ordering::Relaxed);
        match end {
            End::Lost(error) => {
                channel.abandon().await;
                End::Lost(error)
            }
            End::Again => {
                self.shared.health.set(ROLE, LinkState::Paused);
                channel.leave().await;
                End::Again
            }
            End::Leave(done) => {
                self.shared.health.set(ROLE, LinkState::Stopped);
                answer(done, channel.leave().await);
                End::Leave(None)
            }
        }
    }

    /// Hands messages out and writes acknowledgements until something ends it.
    async fn pump(&mut self, channel: &mut Channel, finds: &mut mpsc::Receiver<usize>) -> End {
        let mut orders = Vec::with_capacity(ORDERS_AT_ONCE);
        let mut taking = true;
        let mut unwritten = Unwritten::new(channel.prefetch());
        let mut linger = std::pin::pin!(tokio::time::sleep(LINGER));
        loop {
            tokio::select! {
                biased;
                count = self.orders.recv_many(&mut orders, ORDERS_AT_ONCE) => {
                    if count == 0 {
                        return written_at_last(channel, &mut unwritten).await;
                    }
                    if let Some(end) = self.obey(&mut orders, channel, &mut unwritten).await {
                        return end;
                    }
                }
                () = tokio::time::sleep_until(unwritten.due_at()), if unwritten.waits() => {
                    if let Err(lost) = channel.ack(unwritten.take(Instant::now())).await {
                        return End::Lost(lost);
                    }
                }
                () = self.ended.cancelled(), if taking => {
                    taking = false;
                    linger.as_mut().reset(Instant::now() + LINGER);
                }
                Some(index) = finds.recv() => {
                    if let Err(error) = link::in_time(channel.consume_old(index)).await {
                        return End::Lost(error);
                    }
                }
                arrival = next_with_room(&self.messages, channel), if taking => {
                    if let Err(error) = self.hand_out(arrival, channel).await {
                        return End::Lost(error);
                    }
                }
                () = &mut linger, if !taking => {
                    return written_at_last(channel, &mut unwritten).await;
                }
                () = tokio::time::sleep(LOOK_EVERY) => {
                    if !channel.is_connected() {
                        return End::Lost(link::gone("the connection closed"));
                    }
                }
            }
        }
    }

    async fn hand_out(
        &self,
        arrival: (Source, Arrival),
        channel: &mut Channel,
    ) -> Result<(), QueueError> {
        match channel.take(arrival, self.generation).await? {
            ReceiveOutcome::Message(message) => {
                if self.messages.try_send(message).is_err() {
                    tracing::debug!("queue.consumer_gone");
                }
            }
            ReceiveOutcome::NotUnderstood => {
                self.shared.malformed.fetch_add(1, Ordering::Relaxed);
            }
            ReceiveOutcome::OldQueueGone => {}
        }
        Ok(())
    }

    /// Does what was ordered.
    async fn obey(
        &mut self,
        orders: &mut Vec<Order>,
        channel: &mut Channel,
        unwritten: &mut Unwritten,
    ) -> Option<End> {
        let mut closing = None;
        // Also a pause that is over by now: whoever ordered it has forgotten what it held, and waits
        // for a new connection to bring it again.
        let mut gives_back = false;
        for order in orders.drain(..) {
            match order {
                Order::Ack(acked) => {
                    let current = acked.iter().filter(|tag| tag.generation == self.generation);
                    unwritten.extend(current.map(|tag| tag.delivery));
                }
                Order::Want(wanted) => {
                    self.wanted = wanted;
                    gives_back |= wanted == Wanted::No;
                }
                Order::Close(done) => closing = Some(done),
            }
        }
        let now = Instant::now();
        let written = if closing.is_some() || gives_back || unwritten.is_due(now) {
            channel.ack(unwritten.take(now)).await
        } else {
            Ok(())
        };
        match (closing, written) {
            (Some(done), Ok(())) => Some(End::Leave(Some(done))),
            (Some(done), Err(_lost)) => {
                answer(Some(done), false);
                Some(End::Leave(None))
            }
            (None, Err(lost)) => Some(End::Lost(lost)),
            // Once ended, acknowledgements are still written.
            (None, Ok(())) if self.ended.is_cancelled() => None,
            (None, Ok(())) => gives_back.then_some(End::Again),
        }
    }

    /// Waits until messages are wanted again.
    async fn while_paused(&mut self) -> End {
        while self.wanted == Wanted::No {
            let order = tokio::select! {
                () = self.ended.cancelled() => return End::Leave(None),
                order = self.orders.recv() => order,
            };
            match self.without_link(order) {
                // Everything was given back.
                Some(End::Leave(done)) => {
                    answer(done, true);
                    return End::Leave(None);
                }
                Some(end @ (End::Again | End::Lost(_))) => return end,
                None => {}
            }
        }
        End::Again
    }

    /// Waits before the next try.
    async fn before_retry(&mut self, waits: &mut Waits) -> End {
        let ended = self.ended.clone();
        let mut wait = std::pin::pin!(waits.wait(&ended));
        loop {
            let order = tokio::select! {
                _ = &mut wait => return End::Again,
                order = self.orders.recv() => order,
            };
            if let Some(end) = self.without_link(order) {
                return end;
            }
        }
    }

    /// What an order comes to while there is no connection: what it acknowledges belonged to one
    /// that is gone.
    fn without_link(&mut self, order: Option<Order>) -> Option<End> {
        match order {
            None => Some(End::Leave(None)),
            Some(Order::Ack(_)) => None,
            Some(Order::Want(wanted)) => {
                self.wanted = wanted;
                None
            }
            Some(Order::Close(done)) => Some(End::Leave(Some(done))),
        }
    }
}

/// Leaves with everything written that was settled.
async fn written_at_last(channel: &mut Channel, unwritten: &mut Unwritten) -> End {
    match channel.ack(unwritten.take(Instant::now())).await {
        Ok(()) => End::Leave(None),
        Err(lost) => End::Lost(lost),
    }
}

/// The next arrival once there is room for it, which nobody else takes. Nothing is lost when this
/// is dropped.
async fn next_with_room(
    messages: &mpsc::Sender<Received>,
    channel: &mut Channel,
) -> (Source, Arrival) {
    match messages.reserve().await {
        Ok(room) => drop(room),
        // The consumer is gone, which ends the taking.
        Err(_closed) => std::future::pending().await,
    }
    channel.next().await
}

fn answer(done: Option<oneshot::Sender<bool>>, written: bool) {
    if done.is_some_and(|done| done.send(written).is_err()) {
        tracing::debug!("queue.close_not_awaited");
    }
}
