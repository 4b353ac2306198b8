//! Queues of version 1 of the message format, `postrider.deliveries.v1.<n>`.
//!
//! Programs of before publish there. While the queues are there they are consumed; nothing here
//! declares one, so that a new broker never has them. Once a queue was empty and brought nothing
//! for the time that is set, nobody publishes there any more and it is deleted. RabbitMQ deletes
//! no quorum queue on the condition that it is empty, so a message may slip in between the look
//! and the deletion; its row is then claimed from the store, as for all that the queue loses. Its
//! publisher declares the queue again and is heard again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{Connection, Queue};
use tokio::time::Instant;

use crate::config::MAX_OLD_QUEUES;
use crate::error::{is_missing, unavailable};
use crate::topology::short;
use crate::{QueueConfig, QueueError};

/// The queues of version 1 that there may be. One connection's consumer and the looks beside it
/// share what is known of them.
#[derive(Debug)]
pub(crate) struct OldQueues(Vec<OldQueue>);

/// One that there may be.
#[derive(Debug)]
pub(crate) struct OldQueue {
    pub(crate) name: String,
    /// It is there and we consume it.
    consumed: AtomicBool,
    /// A message came since the last look.
    brought: AtomicBool,
}

impl OldQueues {
    pub(crate) fn of(config: &QueueConfig) -> Self {
        let queue = |index| OldQueue {
            name: format!("{}.deliveries.v1.{index}", config.prefix),
            consumed: AtomicBool::new(false),
            brought: AtomicBool::new(false),
        };
        Self((0..config.old_queues.min(MAX_OLD_QUEUES)).map(queue).collect())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &OldQueue)> {
        self.0.iter().enumerate()
    }

    pub(crate) fn get(&self, index: usize) -> Option<&OldQueue> {
        self.0.get(index)
    }

    /// The share that each may hold of what one process may hold.
    pub(crate) fn prefetch(&self, all: u16) -> u16 {
        let count = u16::try_from(self.0.len()).unwrap_or(u16::MAX).max(1);
        (all / count).max(1)
    }
}

impl OldQueue {
    pub(crate) fn is_consumed(&self) -> bool {
        self.consumed.load(Ordering::Relaxed)
    }

    pub(crate) fn set_consumed(&self, consumed: bool) {
        self.consumed.store(consumed, Ordering::Relaxed);
    }

    pub(crate) fn brought(&self) {
        self.brought.store(true, Ordering::Relaxed);
    }

    /// Whether nothing came since the last look and nothing waits.
    pub(crate) fn is_idle(&self, waiting: u32) -> bool {
        let brought = self.brought.swap(false, Ordering::Relaxed);
        !brought && waiting == 0
    }
}

/// For how long a queue was seen idle at every look.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Idle(Option<Instant>);

impl Idle {
    /// A look. Whether the queue was idle for as long as it is kept.
    pub(crate) fn look(&mut self, is_idle: bool, now: Instant, kept: Duration) -> bool {
        if !is_idle {
            self.0 = None;
            return false;
        }
        let since = *self.0.get_or_insert(now);
        now.duration_since(since) >= kept
    }
}

/// Looks at a queue without declaring it; `None` when it is not there. On a channel of its own,
/// because a look at a queue that is not there closes it.
pub(crate) async fn look_at(
    connection: &Connection,
    name: &str,
) -> Result<Option<Queue>, QueueError> {
    let channel = connection.create_channel().await.map_err(|e| unavailable(&e))?;
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
    match channel.queue_declare(short(name), options, FieldTable::default()).await {
        Ok(queue) => {
            channel.close(200, "OK".into()).await.map_err(|e| unavailable(&e))?;
            Ok(Some(queue))
        }
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(unavailable(&error)),
    }
}

/// Deletes a queue, whatever it holds.
pub(crate) async fn delete(connection: &Connection, name: &str) -> Result<(), QueueError> {
    let channel = connection.create_channel().await.map_err(|e| unavailable(&e))?;
    let deleted = channel.queue_delete(short(name), QueueDeleteOptions::default()).await;
    deleted.map_err(|e| unavailable(&e))?;
    channel.close(200, "OK".into()).await.map_err(|e| unavailable(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: Duration = Duration::from_secs(100);

    #[test]
    fn only_a_queue_that_stays_idle_goes() {
        let (mut idle, start) = (Idle::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!idle.look(true, at(0), KEPT), "only now seen");
        assert!(!idle.look(true, at(99), KEPT));
        assert!(!idle.look(false, at(100), KEPT), "somebody published");
        assert!(!idle.look(true, at(199), KEPT));
        assert!(!idle.look(true, at(298), KEPT));
        assert!(idle.look(true, at(299), KEPT));
    }

    #[test]
    fn a_message_or_a_backlog_is_use() {
        let config = QueueConfig { old_queues: 3, ..QueueConfig::new("".into(), "t") };
        let queues = OldQueues::of(&config);
        assert_eq!(queues.prefetch(128), 42);
        let queue = queues.get(2).unwrap();
        assert_eq!(queue.name, "postrider.deliveries.v1.2");
        assert!(queues.get(3).is_none());
        assert!(queue.is_idle(0));
        assert!(!queue.is_idle(1));
        queue.brought();
        assert!(!queue.is_idle(0));
        assert!(queue.is_idle(0), "nothing came since the last look");
    }
}
