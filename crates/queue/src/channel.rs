//! One connection to RabbitMQ that consumes, and its one channel, while they last.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{BoxStream, SelectAll};
use futures_util::{StreamExt, stream};
use lapin::Connection;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, BasicRejectOptions};
use lapin::types::FieldTable;
use tokio::time::timeout;

use crate::config::MAX_PREFETCH;
use crate::error::unavailable;
use crate::link;
use crate::old::{OldQueues, look_at};
use crate::settle::Settled;
use crate::topology::{Topology, delivery_queue_name, short};
use crate::{Message, QueueConfig, QueueError, Received, Tag, traced};

/// For what is written to leave, and for RabbitMQ to confirm a close.
const WRITE_WITHIN: Duration = Duration::from_secs(10);

/// Which queue something came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The queue of the format that is written.
    Newest,
    /// The old queue of this index.
    Old(usize),
}

/// What a consumer yields.
pub(crate) enum Arrival {
    Message(Box<Delivery>),
    Failed(lapin::Error),
    /// The queue was deleted or the channel closed.
    Ended,
}

/// What an arrival came to.
pub(crate) enum ReceiveOutcome {
    /// To be handed out.
    Message(Received),
    /// A message that was not understood; it was set aside.
    NotUnderstood,
    /// An old queue is gone.
    OldQueueGone,
}

/// The channel.
pub(crate) struct Channel {
    connection: Arc<Connection>,
    amqp: lapin::Channel,
    arrivals: SelectAll<BoxStream<'static, (Source, Arrival)>>,
    settled: Settled,
    old: Arc<OldQueues>,
    prefetch: u16,
}

impl Channel {
    /// Connects, declares what is missing, and consumes every queue that is there.
    pub(crate) async fn open(
        config: &QueueConfig,
        topology: &Topology,
        old: Arc<OldQueues>,
        role: &'static str,
    ) -> Result<Self, QueueError> {
        let connection = link::connect(config, role).await?;
        link::in_time(Self::set_up(connection, config, topology, old)).await
    }

    async fn set_up(
        connection: Connection,
        config: &QueueConfig,
        topology: &Topology,
        old: Arc<OldQueues>,
    ) -> Result<Self, QueueError> {
        topology.declare(&connection).await?;
        let amqp = connection.create_channel().await.map_err(|e| unavailable(&e))?;
        let mut opened = Self {
            connection: Arc::new(connection),
            amqp,
            arrivals: SelectAll::new(),
            settled: Settled::default(),
            old: Arc::clone(&old),
            prefetch: config.prefetch.clamp(1, MAX_PREFETCH),
        };
        let newest = delivery_queue_name(&config.prefix);
        opened.consume(&newest, Source::Newest, opened.prefetch).await?;
        for (index, queue) in old.iter() {
            if look_at(&opened.connection, &queue.name).await?.is_some() {
                opened.consume_old(index).await?;
            }
        }
        Ok(opened)
    }

    /// RabbitMQ counts what is held for each consumer, and quorum queues know no limit for a
    /// whole channel.
    async fn consume(
        &mut self,
        queue: &str,
        source: Source,
        prefetch: u16,
    ) -> Result<(), QueueError> {
        let qos = self.amqp.basic_qos(prefetch, BasicQosOptions::default()).await;
        qos.map_err(|e| unavailable(&e))?;
        let (name, options) = (short(queue), BasicConsumeOptions::default());
        let consuming = self.amqp.basic_consume(name, "".into(), options, FieldTable::default());
        let consumer = consuming.await.map_err(|e| unavailable(&e))?;
        let arrivals = consumer.map(move |arrived| match arrived {
            Ok(delivery) => (source, Arrival::Message(Box::new(delivery))),
            Err(error) => (source, Arrival::Failed(error)),
        });
        let ending = stream::once(async move { (source, Arrival::Ended) });
        self.arrivals.push(arrivals.chain(ending).boxed());
        Ok(())
    }

