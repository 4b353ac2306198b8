//! A limit as the scheduler sees it: what its lanes share.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use postrider_domain::LimitId;

use super::lane::{AHEAD_MAX, Blocked};
use super::limiter::Limiter;
use super::pace::Counter;
use crate::{Lease, LimitStatus, Millis, Pacing, Ticket};

/// Claims of one limit asked for at once.
pub(crate) const ASK_MAX: u32 = 256;
/// How far ahead claims are asked for.
const ASK_AHEAD: Duration = Duration::from_secs(1);
/// They are asked for again when what is in hand lasts less than this.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// A limit whose attempts take longer than this has nothing claimed beyond its free permits.
const SLOW_ANSWERS: Duration = Duration::from_secs(1);

/// Leadership as this process knows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Led {
    pub(crate) lease: Lease,
    /// Before the statement that took or renewed it.
    pub(crate) renewed_at: Millis,
}

/// An attempt of a limited limit that was not sent yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InHand {
    pub(crate) lane: usize,
    pub(crate) send_by: Millis,
}

/// What paces a limit in the process that leads it.
#[derive(Debug)]
pub(crate) enum Pacer {
    /// Nothing leaves: no poll has seen the limit without claims of another epoch yet
    /// (`AFTER_CLAIMS`).
    Unclean,
    /// Only the hour has a budget.
    Free,
    /// Requests leave as the limiter lets them.
    Paced(Limiter),
}

impl Pacer {
    /// Whether requests may leave at all.
    pub(crate) fn is_clean(&self) -> bool {
        match self {
            Self::Unclean => false,
            Self::Free | Self::Paced(_) => true,
        }
    }
}

/// When to ask for claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Now, for so many; at least 1.
    Now(u32),
    /// When this instant comes.
    At(Millis),
    /// When an attempt ends.
    Later,
}

/// One limit.
#[derive(Debug)]
pub(crate) struct Limit {
    pub(crate) status: LimitStatus,
    /// Its lanes, as far as they are known.
    pub(crate) lanes: Vec<usize>,
    pub(crate) paused_until: Option<Millis>,
    pub(crate) blocked: Option<Blocked>,

    /// Of an unlimited one: permits of its lanes, and requests under way.
    pub(crate) granted: u32,
    pub(crate) under_way: u32,
    /// Lanes that wait for one of its permits.
    pub(crate) parked: VecDeque<usize>,
    /// Lanes with claims that wait for one of its requests to end.
    pub(crate) starters: VecDeque<usize>,

    pub(crate) led: Option<Led>,
    pub(crate) acquiring: bool,
    /// Before the statement that takes the lease.
    pub(crate) acquired_from: Millis,
    pub(crate) pacer: Pacer,
    /// Before this instant nothing may leave, with or without a pace.
    pub(crate) not_before: Millis,
    /// Something may be there to be claimed.
    pub(crate) work: bool,
    pub(crate) suspect_at: Millis,
    pub(crate) is_suspect: bool,
    /// Since when a claim is open.
    pub(crate) asking: Option<Millis>,
    pub(crate) asked: u32,
    pub(crate) full_until: Option<Millis>,
    /// Started, and not told to be sent yet.
    pub(crate) in_hand: BTreeMap<Ticket, InHand>,
    /// Those of them whose request is ready.
    pub(crate) ready: BTreeSet<Ticket>,
    /// Probes whose request is ready.
    pub(crate) probes: VecDeque<Ticket>,
    pub(crate) sending: u32,
    ended: Counter,
    latency: Duration,
}

impl Limit {
    pub(crate) fn new(status: LimitStatus) -> Self {
        Self {
            status,
            lanes: Vec::new(),
            paused_until: None,
            blocked: None,
            granted: 0,
            under_way: 0,
            parked: VecDeque::new(),
            starters: VecDeque::new(),
            led: None,
            acquiring: false,
            acquired_from: Millis::default(),
            pacer: Pacer::Unclean,
            not_before: Millis::default(),
            work: false,
            suspect_at: Millis::default(),
            is_suspect: false,
            asking: None,
            asked: 0,
            full_until: None,
            in_hand: BTreeMap::new(),
            ready: BTreeSet::new(),
            probes: VecDeque::new(),
            sending: 0,
            ended: Counter::over(1_000),
            latency: Duration::ZERO,
        }
    }

    pub(crate) fn id(&self) -> LimitId {
        self.status.id
    }

    pub(crate) fn is_limited(&self) -> bool {
        match self.status.terms.pacing {
            Pacing::Unlimited => false,
            Pacing::Limited { .. } => true,
        }
    }

    pub(crate) fn concurrency(&self) -> u32 {
        self.status.terms.concurrency.max(1)
    }

