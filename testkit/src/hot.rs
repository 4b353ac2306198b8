//! The steps that deliveries depend on.

use std::sync::mpsc;
use std::time::Duration;

use postrider_domain::{DeliveryId, LaneId, LimitId, WebhookUuid};
use postrider_store::{
    Beat, Claim, ClaimLimited, ClaimProbeDelivery, ClaimTerms, ClaimsAtIntake, Expired, GivenBack,
    IntakeBatch, IntakeResult, LanePage, LaneShare, LaneSpec, Lease, LimitedClaim, ManualHold,
    ParkedWebhook, Poll, ProbeClaim, Put, RecordReport, Recorded, Store, StoreError, Unclaim,
    WebhookTable, WebhookWrite, WorkerId,
};

use crate::Seen;

/// A store of deliveries. The steps are those of [`Store`], where they are described.
#[expect(async_fn_in_trait, reason = "tests await them where they stand")]
#[expect(missing_docs, reason = "said by the store, under the same names")]
pub trait HotStore {
    /// Lets time pass: a database waits, a model moves its clock.
    async fn advance(&self, duration: Duration);
    async fn commit_events(
        &self,
        batch: &IntakeBatch,
    ) -> Result<Option<Vec<IntakeResult>>, StoreError>;
    /// T1c, which is T1 and T3 right after it.
    async fn commit_events_claiming(
        &self,
        batch: &IntakeBatch,
        ids: &[DeliveryId],
        terms: ClaimTerms,
    ) -> Result<Option<(Vec<IntakeResult>, Vec<Claim>)>, StoreError> {
        let Some(results) = self.commit_events(batch).await? else { return Ok(None) };
        Ok(Some((results, self.claim_fresh(ids, terms).await?)))
    }
    async fn make_due(&self, ids: &[DeliveryId]) -> Result<(), StoreError>;
    async fn count_unclaimed(&self, limit: u32) -> Result<u32, StoreError>;
    async fn claim_fresh(
        &self,
        ids: &[DeliveryId],
        terms: ClaimTerms,
    ) -> Result<Vec<Claim>, StoreError>;
    async fn claim_due(
        &self,
        shares: &[LaneShare],
        suspect: bool,
        terms: ClaimTerms,
    ) -> Result<Vec<Claim>, StoreError>;
    async fn claim_limited(&self, asked: ClaimLimited) -> Result<LimitedClaim, StoreError>;
    async fn claim_probe_delivery(
        &self,
        asked: ClaimProbeDelivery,
    ) -> Result<Option<Claim>, StoreError>;
    async fn unclaim(&self, asked: Unclaim<'_>) -> Result<Option<u64>, StoreError>;
    async fn record(&self, batch: &[Recorded]) -> Result<RecordReport, StoreError>;
    async fn expire_claims(&self, limit: u32) -> Result<Expired, StoreError>;
    async fn reassign_lanes(&self, limit: u32) -> Result<u64, StoreError>;
    async fn discard(&self, limit: u32) -> Result<u64, StoreError>;
    async fn sort_parked(&self, limit: u32) -> Result<u64, StoreError>;
    async fn beat(&self, beat: Beat) -> Result<(), StoreError>;
    async fn give_back(
        &self,
        after: Option<WorkerId>,
        limit: u32,
    ) -> Result<Option<GivenBack>, StoreError>;
    async fn acquire(
        &self,
        limit: LimitId,
        worker: WorkerId,
        length: Duration,
    ) -> Result<Option<Lease>, StoreError>;
    async fn renew(&self, leases: &[Lease], length: Duration) -> Result<Vec<Lease>, StoreError>;
    async fn give_up(&self, leases: &[Lease]) -> Result<(), StoreError>;
    async fn poll(&self, which: Poll<'_>) -> Result<LanePage, StoreError>;
    async fn claim_probe(
        &self,
        lane: LaneId,
        lease: Option<Lease>,
        interval: Duration,
    ) -> Result<Option<ProbeClaim>, StoreError>;
    async fn release_probed(&self, lane: LaneId, probe: ProbeClaim) -> Result<bool, StoreError>;
    async fn pause(&self, lane: LaneId, pause: Duration) -> Result<(), StoreError>;
    async fn sync_lanes(&self, specs: &[LaneSpec]) -> Result<u64, StoreError>;
    async fn webhook_table(&self, known: Option<i64>) -> Result<Option<WebhookTable>, StoreError>;
    async fn put_webhook(&self, write: &WebhookWrite) -> Result<Put, StoreError>;
    async fn delete_webhook(&self, uuid: &WebhookUuid) -> Result<bool, StoreError>;
    async fn delete_secret(&self, name: &str) -> Result<bool, StoreError>;
    async fn hold_by_hand(&self, name: &str) -> Result<bool, StoreError>;
    async fn release_by_hand(&self, name: &str) -> Result<bool, StoreError>;
    async fn release_webhook(&self, uuid: &WebhookUuid) -> Result<Option<bool>, StoreError>;
    async fn parked_webhooks(&self) -> Result<Vec<ParkedWebhook>, StoreError>;
    async fn set_secret(&self, name: &str) -> Result<Vec<String>, StoreError>;
    async fn seen(&self, id: DeliveryId) -> Result<Option<Seen>, StoreError>;
}

impl HotStore for Store {
    async fn advance(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    async fn commit_events(
        &self,
        batch: &IntakeBatch,
    ) -> Result<Option<Vec<IntakeResult>>, StoreError> {
        Self::commit_events(self, batch).await
    }

    async fn commit_events_claiming(
        &self,
        batch: &IntakeBatch,
        ids: &[DeliveryId],
        terms: ClaimTerms,
    ) -> Result<Option<(Vec<IntakeResult>, Vec<Claim>)>, StoreError> {
        let (came, claims) = mpsc::channel();
        let right = ClaimsAtIntake::new(ids.to_vec(), terms, move |claims| {
            came.send(claims.unwrap_or_default()).unwrap_or_default();
        });
        let Some(entered) = Self::commit_events_claiming(self, batch, Some(right)).await? else {
            return Ok(None);
        };
        let mut claims = claims.recv().unwrap_or_default();
        assert_eq!(entered.claimed, claims.iter().map(|claim| claim.id).collect());
        if claims.is_empty() {
            // Only an embedded store claims.
            claims = Self::claim_fresh(self, ids, terms).await?;
        }
        Ok(Some((entered.results, claims)))
    }

    async fn make_due(&self, ids: &[DeliveryId]) -> Result<(), StoreError> {
        Self::make_due(self, ids).await
    }

    async fn count_unclaimed(&self, limit: u32) -> Result<u32, StoreError> {
        Self::count_unclaimed(self, limit).await
    }

    async fn claim_fresh(
        &self,
        ids: &[DeliveryId],
        terms: ClaimTerms,
    ) -> Result<Vec<Claim>, StoreError> {
        Self::claim_fresh(self, ids, terms).await
    }

    async fn claim_due(
        &self,
        shares: &[LaneShare],
        suspect: bool,
        terms: ClaimTerms,
    ) -> Result<Vec<Claim>, StoreError> {
        Self::claim_due(self, shares, suspect, terms).await
    }

    async fn claim_limited(&self, asked: ClaimLimited) -> Result<LimitedClaim, StoreError> {
        Self::claim_limited(self, asked).await
    }

    async fn claim_probe_delivery(
        &self,
        asked: ClaimProbeDelivery,
    ) -> Result<Option<Claim>, StoreError> {
        Self::claim_probe_delivery(self, asked).await
    }

    async fn unclaim(&self, asked: Unclaim<'_>) -> Result<Option<u64>, StoreError> {
        Self::unclaim(self, asked).await
    }

    async fn record(&self, batch: &[Recorded]) -> Result<RecordReport, StoreError> {
        Self::record(self, batch).await
    }

    async fn expire_claims(&self, limit: u32) -> Result<Expired, StoreError> {
        Self::expire_claims(self, limit).await
    }

    async fn reassign_lanes(&self, limit: u32) -> Result<u64, StoreError> {
        Self::reassign_lanes(self, limit).await
    }

    async fn discard(&self, limit: u32) -> Result<u64, StoreError> {
        Self::discard(self, limit).await
    }

    async fn sort_parked(&self, limit: u32) -> Result<u64, StoreError> {
        Self::sort_parked(self, limit).await
    }

    async fn beat(&self, beat: Beat) -> Result<(), StoreError> {
        Self::beat(self, beat).await
    }

    async fn give_back(
        &self,
        after: Option<WorkerId>,
        limit: u32,
    ) -> Result<Option<GivenBack>, StoreError> {
        Self::give_back(self, after, limit).await
    }

    async fn acquire(
        &self,
        limit: LimitId,
        worker: WorkerId,
        length: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        Self::acquire(self, limit, worker, length).await
    }

    async fn renew(&self, leases: &[Lease], length: Duration) -> Result<Vec<Lease>, StoreError> {
        Self::renew(self, leases, length).await
    }

    async fn give_up(&self, leases: &[Lease]) -> Result<(), StoreError> {
        Self::give_up(self, leases).await
    }

    async fn poll(&self, which: Poll<'_>) -> Result<LanePage, StoreError> {
        Self::poll(self, which).await
    }

    async fn claim_probe(
        &self,
        lane: LaneId,
        lease: Option<Lease>,
        interval: Duration,
    ) -> Result<Option<ProbeClaim>, StoreError> {
        Self::claim_probe(self, lane, lease, interval).await
    }

    async fn release_probed(&self, lane: LaneId, probe: ProbeClaim) -> Result<bool, StoreError> {
        Self::release_probed(self, lane, probe).await
    }

    async fn pause(&self, lane: LaneId, pause: Duration) -> Result<(), StoreError> {
        Self::pause(self, lane, pause).await
    }

    async fn sync_lanes(&self, specs: &[LaneSpec]) -> Result<u64, StoreError> {
        Self::sync_lanes(self, specs).await
    }

    async fn webhook_table(&self, known: Option<i64>) -> Result<Option<WebhookTable>, StoreError> {
        Self::webhook_table(self, known).await
    }

    async fn put_webhook(&self, write: &WebhookWrite) -> Result<Put, StoreError> {
        Self::put_webhook(self, write).await
    }

    async fn delete_webhook(&self, uuid: &WebhookUuid) -> Result<bool, StoreError> {
        Self::delete_webhook(self, uuid).await
    }

    async fn delete_secret(&self, name: &str) -> Result<bool, StoreError> {
        Self::delete_secret(self, name).await
    }

    async fn hold_by_hand(&self, name: &str) -> Result<bool, StoreError> {
        Ok(Self::hold_by_hand(self, name, &ManualHold::default()).await?.is_some())
    }

    async fn release_by_hand(&self, name: &str) -> Result<bool, StoreError> {
        Ok(Self::release_by_hand(self, name).await?.is_some())
    }

    async fn parked_webhooks(&self) -> Result<Vec<ParkedWebhook>, StoreError> {
        Self::parked_webhooks(self).await
    }

    async fn release_webhook(&self, uuid: &WebhookUuid) -> Result<Option<bool>, StoreError> {
        Self::release_webhook(self, uuid).await
    }

    async fn set_secret(&self, name: &str) -> Result<Vec<String>, StoreError> {
        Ok(Self::set_secret(self, name, &value()).await?.1)
    }

    async fn seen(&self, id: DeliveryId) -> Result<Option<Seen>, StoreError> {
        Ok(self.delivery(id).await?.map(Seen::from))
    }
}

/// What a secret is does not matter here.
fn value() -> secrecy::SecretString {
    secrecy::SecretString::from("secret")
}
