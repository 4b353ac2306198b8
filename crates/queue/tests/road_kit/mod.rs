//! A road of its own for each test, and a second pair of hands on the broker.

use std::time::Duration;

use lapin::options::{
    BasicPublishOptions, ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions,
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
pub(crate) struct Road {
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

impl Road {
    /// A road straight to the broker.
    pub(crate) async fn new(test: &str, queues: u16) -> Self {
        let road = Self::at(broker_url(), test, queues);
        road.admin().await;
        road
    }

    /// A road through a line that can be cut.
    pub(crate) fn through(test: &str, queues: u16, proxy: &Proxy) -> Self {
        let mut uri: lapin::uri::AMQPUri = broker_url().parse().expect("POSTRIDER_TEST_AMQP_URL");
        uri.authority.host = proxy.address().ip().to_string();
        uri.authority.port = proxy.address().port();
        Self::at(uri.to_string(), test, queues)
    }

    /// A road that can't work.
    pub(crate) fn unreachable(url: &str) -> Self {
        Self::at(url.to_owned(), "unreachable", 1)
    }

    fn at(url: String, test: &str, queues: u16) -> Self {
        let mut config = QueueConfig::new(SecretString::from(url), "road test");
        config.queues = queues;
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

    pub(crate) fn config(&self) -> &QueueConfig {
        &self.config
    }

    pub(crate) fn start_publisher(&self) -> Publisher {
        Publisher::start(self.config.clone(), &self.tracker, self.cancel.clone())
    }

    pub(crate) fn start_consumer(&self) -> Consumer {
        Consumer::start(self.config.clone(), &self.tracker, self.consumers.clone())
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

    pub(crate) fn queue_name(&self, index: u16) -> String {
        format!("{}.deliveries.v1.{index}", self.config.prefix)
    }

    /// A connection of the test's own, straight to the broker.
    async fn admin(&self) -> (Connection, Channel) {
        let connected = Connection::connect(&broker_url(), ConnectionProperties::default()).await;
        let connection = connected.expect("RabbitMQ at POSTRIDER_TEST_AMQP_URL");
        let channel = connection.create_channel().await.unwrap();
        (connection, channel)
    }

    pub(crate) async fn delete_queues(&self) {
        let (_connection, channel) = self.admin().await;
        for index in 0..self.config.queues {
            let name = self.queue_name(index);
            let options = QueueDeleteOptions::default();
            channel.queue_delete(name.into(), options).await.unwrap();
        }
    }

    pub(crate) async fn declare_classic_queue(&self, index: u16) {
        let (_connection, channel) = self.admin().await;
        let (name, options) = (self.queue_name(index), QueueDeclareOptions::durable());
        channel.queue_declare(name.into(), options, FieldTable::default()).await.unwrap();
    }

    pub(crate) async fn publish_raw(&self, body: &[u8]) {
        let (_connection, channel) = self.admin().await;
        let (name, options) = (self.queue_name(0), BasicPublishOptions::default());
        let properties = BasicProperties::default();
        channel.basic_publish("".into(), name.into(), options, body, properties).await.unwrap();
        channel.close(200, "OK".into()).await.unwrap();
    }

    /// Waits until this many messages wait in the queues.
    pub(crate) async fn wait_until_ready(&self, count: u32) {
        let (_connection, channel) = self.admin().await;
        let reached = async { while self.ready(&channel).await != count {} };
        let reached = tokio::time::timeout(WITHIN, reached).await;
        assert!(reached.is_ok(), "{} wait, not {count}", self.ready(&channel).await);
    }

    async fn ready(&self, channel: &Channel) -> u32 {
        let mut ready = 0;
        for index in 0..self.config.queues {
            let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
            let name = self.queue_name(index);
            let queue = channel.queue_declare(name.into(), options, FieldTable::default());
            ready += queue.await.unwrap().message_count();
        }
        ready
    }

    /// Ends everything and deletes what was declared.
    pub(crate) async fn remove(self) {
        self.cancel.cancel();
        self.tracker.close();
        let ended = tokio::time::timeout(WITHIN, self.tracker.wait()).await;
        assert!(ended.is_ok(), "the tasks end when they are cancelled");
        self.delete_queues().await;
        let (_connection, channel) = self.admin().await;
        let dead = format!("{}.dead.v1", self.config.prefix);
        channel.queue_delete(dead.into(), QueueDeleteOptions::default()).await.unwrap();
        for exchange in ["deliveries", "dead"] {
            let name = format!("{}.{exchange}", self.config.prefix);
            let options = ExchangeDeleteOptions::default();
            channel.exchange_delete(name.into(), options).await.unwrap();
        }
    }
}

pub(crate) fn message() -> Message {
    let delivery_id = DeliveryId(Uuid::now_v7());
    Message { delivery_id, lane_id: LaneId(7), trace: None }
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
