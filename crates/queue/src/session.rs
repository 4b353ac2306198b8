//! The consumer's task: connects, hands messages out, writes acknowledgements, connects again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::try_join_all;
use futures_util::stream::SelectAll;
use futures_util::{Stream, StreamExt, stream};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::MAX_PREFETCH;
use crate::consume::{Order, Shared, Wanted};
use crate::error::unavailable;
use crate::link::{self, LinkState, Waits};
use crate::settle::Settled;
use crate::topology::{Topology, short};
use crate::{Message, QueueConfig, QueueError, Tag, Taken, traced};

/// Orders that are written together.
const ORDERS_AT_ONCE: usize = 256;
/// For acknowledgements to leave, and for RabbitMQ to confirm a close.
const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// For acknowledgements after a cancellation, for somebody may forget a settler somewhere.
const LINGER: Duration = Duration::from_mins(1);
/// Between two looks whether every queue has a consumer.
const AUDIT_EVERY: Duration = Duration::from_secs(15);
/// Between two looks at a link that reports nothing.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const ROLE: &str = "consumer";

type Deliveries = SelectAll<std::pin::Pin<Box<dyn Stream<Item = Received> + Send>>>;
/// `None` is the end of one queue's stream: the queue was deleted or the channel closed.
type Received = Option<Result<Delivery, lapin::Error>>;

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
    pub(crate) wanted: watch::Receiver<Wanted>,
    pub(crate) cancel: CancellationToken,
    pub(crate) generation: u64,
}

/// One connection while it lasts.
struct Session {
    generation: u64,
    connection: Arc<Connection>,
    channel: Channel,
    deliveries: Deliveries,
    settled: Settled,
}

impl Task {
    /// Runs until closed, or cancelled and no longer needed.
    pub(crate) async fn run(mut self) {
        let mut waits = Waits::new();
        while !self.cancel.is_cancelled() {
            match self.turn(&mut waits).await {
                End::Lost(_) | End::Again => {}
                End::Leave(done) => {
                    answer(done, false);
                    break;
                }
            }
        }
        self.shared.inbox.close();
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
        if *self.wanted.borrow_and_update() == Wanted::No {
            return self.while_paused().await;
        }
        self.generation += 1;
        let opening = Session::open(&self.config, &self.topology, self.generation);
        let session = match link::or_cancelled(&self.cancel, opening).await {
            None => return End::Leave(None),
            Some(Err(error)) => return End::Lost(error),
            Some(Ok(session)) => session,
        };
        waits.reset();
        self.shared.health.set(ROLE, LinkState::Up);
        self.serve(session).await
    }

    async fn serve(&mut self, mut session: Session) -> End {
        let audit = audit(Arc::clone(&session.connection), self.topology.clone());
        let end = tokio::select! {
            end = self.pump(&mut session) => end,
            lost = audit => End::Lost(lost),
        };
        self.shared.inbox.clear();
        match end {
            End::Lost(error) => {
                link::disconnect(&session.connection).await;
                End::Lost(error)
            }
            End::Again => {
                self.shared.health.set(ROLE, LinkState::Paused);
                session.leave().await;
                End::Again
            }
            End::Leave(done) => {
                self.shared.inbox.close();
                self.shared.health.set(ROLE, LinkState::Stopped);
                answer(done, session.leave().await);
                End::Leave(None)
            }
        }
    }

    /// Hands messages out and writes acknowledgements until something ends it.
    async fn pump(&mut self, session: &mut Session) -> End {
        let mut orders = Vec::with_capacity(ORDERS_AT_ONCE);
        let mut taking = true;
        let mut linger = std::pin::pin!(tokio::time::sleep(LINGER));
        loop {
            tokio::select! {
                biased;
                count = self.orders.recv_many(&mut orders, ORDERS_AT_ONCE) => {
                    if count == 0 {
                        return End::Leave(None);
                    }
                    if let Some(end) = session.obey(&mut orders).await {
                        return end;
                    }
                }
                stop = stop_taking(&self.cancel, &mut self.wanted), if taking => match stop {
                    Stop::ForGood => {
                        taking = false;
                        self.shared.inbox.close();
                        linger.as_mut().reset(Instant::now() + LINGER);
                    }
                    Stop::ForNow => return End::Again,
                },
                received = session.deliveries.next(), if taking => {
                    if let Some(end) = session.hand_out(&self.shared, received.flatten()).await {
                        return end;
                    }
                }
                () = &mut linger, if !taking => return End::Leave(None),
                () = tokio::time::sleep(LOOK_EVERY) => {
                    if !session.channel.status().connected() {
                        return End::Lost(gone("the connection closed"));
                    }
                }
            }
        }
    }

