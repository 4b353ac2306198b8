//! Queues of its own for each test, and a second pair of hands on the broker.

use std::time::Duration;

use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ExchangeDeleteOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use postrider_domain::{DeliveryId, LaneId};
use postrider_queue::{Consumer, Message, Published, Publisher, QueueConfig};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::proxy::Proxy;

/// Enough for anything on a busy machine; a test that waits this long fails.
pub(crate) const WITHIN: Duration = Duration::from_secs(40);

/// Names of this test, settings, and everything started.
pub(crate) struct Site {
    config: QueueConfig,
    tracker: TaskTracker,
    cancel: CancellationToken,
    consumers: CancellationToken,
}

#[expect(clippy::disallowed_methods, reason = "tests are told where RabbitMQ is")]
fn broker_url() -> String {
    std::env::var("POSTRIDER_TEST_AMQP_URL").expect(
        "this test needs RabbitMQ: run it with tests/run, or set POSTRIDER_TEST_AMQP_URL to \
         amqp://user:password@host:port/vhost",
    )
}

/// Host and port of the broker.
pub(crate) fn broker_address() -> String {
    let uri: lapin::uri::AMQPUri = broker_url().parse().expect("POSTRIDER_TEST_AMQP_URL");
    format!("{}:{}", uri.authority.host, uri.authority.port)
}

impl Site {
    /// Straight to the broker.
    pub(crate) async fn new(test: &str) -> Self {
        let site = Self::at(broker_url(), test);
        site.admin().await;
        site
    }

    /// Through a line that can be cut.
    pub(crate) fn through(test: &str, proxy: &Proxy) -> Self {
        let mut uri: lapin::uri::AMQPUri = broker_url().parse().expect("POSTRIDER_TEST_AMQP_URL");
        uri.authority.host = proxy.address().ip().to_string();
        uri.authority.port = proxy.address().port();
        Self::at(uri.to_string(), test)
    }

    /// What can't work.
    pub(crate) fn unreachable(url: &str) -> Self {
        Self::at(url.to_owned(), "unreachable")
    }

    fn at(url: String, test: &str) -> Self {
        let mut config = QueueConfig::new(SecretString::from(url), "queue test");
        config.prefix = format!("postrider-test.{test}.{}", Uuid::now_v7());
        let cancel = CancellationToken::new();
        let consumers = cancel.child_token();
        Self { config, tracker: TaskTracker::new(), cancel, consumers }
    }

    /// Holds at most this many messages.
    pub(crate) fn with_prefetch(mut self, prefetch: u16) -> Self {
        self.config.prefetch = prefetch;
        self
    }

    /// Keeps old queues this long.
    pub(crate) fn with_old_queues_kept(mut self, kept: Duration) -> Self {
        self.config.old_queues_kept = kept;
        self
    }

    pub(crate) fn config(&self) -> &QueueConfig {
        &self.config
    }

    pub(crate) fn start_publisher(&self) -> Publisher {
        Publisher::start(self.config.clone(), &self.tracker, self.cancel.clone())
    }

    pub(crate) fn start_consumer(&self) -> Consumer {
        Consumer::start(self.config.clone(), &self.tracker, &self.consumers)
    }

    pub(crate) async fn publisher(&self) -> Publisher {
        let publisher = self.start_publisher();
        assert!(publisher.ready(WITHIN).await, "{:?}", publisher.last_error());
        publisher
    }

    pub(crate) async fn consumer(&self) -> Consumer {
        let consumer = self.start_consumer();
        assert!(consumer.ready(WITHIN).await, "{:?}", consumer.last_error());
        consumer
    }

    pub(crate) fn cancel_consumers(&self) {
        self.consumers.cancel();
    }

    pub(crate) fn queue_name(&self) -> String {
        format!("{}.deliveries.v2", self.config.prefix)
    }

    pub(crate) fn old_queue_name(&self, index: u16) -> String {
        format!("{}.deliveries.v1.{index}", self.config.prefix)
    }

    pub(crate) fn dead_queue_name(&self) -> String {
        format!("{}.dead.v1", self.config.prefix)
    }

