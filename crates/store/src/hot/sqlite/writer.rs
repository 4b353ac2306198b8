//! The one writer of the file.
//!
//! Callers queue operations; each turn takes all that are queued, runs them in one
//! transaction and answers every caller after the commit, so that one fsync serves them all.
//! When an operation fails the turn is undone and each of its operations runs alone: a bad
//! one can't fail its neighbours. When one panics its whole turn is undone, the callers are told
//! that nobody knows, and the next turn goes on.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use postrider_telemetry::Supervisor;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Executor};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::clock;
use super::fault::Fault;
use crate::StoreError;
use crate::outstanding::{Outstanding, StepKind};

/// Operations that wait; more callers wait for room.
const QUEUE: usize = 256;
/// Operations of one turn, which bounds how long the first of them waits for the commit.
const TURN: usize = 64;

/// What an operation works with: the connection inside its transaction, and the instant of
/// the whole turn.
pub(crate) struct Turn {
    pub(crate) conn: SqliteConnection,
    /// Microseconds since the epoch.
    pub(crate) now: i64,
}

/// The way to the writer's task.
#[derive(Debug)]
pub(super) struct Writer {
    queue: mpsc::Sender<Box<dyn Job>>,
    outstanding: Outstanding,
    closing: CancellationToken,
    task: TaskTracker,
}

impl Writer {
    /// Starts the task that owns `conn`.
    pub(super) fn start(conn: SqliteConnection, supervisor: &Supervisor) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let closing = CancellationToken::new();
        let task = TaskTracker::new();
        let turn = Some(Turn { conn, now: 0 });
        let work = Arc::new(Mutex::new(Work { turn, waiting, jobs: Vec::with_capacity(TURN) }));
        let stop = closing.clone();
        supervisor.spawn(&task, "writer", move || {
            let (work, stop) = (Arc::clone(&work), stop.clone());
            async move { work.lock().await.go_on(&stop).await }
        });
        task.close();
        Self { queue, outstanding: Outstanding::default(), closing, task }
    }

    /// Runs `step` in a turn and returns what it came to, once that is on disk. `step` may run
    /// twice, the first time undone.
    pub(super) async fn run<A, T, F>(&self, args: A, step: F) -> Result<T, StoreError>
    where
        A: Send + 'static,
        T: Send + 'static,
        F: for<'a> Fn(&'a A, &'a mut Turn) -> BoxFuture<'a, Result<T, Fault>> + Send + 'static,
    {
        let entry = self.outstanding.enter("write", StepKind::Hot);
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Operation { args, step, result: None, reply });
        self.queue.send(job).await.map_err(|_| closed())?;
        let done = answer.await.map_err(|_| panicked())?;
        entry.ended(!done.as_ref().is_err_and(StoreError::may_pass));
        done
    }

    /// Since when the file takes nothing, if so.
    pub(super) fn failing_step(&self) -> Option<(&'static str, Duration)> {
        self.outstanding.failing(StepKind::Hot)
    }

    /// Name and age of the oldest of the operations under way.
    pub(super) fn oldest_step(&self) -> Option<(&'static str, Duration)> {
        self.outstanding.oldest(StepKind::Hot)
    }

    /// Finishes what is queued, moves the log into the file and closes it.
    pub(super) async fn close(&self) {
        self.closing.cancel();
        self.task.wait().await;
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".to_owned())
}

fn panicked() -> StoreError {
    StoreError::Unknown("the writer panicked in this turn".to_owned())
}

/// An operation whose types are forgotten.
trait Job: Send {
    /// Runs it and keeps the result; whether it succeeded.
    fn run<'a>(&'a mut self, turn: &'a mut Turn) -> BoxFuture<'a, bool>;
    /// Tells the caller the result.
    fn answer(self: Box<Self>);
    /// Tells the caller that the transaction did not happen.
    fn fail(self: Box<Self>, why: &str);
}

