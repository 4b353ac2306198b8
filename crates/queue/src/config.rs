//! How to reach RabbitMQ, and what to use there.

use secrecy::SecretString;

/// Messages that one process may hold unacknowledged, over all its queues.
pub const MAX_PREFETCH: u16 = 4096;

/// Where RabbitMQ is and how it is used.
#[derive(Debug, Clone)]
pub struct QueueConfig {
    /// `amqp://user:password@host:port/vhost` or `amqps://…`.
    pub url: SecretString,
    /// Number of queues that deliveries are spread over, 1 to 64.
    pub queues: u16,
    /// Messages held unacknowledged over all queues, 1 to [`MAX_PREFETCH`].
    pub prefetch: u16,
    /// The connection's name in RabbitMQ's own lists.
    pub name: String,
    /// What the names of exchanges and queues start with; `postrider` unless tests share a broker.
    pub prefix: String,
}

impl QueueConfig {
    /// The usual settings for one RabbitMQ: 4 queues, 512 messages held, prefix `postrider`.
    pub fn new(url: SecretString, name: impl Into<String>) -> Self {
        Self {
            url,
            queues: 4,
            prefetch: 512,
            name: name.into(),
            prefix: crate::topology::PREFIX.to_owned(),
        }
    }
}
