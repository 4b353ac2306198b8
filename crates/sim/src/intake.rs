//! What an ingest knows, and what it is about to commit.

use postrider_domain::{DeliveryId, LaneId};
use postrider_store::{EventDocument, IntakeBatch, WebhookTable};

/// A delivery and its lane.
pub(crate) type Made = (DeliveryId, LaneId);

/// What an ingest is about to commit.
#[derive(Debug)]
pub(crate) struct Intake {
    pub(crate) slot: usize,
    pub(crate) batch: IntakeBatch,
    /// It is gone right after.
    pub(crate) is_last: bool,
}

impl Intake {
    /// The deliveries that it makes.
    pub(crate) fn deliveries(&self) -> Vec<Made> {
        let new = self.batch.entries.iter().flat_map(|entry| &entry.deliveries);
        new.map(|new| (new.id, new.lane_id)).collect()
    }
}

/// An ingest.
#[derive(Debug, Default)]
pub(crate) struct Ingest {
    pub(crate) table: Option<WebhookTable>,
}

/// The event of all deliveries: what it says does not matter here.
pub(crate) fn event() -> Result<EventDocument, String> {
    EventDocument::new(postrider_testkit::acts::event()).map_err(|error| error.to_string())
}
