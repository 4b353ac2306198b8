//! The scheduler: decides what this worker claims, starts, renews and gives back.
//!
//! It is pure: it reads no clock, touches no socket and spawns nothing. What happened comes in as
//! an [`Event`], what is to be done goes out as [`Command`]s, and time is an argument. Whoever
//! drives it
//!
//! 1. calls [`on`](Scheduler::on) for each event, in the order in which they happened, and
//!    carries out the commands that it appends, each beside the others;
//! 2. once no event waits, calls `on` with [`Event::Timeout`] for as long as
//!    [`next_wakeup`](Scheduler::next_wakeup) is not later than now. Claims are only asked for
//!    there, so that what happened together is claimed together;
//! 3. sleeps until the next event or the next wake-up, which any call of `on` may have moved.
//!
//! Each command that is a step is answered by one event (see [`Event`]); each [`Permit`] that
//! goes out with a command comes back with one. Nothing else is owed.
//!
//! | concern | file |
//! |---|---|
//! | what is counted: permits, budgets, hosts | `account.rs`, `permit.rs` |
//! | who is served next: rings, grants, claims | `serve.rs`, `ring.rs`, `standing.rs` |
//! | what claims bring | `claims.rs`, `unclaim.rs` |
//! | what intake of the same process may claim as it commits | `offers.rs` |
//! | attempts from start to end | `attempts.rs` |
//! | limited limits: asks, tokens, sends | `limited.rs`, `limit.rs`, `limiter.rs` |
//! | holds, pauses, and what they leave to the store | `gate.rs` |
//! | polls, leases, probes | `polling.rs`, `leases.rs`, `probing.rs` |
//! | our own troubles | `trouble.rs` |
//! | the end | `stop.rs` |

mod account;
mod attempts;
mod audit;
mod claims;
mod command;
mod event;
mod gate;
mod lane;
mod leases;
mod limit;
mod limited;
mod limiter;
mod offers;
mod pace;
mod permit;
mod polling;
mod probing;
mod ring;
mod serve;
mod settings;
mod standing;
mod steps;
mod stop;
mod time;
mod timers;
mod trouble;
mod unclaim;

use std::collections::HashMap;
use std::time::Duration;

use postrider_domain::{LaneId, LimitId};

pub use command::{Batch, Command, LaneShare, Scope, SendWhen, Which};
pub use event::{
    ClaimKey, ClaimedDelivery, CommitResult, Ended, Event, Hold, LaneStatus, Lease, LimitRefusal,
    LimitStatus, Pace, Pacing, Terms, Unsent, Verdict,
};
pub use permit::{Clearance, Offer, Permit, Ticket};
pub use settings::Settings;
pub use time::Millis;

use account::{Accounts, Hosts};
use gate::Leaving;
use lane::Lane;
use leases::Leases;
use limit::Limit;
use limited::Limited;
use polling::Polls;
use probing::Probes;
use serve::Serving;
use steps::Steps;
use stop::Stopping;
use timers::Timers;
use trouble::{LocalTrouble, StoreWatch};
use unclaim::{Ids, Unclaims};

