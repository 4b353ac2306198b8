//! Which acknowledgement to write for a batch of settled messages.
//!
//! Tags of a channel count up from 1. One `basic.ack` with `multiple` settles everything up to
//! its tag, so it may only be written when all of that is settled. What lies beyond a gap waits
//! until the gap closes: messages are settled nearly in the order in which they came, and one
//! acknowledgement for many costs RabbitMQ a fraction of one for each. For the same reason none is
//! written within [`ACK_EVERY`] after another.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

/// Least time between two acknowledgements that nothing hurries: each is a command of its own in
/// the log of a quorum queue, whatever it settles.
const ACK_EVERY: Duration = Duration::from_millis(5);
/// What is not written yet may be this part of what RabbitMQ hands out at once.
const UNWRITTEN_PART: usize = 4;

/// Settled messages of one channel of which RabbitMQ was not told yet.
#[derive(Debug)]
pub(crate) struct Unwritten {
    tags: Vec<u64>,
    most: usize,
    due_at: Instant,
}

impl Unwritten {
    /// For a channel that is handed `prefetch` messages at once.
    pub(crate) fn new(prefetch: u16) -> Self {
        let most = (usize::from(prefetch) / UNWRITTEN_PART).max(1);
        Self { tags: Vec::new(), most, due_at: Instant::now() }
    }

    pub(crate) fn extend(&mut self, tags: impl IntoIterator<Item = u64>) {
        self.tags.extend(tags);
    }

    /// Whether there is something to write at [`Self::due_at`].
    pub(crate) fn waits(&self) -> bool {
        !self.tags.is_empty()
    }

    /// When to write, unless [`Self::is_due`] says so earlier.
    pub(crate) fn due_at(&self) -> Instant {
        self.due_at
    }

    /// Whether to write now: the last one was long ago, or RabbitMQ may soon wait for it.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.waits() && (now >= self.due_at || self.tags.len() >= self.most)
    }

    /// What is to be written, which happens at `now`.
    pub(crate) fn take(&mut self, now: Instant) -> Vec<u64> {
        self.due_at = now + ACK_EVERY;
        std::mem::take(&mut self.tags)
    }
}

/// What is settled on one channel.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// Highest tag handed out.
    handed_out: u64,
    /// Everything up to here is settled.
    prefix: u64,
    /// Everything up to here was acknowledged or rejected.
    acknowledged: u64,
    /// Settled beyond a gap; holds fewer tags than messages may be held.
    beyond: BTreeSet<u64>,
    /// Settled by a rejection and not yet behind an acknowledgement: RabbitMQ knows these tags no
    /// more, and closes the channel for an acknowledgement that names one.
    rejected: BTreeSet<u64>,
}

impl Settled {
    /// `tag` was handed out. Several consumers of a channel may report out of order.
    pub(crate) fn handed_out(&mut self, tag: u64) {
        self.handed_out = self.handed_out.max(tag);
    }

    /// `tag` was rejected, which settles it.
    pub(crate) fn rejected(&mut self, tag: u64) {
        if self.take(tag) {
            self.rejected.insert(tag);
        }
    }

    /// Settles `tags` and returns up to which tag to acknowledge, if anything is new. Tags that
    /// are settled already, or were never handed out, are ignored.
    pub(crate) fn settle(&mut self, tags: impl IntoIterator<Item = u64>) -> Option<u64> {
        for tag in tags {
            self.take(tag);
        }
        while self.beyond.first() == Some(&(self.prefix + 1)) {
            self.beyond.pop_first();
            self.prefix += 1;
        }
        let mut last = self.prefix;
        while last > self.acknowledged && self.rejected.contains(&last) {
            last -= 1;
        }
        self.rejected = self.rejected.split_off(&(self.prefix + 1));
        let is_new = last > self.acknowledged;
        self.acknowledged = self.prefix;
        is_new.then_some(last)
    }

    fn take(&mut self, tag: u64) -> bool {
        (self.prefix + 1..=self.handed_out).contains(&tag) && self.beyond.insert(tag)
    }
}

#[cfg(test)]
mod tests;