    /// A connection of the test's own, straight to the broker.
    async fn admin(&self) -> (Connection, Channel) {
        let connected = Connection::connect(&broker_url(), ConnectionProperties::default()).await;
        let connection = connected.expect("RabbitMQ at POSTRIDER_TEST_AMQP_URL");
        let channel = connection.create_channel().await.unwrap();
        (connection, channel)
    }

    pub(crate) async fn delete(&self, queue: &str) {
        let (_connection, channel) = self.admin().await;
        channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.unwrap();
    }

    /// Declares a queue without arguments of ours.
    pub(crate) async fn declare_plain(&self, queue: &str) {
        let (_connection, channel) = self.admin().await;
        let options = QueueDeclareOptions::durable();
        channel.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap();
    }

    /// Publishes a body as it is.
    pub(crate) async fn publish_raw(&self, queue: &str, body: &[u8]) {
        let (_connection, channel) = self.admin().await;
        let options = BasicPublishOptions::default();
        let properties = BasicProperties::default();
        channel.basic_publish("".into(), queue.into(), options, body, properties).await.unwrap();
        channel.close(200, "OK".into()).await.unwrap();
    }

    /// Messages that wait in a queue, `None` without the queue.
    pub(crate) async fn depth(&self, queue: &str) -> Option<u32> {
        let (_connection, channel) = self.admin().await;
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let declared = channel.queue_declare(queue.into(), options, FieldTable::default()).await;
        declared.ok().map(|queue| queue.message_count())
    }

    /// Waits until so many messages wait in a queue.
    pub(crate) async fn wait_for_depth(&self, queue: &str, depth: Option<u32>) {
        let reached = async {
            while self.depth(queue).await != depth {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let reached = tokio::time::timeout(WITHIN, reached).await;
        assert!(reached.is_ok(), "{:?} wait, not {depth:?}", self.depth(queue).await);
    }

    /// Waits until so many messages wait.
    pub(crate) async fn wait_until_ready(&self, count: u32) {
        self.wait_for_depth(&self.queue_name(), Some(count)).await;
    }

    /// Takes one message out of a queue.
    pub(crate) async fn get(&self, queue: &str) -> Option<Vec<u8>> {
        let (_connection, channel) = self.admin().await;
        let options = BasicGetOptions { no_ack: true };
        let got = channel.basic_get(queue.into(), options).await.unwrap();
        got.map(|message| message.delivery.data)
    }

    /// Ends everything and deletes what was declared.
    pub(crate) async fn remove(self) {
        self.cancel.cancel();
        self.tracker.close();
        let ended = tokio::time::timeout(WITHIN, self.tracker.wait()).await;
        assert!(ended.is_ok(), "the tasks end when they are cancelled");
        let old = (0..self.config.old_queues).map(|index| self.old_queue_name(index));
        for queue in old.chain([self.queue_name(), self.dead_queue_name()]) {
            self.delete(&queue).await;
        }
        let (_connection, channel) = self.admin().await;
        for exchange in ["deliveries", "dead"] {
            let name = format!("{}.{exchange}", self.config.prefix);
            let options = ExchangeDeleteOptions::default();
            channel.exchange_delete(name.into(), options).await.unwrap();
        }
    }
}

/// A message of one delivery.
pub(crate) fn message() -> Message {
    let delivery = (DeliveryId(Uuid::now_v7()), LaneId(7));
    Message { deliveries: vec![delivery], ..Message::default() }
}

pub(crate) fn messages(count: usize) -> Vec<Message> {
    std::iter::repeat_with(message).take(count).collect()
}

/// Publishes one message, again and again until it is confirmed.
pub(crate) async fn up_again(publisher: &Publisher) {
    let repeated = async {
        while publisher.publish(vec![message()]).await != [Published::Confirmed] {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let reached = tokio::time::timeout(WITHIN, repeated).await;
    assert!(reached.is_ok(), "never confirmed: {:?}", publisher.last_error());
}

/// Looks until the link is seen to be down.
pub(crate) async fn down_soon(is_up: impl Fn() -> bool) {
    let down = async {
        while is_up() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(WITHIN, down).await.expect("the fault to be seen");
}
