//! Commands that are steps of the store. Each is carried out beside the others and answered by
//! one event, also when it panics or is cut off.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use postrider_domain::{DeliveryId, LaneId};
use postrider_queue::MessageContext;
use postrider_store::{
    Beat, Claim, ClaimLimited, Kept, LimitedClaim, Poll, StoreError, Unclaim, Unsettled,
};
use postrider_telemetry::step::{Step, reached};

use super::hands::Carrier;
use super::owed::{Happened, Owed};
use super::told;
use crate::attempt::HeldClaim;
use crate::clock::BoottimeInstant;
use postrider_scheduler::{
    Batch, ClaimKey, ClaimedDelivery, CommitResult, Event, LaneShare, Lease, LimitRefusal, Scope,
    Which,
};

/// What messages say of the deliveries of a claim.
pub(crate) type Contexts = HashMap<DeliveryId, Arc<MessageContext>>;

/// A leader's claim.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask {
    pub(crate) lease: Lease,
    pub(crate) count: u32,
    pub(crate) interval: Duration,
    pub(crate) suspect: bool,
}

impl Carrier {
    fn step(&self, otherwise: Happened, work: impl Future<Output = Happened> + Send + 'static) {
        let owed = Owed::new(&self.events, otherwise);
        self.steps.spawn(async move {
            let event = work.await;
            owed.answer(event);
        });
    }

    /// L2 with the heartbeat, which comes first: it also tells what this machine lacks. Where a
    /// step of this process hangs, no lease is renewed (`TASK_RENEW`).
    pub(crate) fn renew(&self, leases: Vec<Lease>) {
        let hands = self.hands.clone();
        self.step(Event::RenewFailed, async move {
            if let Err(error) = hands.beat().await {
                tracing::warn!(%error, "heartbeat.failed");
                return Event::RenewFailed;
            }
            if let Some((step, age)) = hands.store.overdue_step().filter(|_| !leases.is_empty()) {
                tracing::warn!(step, ?age, "leases.not_renewed");
                return Event::RenewFailed;
            }
            if leases.is_empty() {
                return Event::Renewed { leases };
            }
            let asked: Vec<_> = leases.iter().map(|lease| hands.lease(*lease)).collect();
            match hands.store.renew(&asked, hands.context.config.lease).await {
                Ok(kept) => {
                    let is_kept = |lease: &Lease| kept.contains(&hands.lease(*lease));
                    for lost in leases.iter().filter(|lease| !is_kept(lease)) {
                        tracing::warn!(limit_id = lost.limit.0, epoch = lost.epoch, "lane.lost");
                    }
                    Event::Renewed { leases: kept.iter().map(told::lease).collect() }
                }
                Err(error) => {
                    tracing::warn!(%error, "leases.not_renewed");
                    Event::RenewFailed
                }
            }
        });
    }

    /// L1.
    pub(crate) fn acquire(&self, limit: postrider_domain::LimitId) {
        let hands = self.hands.clone();
        self.step(Event::AcquireFailed { limit }, async move {
            let length = hands.context.config.lease;
            let lease = match hands.store.acquire(limit, hands.worker, length).await {
                Ok(lease) => lease,
                Err(error) => {
                    tracing::warn!(%error, limit_id = limit.0, "lane.not_acquired");
                    return Event::AcquireFailed { limit };
                }
            };
            if let Some(lease) = lease {
                hands.live.leads(lease);
                tracing::info!(limit_id = limit.0, epoch = lease.epoch, "lane.led");
            }
            Event::Acquired { limit, lease: lease.as_ref().map(told::lease) }
        });
    }

    /// L3. What is not given up runs out.
    pub(crate) fn give_up(&self, leases: &[Lease]) {
        let hands = self.hands.clone();
        let leases: Vec<_> = leases.iter().map(|lease| hands.lease(*lease)).collect();
        self.steps.spawn(async move {
            if let Err(error) = hands.store.give_up(&leases).await {
                tracing::warn!(%error, "leases.not_given_up");
            }
        });
    }

    /// POLL.
    pub(crate) fn poll(&self, which: Which) {
        let store = self.hands.store.clone();
        self.step(Event::PollFailed, async move {
            let page = match &which {
                Which::Those(lanes) => store.poll(Poll::Those(lanes)).await,
                Which::Page { after } => store.poll(Poll::Page(*after)).await,
            };
            match page {
                Ok(page) => Event::Polled {
                    lanes: page.lanes.iter().map(told::lane).collect(),
                    next: page.next,
                },
                Err(error) => {
                    tracing::warn!(%error, "poll.failed");
                    Event::PollFailed
                }
            }
        });
    }

    /// T3.
    pub(crate) fn claim_fresh(&self, batch: Batch, ids: Vec<DeliveryId>, contexts: Contexts) {
        let hands = self.hands.clone();
        self.claim(batch, Scope::Fresh(ids.clone()), contexts, async move {
            let terms = hands.context.config.terms(hands.worker);
            hands.store.claim_fresh(&ids, terms).await.map(LimitedClaim::Claimed)
        });
    }

    /// T4.
    pub(crate) fn claim_due(&self, batch: Batch, lanes: &[LaneShare], suspect: bool) {
        let hands = self.hands.clone();
        let ids: Vec<LaneId> = lanes.iter().map(|share| share.lane).collect();
        let shares: Vec<_> = lanes.iter().map(told::share).collect();
        self.claim(batch, Scope::Due(ids), Contexts::new(), async move {
            let terms = hands.context.config.terms(hands.worker);
            hands.store.claim_due(&shares, suspect, terms).await.map(LimitedClaim::Claimed)
        });
    }

