//! The model by the steps of every store.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use postrider_domain::{DeliveryId, LaneId, LimitId, WebhookUuid};
use postrider_store::{
    Beat, Claim, ClaimLimited, ClaimProbeDelivery, ClaimTerms, Expired, GivenBack, IntakeBatch,
    IntakeResult, LanePage, LaneShare, LaneSpec, Lease, LimitedClaim, ParkedWebhook, Poll,
    ProbeClaim, Put, RecordReport, Recorded, StoreError, Unclaim, WebhookTable, WebhookWrite,
    WorkerId,
};
use postrider_testkit::{HotStore, Seen};

use crate::model::{Micros, Model};

/// Between two steps, in microseconds.
const INSTANT: Micros = 2;

/// A model behind the steps of a store.
#[derive(Debug)]
pub struct ModelStore {
    model: Arc<Mutex<Model>>,
    sweep_after: Duration,
}

impl ModelStore {
    /// An empty model whose clock stands at `now`, in microseconds since the epoch.
    pub fn new(now: Micros, sweep_after: Duration) -> Self {
        Self { model: Arc::new(Mutex::new(Model::new(now, sweep_after))), sweep_after }
    }

    /// Another handle to the same model, whose fresh deliveries are left to their messages for so
    /// long.
    #[must_use]
    pub fn another(&self, sweep_after: Duration) -> Self {
        Self { model: Arc::clone(&self.model), sweep_after }
    }

    /// A model of its own that stands where this one does.
    #[must_use]
    pub fn fork(&self) -> Self {
        let model = self.with(|model| model.clone());
        Self { model: Arc::new(Mutex::new(model)), sweep_after: self.sweep_after }
    }

    /// A step: no two of them are at one instant, as in a database.
    fn step<T>(&self, step: impl FnOnce(&mut Model) -> T) -> T {
        self.with(|model| {
            model.set_now(model.now().saturating_add(INSTANT));
            step(model)
        })
    }

