//! How to reach RabbitMQ, and what to use there.

use std::time::Duration;

use postrider_telemetry::Supervisor;
use secrecy::SecretString;

/// Messages that one process may hold unacknowledged. A message is acknowledged once its
/// deliveries are claimed, so 64 to 256 are enough at any load.
pub const MAX_PREFETCH: u16 = 4096;
/// Queues of version 1 of the message format at most.
pub const MAX_OLD_QUEUES: u16 = 64;

/// Where RabbitMQ is and how it is used.
#[derive(Debug, Clone)]
pub struct QueueConfig {
    /// `amqp://user:password@host:port/vhost` or `amqps://…`.
    pub url: SecretString,
    /// Messages held unacknowledged, 1 to [`MAX_PREFETCH`].
    pub prefetch: u16,
    /// Queues of version 1 of the message format that there may be, 0 to [`MAX_OLD_QUEUES`].
    pub old_queues: u16,
    /// A queue of version 1 is deleted when for this long it was empty and brought nothing.
    pub old_queues_kept: Duration,
    /// The connection's name in RabbitMQ's own lists.
    pub name: String,
    /// What the names of exchanges and queues start with; `postrider` unless tests share a broker.
    pub prefix: String,
    /// Starts the tasks that own connections again should they panic.
    pub supervisor: Supervisor,
}

impl QueueConfig {
    /// The usual settings for one RabbitMQ: 128 messages held, 2 queues of version 1 looked for
    /// and kept for a day, prefix `postrider`.
    pub fn new(url: SecretString, name: impl Into<String>) -> Self {
        Self {
            url,
            prefetch: 128,
            old_queues: 2,
            old_queues_kept: Duration::from_hours(24),
            name: name.into(),
            prefix: crate::topology::PREFIX.to_owned(),
            supervisor: Supervisor::default(),
        }
    }
}