    /// T5.
    pub(crate) fn claim_limited(&self, batch: Batch, ask: Ask) {
        let hands = self.hands.clone();
        self.claim(batch, Scope::Limited(ask.lease), Contexts::new(), async move {
            let terms = hands.context.config.terms(hands.worker);
            let Ask { lease, count: limit, interval, suspect } = ask;
            let lease = hands.lease(lease);
            let asked = ClaimLimited { lease, limit, interval, suspect, terms };
            hands.store.claim_limited(asked).await
        });
    }

    fn claim(
        &self,
        batch: Batch,
        scope: Scope,
        mut contexts: Contexts,
        asked: impl Future<Output = Result<LimitedClaim, StoreError>> + Send + 'static,
    ) {
        let live = self.hands.live.clone();
        live.asks(batch, scope);
        self.step(Event::ClaimFailed { batch, commit: CommitResult::Unknown }, async move {
            // Before the statement is issued (DEADLINE_T0).
            let asked_at = BoottimeInstant::now();
            let refused = match asked.await {
                Ok(LimitedClaim::Claimed(claims)) => {
                    reached(Step::Claimed, claims.len());
                    live.answered(batch, &claims);
                    let claims = claims
                        .into_iter()
                        .map(|claim| {
                            let message = contexts.remove(&claim.id);
                            claimed(claim, asked_at, message)
                        })
                        .collect();
                    return Event::Claimed { batch, claims };
                }
                Ok(LimitedClaim::OldClaims) => Ok(LimitRefusal::OldClaims),
                Ok(LimitedClaim::HourFull { frees_in }) => Ok(LimitRefusal::HourFull { frees_in }),
                Ok(LimitedClaim::NotPermitted) => Ok(LimitRefusal::NotPermitted),
                Err(error) => {
                    tracing::warn!(%error, "claim.failed");
                    Err(told::commit(&error))
                }
            };
            match refused {
                Ok(why) => {
                    live.answered(batch, &[]);
                    Event::LimitRefused { batch, why }
                }
                Err(commit) => {
                    if commit == CommitResult::Nothing {
                        live.answered(batch, &[]);
                    }
                    Event::ClaimFailed { batch, commit }
                }
            }
        });
    }

    /// UNCLAIM. Attempts of an earlier scheduler keep their claims, which this one does not know.
    pub(crate) fn unclaim(&self, batch: Batch, scope: Scope, live: Vec<ClaimKey>) {
        let hands = self.hands.clone();
        self.step(Event::UnclaimFailed { batch }, async move {
            let mut kept = hands.live.in_hand();
            kept.extend(live.iter().map(|key| (key.id, key.claim_no)));
            match hands.unclaim(&scope, &kept).await {
                Ok(()) => Event::Unclaimed { batch },
                Err(error) => {
                    tracing::warn!(%error, "claim.not_given_back");
                    Event::UnclaimFailed { batch }
                }
            }
        });
    }

    /// T2.
    pub(crate) fn make_due(&self, batch: Batch, ids: Vec<DeliveryId>) {
        let store = self.hands.store.clone();
        self.step(Event::MakeDueFailed { batch }, async move {
            match store.make_due(&ids).await {
                Ok(()) => Event::MadeDue { batch },
                Err(error) => {
                    tracing::warn!(%error, deliveries = ids.len(), "deliveries.not_made_due");
                    Event::MakeDueFailed { batch }
                }
            }
        });
    }
}

impl super::hands::Hands {
    /// HEARTBEAT.
    async fn beat(&self) -> Result<(), StoreError> {
        let config = &self.context.config;
        let beat = Beat {
            worker: self.worker,
            claim: config.claim_length(),
            lease: config.lease,
            unclaimed: self.live.unclaimed(),
            trouble: self.context.troubles.lasting().map(told::trouble),
        };
        self.store.beat(beat).await
    }

    /// Gives back what claims may have got, but for what is kept.
    pub(crate) async fn unclaim(
        &self,
        scope: &Scope,
        kept: &[(DeliveryId, postrider_domain::ClaimNo)],
    ) -> Result<(), StoreError> {
        let claim = match scope {
            Scope::Fresh(ids) => Unsettled::Fresh(ids),
            Scope::Due(lanes) => Unsettled::Due(lanes),
            Scope::Limited(lease) => Unsettled::Limited(self.lease(*lease)),
        };
        let (number, kept) = (self.live.next_unclaim(), Kept { live: kept, pending: &[] });
        let asked = Unclaim { worker: self.worker, number, claim, kept };
        let Some(deliveries) = self.store.unclaim(asked).await? else {
            // Taken for dead, it says that it lives; this is repeated.
            self.beat().await?;
            return Err(StoreError::Unavailable("the worker was taken for dead".to_owned()));
        };
        self.live.given_back(number, scope);
        tracing::info!(deliveries, "claim.given_back");
        Ok(())
    }
}

/// A claim as the scheduler takes it.
pub(super) fn claimed(
    claim: Claim,
    asked_at: BoottimeInstant,
    message: Option<Arc<MessageContext>>,
) -> ClaimedDelivery<Arc<HeldClaim>> {
    ClaimedDelivery {
        key: ClaimKey { id: claim.id, claim_no: claim.claim_no },
        lane: claim.lane_id,
        length: claim.length,
        timeout: claim.timeout,
        payload: Arc::new(HeldClaim { claim, asked_at, message, is_probe: false }),
    }
}
