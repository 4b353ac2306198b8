//! Which acknowledgements to write for a batch of settled messages.
//!
//! Tags of a channel count up from 1. One `basic.ack` with `multiple` settles everything up to
//! its tag, so it may only be written when all of that is settled; what lies beyond a gap is
//! acknowledged one by one.

use std::collections::BTreeSet;

/// One `basic.ack`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ack {
    pub(crate) tag: u64,
    pub(crate) multiple: bool,
}

/// What is settled on one channel.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// Highest tag handed out.
    handed_out: u64,
    /// Everything up to here is settled.
    prefix: u64,
    /// Settled beyond a gap; holds fewer tags than messages may be held.
    beyond: BTreeSet<u64>,
}

impl Settled {
    /// `tag` was handed out. Several consumers of a channel may report out of order.
    pub(crate) fn handed_out(&mut self, tag: u64) {
        self.handed_out = self.handed_out.max(tag);
    }

    /// Settles `tags` and returns what to write. Tags that are settled already, or were never
    /// handed out, are ignored: RabbitMQ closes the channel for those.
    pub(crate) fn settle(&mut self, tags: impl IntoIterator<Item = u64>) -> Vec<Ack> {
        let mut new: Vec<u64> = tags.into_iter().filter(|tag| self.take(*tag)).collect();
        new.sort_unstable();
        while self.beyond.first() == Some(&(self.prefix + 1)) {
            self.beyond.pop_first();
            self.prefix += 1;
        }
        let covered = new.partition_point(|tag| *tag <= self.prefix);
        let (covered, alone) = new.split_at(covered);
        let multiple = covered.len() > 1;
        let first = covered.last().map(|tag| Ack { tag: *tag, multiple });
        let rest = alone.iter().map(|tag| Ack { tag: *tag, multiple: false });
        first.into_iter().chain(rest).collect()
    }

    fn take(&mut self, tag: u64) -> bool {
        (self.prefix + 1..=self.handed_out).contains(&tag) && self.beyond.insert(tag)
    }
}

#[cfg(test)]
mod tests;