struct Operation<A, T, F> {
    args: A,
    step: F,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<A, T, F> Job for Operation<A, T, F>
where
    A: Send,
    T: Send,
    F: for<'a> Fn(&'a A, &'a mut Turn) -> BoxFuture<'a, Result<T, Fault>> + Send,
{
    fn run<'a>(&'a mut self, turn: &'a mut Turn) -> BoxFuture<'a, bool> {
        let Self { args, step, result, .. } = self;
        let work = step(args, turn);
        Box::pin(async move { result.insert(work.await.map_err(StoreError::from)).is_ok() })
    }

    fn answer(self: Box<Self>) {
        let result = self.result.unwrap_or_else(|| Err(closed()));
        // A caller that stopped waiting needs no answer.
        drop(self.reply.send(result));
    }

    fn fail(self: Box<Self>, why: &str) {
        drop(self.reply.send(Err(StoreError::Unavailable(why.to_owned()))));
    }
}

/// What outlives a panic of the task.
struct Work {
    /// `None` once it is over.
    turn: Option<Turn>,
    waiting: mpsc::Receiver<Box<dyn Job>>,
    /// Of the turn that is taken.
    jobs: Vec<Box<dyn Job>>,
}

impl Work {
    /// The task: turns until the last caller is gone or the store closes, then what is still
    /// queued.
    async fn go_on(&mut self, closing: &CancellationToken) {
        let Some(turn) = &mut self.turn else { return };
        if !self.jobs.is_empty() {
            // The task before this one panicked in the middle of their turn.
            undo(turn).await;
            self.jobs.clear();
        }
        loop {
            let taken = tokio::select! {
                taken = self.waiting.recv_many(&mut self.jobs, TURN) => taken,
                () = closing.cancelled(), if !self.waiting.is_closed() => {
                    self.waiting.close();
                    continue;
                }
            };
            if taken == 0 {
                break;
            }
            take_turn(turn, &mut self.jobs).await;
        }
        if let Some(turn) = self.turn.take() {
            finish(turn.conn).await;
        }
    }
}

async fn take_turn(turn: &mut Turn, jobs: &mut Vec<Box<dyn Job>>) {
    match transact(turn, jobs).await {
        Ok(true) => jobs.drain(..).for_each(Job::answer),
        Ok(false) => {
            // Each stays among the jobs while it runs: a panic finds what it was about.
            while !jobs.is_empty() {
                let result = transact(turn, &mut jobs[..1]).await;
                let job = jobs.remove(0);
                match result {
                    Ok(_) => job.answer(),
                    Err(error) => job.fail(&error.to_string()),
                }
            }
        }
        Err(error) => fail(jobs, &error),
    }
}

fn fail(jobs: &mut Vec<Box<dyn Job>>, error: &sqlx::Error) {
    let why = error.to_string();
    jobs.drain(..).for_each(|job| job.fail(&why));
}

/// One transaction. `Ok(false)`: an operation failed and all of them are undone. An error:
/// the transaction itself could not begin or commit.
async fn transact(turn: &mut Turn, jobs: &mut [Box<dyn Job>]) -> Result<bool, sqlx::Error> {
    turn.conn.execute("BEGIN IMMEDIATE").await?;
    turn.now = clock::now();
    for job in jobs {
        if !job.run(turn).await {
            undo(turn).await;
            return Ok(false);
        }
    }
    let committed = turn.conn.execute("COMMIT").await;
    if committed.is_err() {
        undo(turn).await;
    }
    committed.map(|_| true)
}

/// SQLite rolls some failures back by itself (disk full), then there is nothing to undo.
async fn undo(turn: &mut Turn) {
    if let Err(error) = turn.conn.execute("ROLLBACK").await {
        tracing::debug!(%error, "store.nothing_to_roll_back");
    }
}

async fn finish(mut conn: SqliteConnection) {
    if let Err(error) = conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").await {
        tracing::warn!(%error, "store.log_not_moved");
    }
    if let Err(error) = conn.close().await {
        tracing::warn!(%error, "store.not_closed_cleanly");
    }
}
