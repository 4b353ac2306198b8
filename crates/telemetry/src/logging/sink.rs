//! Lines between the threads that log and the one that writes.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;

use super::LogFormat;
use super::line;
use crate::names::LOG_LINES_DROPPED;

/// Bytes that wait for a reader of standard output. About 20,000 lines.
const MAX_WAITING: usize = 16 << 20;

/// A bounded buffer. What does not fit is dropped and counted, and the count is logged once
/// there is room.
pub(crate) struct Sink {
    format: LogFormat,
    state: Mutex<State>,
    /// There is something to write.
    work: Condvar,
    /// Something was written.
    progress: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    dropped: u64,
    /// Bytes taken in and bytes written, since the start.
    taken: u64,
    written: u64,
    /// Nobody reads any more.
    broken: bool,
}

impl Sink {
    pub(crate) fn new(format: LogFormat) -> Self {
        let (state, work, progress) = (Mutex::default(), Condvar::new(), Condvar::new());
        Self { format, state, work, progress }
    }

    /// Takes a line without waiting for anybody who reads.
    pub(crate) fn write(&self, line: &str) {
        let mut state = self.lock();
        if state.broken || state.waiting.len() + line.len() > MAX_WAITING {
            state.dropped += 1;
            return;
        }
        state.append(line);
        drop(state);
        self.work.notify_one();
    }

    /// Waits until what was taken so far is written, at most `within`. Returns whether it is.
    pub(crate) fn flush(&self, within: Duration) -> bool {
        let state = self.lock();
        let goal = state.taken;
        let waits = |state: &mut State| state.written < goal && !state.broken;
        let waited = self.progress.wait_timeout_while(state, within, waits);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.written >= goal
    }

    /// Starts the thread that writes to `out` for as long as the process lives.
    pub(crate) fn start(self: &Arc<Self>, out: impl Write + Send + 'static) -> io::Result<()> {
        let sink = Arc::clone(self);
        thread::Builder::new().name("log".to_owned()).spawn(move || sink.run(out))?;
        Ok(())
    }

    fn run(&self, mut out: impl Write) {
        let mut batch = Vec::new();
        let mut going = true;
        while going {
            self.next_batch(&mut batch);
            let written = out.write_all(&batch).and_then(|()| out.flush()).is_ok();
            going = self.done(batch.len(), written);
            batch.clear();
        }
    }

    /// Waits for lines and takes all of them.
    fn next_batch(&self, batch: &mut Vec<u8>) {
        let state = self.lock();
        let waited = self.work.wait_while(state, |state| state.is_idle());
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        if state.dropped > 0 {
            let dropped = mem::take(&mut state.dropped);
            let (now, name) = (Timestamp::now(), LOG_LINES_DROPPED);
            let line = line::of_count(self.format, now, name, "dropped", dropped);
            state.append(&line);
        }
        mem::swap(&mut state.waiting, batch);
    }

    /// Returns whether writing goes on.
    fn done(&self, length: usize, written: bool) -> bool {
        let mut state = self.lock();
        if written {
            state.written += length as u64;
        } else {
            state.broken = true;
        }
        drop(state);
        self.progress.notify_all();
        written
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
