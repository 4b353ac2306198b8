//! The fast road: RabbitMQ. The only crate that knows AMQP.
//!
//! A [`Publisher`] puts deliveries on it and learns the fate of each, a [`Consumer`] takes them
//! and a [`Settler`] acknowledges them. The road may lose anything at any time: a message is an
//! id, the delivery is a row in the store, and what the road loses is claimed from there.

mod config;
mod consume;
mod error;
mod inbox;
mod link;
mod message;
mod publish;
mod session;
mod settle;
mod topology;
mod traced;

pub use config::{MAX_PREFETCH, QueueConfig};
pub use consume::{Consumer, Settler, Tag, Taken};
pub use error::QueueError;
pub use message::{Message, MessageError};
pub use publish::{Published, Publisher};
pub use topology::{
    Argument, Exchange, ExchangeKind, MAX_QUEUES, PREFIX, Queue, Topology, topology,
};
