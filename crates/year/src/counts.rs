//! What is counted, and what an alarm was worth.

use postrider_store::IncidentKind;

use crate::time::Millis;

/// Pairs that publish as often as this, or more often, are counted apart: of their many dispatches
/// none would be missed.
const BUSY: f64 = 60.0;

/// Whether there was something to tell of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Worth {
    /// It told of a planted fault for the first time.
    Found,
    /// It was about what a planted fault did.
    Consequence,
    /// It was true: nothing was on its way that would have ended what was told of.
    True,
    /// Nothing was wrong: what was missing was on its way, or there.
    False,
}

/// An alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// When it opened.
    pub at: Millis,
    /// Of which kind.
    pub kind: IncidentKind,
    /// What it is about.
    pub subject: String,
    /// What it was worth.
    pub worth: Worth,
    /// It is about a pair that publishes all the time.
    pub is_of_busy: bool,
    /// What its provider owed then; of a false one that calls a pair late.
    pub owed: Vec<String>,
}

impl Alarm {
    /// Whether nothing was wrong.
    pub fn is_false(&self) -> bool {
        self.worth == Worth::False
    }
}

/// What is counted.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) dispatches: u64,
    pub(crate) dispatches_of_busy: u64,
    pub(crate) alarms: Vec<Alarm>,
}

impl Counts {
    pub(crate) fn dispatched(&mut self, rate: f64) {
        self.dispatches += 1;
        self.dispatches_of_busy += u64::from(is_busy(rate));
    }
}

pub(crate) fn is_busy(rate: f64) -> bool {
    rate >= BUSY
}
