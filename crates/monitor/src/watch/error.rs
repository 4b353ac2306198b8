//! Why a look at a broker, or a part of it, did not come to its end.

use postrider_broker::BrokerError;
use postrider_store::StoreError;

/// Why a look did not come to its end.
#[derive(Debug)]
pub(crate) enum WatchError {
    Broker(BrokerError),
    Store(StoreError),
    /// Another monitor is active.
    LeaseLost,
}

impl From<BrokerError> for WatchError {
    fn from(error: BrokerError) -> Self {
        Self::Broker(error)
    }
}

impl From<StoreError> for WatchError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
