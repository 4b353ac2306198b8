//! Where a case runs.

use std::time::Duration;

use crate::HotStore;

/// A store of a case's own, and handles to it.
#[expect(async_fn_in_trait, reason = "tests await them where they stand")]
pub trait World {
    /// A handle.
    type Store: HotStore;

    /// The first handle; its fresh deliveries are swept at once.
    fn store(&self) -> &Self::Store;

    /// Another handle to the same rows, whose fresh deliveries are left to their messages for so
    /// long.
    async fn another(&self, sweep_after: Duration) -> Self::Store;
}
