//! Attempts of limited limits, and limits whose claims are asked for.

use std::collections::{BTreeSet, HashMap};

use crate::Ticket;

/// How far an attempt is that waits to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    InHand,
    Sent,
    Withdrawn,
}

/// An attempt that waits to be told, or was.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    pub(crate) limit: usize,
    pub(crate) stage: Stage,
}

/// Attempts of limited limits, over all of them.
#[derive(Debug, Default)]
pub(crate) struct Limited {
    /// Limits whose claims may have to be asked for.
    pub(crate) asks: BTreeSet<usize>,
    /// Those that were started and have not ended.
    pub(crate) told: HashMap<Ticket, Told>,
}
