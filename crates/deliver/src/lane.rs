//! A lane as this worker sees it: what it may do, what it has under way.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use postrider_domain::{HoldCause, LaneLimits, LaneState, Rate};
use postrider_queue::Taken;
use postrider_store::{LaneView, Lease};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::clock::Mark;
use crate::pacer::Pacer;
use crate::step::Gate;

/// A lane that is full and finishes nothing for this long does not get copies held for it:
/// they are left to the store, so that they don't take the place of other lanes' copies.
const STUCK_AFTER: Duration = Duration::from_millis(200);

/// A lane that finishes this many attempts in [`PACE_WINDOW`] may have as many claimed beyond its
/// concurrency, so that claims come in batches; a slow lane claims only what it can send now.
const AHEAD_MAX: usize = 128;
/// Over which a lane's pace is measured.
const PACE_WINDOW: Duration = Duration::from_millis(100);
/// A busy lane waits until so many places are free, instead of claiming one by one.
const REFILL_MIN: usize = 64;

/// How many attempts a lane finished lately.
#[derive(Debug, Clone, Copy)]
struct Pace {
    since: Instant,
    current: usize,
    before: usize,
}

impl Pace {
    fn new() -> Self {
        Self { since: Instant::now(), current: 0, before: 0 }
    }

    fn count(&mut self, finished: usize) {
        let age = self.since.elapsed();
        if age > PACE_WINDOW {
            self.before = if age < 2 * PACE_WINDOW { self.current } else { 0 };
            self.current = 0;
            self.since = Instant::now();
        }
        self.current += finished;
    }

    fn ahead(&self) -> usize {
        if self.since.elapsed() > 2 * PACE_WINDOW {
            return 0;
        }
        self.current.max(self.before).min(AHEAD_MAX)
    }
}

/// What an attempt needs of its lane.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    pub(crate) gate: Arc<Gate>,
    pub(crate) pacer: Option<Arc<Pacer>>,
    /// As many requests at once as the lane's concurrency.
    pub(crate) places: Arc<Semaphore>,
}

/// Leadership as this process knows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leading {
    pub(crate) lease: Lease,
    /// Before the statement that took or renewed it.
    pub(crate) renewed_at: Mark,
}

/// A hold or pause that this worker caused and whose effect on the row it has to see first.
#[derive(Debug, Clone, Copy)]
enum Blocked {
    /// The record is not committed yet.
    Recording,
    /// Committed then; surveys begun later tell the truth.
    Since(Mark),
}

/// One lane.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent thing under way")]
pub(crate) struct Lane {
    pub(crate) limits: LaneLimits,
    /// Copies that wait for a free place.
    pub(crate) road: VecDeque<Taken>,
    /// Claimed or being claimed, and not finished.
    pub(crate) in_flight: usize,
    /// Something may be due in the store.
    pub(crate) due: bool,
    /// A claim from the store is under way.
    pub(crate) claiming: bool,
    /// An acquisition is under way.
    pub(crate) acquiring: bool,
    /// A probe is under way.
    pub(crate) probing: bool,
    pub(crate) leading: Option<Leading>,
    /// Set at the first poll that saw no claim of another epoch (AFTER_CLAIMS).
    pub(crate) pacer: Option<Arc<Pacer>>,
    gate: Arc<Gate>,
    places: Arc<Semaphore>,
    pace: Pace,
    held: bool,
    paused_until: Option<Instant>,
    blocked: Option<Blocked>,
    last_finished: Instant,
}

impl Lane {
    /// A lane that was not surveyed yet: open and unlimited until the store says otherwise,
    /// which the claim's own guards do at once.
    pub(crate) fn unseen() -> Self {
        Self {
            limits: LaneLimits { rate: Rate::Unlimited, burst: 1, concurrency: 64, per_hour: None },
            road: VecDeque::new(),
            in_flight: 0,
            due: false,
            claiming: false,
            acquiring: false,
            probing: false,
            leading: None,
            pacer: None,
            gate: Arc::default(),
            places: Arc::new(Semaphore::new(64)),
            pace: Pace::new(),
            held: false,
            paused_until: None,
            blocked: None,
            last_finished: Instant::now(),
        }
    }

    /// Whether anything may be claimed and sent, as far as this worker knows.
    pub(crate) fn is_open(&self) -> bool {
        let paused = self.paused_until.is_some_and(|until| until > Instant::now());
        !self.held && !paused && self.blocked.is_none()
    }

