//! What exists in RabbitMQ, and how it is declared.
//!
//! ```text
//!  publisher ──► exchange postrider.deliveries (direct)
//!                  │ routing key = name of the queue
//!                  └──► queue postrider.deliveries.v2 (quorum) ──► consumers
//!                         │ handed out more than 1000 times, or rejected
//!                         ▼
//!                exchange postrider.dead (fanout) ──► queue postrider.dead.v1 (quorum)
//! ```
//!
//! Names of queues carry a version because the arguments of a queue can't be changed, and because
//! a program that does not know a version of the message format must not take its messages: other
//! arguments or another format are other queues. Queues of version 1 of the format,
//! `postrider.deliveries.v1.<n>`, are consumed while they are there and never declared (the module
//! `old`).
//!
//! The queue's own count of redeliveries never fails a delivery (rule `POISON_NOT_ROAD`); the
//! limit only keeps a message that nobody can settle from going round for ever, and its rows are
//! worked from the store.

use std::fmt;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Connection};
use serde::Serialize;

use crate::QueueError;
use crate::error::{mismatch, unavailable};
use crate::message::VERSION;

/// What the names of exchanges and queues start with.
pub const PREFIX: &str = "postrider";
/// Times that a message may come back before it is set aside.
const DELIVERY_LIMIT: i32 = 1000;
/// Messages that were set aside, of which the oldest go first. Their rows are in the store.
const DEAD_MAX_LENGTH: i32 = 100_000;

/// Everything that is declared, in this order: exchanges, queues, bindings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Topology {
    /// Durable exchanges.
    pub exchanges: Vec<Exchange>,
    /// Durable queues, each bound once: the one of the deliveries, and the one that holds what
    /// was set aside.
    pub queues: Vec<Queue>,
}

/// A durable exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exchange {
    /// Its name.
    pub name: String,
    /// How it routes.
    pub kind: ExchangeKind,
}

/// How an exchange routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExchangeKind {
    /// To the queue bound with the message's routing key.
    Direct,
    /// To every queue bound.
    Fanout,
}

/// A durable queue and its binding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// The exchange it is bound to.
    pub exchange: String,
    /// The routing key it is bound with.
    pub routing_key: String,
    /// Its arguments, sorted by name.
    pub arguments: Vec<(&'static str, Argument)>,
}

/// The value of a queue's argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Argument {
    /// A text.
    Text(String),
    /// A number.
    Number(i32),
}

/// What is declared.
pub fn topology() -> Topology {
    Topology::new(PREFIX)
}

impl Topology {
    /// The same under other names.
    pub(crate) fn new(prefix: &str) -> Self {
        let deliveries = format!("{prefix}.deliveries");
        let dead = format!("{prefix}.dead");
        Self {
            queues: vec![delivery_queue(&deliveries, &dead), dead_queue(&dead)],
            exchanges: vec![
                Exchange { name: deliveries, kind: ExchangeKind::Direct },
                Exchange { name: dead, kind: ExchangeKind::Fanout },
            ],
        }
    }

    /// Declares everything that is missing, on a channel of its own because a refusal closes it.
    pub(crate) async fn declare(&self, connection: &Connection) -> Result<(), QueueError> {
        let channel = connection.create_channel().await.map_err(|e| unavailable(&e))?;
        for exchange in &self.exchanges {
            exchange.declare(&channel).await.map_err(|e| mismatch(&exchange.name, &e))?;
        }
        for queue in &self.queues {
            queue.declare(&channel).await.map_err(|e| mismatch(&queue.name, &e))?;
        }
        channel.close(200, "OK".into()).await.map_err(|e| unavailable(&e))
    }
}

/// The name of the queue that deliveries travel through.
pub(crate) fn delivery_queue_name(prefix: &str) -> String {
    format!("{prefix}.deliveries.v{VERSION}")
}

fn delivery_queue(deliveries: &str, dead: &str) -> Queue {
    let name = format!("{deliveries}.v{VERSION}");
    Queue {
        exchange: deliveries.to_owned(),
        routing_key: name.clone(),
        name,
        arguments: vec![
            ("x-dead-letter-exchange", Argument::Text(dead.to_owned())),
            ("x-dead-letter-strategy", Argument::Text("at-least-once".to_owned())),
            ("x-delivery-limit", Argument::Number(DELIVERY_LIMIT)),
            ("x-overflow", Argument::Text("reject-publish".to_owned())),
            ("x-queue-type", Argument::Text("quorum".to_owned())),
        ],
    }
}

fn dead_queue(dead: &str) -> Queue {
    Queue {
        name: format!("{dead}.v1"),
        exchange: dead.to_owned(),
        routing_key: String::new(),
        arguments: vec![
            ("x-max-length", Argument::Number(DEAD_MAX_LENGTH)),
            ("x-overflow", Argument::Text("drop-head".to_owned())),
            ("x-queue-type", Argument::Text("quorum".to_owned())),
        ],
    }
}

impl Exchange {
    async fn declare(&self, channel: &Channel) -> Result<(), lapin::Error> {
        let kind = match self.kind {
            ExchangeKind::Direct => lapin::ExchangeKind::Direct,
            ExchangeKind::Fanout => lapin::ExchangeKind::Fanout,
        };
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        channel.exchange_declare(short(&self.name), kind, options, FieldTable::default()).await
    }
}

impl Queue {
    async fn declare(&self, channel: &Channel) -> Result<(), lapin::Error> {
        let options = QueueDeclareOptions::durable();
        channel.queue_declare(short(&self.name), options, self.table()).await?;
        let (queue, exchange) = (short(&self.name), short(&self.exchange));
        let key = short(&self.routing_key);
        let options = QueueBindOptions::default();
        channel.queue_bind(queue, exchange, key, options, FieldTable::default()).await
    }

    fn table(&self) -> FieldTable {
        let mut table = FieldTable::default();
        for (name, value) in &self.arguments {
            let value = match value {
                Argument::Text(text) => AMQPValue::LongString(text.as_str().into()),
                Argument::Number(number) => AMQPValue::LongInt(*number),
            };
            table.insert(short(name), value);
        }
        table
    }
}

/// AMQP names have at most 255 bytes. Ours are a checked prefix and a short ending, so nothing
/// is ever cut.
pub(crate) fn short(text: &str) -> ShortString {
    let end = text.floor_char_boundary(255);
    text.get(..end).unwrap_or_default().into()
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Exchange { name, kind } in &self.exchanges {
            writeln!(f, "exchange {name} {kind} durable")?;
        }
        for queue in &self.queues {
            write!(f, "{queue}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, exchange, routing_key, arguments } = self;
        writeln!(f, "queue {name} durable")?;
        for (argument, value) in arguments {
            writeln!(f, "queue {name} argument {argument}={value}")?;
        }
        writeln!(f, "binding {exchange} -> {name} routing-key={routing_key}")
    }
}

impl fmt::Display for ExchangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
        })
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests;
