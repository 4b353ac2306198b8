//! A message, and what names it at its consumer.

use postrider_domain::{DeliveryId, LaneId};

/// Fresh deliveries, and lanes to look at.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) deliveries: Vec<(DeliveryId, LaneId)>,
    pub(crate) wake: Vec<LaneId>,
}

/// A connection of a consumer; grows with each.
pub(crate) type Connection = u64;
/// A message on a connection.
pub(crate) type Tag = u64;
