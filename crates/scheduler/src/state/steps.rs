//! Steps whose answers are awaited.

use std::collections::HashMap;

use postrider_domain::DeliveryId;

use super::unclaims::Undo;
use crate::{Batch, Lease, Millis, Permit};

/// A delivery that was asked for.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) id: DeliveryId,
    pub(crate) lane: usize,
    pub(crate) permit: Permit,
}

/// What has to be known when the answer comes.
#[derive(Debug)]
pub(crate) enum Step {
    Fresh { asked_at: Millis, asked: Vec<Asked> },
    Due { asked_at: Millis, lanes: Vec<(usize, Vec<Permit>)>, suspect: bool },
    Limited { asked_at: Millis, limit: usize, lease: Lease, permits: Vec<Permit>, suspect: bool },
    Unclaim(Undo),
    MakeDue { left: Vec<(DeliveryId, usize)> },
}

/// Open steps by their batch.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    last: u64,
    open: HashMap<Batch, Step>,
    /// How many of each kind are open.
    pub(crate) fresh: u32,
    pub(crate) due: u32,
    pub(crate) suspects: u32,
    pub(crate) limited: u32,
    pub(crate) make_due: u32,
    pub(crate) unclaims: u32,
}

impl Steps {
    pub(crate) fn open(&mut self, step: Step) -> Batch {
        self.last += 1;
        let batch = Batch(self.last);
        *self.count(&step) += 1;
        self.open.insert(batch, step);
        batch
    }

    pub(crate) fn close(&mut self, batch: Batch) -> Option<Step> {
        let step = self.open.remove(&batch)?;
        *self.count(&step) -= 1;
        Some(step)
    }

    /// Claims that are open.
    pub(crate) fn claims(&self) -> u32 {
        self.fresh + self.due + self.suspects + self.limited
    }

    /// Permits that claims wait with.
    pub(crate) fn permits(&self) -> usize {
        let of = |step: &Step| match step {
            Step::Fresh { asked, .. } => asked.len(),
            Step::Due { lanes, .. } => lanes.iter().map(|(_, permits)| permits.len()).sum(),
            Step::Limited { permits, .. } => permits.len(),
            Step::Unclaim(_) | Step::MakeDue { .. } => 0,
        };
        self.open.values().map(of).sum()
    }

    fn count(&mut self, step: &Step) -> &mut u32 {
        match step {
            Step::Fresh { .. } => &mut self.fresh,
            Step::Due { suspect: false, .. } => &mut self.due,
            Step::Due { suspect: true, .. } => &mut self.suspects,
            Step::Limited { .. } => &mut self.limited,
            Step::Unclaim(_) => &mut self.unclaims,
            Step::MakeDue { .. } => &mut self.make_due,
        }
    }
}