    /// Waits until messages are wanted again.
    async fn while_paused(&mut self) -> End {
        loop {
            tokio::select! {
                () = self.cancel.cancelled() => return End::Leave(None),
                changed = self.wanted.changed() => {
                    return if changed.is_ok() { End::Again } else { End::Leave(None) };
                }
                order = self.orders.recv() => {
                    if let Some(end) = without_link(order) {
                        return end;
                    }
                }
            }
        }
    }

    /// Waits before the next try.
    async fn before_retry(&mut self, waits: &mut Waits) -> End {
        let mut wait = std::pin::pin!(waits.wait(&self.cancel));
        loop {
            tokio::select! {
                _ = &mut wait => return End::Again,
                order = self.orders.recv() => {
                    if let Some(end) = without_link(order) {
                        return end;
                    }
                }
            }
        }
    }
}

/// What an order comes to while there is no connection: what it acknowledges belonged to one that
/// is gone.
fn without_link(order: Option<Order>) -> Option<End> {
    match order {
        None => Some(End::Leave(None)),
        Some(Order::Ack(_)) => None,
        Some(Order::Close(done)) => Some(End::Leave(Some(done))),
    }
}

impl Session {
    async fn open(
        config: &QueueConfig,
        topology: &Topology,
        generation: u64,
    ) -> Result<Self, QueueError> {
        let connection = link::connect(config, ROLE).await?;
        let setting_up = set_up(&connection, topology, config.prefetch);
        let (channel, deliveries) = link::in_time(setting_up).await?;
        Ok(Self {
            generation,
            deliveries,
            connection: Arc::new(connection),
            channel,
            settled: Settled::default(),
        })
    }

    /// Hands one message out. Returns why no more will come.
    async fn hand_out(
        &mut self,
        shared: &Shared,
        received: Option<Result<Delivery, lapin::Error>>,
    ) -> Option<End> {
        let delivery = match received {
            None => return Some(End::Lost(gone("a queue is no longer handed out"))),
            Some(Err(error)) => return Some(End::Lost(unavailable(&error))),
            Some(Ok(delivery)) => delivery,
        };
        let tag = delivery.delivery_tag;
        self.settled.handed_out(tag);
        match Message::read(&delivery.data, &delivery.properties) {
            Ok(message) => {
                let tag = Tag { generation: self.generation, delivery: tag };
                let destination = traced::destination(&message, &delivery);
                let redelivered = delivery.redelivered;
                shared.inbox.push(Taken { message, redelivered, tag, destination });
                None
            }
            Err(error) => {
                shared.malformed.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%error, queue = %delivery.routing_key, "queue.malformed_message");
                self.write_acks([tag]).await
            }
        }
    }

    /// Writes all acknowledgements that were ordered.
    async fn obey(&mut self, orders: &mut Vec<Order>) -> Option<End> {
        let mut tags = Vec::new();
        let mut closing = None;
        for order in orders.drain(..) {
            match order {
                Order::Ack(acked) => tags.extend(acked),
                Order::Close(done) => closing = Some(done),
            }
        }
        let current = tags.iter().filter(|tag| tag.generation == self.generation);
        let current: Vec<u64> = current.map(|tag| tag.delivery).collect();
        let failed = self.write_acks(current).await;
        match (closing, failed) {
            (None, failed) => failed,
            (Some(done), None) => Some(End::Leave(Some(done))),
            (Some(done), Some(_lost)) => {
                answer(Some(done), false);
                Some(End::Leave(None))
            }
        }
    }

    async fn write_acks(&mut self, tags: impl IntoIterator<Item = u64>) -> Option<End> {
        let channel = &self.channel;
        let acks = self.settled.settle(tags);
        let writes = acks
            .into_iter()
            .map(|ack| channel.basic_ack(ack.tag, BasicAckOptions { multiple: ack.multiple }));
        match timeout(WRITE_WITHIN, try_join_all(writes)).await {
            Ok(Ok(_written)) => None,
            Ok(Err(error)) => Some(End::Lost(unavailable(&error))),
            Err(_elapsed) => Some(End::Lost(gone("acknowledgements are not taken"))),
        }
    }

    /// Closes the channel, which gives back what is not acknowledged. RabbitMQ answers after it
    /// has read every acknowledgement written before. Returns whether it answered.
    async fn leave(self) -> bool {
        let closed = timeout(WRITE_WITHIN, self.channel.close(200, "OK".into())).await;
        link::disconnect(&self.connection).await;
        matches!(closed, Ok(Ok(())))
    }
}

