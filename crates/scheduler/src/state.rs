//! What the scheduler knows: lanes and limits, what is under way, what is gathered, what is counted.
//! The files beside this one decide by it what is to be done.

pub(crate) mod accounts;
pub(crate) mod ids;
pub(crate) mod lane;
mod leases;
mod leaving;
pub(crate) mod limit;
pub(crate) mod limited;
pub(crate) mod limiter;
mod pace;
pub(crate) mod polls;
pub(crate) mod probes;
pub(crate) mod ring;
pub(crate) mod serving;
pub(crate) mod standing;
pub(crate) mod steps;
pub(crate) mod stopping;
mod timers;
pub(crate) mod trouble;
pub(crate) mod unclaims;

use std::collections::HashMap;
use std::time::Duration;

use postrider_domain::{LaneId, LimitId};

use accounts::{Accounts, Hosts};
use ids::Ids;
use lane::Lane;
use leases::Leases;
use leaving::Leaving;
use limit::Limit;
use limited::Limited;
use polls::Polls;
use probes::Probes;
use serving::Serving;
use steps::Steps;
use stopping::Stopping;
use timers::Timers;
use trouble::{LocalTrouble, StoreWatch};
use unclaims::Unclaims;

use crate::{Command, Millis, Settings};

/// What a timer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Timer {
    /// Renew leases, look at lanes.
    Tick,
    /// A batch has waited long enough.
    Gathered,
    /// The store may be asked again.
    Retry,
    /// No step has succeeded for too long.
    StoreAway,
    /// Starts may be tried again.
    Trouble,
    /// A stop's time is up.
    StopBy,
    /// No answer of the lane came for too long.
    Slow(usize),
    /// The lane's waiting deliveries make no progress.
    Stuck(usize),
    /// A retry of the lane is due.
    Due(usize),
    /// The lane's probe is due, as far as the last poll knew.
    Probe(usize),
    /// The lane's oldest claim can't be sent any more.
    Late(usize),
    /// The limit's pause is over.
    Pause(usize),
    /// The limit may send or ask.
    Pace(usize),
    /// The limit's oldest claim can't be sent any more.
    LateInHand(usize),
    /// The limit's lease may be tried for.
    Acquire(usize),
    /// The limit's lease may have run out.
    LeaseEnd(usize),
}

/// The scheduler of one worker. `P` is what a claim carries for its attempt.
#[derive(Debug)]
pub struct Scheduler<P> {
    pub(crate) settings: Settings,
    pub(crate) now: Millis,
    pub(crate) lanes: Vec<Lane<P>>,
    pub(crate) by_lane: HashMap<LaneId, usize>,
    pub(crate) limits: Vec<Limit>,
    pub(crate) by_limit: HashMap<LimitId, usize>,
    pub(crate) hosts: Hosts,
    pub(crate) accounts: Accounts,
    pub(crate) ids: Ids,
    pub(crate) steps: Steps,
    pub(crate) serving: Serving,
    pub(crate) limited: Limited,
    pub(crate) leaving: Leaving,
    pub(crate) unclaims: Unclaims,
    pub(crate) polls: Polls,
    pub(crate) leases: Leases,
    pub(crate) probes: Probes,
    pub(crate) store: StoreWatch,
    pub(crate) trouble: LocalTrouble,
    pub(crate) stopping: Option<Stopping>,
    /// Of all claims so far.
    pub(crate) longest_timeout: Duration,
    pub(crate) timers: Timers<Timer>,
    /// Something happened since the last time-out.
    pub(crate) is_dirty: bool,
    pub(crate) out: Vec<Command<P>>,
}

impl<P> Scheduler<P> {
    /// A scheduler that knows nothing yet. Its first wake-up is at once: the heartbeat comes
    /// before the first claim.
    pub fn new(settings: Settings) -> Self {
        let mut timers = Timers::new();
        timers.set(Timer::Tick, Millis::default());
        Self {
            settings,
            now: Millis::default(),
            lanes: Vec::new(),
            by_lane: HashMap::new(),
            limits: Vec::new(),
            by_limit: HashMap::new(),
            hosts: Hosts::new(settings.permits),
            accounts: Accounts::new(settings),
            ids: Ids::default(),
            steps: Steps::default(),
            serving: Serving::default(),
            limited: Limited::default(),
            leaving: Leaving::default(),
            unclaims: Unclaims::default(),
            polls: Polls::default(),
            leases: Leases::default(),
            probes: Probes::default(),
            store: StoreWatch::default(),
            trouble: LocalTrouble::new(settings.permits),
            stopping: None,
            longest_timeout: Duration::ZERO,
            timers,
            is_dirty: true,
            out: Vec::new(),
        }
    }

    pub(crate) fn lane_limit(&self, lane: usize) -> Option<&Limit> {
        self.lanes[lane].limit.map(|limit| &self.limits[limit])
    }

    pub(crate) fn is_limited(&self, lane: usize) -> bool {
        self.lane_limit(lane).is_some_and(Limit::is_limited)
    }

    /// Whether anything of a lane may be claimed and sent, as far as is known here.
    pub(crate) fn is_open(&self, lane: usize) -> bool {
        let state = &self.lanes[lane];
        !state.held
            && state.blocked.is_none()
            && self.lane_limit(lane).is_none_or(|limit| limit.is_open(self.now))
    }
}