    /// Looks at it.
    pub fn with<T>(&self, look: impl FnOnce(&mut Model) -> T) -> T {
        look(&mut self.model.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl HotStore for ModelStore {
    async fn advance(&self, duration: Duration) {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        self.with(|model| model.set_now(model.now().saturating_add(micros)));
    }

    async fn commit_events(
        &self,
        batch: &IntakeBatch,
    ) -> Result<Option<Vec<IntakeResult>>, StoreError> {
        Ok(self.step(|model| {
            model.set_sweep_after(self.sweep_after);
            model.commit_events(batch)
        }))
    }

    async fn make_due(&self, ids: &[DeliveryId]) -> Result<(), StoreError> {
        self.step(|model| model.make_due(ids));
        Ok(())
    }

    async fn count_unclaimed(&self, limit: u32) -> Result<u32, StoreError> {
        Ok(self.step(|model| model.count_unclaimed(limit)))
    }

    async fn claim_fresh(
        &self,
        ids: &[DeliveryId],
        terms: ClaimTerms,
    ) -> Result<Vec<Claim>, StoreError> {
        Ok(self.step(|model| model.claim_fresh(ids, terms)))
    }

    async fn claim_due(
        &self,
        shares: &[LaneShare],
        suspect: bool,
        terms: ClaimTerms,
    ) -> Result<Vec<Claim>, StoreError> {
        Ok(self.step(|model| model.claim_due(shares, suspect, terms)))
    }

    async fn claim_limited(&self, asked: ClaimLimited) -> Result<LimitedClaim, StoreError> {
        Ok(self.step(|model| model.claim_limited(asked)))
    }

    async fn claim_probe_delivery(
        &self,
        asked: ClaimProbeDelivery,
    ) -> Result<Option<Claim>, StoreError> {
        Ok(self.step(|model| model.claim_probe_delivery(asked)))
    }

    async fn unclaim(&self, asked: Unclaim<'_>) -> Result<Option<u64>, StoreError> {
        Ok(self.step(|model| model.unclaim(asked)))
    }

    async fn record(&self, batch: &[Recorded]) -> Result<RecordReport, StoreError> {
        Ok(self.step(|model| model.record(batch)))
    }

    async fn expire_claims(&self, limit: u32) -> Result<Expired, StoreError> {
        Ok(self.step(|model| model.expire_claims(limit)))
    }

    async fn reassign_lanes(&self, limit: u32) -> Result<u64, StoreError> {
        Ok(self.step(|model| model.reassign_lanes(limit)))
    }

    async fn discard(&self, limit: u32) -> Result<u64, StoreError> {
        Ok(self.step(|model| model.discard(limit)))
    }

    async fn sort_parked(&self, limit: u32) -> Result<u64, StoreError> {
        Ok(self.with(|model| model.sort_parked(limit)))
    }

    async fn beat(&self, beat: Beat) -> Result<(), StoreError> {
        self.step(|model| model.beat(beat));
        Ok(())
    }

    async fn give_back(
        &self,
        after: Option<WorkerId>,
        limit: u32,
    ) -> Result<Option<GivenBack>, StoreError> {
        Ok(self.step(|model| model.give_back(after, limit)))
    }

    async fn acquire(
        &self,
        limit: LimitId,
        worker: WorkerId,
        length: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        Ok(self.step(|model| model.acquire(limit, worker, length)))
    }

    async fn renew(&self, leases: &[Lease], length: Duration) -> Result<Vec<Lease>, StoreError> {
        Ok(self.step(|model| model.renew(leases, length)))
    }

    async fn give_up(&self, leases: &[Lease]) -> Result<(), StoreError> {
        self.step(|model| model.give_up(leases));
        Ok(())
    }

    async fn poll(&self, which: Poll<'_>) -> Result<LanePage, StoreError> {
        Ok(self.step(|model| model.poll(which)))
    }

    async fn claim_probe(
        &self,
        lane: LaneId,
        lease: Option<Lease>,
        interval: Duration,
    ) -> Result<Option<ProbeClaim>, StoreError> {
        Ok(self.step(|model| model.claim_probe(lane, lease, interval)))
    }

    async fn release_probed(&self, lane: LaneId, probe: ProbeClaim) -> Result<bool, StoreError> {
        Ok(self.step(|model| model.release_probed(lane, probe)))
    }

    async fn pause(&self, lane: LaneId, pause: Duration) -> Result<(), StoreError> {
        self.step(|model| model.pause(lane, pause));
        Ok(())
    }

    async fn sync_lanes(&self, specs: &[LaneSpec]) -> Result<u64, StoreError> {
        Ok(self.step(|model| model.sync_lanes(specs)))
    }

    async fn webhook_table(&self, known: Option<i64>) -> Result<Option<WebhookTable>, StoreError> {
        Ok(self.step(|model| model.webhook_table(known)))
    }

    async fn put_webhook(&self, write: &WebhookWrite) -> Result<Put, StoreError> {
        self.step(|model| model.put_webhook(write))
            .ok_or_else(|| StoreError::Unusable("the webhook was not written".to_owned()))
    }

    async fn delete_webhook(&self, uuid: &WebhookUuid) -> Result<bool, StoreError> {
        Ok(self.step(|model| model.delete_webhook(uuid)))
    }

    async fn delete_secret(&self, name: &str) -> Result<bool, StoreError> {
        Ok(self.step(|model| model.delete_secret(name)))
    }

    async fn hold_by_hand(&self, name: &str) -> Result<bool, StoreError> {
        Ok(self.step(|model| model.hold_by_hand(name)))
    }

    async fn release_by_hand(&self, name: &str) -> Result<bool, StoreError> {
        Ok(self.step(|model| model.release_by_hand(name)))
    }

    async fn parked_webhooks(&self) -> Result<Vec<ParkedWebhook>, StoreError> {
        Ok(self.with(|model| model.parked_webhooks()))
    }

    async fn release_webhook(&self, uuid: &WebhookUuid) -> Result<Option<bool>, StoreError> {
        Ok(self.with(|model| model.release_webhook(uuid)))
    }

    async fn set_secret(&self, name: &str) -> Result<Vec<String>, StoreError> {
        Ok(self.step(|model| model.set_secret(name)))
    }

    async fn seen(&self, id: DeliveryId) -> Result<Option<Seen>, StoreError> {
        Ok(self.step(|model| model.seen(id)))
    }
}
