//! Telling workers what there is to do.

use std::sync::Arc;

use postrider_domain::LaneId;
use postrider_queue::Fresh;

/// What workers should look at now.
#[derive(Debug)]
pub enum Announcement {
    /// A delivery that any worker may claim.
    Delivery(Fresh),
    /// Lanes of which something changed.
    Lanes(Vec<LaneId>),
}

/// Tells workers; must return at once.
pub type Announce = Arc<dyn Fn(Announcement) + Send + Sync>;
