//! The only way to the database: every wait has a deadline.
//!
//! A step owns its connection. A future that is dropped while a statement runs would give the
//! connection back to the pool through a ping without any limit, which keeps the place in the
//! pool for as long as a silently dead connection stays silent. So the guard here closes it
//! instead, whenever the step did not come to its end: time-out, cancellation, panic.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use rand::RngExt;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, Postgres};
use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::task::TaskTracker;

use super::fault::{Fault, fault, is_conflict};
use super::lost_clients;
use crate::StoreError;
use crate::outstanding::{Outstanding, StepKind};

/// How long a step waits for a connection, a new one included.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// What a step gets beyond the time that the database gives its statement.
const GRACE: Duration = Duration::from_secs(2);
/// How long an idle connection may take to show that it is alive.
const PING_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a connection may take to be free again after its step.
const RETURN_TIMEOUT: Duration = Duration::from_secs(1);
/// A connection used this recently is not asked whether it is alive.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// How long closing waits for steps under way.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// What must be left of a step's time for another try: more than the longest wait for a lock, and
/// the look at who holds it.
const ANOTHER_TRY: Duration = Duration::from_millis(1500);
/// The longest pause before a step that lost a conflict is repeated.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);
/// The longest that work of its own, as a migration is, may take.
const ALONE_LIMIT: Duration = Duration::from_hours(1);

/// The connection of a step whose work borrows what lives for `'a`.
pub(crate) struct Session<'a> {
    conn: PoolConnection<Postgres>,
    _borrows: PhantomData<&'a ()>,
}

impl Deref for Session<'_> {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.conn
    }
}

impl DerefMut for Session<'_> {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.conn
    }
}

/// What a step does on its connection.
pub(crate) type Work<'c, T, E> = BoxFuture<'c, Result<T, E>>;

/// Connections to one database for one kind of work.
#[derive(Clone)]
pub(super) struct Connections {
    pool: PgPool,
    /// From asking for a connection to the last answer.
    deadline: Duration,
    kind: StepKind,
    distrust: Distrust,
    outstanding: Outstanding,
    /// Connections on their way back to the pool.
    returning: TaskTracker,
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections")
            .field("kind", &self.kind)
            .field("deadline", &self.deadline)
            .field("size", &self.pool.size())
            .finish_non_exhaustive()
    }
}

impl Connections {
    /// Connects when the first step comes. `statement_timeout` is what the options tell the
    /// database.
    pub(super) fn new(
        options: PgConnectOptions,
        max_connections: u32,
        statement_timeout: Duration,
        kind: StepKind,
        outstanding: &Outstanding,
    ) -> Self {
        let distrust = Distrust::default();
        let pool = PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire({
                let distrust = distrust.clone();
                move |conn, met| {
                    let distrust = distrust.clone();
                    Box::pin(async move { Ok(distrust.clears(conn, met.idle_for).await) })
                }
            })
            .after_connect(|conn, _| Box::pin(lost_clients::notice(conn)))
            .connect_lazy_with(options);
        let deadline = statement_timeout + GRACE;
        Self {
            pool,
            deadline,
            kind,
            distrust,
            outstanding: outstanding.clone(),
            returning: TaskTracker::new(),
        }
    }

