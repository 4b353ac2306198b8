//! The one task that decides what this worker claims next. It owns the state of every lane;
//! everything that takes time runs beside it and answers with a [`Note`].

mod claiming;
mod leading;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt;
use postrider_domain::LaneId;
use postrider_queue::{Consumer, Settler, Taken};
use postrider_store::{Claim, LaneView, Lease, LimitedClaim, Store, StoreError, WorkerId};
use postrider_telemetry::step::{Step, reached};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Mark;
use crate::lane::Lane;
use crate::record::Entry;
use crate::step::{Context, Held, Verdict, attempt, released};
use crate::traced::Travelled;

/// Notes taken at once before deciding anew.
const NOTES_MAX: usize = 256;

/// What happened beside the hub.
#[derive(Debug)]
pub(crate) enum Note {
    /// Copies came off the road.
    Road(Vec<Taken>),
    /// Something was committed for these lanes.
    Wake(Vec<LaneId>),
    /// A claim of road copies came back.
    RoadClaimed { asked: Vec<Taken>, result: Result<Vec<Claim>, StoreError>, asked_at: Mark },
    /// A claim from the store came back.
    StoreClaimed {
        lane: LaneId,
        want: usize,
        result: Result<LimitedClaim, StoreError>,
        asked_at: Mark,
    },
    /// An attempt ended.
    Finished { lane: LaneId, verdict: Verdict },
    /// Holds or pauses of these lanes are committed.
    Committed(Vec<LaneId>),
    /// A survey came back.
    Surveyed { started: Mark, result: Result<Vec<LaneView>, StoreError> },
    /// A renewal came back.
    Renewed { asked: Vec<Lease>, started: Mark, result: Result<Vec<Lease>, StoreError> },
    /// An acquisition came back.
    Acquired { lane: LaneId, started: Mark, result: Result<Option<Lease>, StoreError> },
    /// A probe ended.
    Probed { lane: LaneId },
}

/// What the hub works with.
pub(crate) struct Hub {
    pub(crate) context: Arc<Context>,
    pub(crate) store: Store,
    pub(crate) worker: WorkerId,
    pub(crate) tracker: TaskTracker,
    pub(crate) notes: mpsc::Sender<Note>,
    pub(crate) recorder: mpsc::Sender<Entry>,
    pub(crate) settler: Option<Settler>,
    lanes: HashMap<LaneId, Lane>,
    in_flight: usize,
    road_claims: usize,
    store_claims: usize,
    surveying: bool,
    survey_wanted: bool,
    surveys: u64,
    stopping: bool,
}

impl Hub {
    pub(crate) fn new(
        context: Arc<Context>,
        store: Store,
        worker: WorkerId,
        tracker: TaskTracker,
        channels: (mpsc::Sender<Note>, mpsc::Sender<Entry>, Option<Settler>),
    ) -> Self {
        let (notes, recorder, settler) = channels;
        Self {
            context,
            store,
            worker,
            tracker,
            notes,
            recorder,
            settler,
            lanes: HashMap::new(),
            in_flight: 0,
            road_claims: 0,
            store_claims: 0,
            surveying: false,
            survey_wanted: true,
            surveys: 0,
            stopping: false,
        }
    }

    /// Works until cancelled, then lets what is sent come to its end (DRAIN).
    pub(crate) async fn run(mut self, mut inbox: mpsc::Receiver<Note>, cancel: CancellationToken) {
        let mut tick = tokio::time::interval(self.context.config.poll);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut notes = Vec::with_capacity(NOTES_MAX);
        while !cancel.is_cancelled() {
            tokio::select! {
                () = cancel.cancelled() => break,
                _ = tick.tick() => { self.survey_wanted = true; self.renew(); }
                _ = inbox.recv_many(&mut notes, NOTES_MAX) => self.take(&mut notes),
            }
            self.pump();
        }
        self.drain(inbox).await;
    }

    fn take(&mut self, notes: &mut Vec<Note>) {
        for note in notes.drain(..) {
            self.note(note);
        }
    }

    fn note(&mut self, note: Note) {
        match note {
            Note::Road(taken) => self.road(taken),
            Note::Wake(lanes) => {
                for id in lanes {
                    self.lane(id).due = true;
                }
            }
            Note::RoadClaimed { asked, result, asked_at } => {
                self.road_claimed(asked, result, asked_at);
            }
            Note::StoreClaimed { lane, want, result, asked_at } => {
                self.store_claimed(lane, want, result, asked_at);
            }
            Note::Finished { lane, verdict } => self.finished(lane, verdict),
            Note::Committed(lanes) => {
                for id in lanes {
                    self.lane(id).block_committed();
                }
                self.survey_wanted = true;
            }
            Note::Surveyed { started, result } => self.surveyed(started, result),
            Note::Renewed { asked, started, result } => self.renewed(&asked, started, result),
            Note::Acquired { lane, started, result } => self.acquired(lane, started, result),
            Note::Probed { lane } => {
                self.lane(lane).probing = false;
                self.survey_wanted = true;
            }
        }
    }

