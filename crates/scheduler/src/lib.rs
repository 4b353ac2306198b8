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
//! | what it knows, and how that is counted | `state.rs` and the files below `state/` |
//! | permits that lanes are granted and give back | `account.rs`, `permit.rs` |
//! | who is served next: rings, grants, claims | `serve.rs` |
//! | what claims bring | `claims.rs`, `unclaim.rs` |
//! | what intake of the same process may claim as it commits | `offers.rs` |
//! | attempts from start to end | `attempts.rs` |
//! | limited limits: asks, tokens, sends | `limited.rs` |
//! | holds, pauses, and what they leave to the store | `gate.rs` |
//! | polls, leases, probes | `polling.rs`, `leases.rs`, `probing.rs` |
//! | a store that does not answer | `store_away.rs` |
//! | the end | `stop.rs` |

mod account;
mod attempts;
mod audit;
mod batch;
mod claims;
mod command;
mod event;
mod gate;
mod leases;
mod limited;
mod offers;
mod permit;
mod polling;
mod probing;
mod serve;
mod settings;
mod state;
mod stop;
mod store_away;
mod time;
mod unclaim;

pub use batch::Batch;
pub use command::{Command, LaneShare, Scope, SendWhen, Which};
pub use event::{
    ClaimKey, ClaimedDelivery, CommitResult, Ended, Event, Hold, LaneStatus, Lease, LimitRefusal,
    LimitStatus, Pace, Pacing, Terms, Unsent, Verdict,
};
pub use permit::{Clearance, Offer, Permit, Ticket};
pub use settings::Settings;
pub use state::Scheduler;
pub use time::Millis;

use state::Timer;

impl<P> Scheduler<P> {
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
        if self.stopping.is_none() && self.leases.is_alive {
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
}

#[cfg(test)]
mod tests;
