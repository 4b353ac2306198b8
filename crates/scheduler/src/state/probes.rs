//! Probes under way, and lanes that wait for one.

use std::collections::{BTreeMap, VecDeque};

use crate::Ticket;

/// How far a probe is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It may claim a delivery of its own that is not known here yet.
    Preparing,
    Ready,
    Sent,
}

/// A probe that is under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Probe {
    pub(crate) lane: usize,
    /// Of a limited lane: whose tokens and places it uses.
    pub(crate) limit: Option<usize>,
    pub(crate) stage: Stage,
}

/// Probes under way, and lanes that wait for one.
#[derive(Debug, Default)]
pub(crate) struct Probes {
    pub(crate) waiting: VecDeque<usize>,
    pub(crate) open: BTreeMap<Ticket, Probe>,
}

impl Probes {
    /// Whether one may claim something that is not known here.
    pub(crate) fn may_claim(&self) -> bool {
        self.open.values().any(|probe| probe.stage == Stage::Preparing)
    }

    pub(crate) fn is_sent(&mut self, ticket: Ticket) {
        if let Some(probe) = self.open.get_mut(&ticket) {
            probe.stage = Stage::Sent;
        }
    }

    /// Those that were not sent, and will not be.
    pub(crate) fn unsent(&self) -> Vec<Ticket> {
        let unsent = self.open.iter().filter(|(_, probe)| probe.stage != Stage::Sent);
        unsent.map(|(ticket, _)| *ticket).collect()
    }
}
