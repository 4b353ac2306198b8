//! Polls of lanes, and whom to ask about next.

use std::collections::VecDeque;

use postrider_domain::LaneId;

/// A poll that is under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Open {
    pub(crate) number: u64,
    pub(crate) is_page: bool,
}

/// How far the walk over all lanes is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Walk {
    /// None is under way.
    #[default]
    Resting,
    /// The page after this lane is next, or the first one.
    Page(Option<LaneId>),
}

/// Polls: one is open at a time.
#[derive(Debug, Default)]
pub(crate) struct Polls {
    /// The last one that was issued.
    pub(crate) last: u64,
    pub(crate) open: Option<Open>,
    pub(crate) ticks: u64,
    /// Lanes to look at as soon as can be.
    pub(crate) soon: Vec<usize>,
    /// Lanes to look at with each tick.
    pub(crate) watched: Vec<usize>,
    /// Those of this tick that were not asked about yet.
    pub(crate) queue: VecDeque<usize>,
    pub(crate) walk: Walk,
}
