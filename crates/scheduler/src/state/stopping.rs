//! A stop that was asked for.

use crate::Millis;

/// A stop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopping {
    /// When it is over, whatever is still under way.
    pub(crate) by: Millis,
    pub(crate) is_over: bool,
}
