//! A worker process, and what it holds.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::rc::Rc;

use postrider_domain::DeliveryId;
use postrider_scheduler::Ticket;
use postrider_store::{Recorded, UnclaimNo, WorkerId};

use crate::attempt::Attempt;
use crate::call::{Call, CallId};
use crate::flaw::Flawed;
use crate::message::{Connection, Tag};

/// A process at its place, and which one of those that were there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Who {
    pub(crate) slot: usize,
    pub(crate) incarnation: u32,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "w{}.{}", self.slot, self.incarnation)
    }
}

/// How far a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Running,
    /// Asked to stop at.
    Stopping(u64),
    /// Its scheduler is done.
    Stopped(u64),
}

/// A worker process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) slot: usize,
    pub(crate) incarnation: u32,
    pub(crate) worker: WorkerId,
    /// `None` while it does not run.
    pub(crate) brain: Option<Flawed>,
    pub(crate) phase: Phase,
    pub(crate) frozen_until: u64,
    pub(crate) store_cut_until: u64,
    pub(crate) is_refused: bool,
    pub(crate) queue_cut_until: u64,
    pub(crate) trouble_until: u64,
    pub(crate) panics: u32,
    /// It dies after so many more commands.
    pub(crate) dies_after: Option<u32>,
    /// How far its clock is ahead.
    pub(crate) clock_ahead: u64,
    pub(crate) connection: Option<Connection>,
    pub(crate) wants_messages: bool,
    pub(crate) messages: BTreeMap<Tag, BTreeSet<DeliveryId>>,
    pub(crate) attempts: BTreeMap<Ticket, Attempt>,
    pub(crate) pending: BTreeMap<CallId, Rc<Call>>,
    pub(crate) outcomes: VecDeque<Recorded>,
    pub(crate) recording: Option<Rc<Vec<Recorded>>>,
    pub(crate) record_wait: u64,
    /// The last UNCLAIM that it asked for, and the last that was answered.
    pub(crate) unclaims: UnclaimNo,
    pub(crate) unclaimed: UnclaimNo,
    pub(crate) wake_no: u64,
    pub(crate) wakes_now: (u64, u32),
    /// When something was last done to it that may cost it claims.
    pub(crate) disturbed_at: u64,
}

impl Process {
    pub(crate) fn new(slot: usize) -> Self {
        Self {
            slot,
            incarnation: 0,
            worker: WorkerId(uuid::Uuid::nil()),
            brain: None,
            phase: Phase::Running,
            frozen_until: 0,
            store_cut_until: 0,
            is_refused: false,
            queue_cut_until: 0,
            trouble_until: 0,
            panics: 0,
            dies_after: None,
            clock_ahead: 0,
            connection: None,
            wants_messages: false,
            messages: BTreeMap::new(),
            attempts: BTreeMap::new(),
            pending: BTreeMap::new(),
            outcomes: VecDeque::new(),
            recording: None,
            record_wait: 0,
            unclaims: UnclaimNo::default(),
            unclaimed: UnclaimNo::default(),
            wake_no: 0,
            wakes_now: (0, 0),
            disturbed_at: 0,
        }
    }

    pub(crate) fn who(&self) -> Who {
        Who { slot: self.slot, incarnation: self.incarnation }
    }

    /// Nothing of it waits for the store.
    pub(crate) fn is_settled(&self) -> bool {
        self.outcomes.is_empty() && self.recording.is_none() && self.attempts.is_empty()
    }
}