    /// Permits that the lanes of an unlimited one may have together: what may be under way, and
    /// what may be claimed ahead.
    pub(crate) fn granted_max(&self) -> u32 {
        self.concurrency().saturating_add(AHEAD_MAX)
    }

    /// Whether neither a pause nor an answer that asks for one stands against sending.
    pub(crate) fn is_open(&self, now: Millis) -> bool {
        self.blocked.is_none() && self.paused_until.is_none_or(|until| until <= now)
    }

    /// By how much each claim moves the limit's next send.
    pub(crate) fn interval(&self) -> Duration {
        match self.status.terms.pacing {
            Pacing::Limited { pace: Some(pace) } => pace.interval,
            Pacing::Limited { pace: None } | Pacing::Unlimited => Duration::ZERO,
        }
    }

    /// Whether the limiter lets a request leave now and a place is free for it.
    pub(crate) fn may_send(&self, now: Millis) -> bool {
        let paced = match &self.pacer {
            Pacer::Unclean => false,
            Pacer::Free => true,
            Pacer::Paced(limiter) => limiter.allows(now),
        };
        paced && self.sending < self.concurrency() && now >= self.not_before
    }

    /// Whether a request could leave if it may: a probe, or the next delivery.
    pub(crate) fn has_ready(&self) -> bool {
        !self.probes.is_empty() || self.next_ready().is_some()
    }

    /// Takes the next delivery out of hand, if its request is ready.
    pub(crate) fn take_ready(&mut self) -> Option<Ticket> {
        let ticket = self.next_ready()?;
        self.ready.remove(&ticket);
        self.in_hand.remove(&ticket);
        Some(ticket)
    }

    /// One request at a time leaves in the order of the claims, so that others wait for the
    /// oldest; where several are under way they overtake each other in any case.
    fn next_ready(&self) -> Option<Ticket> {
        let next = *self.ready.first()?;
        let oldest = *self.in_hand.first_key_value()?.0;
        (next == oldest || self.concurrency() > 1).then_some(next)
    }

    /// A request leaves.
    pub(crate) fn sends(&mut self, now: Millis) {
        self.sending += 1;
        match &mut self.pacer {
            Pacer::Unclean | Pacer::Free => {}
            Pacer::Paced(limiter) => limiter.take(now),
        }
    }

    /// A request that left has come to its end.
    pub(crate) fn sent_ended(&mut self, now: Millis, took: Option<Duration>) {
        self.sending = self.sending.saturating_sub(1);
        self.ended.count(now);
        if let Some(took) = took {
            self.latency = (self.latency * 7 + took) / 8;
        }
    }

    /// From when on a request may leave, as far as the pace goes.
    pub(crate) fn next_send(&self) -> Option<Millis> {
        match &self.pacer {
            Pacer::Unclean => None,
            Pacer::Free => Some(self.not_before),
            Pacer::Paced(limiter) => Some(limiter.next().max(self.not_before)),
        }
    }

    fn in_hand_and_asked(&self) -> u64 {
        u64::try_from(self.in_hand.len()).unwrap_or(u64::MAX) + u64::from(self.asked)
    }

    /// Whether to ask for claims, and for how many: for the tokens of the next second, as far
    /// as permits will be free for them.
    pub(crate) fn ask(&self, now: Millis) -> Ask {
        let have = self.in_hand_and_asked();
        let free_permits = self.free_permits(now);
        if have >= u64::from(free_permits).div_ceil(2) {
            return Ask::Later;
        }
        let start = now.max(self.not_before);
        let (soon, tokens, next) = match &self.pacer {
            Pacer::Unclean => return Ask::Later,
            Pacer::Free => {
                let is_near = start <= now.after(ASK_AGAIN);
                (if is_near { u64::MAX } else { 0 }, u64::MAX, start)
            }
            Pacer::Paced(limiter) => (
                limiter.tokens(start, now.after(ASK_AGAIN)),
                limiter.tokens(start, now.after(ASK_AHEAD)),
                limiter.after(start, have),
            ),
        };
        if soon <= have {
            let early = u64::try_from(ASK_AGAIN.as_millis()).unwrap_or_default();
            return Ask::At(Millis(next.0.saturating_sub(early)).max(Millis(now.0 + 1)));
        }
        let count = tokens.min(u64::from(free_permits)) - have;
        Ask::Now(u32::try_from(count).unwrap_or(u32::MAX).min(ASK_MAX))
    }

    /// Places that are free or will be within about a second.
    fn free_permits(&self, now: Millis) -> u32 {
        let free = self.concurrency().saturating_sub(self.sending);
        let soon = if self.latency > SLOW_ANSWERS { 0 } else { self.ended.lately(now) };
        free.saturating_add(soon)
    }
}