async fn set_up(
    connection: &Connection,
    topology: &Topology,
    prefetch: u16,
) -> Result<(Channel, Deliveries), QueueError> {
    topology.declare(connection).await?;
    let channel = connection.create_channel().await.map_err(|e| unavailable(&e))?;
    let deliveries = consume(&channel, topology, prefetch).await;
    deliveries.map(|deliveries| (channel, deliveries)).map_err(|e| unavailable(&e))
}

/// Starts to consume every queue. The prefetch is shared out: RabbitMQ counts it for each
/// consumer, and quorum queues know no limit for a whole channel.
async fn consume(
    channel: &Channel,
    topology: &Topology,
    prefetch: u16,
) -> Result<Deliveries, lapin::Error> {
    let queues = topology.delivery_queues();
    let count = u16::try_from(queues.len()).unwrap_or(u16::MAX).max(1);
    let each = (prefetch.clamp(1, MAX_PREFETCH) / count).max(1);
    channel.basic_qos(each, BasicQosOptions::default()).await?;
    let mut deliveries = SelectAll::new();
    for queue in queues {
        let (name, options) = (short(&queue.name), BasicConsumeOptions::default());
        let consumer =
            channel.basic_consume(name, "".into(), options, FieldTable::default()).await?;
        let ending = stream::once(async { None });
        deliveries.push(consumer.map(Some).chain(ending).boxed());
    }
    Ok(deliveries)
}

/// Looks from time to time whether every queue has a consumer. One without has lost us although
/// nobody said so: RabbitMQ 3.10 does that when a queue is deleted and declared again at once.
async fn audit(connection: Arc<Connection>, topology: Topology) -> QueueError {
    loop {
        tokio::time::sleep(AUDIT_EVERY).await;
        match link::in_time(idle_queue(&connection, &topology)).await {
            Ok(None) => {}
            Ok(Some(queue)) => return QueueError::Unavailable(format!("{queue} has no consumer")),
            Err(error) => return error,
        }
    }
}

async fn idle_queue(
    connection: &Connection,
    topology: &Topology,
) -> Result<Option<String>, QueueError> {
    let channel = connection.create_channel().await.map_err(|e| unavailable(&e))?;
    for queue in topology.delivery_queues() {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        let asked = channel.queue_declare(short(&queue.name), options, FieldTable::default());
        if asked.await.map_err(|e| unavailable(&e))?.consumer_count() == 0 {
            return Ok(Some(queue.name.clone()));
        }
    }
    Ok(None)
}

/// How taking messages ends while the connection stays.
enum Stop {
    ForNow,
    ForGood,
}

/// Ends when messages are no longer wanted: paused, cancelled, or the consumer is gone while its
/// settlers may not be.
async fn stop_taking(cancel: &CancellationToken, wanted: &mut watch::Receiver<Wanted>) -> Stop {
    let paused = wanted.wait_for(|wanted| *wanted == Wanted::No);
    match cancel.run_until_cancelled(paused).await {
        Some(Ok(_)) => Stop::ForNow,
        Some(Err(_)) | None => Stop::ForGood,
    }
}

fn gone(why: &str) -> QueueError {
    QueueError::Unavailable(why.to_owned())
}

fn answer(done: Option<oneshot::Sender<bool>>, written: bool) {
    if done.is_some_and(|done| done.send(written).is_err()) {
        tracing::debug!("queue.close_not_awaited");
    }
}
