//! The right to have one attempt under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use postrider_domain::LaneId;

use super::Millis;

/// Names one attempt, or one probe, of one scheduler. Grows with each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(super) u64);

/// Names what intake offers to be claimed at once; the command that answers it says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offer(pub u64);

/// What a permit counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Account {
    /// The permits of the process: its lane, and through it a class, a host and a limit.
    Shared,
    /// The concurrency of a limited limit.
    Limited,
    /// The probes of the process.
    Probe,
}

/// Stops what was started and has not been sent: a hold, a pause, a lost lease, a shutdown.
#[derive(Debug, Clone, Default)]
pub(super) struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    pub(super) fn raise(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(super) fn is_raised(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The right to have one attempt under way, given out with a command and owed back with the event
/// that ends the attempt. It can't be copied or made elsewhere, so that what is under way is what
/// is counted. Lost in a debug build it panics.
#[derive(Debug)]
#[must_use = "a permit is owed back to the scheduler"]
pub struct Permit {
    pub(super) ticket: Ticket,
    pub(super) lane_id: LaneId,
    pub(super) lane: usize,
    pub(super) host: usize,
    pub(super) limit: Option<usize>,
    pub(super) account: Account,
    /// Which scheduler gave it out: permits of a predecessor in the process count nowhere.
    pub(super) generation: u64,
    pub(super) stop: StopFlag,
    pub(super) send_by: Millis,
    /// It is the permit of a claim, which is live until its outcome is recorded.
    pub(super) has_claim: bool,
    /// It went out with a command and is owed back.
    pub(super) is_owed: bool,
}

impl Permit {
    /// Which attempt it is for.
    pub fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// The lane that it was granted to.
    pub fn lane(&self) -> LaneId {
        self.lane_id
    }

    /// What is to be asked before its request leaves.
    pub fn clearance(&self) -> Clearance {
        Clearance { ticket: self.ticket, stop: self.stop.clone(), send_by: self.send_by }
    }

    /// Whether the request may leave at `now`, as [`Clearance::may_send`].
    pub fn may_send(&self, now: Millis) -> bool {
        !self.is_stopped() && now <= self.send_by
    }

    /// Whether something stopped it. Once it did, it stays so.
    pub fn is_stopped(&self) -> bool {
        self.stop.is_raised()
    }

    /// The last instant at which the request may leave.
    pub fn send_by(&self) -> Millis {
        self.send_by
    }

    /// Ends a permit that nobody is there to take back: its scheduler is gone.
    pub fn forfeit(self) {
        self.retire();
    }

    /// It goes out with a command.
    pub(super) fn owed(mut self) -> Self {
        self.is_owed = true;
        self
    }

    pub(super) fn retire(mut self) {
        self.is_owed = false;
    }
}

#[cfg(any(test, feature = "testing"))]
impl Permit {
    /// One that no scheduler gave out, sendable until `send_by`.
    pub fn of_test(ticket: u64, send_by: Millis) -> Self {
        Self {
            ticket: Ticket(ticket),
            lane_id: LaneId(0),
            lane: usize::MAX,
            host: 0,
            limit: None,
            account: Account::Shared,
            generation: 0,
            stop: StopFlag::default(),
            send_by,
            has_claim: false,
            is_owed: true,
        }
    }
}

/// What an attempt asks before its request leaves. It only looks: the permit stays with whoever
/// owes it.
#[derive(Debug, Clone)]
pub struct Clearance {
    ticket: Ticket,
    stop: StopFlag,
    send_by: Millis,
}

impl Clearance {
    /// Which attempt it is for.
    pub fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// Whether the request may leave at `now`: nothing stopped it, and its answer can still
    /// arrive within the claim (`SEND_CHECK`). To be asked right before the request is written,
    /// with the clock that the scheduler is given; an attempt that may not be sent ends as
    /// [`Unsent`](super::Ended::Unsent).
    pub fn may_send(&self, now: Millis) -> bool {
        !self.stop.is_raised() && now <= self.send_by
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        debug_assert!(
            !self.is_owed || std::thread::panicking(),
            "the permit of {:?} was lost",
            self.ticket
        );
    }
}

/// How long before its claim's end a request must leave at the latest: a whole time-out.
pub(super) fn send_by(asked_at: Millis, length: Duration, timeout: Duration) -> Millis {
    asked_at.after_floor(length.saturating_sub(timeout))
}