    /// One step. The work may run several times, as a statement that loses a conflict is repeated.
    pub(super) async fn run<'a, T, E: Into<Fault>>(
        &self,
        name: &'static str,
        work: impl for<'c> FnMut(&'c mut Session<'a>) -> Work<'c, T, E>,
    ) -> Result<T, StoreError> {
        let entry = self.outstanding.enter(name, self.kind);
        let done = self.carry_out(name, work).await;
        entry.ended(!done.as_ref().is_err_and(StoreError::may_pass));
        done
    }

    async fn carry_out<'a, T, E: Into<Fault>>(
        &self,
        name: &'static str,
        mut work: impl for<'c> FnMut(&'c mut Session<'a>) -> Work<'c, T, E>,
    ) -> Result<T, StoreError> {
        let end = Instant::now() + self.deadline;
        let mut held = self.acquire(name).await?;
        let done = timeout_at(end, Box::pin(held.repeat(&mut work, end))).await;
        match done {
            Ok(Ok(value)) => {
                held.give_back();
                Ok(value)
            }
            Ok(Err(Fault::Store(error))) => {
                held.give_back();
                Err(error)
            }
            Ok(Err(Fault::Sql(error))) => {
                let error = fault(error);
                match &error {
                    StoreError::Unknown(_) => held.abandon(),
                    StoreError::Unavailable(_)
                    | StoreError::Slow(_)
                    | StoreError::Corrupt(_)
                    | StoreError::NewerSchema { .. }
                    | StoreError::WrongKey { .. }
                    | StoreError::Unusable(_) => held.give_back(),
                }
                Err(error)
            }
            Err(_) => {
                held.abandon();
                tracing::warn!(step = name, deadline = ?self.deadline, "store.no_answer");
                let after = self.deadline;
                Err(StoreError::Unknown(format!("{name}: no answer within {after:?}")))
            }
        }
    }

    /// Work on a connection of its own, closed afterwards, without the limits that a session has.
    pub(super) async fn alone<'a, T, E: Into<Fault>>(
        &self,
        name: &'static str,
        work: impl for<'c> FnOnce(&'c mut Session<'a>) -> Work<'c, T, E>,
    ) -> Result<T, StoreError> {
        let mut held = self.acquire(name).await?;
        let Some(session) = held.session.as_mut() else { return Err(no_connection()) };
        let limits = "select set_config(name, '0', false) from unnest(array['statement_timeout', \
             'lock_timeout', 'idle_in_transaction_session_timeout']) as limits (name)";
        let work = async {
            sqlx::query(limits).execute(&mut **session).await.map_err(fault)?;
            work(session).await.map_err(|error| match error.into() {
                Fault::Sql(error) => fault(error),
                Fault::Store(error) => error,
            })
        };
        let no_answer = |_| StoreError::Unknown(format!("{name}: no answer within an hour"));
        timeout(ALONE_LIMIT, Box::pin(work)).await.map_err(no_answer)?
    }

    /// The step that the database has refused for longest, and for how long.
    pub(super) fn failing(&self) -> Option<(&'static str, Duration)> {
        self.outstanding.failing(self.kind)
    }

    /// Name and age of the oldest of the steps under way.
    pub(super) fn oldest(&self) -> Option<(&'static str, Duration)> {
        self.outstanding.oldest(self.kind)
    }

    /// How many there are, and how many of them are idle.
    pub(super) fn count(&self) -> (u32, u32) {
        (self.pool.size(), u32::try_from(self.pool.num_idle()).unwrap_or(u32::MAX))
    }

    /// How long a step may take, with a moment to end.
    pub(super) fn deadline(&self) -> Duration {
        self.deadline + PING_TIMEOUT
    }

    /// Whether the database can be reached, on a connection that is closed again. The pool goes on
    /// trying until its time is over, and then does not say what was in the way.
    pub(super) async fn reach(&self) -> Result<(), StoreError> {
        let options = self.pool.connect_options();
        let connecting = PgConnection::connect_with(&options);
        let no_answer = |_| StoreError::Unavailable("no answer to a new connection".to_owned());
        let conn = timeout(ACQUIRE_TIMEOUT, connecting).await.map_err(no_answer)?.map_err(fault)?;
        conn.close().await.map_err(fault)
    }

    /// A connection, while nothing has been asked yet: what fails here has done nothing.
    async fn acquire<'a>(&self, name: &'static str) -> Result<Held<'_, 'a>, StoreError> {
        #[expect(clippy::disallowed_methods, reason = "the one place that takes connections")]
        let acquired = self.pool.acquire();
        match acquired.await {
            Ok(conn) => {
                Ok(Held { session: Some(Session { conn, _borrows: PhantomData }), of: self })
            }
            Err(error) => Err(match fault(error) {
                StoreError::Unknown(why) | StoreError::Slow(why) => {
                    StoreError::Unavailable(format!("{name}: {why}"))
                }
                other => other,
            }),
        }
    }

    /// Drops what lies idle, which may be as dead as the connection that was just given up:
    /// so a fail-over costs one deadline, and not one for each connection.
    fn drop_idle(&self) {
        #[expect(clippy::disallowed_methods, reason = "to close them, not to use them")]
        for _ in 0..self.pool.num_idle() {
            let Some(conn) = self.pool.try_acquire() else { break };
            drop(conn.detach());
        }
    }

    /// Closes the connections after what is under way.
    pub(super) async fn close(&self) {
        if timeout(CLOSE_TIMEOUT, self.pool.close()).await.is_err() {
            tracing::warn!("store.not_closed_in_time");
        }
        self.returning.close();
    }
}