    /// How many more may be claimed.
    pub(crate) fn room(&self) -> usize {
        let ahead = if self.limits.is_limited() { 0 } else { self.pace.ahead() };
        (self.limits.concurrency as usize + ahead).saturating_sub(self.in_flight)
    }

    /// Whether `count` of `wanted` is worth a claim now: everything, enough, or the most that a
    /// slow lane will ever get.
    pub(crate) fn is_worth(&self, count: usize, wanted: usize) -> bool {
        let is_slow = self.limits.is_limited() || self.pace.ahead() < REFILL_MIN;
        count > 0 && (count == wanted || count >= REFILL_MIN || is_slow)
    }

    /// What the lane's next attempt goes by.
    pub(crate) fn way(&self) -> Way {
        Way {
            gate: Arc::clone(&self.gate),
            pacer: self.pacer.clone(),
            places: Arc::clone(&self.places),
        }
    }

    /// Free places when the lane may have at most `share` in flight.
    pub(crate) fn room_within(&self, share: usize) -> usize {
        self.room().min(share.saturating_sub(self.in_flight))
    }

    /// Whether copies should be left to the store instead of waiting here.
    pub(crate) fn is_stuck(&self, share: usize) -> bool {
        !self.is_open()
            || (self.room_within(share) == 0 && self.last_finished.elapsed() > STUCK_AFTER)
    }

    /// How many to claim at once for a limited lane: free places, and at most what may leave
    /// within a second.
    pub(crate) fn paced_room(&self) -> usize {
        let per_second = match self.limits.interval() {
            Some(interval) if !interval.is_zero() => {
                (Duration::from_secs(1).as_nanos() / interval.as_nanos().max(1)).max(1)
            }
            Some(_) | None => 128,
        };
        self.room().min(usize::try_from(per_second).unwrap_or(128)).min(128)
    }

    /// The lease, if it can still be valid by this process's own clock.
    pub(crate) fn lease(&self, length: Duration) -> Option<Lease> {
        let leading = self.leading?;
        (leading.renewed_at.elapsed() < length).then_some(leading.lease)
    }

    /// An attempt ended or a claim was not got.
    pub(crate) fn finished(&mut self, count: usize) {
        self.in_flight = self.in_flight.saturating_sub(count);
        self.last_finished = Instant::now();
        self.pace.count(count);
    }

    /// The target refused the credential or asked for a pause: nothing more leaves from here
    /// until the row says that it may.
    pub(crate) fn block(&mut self) {
        self.close_gate();
        self.blocked = Some(Blocked::Recording);
    }

    /// The record that caused the block is committed.
    pub(crate) fn block_committed(&mut self) {
        if self.blocked.is_some() {
            self.blocked = Some(Blocked::Since(Mark::now()));
        }
    }

    /// Takes over what the store said in a survey begun `started_ago` before now. Returns how
    /// long the pause still lasts.
    pub(crate) fn see(&mut self, view: &LaneView, started: Mark) -> Option<Duration> {
        if self.limits != view.limits {
            self.places = Arc::new(Semaphore::new(view.limits.concurrency as usize));
            self.limits = view.limits;
            self.pacer = None;
        }
        self.due |= view.due;
        match self.blocked {
            Some(Blocked::Recording) => return None,
            Some(Blocked::Since(commit)) if commit.elapsed() <= started.elapsed() => return None,
            Some(Blocked::Since(_)) | None => self.blocked = None,
        }
        self.held = match view.state {
            LaneState::Open => false,
            LaneState::Held(
                HoldCause::Credential | HoldCause::SecretMissing | HoldCause::Manual,
            ) => true,
        };
        self.paused_until = view.paused_for.map(|left| Instant::now() + left);
        if self.is_open() {
            self.open_gate();
        } else {
            self.close_gate();
        }
        view.paused_for
    }

    /// The lease is lost: release what is not sent, start empty next time.
    pub(crate) fn forget_lease(&mut self) {
        self.leading = None;
        self.pacer = None;
        self.close_gate();
        self.open_gate();
    }

    /// Attempts that were given the old gate are not sent.
    pub(crate) fn close_gate(&self) {
        self.gate.close();
    }

    fn open_gate(&mut self) {
        if self.gate.is_closed() {
            self.gate = Arc::default();
        }
    }
}

#[cfg(test)]
mod tests;