    /// Consumes an old queue that is there, unless that is so already.
    pub(crate) async fn consume_old(&mut self, index: usize) -> Result<(), QueueError> {
        let old = Arc::clone(&self.old);
        let Some(queue) = old.get(index).filter(|queue| !queue.is_consumed()) else {
            return Ok(());
        };
        self.consume(&queue.name, Source::Old(index), old.prefetch(self.prefetch)).await?;
        queue.set_consumed(true);
        tracing::info!(queue = %queue.name, "queue.old_consumed");
        Ok(())
    }

    pub(crate) fn connection(&self) -> Arc<Connection> {
        Arc::clone(&self.connection)
    }

    /// Messages that RabbitMQ hands out before it waits for acknowledgements.
    pub(crate) fn prefetch(&self) -> u16 {
        self.prefetch
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.amqp.status().connected()
    }

    /// The next arrival. Nothing is lost when this is dropped.
    pub(crate) async fn next(&mut self) -> (Source, Arrival) {
        self.arrivals.next().await.unwrap_or((Source::Newest, Arrival::Ended))
    }

    /// Takes an arrival in. A message that is not understood is rejected, so that RabbitMQ sets
    /// it aside for a person to look at, or for a later program that understands it.
    pub(crate) async fn take(
        &mut self,
        (source, arrival): (Source, Arrival),
        generation: u64,
    ) -> Result<ReceiveOutcome, QueueError> {
        let delivery = match (arrival, source) {
            (Arrival::Message(delivery), _) => delivery,
            (Arrival::Failed(error), _) => return Err(unavailable(&error)),
            (Arrival::Ended, Source::Newest) => {
                return Err(link::gone("a queue is no longer handed out"));
            }
            (Arrival::Ended, Source::Old(index)) => {
                if let Some(queue) = self.old.get(index) {
                    queue.set_consumed(false);
                }
                return Ok(ReceiveOutcome::OldQueueGone);
            }
        };
        if let Source::Old(index) = source
            && let Some(queue) = self.old.get(index)
        {
            queue.brought();
        }
        self.settled.handed_out(delivery.delivery_tag);
        match Message::from_body(&delivery.data) {
            Ok(message) => Ok(ReceiveOutcome::Message(received(message, &delivery, generation))),
            Err(error) => {
                tracing::warn!(%error, queue = %delivery.routing_key, "queue.malformed_message");
                self.reject(delivery.delivery_tag).await?;
                Ok(ReceiveOutcome::NotUnderstood)
            }
        }
    }

    async fn reject(&mut self, tag: u64) -> Result<(), QueueError> {
        let options = BasicRejectOptions { requeue: false };
        written(self.amqp.basic_reject(tag, options)).await?;
        self.settled.rejected(tag);
        self.ack([]).await
    }

    /// Acknowledges what is settled without a gap.
    pub(crate) async fn ack(
        &mut self,
        tags: impl IntoIterator<Item = u64>,
    ) -> Result<(), QueueError> {
        match self.settled.settle(tags) {
            Some(tag) => {
                let options = BasicAckOptions { multiple: true };
                written(self.amqp.basic_ack(tag, options)).await
            }
            None => Ok(()),
        }
    }

    /// Closes the channel, which gives back what is not acknowledged. RabbitMQ answers after it
    /// has read every acknowledgement written before. Returns whether it answered.
    pub(crate) async fn leave(self) -> bool {
        let closed = timeout(WRITE_WITHIN, self.amqp.close(200, "OK".into())).await;
        link::disconnect(&self.connection).await;
        matches!(closed, Ok(Ok(())))
    }

    /// Ends a connection of which something is lost.
    pub(crate) async fn abandon(self) {
        link::disconnect(&self.connection).await;
    }
}

async fn written<T>(
    writing: impl Future<Output = Result<T, lapin::Error>>,
) -> Result<(), QueueError> {
    match timeout(WRITE_WITHIN, writing).await {
        Ok(Ok(_written)) => Ok(()),
        Ok(Err(error)) => Err(unavailable(&error)),
        Err(_elapsed) => Err(link::gone("nothing that is written leaves")),
    }
}

fn received(message: Message, delivery: &Delivery, generation: u64) -> Received {
    Received {
        context: traced::context(delivery),
        deliveries: message.deliveries,
        wake: message.wake,
        redelivered: delivery.redelivered,
        tag: Tag { generation, delivery: delivery.delivery_tag },
    }
}