    /// Starts everything that can start now.
    fn pump(&mut self) {
        if self.stopping {
            return;
        }
        self.claim_road();
        self.claim_store();
        self.survey();
    }

    pub(crate) fn lane(&mut self, id: LaneId) -> &mut Lane {
        self.lanes.entry(id).or_insert_with(Lane::unseen)
    }

    fn room(&self) -> usize {
        self.context.config.concurrency.saturating_sub(self.in_flight)
    }

    /// The most that one lane may have in flight here: a target that hangs must leave places
    /// for the others.
    fn share(&self) -> usize {
        (self.context.config.concurrency / 2).max(1)
    }

    fn finished(&mut self, lane: LaneId, verdict: Verdict) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let lane = self.lane(lane);
        lane.finished(1);
        match verdict {
            Verdict::Continue => {}
            Verdict::Refused | Verdict::Paused => lane.block(),
        }
    }

    /// Runs an attempt beside the hub. A panic in it costs this one claim, which expires.
    fn start(&mut self, claim: Claim, asked_at: Mark, taken: Option<Taken>) {
        let context = Arc::clone(&self.context);
        let recorder = self.recorder.clone();
        let notes = self.notes.clone();
        let lane_id = claim.lane_id;
        let way = self.lane(lane_id).way();
        if self.stopping {
            way.gate.close();
        }
        let (tag, road) = taken.map(|taken| (taken.tag, Travelled::of(taken))).unzip();
        self.tracker.spawn(async move {
            let held = Held { claim, asked_at, road };
            let made = std::panic::AssertUnwindSafe(Box::pin(attempt(&context, &held, &way)))
                .catch_unwind()
                .await;
            let mut verdict = Verdict::Continue;
            if let Ok(finished) = made {
                verdict = finished.verdict;
                send(&recorder, Entry { recorded: finished.recorded, tag }).await;
            } else {
                tracing::error!(delivery_id = %held.claim.id, "attempt.panicked");
            }
            send(&notes, Note::Finished { lane: lane_id, verdict }).await;
        });
    }

    /// DRAIN: no new claims, nothing more is sent, what is sent is awaited and recorded, the
    /// rest released, leases given up.
    async fn drain(&mut self, mut inbox: mpsc::Receiver<Note>) {
        self.stopping = true;
        for lane in self.lanes.values_mut() {
            lane.close_gate();
            lane.road.clear();
        }
        let deadline = Instant::now() + self.context.config.grace;
        while self.in_flight + self.road_claims + self.store_claims > 0 {
            match tokio::time::timeout_at(deadline, inbox.recv()).await {
                Ok(Some(note)) => self.note(note),
                Ok(None) => break,
                Err(_) => {
                    tracing::warn!(in_flight = self.in_flight, "shutdown.grace_used_up");
                    break;
                }
            }
        }
        let leases: Vec<Lease> =
            self.lanes.values().filter_map(|lane| lane.leading.map(|led| led.lease)).collect();
        if !leases.is_empty()
            && let Err(error) = give_up(&self.store, &leases).await
        {
            tracing::warn!(%error, "leases.not_given_up");
        }
    }

    fn release(&self, claim: &Claim, taken: Option<&Taken>) {
        let entry = Entry { recorded: released(claim).recorded, tag: taken.map(|taken| taken.tag) };
        let recorder = self.recorder.clone();
        self.tracker.spawn(async move { send(&recorder, entry).await });
    }
}

async fn give_up(store: &Store, leases: &[Lease]) -> Result<(), StoreError> {
    match tokio::time::timeout(Duration::from_secs(2), store.give_up(leases)).await {
        Ok(done) => done,
        Err(_) => Err(StoreError::Unavailable("no answer within two seconds".to_owned())),
    }
}

/// A receiver that is gone has stopped caring; the store has the truth.
pub(crate) async fn send<T: std::fmt::Debug>(to: &mpsc::Sender<T>, what: T) {
    if let Err(unsent) = to.send(what).await {
        tracing::debug!(?unsent, "nobody is listening any more");
    }
}

/// Reads the road until cancelled; what only a person can mend is left in `unusable`.
pub(crate) async fn read_road(
    mut consumer: Consumer,
    notes: mpsc::Sender<Note>,
    unusable: Arc<OnceLock<String>>,
    cancel: CancellationToken,
) -> Consumer {
    let mut taken = Vec::new();
    let mut look = tokio::time::interval(Duration::from_secs(1));
    loop {
        let count = tokio::select! {
            () = cancel.cancelled() => break,
            _ = look.tick() => {
                if let Some(error) = consumer.fatal() {
                    unusable.get_or_init(|| error.to_string());
                }
                continue;
            }
            count = consumer.recv_many(&mut taken, NOTES_MAX) => count,
        };
        if count == 0 {
            break;
        }
        reached(Step::Taken, count);
        send(&notes, Note::Road(std::mem::take(&mut taken))).await;
    }
    consumer
}
