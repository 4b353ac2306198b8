//! Messages between the connection's task and the worker. RabbitMQ hands out no more than the
//! prefetch of one connection, and the inbox is emptied when a connection ends, so the prefetch
//! bounds it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::Taken;

#[derive(Debug, Default)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Taken>,
    closed: bool,
}

impl Inbox {
    pub(crate) fn push(&self, taken: Taken) {
        self.lock().waiting.push_back(taken);
        self.arrived.notify_one();
    }

    /// Forgets what waits; RabbitMQ hands it out again.
    pub(crate) fn clear(&self) {
        self.lock().waiting.clear();
    }

    /// Nothing is handed out any more.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.waiting.clear();
        drop(state);
        self.arrived.notify_one();
    }

    /// Waits for at least one message and appends up to `max` (at least 1). Returns how many;
    /// 0 once closed. For one caller at a time.
    pub(crate) async fn recv_many(&self, buffer: &mut Vec<Taken>, max: usize) -> usize {
        loop {
            if let Some(count) = self.try_recv(buffer, max.max(1)) {
                return count;
            }
            self.arrived.notified().await;
        }
    }

    fn try_recv(&self, buffer: &mut Vec<Taken>, max: usize) -> Option<usize> {
        let mut state = self.lock();
        let count = state.waiting.len().min(max);
        buffer.extend(state.waiting.drain(..count));
        (count > 0 || state.closed).then_some(count)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
