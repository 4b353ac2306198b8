//! The heartbeat and the leases of this worker.

use std::collections::BTreeSet;

use crate::{Lease, Millis};

/// What is known of the heartbeat and of leases together.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    /// The heartbeat was beaten once: claims may follow.
    pub(crate) is_alive: bool,
    /// The renewal that is open: when it was asked for, and for which.
    pub(crate) open: Option<(Millis, Vec<Lease>)>,
    /// Limits that this worker leads.
    pub(crate) led: BTreeSet<usize>,
}