/// A step's connection. Dropped in the middle of the step it is closed, without a word to the
/// other side and without a wait.
struct Held<'p, 'a> {
    session: Option<Session<'a>>,
    of: &'p Connections,
}

impl<'a> Held<'_, 'a> {
    /// The work, until it is not in conflict with that of others or `end` comes.
    async fn repeat<T, E: Into<Fault>>(
        &mut self,
        work: &mut impl for<'c> FnMut(&'c mut Session<'a>) -> Work<'c, T, E>,
        end: Instant,
    ) -> Result<T, Fault> {
        let Some(session) = self.session.as_mut() else {
            return Err(no_connection().into());
        };
        let mut tries = 0;
        loop {
            let error = match work(session).await.map_err(Into::into) {
                Err(Fault::Sql(error)) if is_conflict(&error) => error,
                done => return done,
            };
            let pause = pause_before(tries, rand::rng().random());
            tries += 1;
            // Cut off in the middle, it would not be known what became of it.
            if Instant::now() + pause + ANOTHER_TRY > end {
                return Err(StoreError::Unavailable(format!("in conflict: {error}")).into());
            }
            lost_clients::let_go(session, &error).await;
            tokio::time::sleep(pause).await;
        }
    }

    /// Back to the pool, which asks it for a sign of life first: for a while only.
    fn give_back(mut self) {
        if let Some(Session { mut conn, .. }) = self.session.take() {
            let returned = conn.return_to_pool();
            self.of.returning.spawn(async move {
                if timeout(RETURN_TIMEOUT, returned).await.is_err() {
                    tracing::debug!("store.connection_died");
                }
            });
        }
    }

    /// Not to be trusted any more, nor are its idle neighbours.
    fn abandon(self) {
        let of = self.of;
        drop(self);
        of.distrust.all();
        of.drop_idle();
    }
}

impl Drop for Held<'_, '_> {
    fn drop(&mut self) {
        if let Some(Session { conn, .. }) = self.session.take() {
            drop(conn.detach());
        }
    }
}

fn no_connection() -> StoreError {
    StoreError::Unavailable("the step has no connection any more".to_owned())
}

/// Since when connections that lie idle are not trusted any more: one of them was dead.
#[derive(Debug, Clone, Default)]
struct Distrust(Arc<Mutex<Option<Instant>>>);

impl Distrust {
    /// Whether an idle connection may be used. When one does not answer, those that lie idle
    /// beside it are not even asked: each would cost the same wait.
    async fn clears(&self, conn: &mut PgConnection, idle_for: Duration) -> bool {
        if self.since().is_some_and(|since| since.elapsed() <= idle_for) {
            return false;
        }
        if idle_for < TRUSTED_FOR {
            return true;
        }
        let answers = matches!(timeout(PING_TIMEOUT, conn.ping()).await, Ok(Ok(())));
        if !answers {
            self.all();
        }
        answers
    }

    /// Whatever lies idle now.
    fn all(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn since(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Doubles from a few milliseconds on; two that met once should not meet again, so each waits
/// between half of it and all of it, by `chance` in [0, 1).
fn pause_before(tries: u32, chance: f64) -> Duration {
    let full = Duration::from_millis(4 << tries.min(6)).min(LONGEST_PAUSE);
    full.div_f64(2.0) + full.mul_f64(chance.clamp(0.0, 1.0) / 2.0)
}
