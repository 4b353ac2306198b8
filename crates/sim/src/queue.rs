//! The queue: at least once, in no order, a window for each consumer.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use crate::message::{Connection, Message, Tag};
use crate::process::Who;

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pub(crate) ready: VecDeque<Rc<Message>>,
    pub(crate) consumers: BTreeMap<Connection, Consumer>,
    pub(crate) last: Connection,
    pub(crate) last_tag: Tag,
}

/// Who takes messages by a connection.
#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) who: Who,
    pub(crate) unacked: BTreeMap<Tag, Rc<Message>>,
}

impl Queue {
    /// Messages that nobody has acknowledged.
    pub(crate) fn left(&self) -> usize {
        let unacked: usize = self.consumers.values().map(|each| each.unacked.len()).sum();
        self.ready.len() + unacked
    }

    /// One that is left, and who has it.
    pub(crate) fn first_left(&self) -> Option<String> {
        let unacked = self.consumers.values().find_map(|consumer| {
            let (tag, message) = consumer.unacked.first_key_value()?;
            Some(format!("message {tag} of {}: {:?}", consumer.who, message.deliveries))
        });
        unacked.or_else(|| self.ready.front().map(|message| format!("{:?}", message.deliveries)))
    }

    /// Takes back what came by a connection that is gone.
    pub(crate) fn give_back(&mut self, connection: Connection) {
        if let Some(consumer) = self.consumers.remove(&connection) {
            for message in consumer.unacked.into_values().rev() {
                self.ready.push_front(message);
            }
        }
    }
}
