//! Lanes in line, and what is gathered for the next claims.

use std::collections::VecDeque;

use super::ring::Rings;
use super::standing::Class;
use super::steps::Asked;
use crate::{Millis, Permit};

/// Deliveries in one claim (measured: 128 beats 64, 256 adds nothing).
pub(crate) const BATCH_MAX: usize = 128;
/// Lanes in one claim of what is due.
const LANES_MAX: usize = 32;

/// What is gathered for the next claims.
#[derive(Debug, Default)]
pub(crate) struct Serving {
    pub(crate) fresh: Rings,
    pub(crate) due: Rings,
    pub(crate) suspects: VecDeque<usize>,
    pub(crate) fresh_batch: Vec<Asked>,
    pub(crate) fresh_since: Millis,
    pub(crate) due_batch: Vec<(usize, Vec<Permit>)>,
    pub(crate) due_rows: usize,
    pub(crate) due_since: Millis,
}

impl Serving {
    /// A lane that wants to be served has another class.
    pub(crate) fn reclassified(&mut self, lane: usize, class: Class) {
        for rings in [&mut self.fresh, &mut self.due] {
            if rings.class_of(lane).is_some() {
                rings.push(class, lane);
            }
        }
    }

    /// A lane wants nothing any more.
    pub(crate) fn remove(&mut self, lane: usize) {
        self.fresh.remove(lane);
        self.due.remove(lane);
    }

    /// Whether a lane only waits for its turn among those that answer.
    pub(crate) fn has_its_turn(&self, lane: usize) -> bool {
        self.fresh.class_of(lane) == Some(Class::Proven)
    }

    pub(crate) fn is_in_line(&self, lane: usize) -> bool {
        self.fresh.class_of(lane).is_some()
    }

    pub(crate) fn is_due_in_line(&self, lane: usize) -> bool {
        self.due.class_of(lane).is_some()
    }

    /// Whether a batch takes nothing more before it is asked for.
    pub(crate) fn is_full(&self, due: bool) -> bool {
        if due {
            self.due_rows >= BATCH_MAX || self.due_batch.len() >= LANES_MAX
        } else {
            self.fresh_batch.len() >= BATCH_MAX
        }
    }

    /// Permits of what is gathered.
    pub(crate) fn gathered(&self) -> usize {
        self.fresh_batch.len() + self.due_rows
    }

    /// Tries one of the lane's deliveries that lost three claims.
    pub(crate) fn suspect(&mut self, lane: usize) {
        self.suspects.push_back(lane);
    }
}
