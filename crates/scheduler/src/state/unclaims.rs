//! Claims whose result is unknown, until they are given back.

use std::collections::VecDeque;

use postrider_domain::DeliveryId;

use crate::Lease;

/// What is to be asked for again once it is given back.
#[derive(Debug)]
pub(crate) enum Undo {
    Fresh(Vec<(DeliveryId, usize)>),
    Due(Vec<usize>),
    Limited { limit: usize, lease: Lease },
}

/// Claims whose result is unknown.
#[derive(Debug, Default)]
pub(crate) struct Unclaims {
    pub(crate) waiting: VecDeque<Undo>,
    pub(crate) is_open: bool,
}

impl Unclaims {
    pub(crate) fn push(&mut self, undo: Undo) {
        self.waiting.push_back(undo);
    }

    /// Whether nothing is to be given back, so that claims may be asked for.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && !self.is_open
    }
}
