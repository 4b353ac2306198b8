//! Looks at the queues from time to time, beside the consumer.
//!
//! A queue without a consumer has lost us although nobody said so: RabbitMQ 3.10 does that when a
//! queue is deleted and declared again at once. Old queues may come and go (the module `old`).

use std::sync::Arc;
use std::time::Duration;

use lapin::Connection;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::old::{Idle, OldQueue, OldQueues, delete, look_at};
use crate::{QueueError, link};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// Between two looks for old queues that were not there: RabbitMQ logs each as an error.
const FIND_EVERY: Duration = Duration::from_mins(10);

/// Looks after the queues of one connection.
pub(crate) struct Auditor {
    connection: Arc<Connection>,
    /// The queue that must be consumed.
    queue: String,
    old: Arc<OldQueues>,
    kept: Duration,
    found: mpsc::Sender<usize>,
    idle: Vec<Idle>,
    found_at: Instant,
}

impl Auditor {
    /// `found` is told the index of each old queue that is there now.
    pub(crate) fn new(
        connection: Arc<Connection>,
        queue: String,
        old: Arc<OldQueues>,
        kept: Duration,
        found: mpsc::Sender<usize>,
    ) -> Self {
        let idle = old.iter().map(|_| Idle::default()).collect();
        Self { connection, queue, old, kept, found, idle, found_at: Instant::now() }
    }

    /// Looks until something is wrong.
    pub(crate) async fn run(mut self) -> QueueError {
        let every = LOOK_EVERY.min(self.kept / 2);
        loop {
            tokio::time::sleep(every).await;
            if let Err(error) = link::in_time(self.look()).await {
                return error;
            }
        }
    }

    async fn look(&mut self) -> Result<(), QueueError> {
        match look_at(&self.connection, &self.queue).await? {
            Some(queue) if queue.consumer_count() > 0 => {}
            Some(_) | None => return Err(without_consumer(&self.queue)),
        }
        let finds = self.found_at.elapsed() >= FIND_EVERY.min(self.kept);
        if finds {
            self.found_at = Instant::now();
        }
        let old = Arc::clone(&self.old);
        for (index, queue) in old.iter() {
            if queue.is_consumed() {
                self.look_at_old(index, queue).await?;
            } else if finds
                && look_at(&self.connection, &queue.name).await?.is_some()
                && self.found.send(index).await.is_err()
            {
                tracing::debug!("queue.consumer_ended");
            }
        }
        Ok(())
    }

    async fn look_at_old(&mut self, index: usize, queue: &OldQueue) -> Result<(), QueueError> {
        let Some(seen) = look_at(&self.connection, &queue.name).await? else {
            queue.set_consumed(false);
            return Ok(());
        };
        if seen.consumer_count() == 0 {
            return Err(without_consumer(&queue.name));
        }
        let is_idle = queue.is_idle(seen.message_count());
        let idle = self.idle.get_mut(index);
        if idle.is_some_and(|idle| idle.look(is_idle, Instant::now(), self.kept)) {
            delete(&self.connection, &queue.name).await?;
            tracing::info!(queue = %queue.name, kept = ?self.kept, "queue.old_deleted");
        }
        Ok(())
    }
}

fn without_consumer(queue: &str) -> QueueError {
    QueueError::Unavailable(format!("{queue} has no consumer"))
}
