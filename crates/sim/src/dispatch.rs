//! Messages on their way: published, handed out to consumers, acknowledged.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::happening::Happening;
use crate::message::{Connection, Message, Tag};
use crate::process::{Process, Who};
use crate::queue::Consumer;
use crate::trace::told;
use crate::world::World;

/// Messages that a consumer may have unacknowledged.
const PREFETCH: usize = 64;

impl World {
    pub(crate) fn published(&mut self, message: Message) {
        let message = Rc::new(message);
        // A publisher that saw no confirm writes again.
        if self.is_stormy && self.chance.one_in(15) {
            self.queue.ready.push_back(Rc::clone(&message));
        }
        self.queue.ready.push_back(message);
        self.at(0, Happening::Pumps);
    }

    pub(crate) fn connects(&mut self, who: Who) {
        let process = &mut self.processes[who.slot];
        if process.connection.is_some() || !process.wants_messages {
            return;
        }
        if self.now < process.queue_cut_until || self.now < self.queue_away_until {
            return self.at(500, Happening::Connects(who));
        }
        self.queue.last += 1;
        let connection = self.queue.last;
        process.connection = Some(connection);
        process.messages.clear();
        self.queue.consumers.insert(connection, Consumer { who, unacked: BTreeMap::new() });
        told!(self, "{who} consumes by connection {connection}");
        self.at(1, Happening::Pumps);
    }

    /// The process knows that its connection is gone; the queue may learn it later.
    pub(crate) fn disconnects(&mut self, who: Who, noticed_after: u64) {
        let process = &mut self.processes[who.slot];
        process.messages.clear();
        if let Some(connection) = process.connection.take() {
            self.at(noticed_after, Happening::ConnectionLost(connection));
        }
    }

    pub(crate) fn connection_lost(&mut self, connection: Connection) {
        self.queue.give_back(connection);
        let of = |process: &&mut Process| process.connection == Some(connection);
        if let Some(process) = self.processes.iter_mut().find(of) {
            process.connection = None;
            process.messages.clear();
            let who = process.who();
            self.at(20, Happening::Connects(who));
        }
        self.at(0, Happening::Pumps);
    }

    /// Hands out what there is to whoever has room.
    pub(crate) fn pump(&mut self) {
        while !self.queue.ready.is_empty() {
            let room = |consumer: &Consumer| consumer.unacked.len() < PREFETCH;
            let free: Vec<Connection> = self
                .queue
                .consumers
                .iter()
                .filter(|(_, consumer)| room(consumer))
                .map(|(connection, _)| *connection)
                .collect();
            let Some(connection) = self.chance.pick(&free) else { return };
            // Redelivery and several producers leave no order.
            let at = self.chance.mostly_small(self.queue.ready.len() as u64 - 1);
            let Some(message) = usize::try_from(at).ok().and_then(|at| self.queue.ready.remove(at))
            else {
                return;
            };
            self.queue.last_tag += 1;
            let tag = self.queue.last_tag;
            let Some(consumer) = self.queue.consumers.get_mut(&connection) else { return };
            consumer.unacked.insert(tag, Rc::clone(&message));
            let who = consumer.who;
            let is_cut = self.now < self.processes[who.slot].queue_cut_until;
            if !is_cut {
                let on_the_way = self.chance.within(1..=4);
                self.at(on_the_way, Happening::Delivered(who, connection, tag, message));
            }
        }
    }

    pub(crate) fn acked(&mut self, connection: Connection, tag: Tag) {
        if let Some(consumer) = self.queue.consumers.get_mut(&connection) {
            consumer.unacked.remove(&tag);
            self.at(0, Happening::Pumps);
        }
    }
}
