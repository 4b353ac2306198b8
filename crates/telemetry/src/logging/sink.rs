//! Lines between the threads that log and the one that writes.
//!
//! A wake-up costs more than a line, and there is a line for each delivery: so the writer is woken
//! only when it sleeps, then gathers for a moment, and writes what came together at once.
//!
//! | the reader of standard output | then |
//! |---|---|
//! | keeps up | a line is out within 5 ms, sooner when 64 KiB are together or somebody flushes |
//! | is slower than the lines come | who logs waits for it: memory is bounded, no line is lost |
//! | takes nothing for 200 ms | lines are dropped and counted until it takes something again |
//!
//! `kill -9` loses what was gathered; every other end of the process flushes.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;

use super::line::{self, LogFormat};
use crate::names::LOG_LINES_DROPPED;

/// When a sink gathers, waits and drops.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SinkLimits {
    /// Bytes not yet written; above that who logs waits. About 5,000 lines.
    pub(crate) pending: usize,
    /// A batch is written once it has this many bytes …
    pub(crate) batch: usize,
    /// … or its first line has waited this long.
    pub(crate) gather: Duration,
    /// How long one line waits for room. Nobody is held up for longer by a reader that hangs.
    pub(crate) patience: Duration,
}

impl Default for SinkLimits {
    fn default() -> Self {
        Self {
            pending: 4 << 20,
            batch: 64 << 10,
            gather: Duration::from_millis(5),
            patience: Duration::from_millis(200),
        }
    }
}

/// A bounded buffer. What does not fit in time is dropped and counted, and the count is logged
/// once there is room.
pub(crate) struct Sink {
    format: LogFormat,
    limits: SinkLimits,
    state: Mutex<State>,
    /// For the writer: there is something to do.
    work: Condvar,
    /// For everybody else: something was written.
    progress: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    dropped: u64,
    /// Bytes taken in and bytes written, since the start.
    taken: u64,
    written: u64,
    writer: Writer,
    /// Who waits in `flush`; nothing is gathered meanwhile.
    flushing: usize,
    /// Who waits for room.
    held_up: usize,
    /// Nothing was written for so long that a line gave up; until something is, none waits.
    stalled: bool,
    /// Nobody reads any more.
    broken: bool,
}

/// What the thread that writes is doing.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Writer {
    /// It waits for a first line and has to be woken.
    #[default]
    Asleep,
    /// It waits for more lines; woken when they are enough.
    Gathering,
    /// It is writing, or woken already, and will look by itself.
    Busy,
}

impl Sink {
    pub(crate) fn new(format: LogFormat, limits: SinkLimits) -> Self {
        let (state, work, progress) = (Mutex::default(), Condvar::new(), Condvar::new());
        Self { format, limits, state, work, progress }
    }

    /// Takes a line. Waits for room at most as long as the limits say.
    pub(crate) fn write(&self, line: &str) {
        let mut state = self.lock();
        if !self.has_room(&state, line) {
            state = self.wait_for_room(state, line);
        }
        if self.has_room(&state, line) && !state.broken {
            state.append(line);
        } else {
            state.dropped += 1;
        }
        self.wake(state);
    }

    /// Waits until what was taken so far is written, at most `within`. Returns whether it is.
    pub(crate) fn flush(&self, within: Duration) -> bool {
        let mut state = self.lock();
        let goal = state.taken;
        state.flushing += 1;
        if state.written < goal {
            self.work.notify_one();
        }
        let waits = |state: &mut State| state.written < goal && !state.broken;
        let waited = self.progress.wait_timeout_while(state, within, waits);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.flushing -= 1;
        state.written >= goal
    }

    /// Starts the thread that writes to `out` for as long as the process lives.
    pub(crate) fn start(self: &Arc<Self>, out: impl Write + Send + 'static) -> io::Result<()> {
        let sink = Arc::clone(self);
        thread::Builder::new().name("log".to_owned()).spawn(move || sink.run(out))?;
        Ok(())
    }

    fn has_room(&self, state: &State, line: &str) -> bool {
        let room = (self.limits.pending as u64).saturating_sub(state.taken - state.written);
        line.len() as u64 <= room
    }

    fn wait_for_room<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        line: &str,
    ) -> MutexGuard<'a, State> {
        if line.len() > self.limits.pending {
            // No wait would help.
            return state;
        }
        state.held_up += 1;
        let waits =
            |state: &mut State| !self.has_room(state, line) && !state.stalled && !state.broken;
        let waited = self.progress.wait_timeout_while(state, self.limits.patience, waits);
        let (mut state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        state.held_up -= 1;
        state.stalled |= waited.timed_out();
        state
    }

    /// Wakes the writer if it would not look by itself in time.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let wakes = match state.writer {
            Writer::Asleep => true,
            Writer::Gathering => state.waiting.len() >= self.limits.batch,
            Writer::Busy => false,
        };
        if wakes {
            state.writer = Writer::Busy;
            drop(state);
            self.work.notify_one();
        }
    }

    fn run(&self, mut out: impl Write) {
        let mut batch = Vec::new();
        loop {
            self.next_batch(&mut batch);
            // In parts, so that who waits for room sees a slow reader move.
            for part in batch.chunks(self.limits.batch) {
                let written = out.write_all(part).and_then(|()| out.flush()).is_ok();
                self.done(part.len(), written);
                if !written {
                    return;
                }
            }
            batch.clear();
            // What a burst needed is given back after it.
            batch.shrink_to(4 * self.limits.batch);
        }
    }

    /// Waits for lines and takes all of them.
    fn next_batch(&self, batch: &mut Vec<u8>) {
        let mut state = self.lock();
        while state.is_idle() {
            state.writer = Writer::Asleep;
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.writer = Writer::Gathering;
        let gathers = |state: &mut State| {
            state.waiting.len() < self.limits.batch && state.flushing == 0 && state.held_up == 0
        };
        let waited = self.work.wait_timeout_while(state, self.limits.gather, gathers);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.writer = Writer::Busy;
        if state.dropped > 0 {
            let dropped = mem::take(&mut state.dropped);
            let (now, name) = (Timestamp::now(), LOG_LINES_DROPPED);
            let line = line::of_count(self.format, now, name, "dropped", dropped);
            state.append(&line);
        }
        mem::swap(&mut state.waiting, batch);
    }

    fn done(&self, length: usize, written: bool) {
        let mut state = self.lock();
        if written {
            state.written += length as u64;
            state.stalled = false;
        } else {
            state.broken = true;
        }
        let somebody_waits = state.flushing > 0 || state.held_up > 0;
        drop(state);
        if somebody_waits {
            self.progress.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.dropped == 0
    }

    fn append(&mut self, line: &str) {
        self.waiting.extend_from_slice(line.as_bytes());
        self.taken += line.len() as u64;
    }
}

#[cfg(test)]
mod tests;
