//! Which messages wait for which deliveries (rule `SETTLE_AT_CLAIM`).
//!
//! A message is acknowledged once a committed step of the store has answered each of its ids:
//! the delivery was claimed, can't be claimed, or was made due. An error answers nothing. By then
//! the message can do nothing more for its deliveries: a claim by a message takes only what was
//! never claimed (rule `ROAD_FRESH`), and every later one comes out of the store.
//!
//! Pure bookkeeping. The same id may come in two messages: it is worked once, and its answer
//! counts for both. Messages of a connection that is gone are forgotten, for RabbitMQ hands them
//! out again.

use std::collections::HashMap;

use postrider_domain::DeliveryId;
use postrider_queue::Tag;

/// The messages that are not acknowledged yet, all of one connection.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    /// The newest connection that was seen.
    generation: u64,
    /// What came by it was given back.
    is_given_back: bool,
    /// How many ids of each message have no answer yet.
    open: HashMap<Tag, usize>,
    holders: HashMap<DeliveryId, Holders>,
}

/// The messages that wait for one id.
#[derive(Debug)]
struct Holders {
    first: Tag,
    others: Vec<Tag>,
}

impl Holders {
    fn iter(&self) -> impl Iterator<Item = Tag> {
        std::iter::once(self.first).chain(self.others.iter().copied())
    }
}

/// What taking a message came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ReceiveOutcome {
    /// These ids are to be worked; the others of the message are worked already.
    Work(Vec<DeliveryId>),
    /// Nothing of it needs an answer: acknowledge it.
    Settled,
    /// It came by a connection that is gone, or was given back: it is neither worked nor
    /// acknowledged.
    Stale,
}

impl Messages {
    /// The connection that messages come by; those of another one are forgotten. Whether anything
    /// was.
    pub(crate) fn connected(&mut self, generation: u64) -> bool {
        if generation <= self.generation {
            return false;
        }
        self.generation = generation;
        self.is_given_back = false;
        self.clear()
    }

    /// Takes a message that names these ids.
    pub(crate) fn take(
        &mut self,
        tag: Tag,
        ids: impl IntoIterator<Item = DeliveryId>,
    ) -> ReceiveOutcome {
        if !self.is_current(tag.generation) || self.open.contains_key(&tag) {
            return ReceiveOutcome::Stale;
        }
        let mut new = Vec::new();
        let mut open = 0;
        for id in ids {
            match self.holders.get_mut(&id) {
                None => {
                    self.holders.insert(id, Holders { first: tag, others: Vec::new() });
                    new.push(id);
                }
                // Named twice by one message.
                Some(holders) if holders.iter().any(|holder| holder == tag) => continue,
                Some(holders) => holders.others.push(tag),
            }
            open += 1;
        }
        if open == 0 {
            return ReceiveOutcome::Settled;
        }
        self.open.insert(tag, open);
        ReceiveOutcome::Work(new)
    }

    /// A committed step answered these ids. Returns the messages to acknowledge, in their order.
    pub(crate) fn answered<'a>(
        &mut self,
        ids: impl IntoIterator<Item = &'a DeliveryId>,
    ) -> Vec<Tag> {
        let mut settled = Vec::new();
        for id in ids {
            let Some(holders) = self.holders.remove(id) else { continue };
            for tag in holders.iter() {
                if self.answer_of(tag) {
                    settled.push(tag);
                }
            }
        }
        settled.sort_unstable();
        settled
    }

    /// One id of a message has its answer. Whether all have.
    fn answer_of(&mut self, tag: Tag) -> bool {
        let Some(open) = self.open.get_mut(&tag) else { return false };
        *open = open.saturating_sub(1);
        let is_settled = *open == 0;
        if is_settled {
            self.open.remove(&tag);
        }
        is_settled
    }

    /// Whether ids that came by this connection may still be worked for their messages.
    pub(crate) fn is_current(&self, generation: u64) -> bool {
        self.generation == generation && !self.is_given_back
    }

    /// All messages are given back, with those of the same connection that are still to come.
    pub(crate) fn give_back(&mut self) {
        self.is_given_back = true;
        self.clear();
    }

    fn clear(&mut self) -> bool {
        let had_any = !self.open.is_empty();
        self.open.clear();
        self.holders.clear();
        had_any
    }
}

#[cfg(test)]
mod tests;
