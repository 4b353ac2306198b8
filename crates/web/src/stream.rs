//! What happens, told while it happens: one poller for all who listen, and none while nobody does.
//!
//! [`Streams`] knows neither routes nor cookies: whoever serves a stream says who listens, for how
//! long, and hands over a [`Source`] that reads. What is told, and what a listener who comes back
//! has missed, is decided in [`news`]; how it is written, and when a stream ends, in [`listening`].

mod cursor;
mod listening;
mod news;
mod places;

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use futures_util::stream;
use jiff::Timestamp;
use postrider_store::{DeliveryFilter, DeliveryRow, StoreError};
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

pub(crate) use cursor::Cursor;
pub(crate) use listening::TokenEnd;
pub(crate) use news::{Looked, Part, Topic, Topics, overlapping};
pub(crate) use places::Crowded;

use listening::{Listening, Pace};
use news::{Known, Past, Round};
use places::Places;

/// Looks take a tenth of one connection's time at most.
const SHARE: u32 = 10;
/// Rounds that a listener may be behind; more, and it begins anew.
const BEHIND: usize = 64;

/// Where news come from.
pub(crate) trait Source: Send + Sync + 'static {
    /// Everything that may have changed: deliveries after `since`, `also` among them, the rest as
    /// it stands.
    fn look(&self, since: Since<'_>) -> impl Future<Output = Result<Looked, StoreError>> + Send;

    /// A delivery as lists have it, in one line.
    fn tell(&self, row: &DeliveryRow) -> String;
}

/// How far a look goes back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Since<'a> {
    /// By the database's clock; `None`: from now on.
    pub(crate) at: Option<Timestamp>,
    /// Deliveries that stood at the front of a lane lately.
    pub(crate) also: &'a [postrider_domain::DeliveryId],
}

/// Who wants to listen to what.
#[derive(Debug)]
pub(crate) struct Listener {
    /// Whose streams are counted together; `None` where there are no tokens.
    pub(crate) who: Option<String>,
    /// What of.
    pub(crate) topics: Topics,
    /// Which deliveries.
    pub(crate) filter: DeliveryFilter,
    /// Where it was, if it comes back.
    pub(crate) last: Option<Cursor>,
    /// When its token ends, if that is known.
    pub(crate) token_end: Option<TokenEnd>,
}

/// Why nobody can listen now.
#[derive(Debug)]
pub(crate) enum Refused {
    /// There are too many.
    Crowded(Crowded),
    /// The store can't be read.
    Store(StoreError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// All streams of a process.
#[derive(Debug)]
pub(crate) struct Streams {
    places: Arc<Places>,
    hub: Arc<tokio::sync::Mutex<Option<Hub>>>,
    tracker: TaskTracker,
    stopping: CancellationToken,
    pace: Pace,
}

/// The poller of this process while somebody listens.
#[derive(Debug)]
struct Hub {
    past: Arc<Mutex<Past>>,
    rounds: broadcast::Sender<Arc<Round>>,
    poller: JoinHandle<()>,
}

impl Streams {
    /// The poller is a task of `tracker`; every stream ends when `stopping` is cancelled.
    pub(crate) fn new(tracker: TaskTracker, stopping: CancellationToken) -> Self {
        let (places, hub, pace) = Default::default();
        Self { places, hub, tracker, stopping, pace }
    }

    /// A stream's body. What happens from now on is told, and what happened since the listener
    /// was here last, if that is not too much.
    pub(crate) async fn open<S: Source>(
        &self,
        source: S,
        listener: Listener,
    ) -> Result<Body, Refused> {
        let Listener { who, topics, filter, last, token_end } = listener;
        let place = Places::enter(&self.places, who).map_err(Refused::Crowded)?;
        let source = Arc::new(source);
        let (past, rounds, missed) = {
            let mut hub = self.hub.lock().await;
            let running = hub.take().filter(|hub| !hub.poller.is_finished());
            let hub = match running {
                Some(running) => hub.insert(running),
                None => hub.insert(self.start(Arc::clone(&source)).await?),
            };
            // Nothing is published between the look at what was missed and the first round.
            let past = locked(&hub.past);
            let missed = last.map(|last| past.after(last));
            (past.end(), hub.rounds.subscribe(), missed)
        };
        let missed = match (last, missed) {
            (Some(last), Some(news::Missed::Unknown)) => {
                let since = Since { at: Some(overlapping(last.at)), also: &[] };
                news::since(&source.look(since).await?, last.at, |row| source.tell(row), past)
            }
            (_, Some(missed)) => missed,
            (_, None) => news::Missed::Entries(Vec::new()),
        };
        let mut listening = Listening::new(rounds, (topics, filter), past, self.pace);
        listening.ends(self.stopping.clone(), token_end);
        listening.catch_up(missed);
        let listening = listening.holding(place);
        Ok(Body::from_stream(stream::unfold(listening, Listening::next)))
    }

    /// The first look is made before anybody is told that they listen: what changes from then on
    /// is news.
    async fn start<S: Source>(&self, source: Arc<S>) -> Result<Hub, StoreError> {
        let first = source.look(Since { at: None, also: &[] }).await?;
        let mut known = Known::default();
        known.take(&first, |row| source.tell(row));
        let past = Arc::new(Mutex::new(Past::new(Uuid::now_v7(), first.at)));
        let (rounds, _) = broadcast::channel(BEHIND);
        let poller =
            Poller { past: Arc::clone(&past), rounds: rounds.clone(), known, pace: self.pace };
        let (hub, stopping) = (Arc::clone(&self.hub), self.stopping.clone());
        let poller = self.tracker.spawn(async move {
            stopping.run_until_cancelled(poller.run(source, &hub)).await;
        });
        Ok(Hub { past, rounds, poller })
    }
}

fn locked(past: &Mutex<Past>) -> std::sync::MutexGuard<'_, Past> {
    past.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Poller {
    past: Arc<Mutex<Past>>,
    rounds: broadcast::Sender<Arc<Round>>,
    known: Known,
    pace: Pace,
}

impl Poller {
    /// Until nobody listens any more.
    async fn run<S: Source>(mut self, source: Arc<S>, hub: &tokio::sync::Mutex<Option<Hub>>) {
        let mut pause = self.pace.look;
        loop {
            tokio::time::sleep(pause).await;
            if self.is_alone(hub).await {
                return;
            }
            let began = Instant::now();
            let also = self.known.followed();
            let looked = source.look(Since { at: self.known.since(), also: &also }).await;
            pause = self.pace.look.max(began.elapsed() * SHARE);
            match looked {
                Ok(looked) => {
                    let news = self.known.take(&looked, |row| source.tell(row));
                    self.publish(news, looked.at);
                }
                // The next look goes back to where the last one ended.
                Err(error) => tracing::debug!(%error, "stream.not_read"),
            }
        }
    }

    /// Whether nobody listens; then whoever comes next starts another poller.
    async fn is_alone(&self, hub: &tokio::sync::Mutex<Option<Hub>>) -> bool {
        let mut hub = hub.lock().await;
        let is_alone = self.rounds.receiver_count() == 0;
        if is_alone {
            *hub = None;
        }
        is_alone
    }

    fn publish(&self, news: Vec<news::News>, at: Timestamp) {
        let mut past = locked(&self.past);
        let round = past.add(news, at);
        // An empty one, too: it moves the cursor on. Nobody there is no error.
        self.rounds.send(round).ok();
    }
}

#[cfg(test)]
mod tests;
