//! A lane as the scheduler sees it.

use std::collections::VecDeque;

use postrider_domain::{DeliveryId, LaneId};

use super::pace::Counter;
use super::standing::{Class, Standing};
use crate::Millis;
use crate::permit::{Permit, StopFlag};

/// A lane that ended this many attempts within [`AHEAD_WINDOW_MS`] may have as many claimed
/// beyond its window, so that claims come in batches; other lanes claim what they can start now.
pub(crate) const AHEAD_MAX: u32 = 128;
const AHEAD_WINDOW_MS: u64 = 100;
/// A lane that goes that fast waits until so many permits are free, and takes them all then,
/// instead of claiming one by one.
const REFILL_MIN: u32 = 96;
/// How much of a lane is claimed from the store at first; doubles while as much is there.
const SHARE_MIN: u32 = 4;
const SHARE_MAX: u32 = 128;

/// A claim that waits for its start.
#[derive(Debug)]
pub(crate) struct GrantedClaim<P> {
    pub(crate) claim: P,
    pub(crate) permit: Permit,
}

/// A refusal or limit that an attempt of this process met, whose effect on the row has to be
/// seen first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blocked {
    /// It is not recorded yet.
    Recording,
    /// It was recorded when this poll was the last that had been issued; later ones tell the
    /// truth.
    Since(u64),
}

impl Blocked {
    /// Whether this poll tells the truth.
    pub(crate) fn is_over(self, poll: u64) -> bool {
        match self {
            Self::Recording => false,
            Self::Since(last) => poll > last,
        }
    }
}

/// One lane.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent fact")]
pub(crate) struct Lane<P> {
    pub(crate) id: LaneId,
    pub(crate) host: usize,
    /// `None` until it was polled: it is taken for unlimited then, and the claim's own guards
    /// know better.
    pub(crate) limit: Option<usize>,
    pub(crate) standing: Standing,
    ended: Counter,

    /// Deliveries from messages that wait to be claimed.
    pub(crate) waiting: VecDeque<DeliveryId>,
    /// When a delivery of `waiting` was last asked for, or an attempt ended, or the first of
    /// them came.
    pub(crate) progress_at: Millis,
    /// Something may be due in the store.
    pub(crate) due: bool,
    /// A claim of what is due is open.
    pub(crate) due_open: bool,
    due_share: u32,
    /// When one that lost three claims is tried again.
    pub(crate) suspect_at: Millis,
    pub(crate) is_suspect: bool,

    /// Permits of this lane: claims asked for, claimed, under way.
    pub(crate) granted: u32,
    /// So many were free that it takes what there is, over as many turns as that needs.
    is_refilling: bool,
    pub(crate) claimed: VecDeque<GrantedClaim<P>>,
    pub(crate) under_way: u32,

    /// Something of it is open in the store.
    pub(crate) open: bool,
    pub(crate) held: bool,
    /// A probe of it, or of a webhook that is parked in it, is due.
    pub(crate) probe_due: bool,
    pub(crate) blocked: Option<Blocked>,
    /// The limit that an outcome of this lane blocks, until that is recorded.
    pub(crate) blocks: Option<usize>,
    pub(crate) stop: StopFlag,
    pub(crate) probing: bool,

    /// Is looked at with each poll.
    pub(crate) watched: bool,
    pub(crate) watch_until: Millis,
    /// Is looked at as soon as can be.
    pub(crate) soon: bool,
    /// Waits at its full host.
    pub(crate) parked_at_host: bool,
    /// Waits for a permit of its limit.
    pub(crate) parked_at_limit: bool,
    /// Has claims that wait for a request of its limit to end.
    pub(crate) is_starter: bool,
}

impl<P> Lane<P> {
    pub(crate) fn new(id: LaneId, host: usize) -> Self {
        Self {
            id,
            host,
            limit: None,
            standing: Standing::new(),
            ended: Counter::over(AHEAD_WINDOW_MS),
            waiting: VecDeque::new(),
            progress_at: Millis::default(),
            due: false,
            due_open: false,
            due_share: SHARE_MIN,
            suspect_at: Millis::default(),
            is_suspect: false,
            granted: 0,
            is_refilling: false,
            claimed: VecDeque::new(),
            under_way: 0,
            open: false,
            held: false,
            probe_due: false,
            blocked: None,
            blocks: None,
            stop: StopFlag::default(),
            probing: false,
            watched: false,
            watch_until: Millis::default(),
            soon: false,
            parked_at_host: false,
            parked_at_limit: false,
            is_starter: false,
        }
    }

    pub(crate) fn class(&self) -> Class {
        self.standing.class()
    }

    /// Claims that the lane may have beyond its window.
    fn ahead(&self, now: Millis) -> u32 {
        match self.class() {
            Class::Proven => self.ended.lately(now).min(AHEAD_MAX),
            Class::New | Class::Slow => 0,
        }
    }

    /// How many of `wanted` may be claimed now, as far as the lane itself goes. `None`: nothing
    /// until an attempt ends.
    pub(crate) fn capacity(&mut self, now: Millis, concurrency: u32, wanted: usize) -> Option<u32> {
        if self.granted == 0 {
            self.standing.wakes(now);
        }
        let window = self.standing.window().min(concurrency);
        let ahead = self.ahead(now);
        let free = (window + ahead).saturating_sub(self.granted);
        self.is_refilling = free >= REFILL_MIN || self.is_refilling && free > 0;
        if free == 0 {
            return None;
        }
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        let is_worth = ahead < REFILL_MIN || self.is_refilling || wanted <= free;
        is_worth.then(|| free.min(wanted))
    }

    /// How many of the due ones are asked for at once.
    pub(crate) fn due_share(&self) -> u32 {
        self.due_share
    }

    /// A claim of what is due brought `got` of `asked`.
    pub(crate) fn due_claimed(&mut self, asked: usize, got: usize) {
        self.due_open = false;
        if got >= asked {
            self.due = true;
            self.due_share = (self.due_share * 2).min(SHARE_MAX);
        } else {
            self.due_share = SHARE_MIN;
        }
    }

    /// An attempt ended.
    pub(crate) fn attempt_ended(&mut self, now: Millis) {
        self.under_way -= 1;
        self.ended.count(now);
        self.progress_at = now;
        if self.under_way == 0 {
            self.standing.rests();
        }
    }

    /// Whether it has anything here that a hold or a pause would concern.
    pub(crate) fn has_work(&self) -> bool {
        self.granted > 0 || self.due || self.due_open || !self.waiting.is_empty() || self.soon
    }
}
