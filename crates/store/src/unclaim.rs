//! UNCLAIM: giving back what a claim of unknown fate may have got.

use postrider_domain::{ClaimNo, DeliveryId, LaneId};

use crate::store::dispatch;
use crate::{Lease, Store, StoreError, WorkerId};

/// Which UNCLAIM of a worker, in the order in which it asks for them, from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnclaimNo(pub i64);

/// A claim whose answer never came, by what it asked for.
#[derive(Debug, Clone, Copy)]
pub enum Unsettled<'a> {
    /// [`Store::claim_fresh`] of these.
    Fresh(&'a [DeliveryId]),
    /// [`Store::claim_due`] in these lanes.
    Due(&'a [LaneId]),
    /// [`Store::claim_limited`] under this lease.
    Limited(Lease),
}

/// What a worker may hold besides.
#[derive(Debug, Clone, Copy)]
pub struct Kept<'a> {
    /// Claims whose answer came and whose outcome is not committed yet, those of probes too.
    pub live: &'a [(DeliveryId, ClaimNo)],
    /// Asked for by statements whose answer did not come yet.
    pub pending: &'a [DeliveryId],
}

/// What a worker gives back.
#[derive(Debug, Clone, Copy)]
pub struct Unclaim<'a> {
    /// The worker.
    pub worker: WorkerId,
    /// Counts what it gives back (`UNCLAIM_NO`).
    pub number: UnclaimNo,
    /// Of which claim.
    pub claim: Unsettled<'a>,
    /// What it keeps.
    pub kept: Kept<'a>,
}

impl Store {
    /// UNCLAIM. Gives back, as never sent (T11), what the worker holds of such a claim and does
    /// not keep; how many. From the claim until this is answered the worker claims nothing else
    /// that the claim might have got, nor does a probe of such a lane run; when this fails, it
    /// is repeated with what is kept then, under the next number.
    ///
    /// `None`: nothing was done, because one with a larger number was (`UNCLAIM_NO`), or because
    /// the worker has no heartbeat in the store: it beats and asks again.
    pub async fn unclaim(&self, asked: Unclaim<'_>) -> Result<Option<u64>, StoreError> {
        dispatch!(self, unclaim(asked))
    }
}