/// What a timer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
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
    settings: Settings,
    now: Millis,
    lanes: Vec<Lane<P>>,
    by_lane: HashMap<LaneId, usize>,
    limits: Vec<Limit>,
    by_limit: HashMap<LimitId, usize>,
    hosts: Hosts,
    accounts: Accounts,
    ids: Ids,
    steps: Steps,
    serving: Serving,
    limited: Limited,
    leaving: Leaving,
    unclaims: Unclaims,
    polls: Polls,
    leases: Leases,
    probes: Probes,
    store: StoreWatch,
    trouble: LocalTrouble,
    stopping: Option<Stopping>,
    /// Of all claims so far.
    longest_timeout: Duration,
    timers: Timers<Timer>,
    /// Something happened since the last time-out.
    is_dirty: bool,
    out: Vec<Command<P>>,
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

    /// Takes note of an event at `now` and appends what follows from it to `commands`. A `now`
    /// that goes back counts as the one before.
    pub fn on(&mut self, now: Millis, event: Event<P>, commands: &mut Vec<Command<P>>) {
        self.now = self.now.max(now);
        self.is_dirty = true;
        match event {
            Event::Received { deliveries, wake } => self.received(deliveries, &wake),
            Event::Woken(lanes) => self.woken(&lanes),
            Event::Offered { offer, deliveries } => self.offered(offer, deliveries),
            Event::Claimed { batch, claims } => self.claimed(batch, claims),
            Event::LimitRefused { batch, why } => self.limit_refused(batch, why),
            Event::ClaimFailed { batch, commit } => self.claim_failed(batch, commit),
            Event::Unclaimed { batch } => self.unclaimed(batch),
            Event::UnclaimFailed { batch } => self.unclaim_failed(batch),
            Event::MadeDue { batch } => self.made_due(batch),
            Event::MakeDueFailed { batch } => self.make_due_failed(batch),
            Event::Prepared { ticket, claim } => self.prepared(ticket, claim),
            Event::AttemptEnded { permit, ended } => self.attempt_ended(permit, ended),
            Event::Probed { permit } => self.probed(permit),
            Event::Recorded { claims, closed } => self.recorded(&claims, &closed),
            Event::Polled { lanes, next } => self.polled(&lanes, next),
            Event::PollFailed => self.poll_failed(),
            Event::Renewed { leases } => self.renewed(&leases),
            Event::RenewFailed => self.renew_failed(),
            Event::Acquired { limit, lease } => self.acquired(limit, lease),
            Event::AcquireFailed { limit } => self.acquire_failed(limit),
            Event::Stop => self.stop(),
            Event::Timeout => self.timeout(),
        }
        commands.append(&mut self.out);
    }

    /// When [`Event::Timeout`] is due next; at or before the last `now` when something is to be
    /// done at once. `None` once it has stopped.
    pub fn next_wakeup(&self) -> Option<Millis> {
        if self.has_stopped() {
            None
        } else if self.is_dirty {
            Some(self.now)
        } else {
            self.timers.next()
        }
    }

    /// Everything that time and the events since the last time-out ask for.
    fn timeout(&mut self) {
        while let Some(timer) = self.timers.pop(self.now) {
            self.timer(timer);
        }
        self.is_dirty = false;
        self.flush_stop();
        if self.stopping.is_none() && self.leases.is_alive() {
            self.flush_unclaims();
            self.flush_polls();
            self.flush_probes();
            self.flush_asks();
            self.flush_claims();
            self.flush_leaving();
        }
        self.watch_store();
    }

    fn timer(&mut self, timer: Timer) {
        match timer {
            Timer::Tick => self.tick(),
            // These only wake; the flushes that follow do the work.
            Timer::Gathered | Timer::Retry | Timer::StoreAway | Timer::StopBy => {}
            Timer::Trouble => self.trouble_over(),
            Timer::Slow(lane) => self.check_slow(lane),
            Timer::Stuck(lane) => self.check_stuck(lane),
            Timer::Due(lane) => self.wake_lane(lane),
            Timer::Probe(lane) => self.look_soon(lane),
            Timer::Late(lane) => self.release_late(lane),
            Timer::Pause(limit) => self.pause_over(limit),
            Timer::Pace(limit) => self.pace(limit),
            Timer::LateInHand(limit) => self.withdraw_late(limit),
            Timer::Acquire(limit) => self.try_acquire(limit),
            Timer::LeaseEnd(limit) => self.check_lease(limit),
        }
    }

    /// The lane of this id; a new one is looked at as soon as can be.
    fn lane(&mut self, id: LaneId) -> usize {
        if let Some(lane) = self.by_lane.get(&id) {
            return *lane;
        }
        let lane = self.lanes.len();
        self.lanes.push(Lane::new(id, Hosts::UNKNOWN));
        self.by_lane.insert(id, lane);
        self.look_soon(lane);
        lane
    }

    fn lane_limit(&self, lane: usize) -> Option<&Limit> {
        self.lanes[lane].limit.map(|limit| &self.limits[limit])
    }

    fn is_limited(&self, lane: usize) -> bool {
        self.lane_limit(lane).is_some_and(Limit::is_limited)
    }

    /// Whether anything of a lane may be claimed and sent, as far as is known here.
    fn is_open(&self, lane: usize) -> bool {
        let state = &self.lanes[lane];
        !state.held
            && state.blocked.is_none()
            && self.lane_limit(lane).is_none_or(|limit| limit.is_open(self.now))
    }
}

#[cfg(test)]
mod tests;
