//! A message that was received, and the tag that acknowledges it.

use std::sync::Arc;

use postrider_domain::{DeliveryId, LaneId};
use postrider_telemetry::TraceContext;

/// A message that was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The deliveries to claim, each with the lane it was in when it was published.
    pub deliveries: Vec<(DeliveryId, LaneId)>,
    /// Lanes in whose rows something waits.
    pub wake: Vec<LaneId>,
    /// RabbitMQ has handed it out before: it may have been worked.
    pub redelivered: bool,
    /// For [`Settler::ack`](crate::Settler::ack).
    pub tag: Tag,
    /// For the spans of its deliveries, when its publishing was recorded.
    pub context: Option<Arc<MessageContext>>,
}

/// Names one received message until it is acknowledged. A tag of a connection that is gone is
/// ignored: RabbitMQ hands the message out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag {
    /// The consumer's how-many-th connection, from 1.
    pub generation: u64,
    /// The message's number on that connection, from 1.
    pub delivery: u64,
}

/// What a message brings along that the rows of its deliveries don't know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageContext {
    /// The span that published it.
    pub publish: TraceContext,
    /// `<exchange>:<routing key>` that it came by.
    pub destination: String,
}
