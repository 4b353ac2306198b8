//! All pairs of a broker.

use std::collections::BTreeSet;

use postrider_broker::{Broker, BrokerError, Pair, PairsPage};

use super::order::Order;

/// Pairs of a page.
const LISTING: u32 = 500;
/// More pages than any broker has.
pub(super) const PAGES_MOST: u32 = 10_000;

/// What was listed.
pub(super) struct Listed {
    /// All pairs, newest change first.
    pub(super) all: Order,
    /// How many there are, as the broker says.
    pub(super) total: Option<usize>,
    /// It said one number all the time: nothing was deleted meanwhile, so that every pair was read.
    pub(super) is_steady: bool,
}

/// Reads all pairs.
pub(super) async fn list(broker: &Broker) -> Result<Listed, BrokerError> {
    let (mut all, mut said) = (Vec::new(), BTreeSet::new());
    for page in 1..=PAGES_MOST {
        let PairsPage { pairs, total } = broker.pairs_page(page, LISTING).await?;
        let is_last = !is_full(&pairs, LISTING);
        all.extend(pairs);
        said.insert(total);
        if is_last {
            break;
        }
    }
    let is_steady = said.len() == 1;
    Ok(Listed { all: Order::new(all), total: said.pop_last().flatten(), is_steady })
}

pub(super) fn is_full(page: &[Pair], size: u32) -> bool {
    u32::try_from(page.len()).is_ok_and(|length| length >= size)
}

/// How many pairs more than it says the broker has.
pub(super) fn excess(order: &Order, total: Option<usize>) -> Option<usize> {
    total.map(|total| order.pairs().len().saturating_sub(total))
}
