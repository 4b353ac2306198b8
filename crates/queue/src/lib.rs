//! The dispatch queue: RabbitMQ. The only crate that knows AMQP.
//!
//! A [`Publisher`] puts messages there and learns the fate of each, a [`Consumer`] takes them and
//! a [`Settler`] acknowledges them. The queue may lose anything at any time: a message names some
//! deliveries by their ids, each is a row in the store, and what the queue loses is claimed from
//! there.

mod audit;
mod channel;
mod config;
mod consume;
mod error;
mod link;
mod message;
mod old;
mod publish;
mod published;
mod received;
mod session;
mod settle;
mod topology;
mod traced;

pub use config::{MAX_OLD_QUEUES, MAX_PREFETCH, QueueConfig};
pub use consume::{Consumer, Settler};
pub use error::QueueError;
pub use link::try_out;
pub use message::{Fresh, MAX_DELIVERIES, Message, MessageError, pack};
pub use publish::Publisher;
pub use published::Published;
pub use received::{MessageContext, Received, Tag};
pub use topology::{Argument, Exchange, ExchangeKind, PREFIX, Queue, Topology, topology};
