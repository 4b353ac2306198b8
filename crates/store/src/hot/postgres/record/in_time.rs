//! Which outcomes of a batch were recorded under their claim, and which came late.

use postrider_domain::{ClaimNo, DeliveryId};

use crate::Recorded;

/// Which outcomes of a batch were still under their claim, by their place in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InTime(Vec<bool>);

impl InTime {
    /// `ordinals` count from 1.
    pub(super) fn new(batch: usize, ordinals: &[i64]) -> Self {
        let mut in_time = vec![false; batch];
        for ordinal in ordinals {
            let place = usize::try_from(ordinal - 1).ok();
            if let Some(each) = place.and_then(|place| in_time.get_mut(place)) {
                *each = true;
            }
        }
        Self(in_time)
    }

    /// Those of the batch, in its order.
    pub(super) fn of<'a>(&self, batch: &[&'a Recorded]) -> Vec<&'a Recorded> {
        self.0.iter().zip(batch).filter(|(in_time, _)| **in_time).map(|(_, each)| *each).collect()
    }

    /// The others of the batch: their claims were over.
    pub(super) fn late(&self, batch: &[&Recorded]) -> Vec<(DeliveryId, ClaimNo)> {
        let late = self.0.iter().zip(batch).filter(|(in_time, _)| !**in_time);
        late.map(|(_, each)| (each.id, each.claim_no)).collect()
    }
}
