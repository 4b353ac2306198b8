//! Deliveries that are left to the store.

use postrider_domain::DeliveryId;

/// Deliveries that are to become due in the store, each with its lane.
#[derive(Debug, Default)]
pub(crate) struct Leaving(Vec<(DeliveryId, usize)>);

impl Leaving {
    pub(crate) fn push(&mut self, id: DeliveryId, lane: usize) {
        self.0.push((id, lane));
    }

    /// The store did not take them.
    pub(crate) fn push_again(&mut self, left: Vec<(DeliveryId, usize)>) {
        self.0.extend(left);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first ones, at most so many.
    pub(crate) fn take(&mut self, most: usize) -> Vec<(DeliveryId, usize)> {
        let count = self.0.len().min(most);
        self.0.drain(..count).collect()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
