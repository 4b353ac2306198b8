//! Attempts and probes: run beside the driver, each with a permit that comes back.

use std::sync::Arc;
use std::time::Duration;

use postrider_domain::LaneId;
use tokio::sync::oneshot;

use super::hands::Carrier;
use super::owed::OwedPermit;
use crate::attempt::{Came, HeldClaim, InHand, Leave, Told, Turn, attempt};
use crate::probe::Prober;
use postrider_scheduler::{Clearance, Ended, Lease, Permit};

impl Carrier {
    /// Makes an attempt; `told` where its request leaves when it is told.
    pub(crate) fn start(
        &self,
        held: Arc<HeldClaim>,
        permit: Permit,
        told: Option<oneshot::Receiver<Told>>,
    ) {
        let leave = self.leave(permit.clearance(), told);
        let owed = OwedPermit::of_attempt(&self.events, permit);
        self.hands.live.takes(&held.claim);
        let hand = InHand::new(held, self.hands.recorder.clone());
        let (context, cut) = (Arc::clone(&self.hands.context), self.hands.cut.clone());
        self.hands.attempts.spawn(cut.run_until_cancelled_owned(async move {
            // Declared in this order, the claim is recorded before the permit comes back.
            let (owed, hand) = (owed, hand);
            let came = Box::pin(attempt(&context, &hand, leave)).await;
            let ended = match came {
                Came::Answered(took, finished) => {
                    hand.record(finished.recorded).await;
                    Ended::Answered { took, verdict: finished.verdict }
                }
                Came::Silent(finished) => {
                    hand.record(finished.recorded).await;
                    Ended::Silent { verdict: finished.verdict }
                }
                Came::NotRequested(finished) => {
                    hand.record(finished.recorded).await;
                    Ended::NotRequested { verdict: finished.verdict }
                }
                Came::Unsent(why) => Ended::Unsent { claim: hand.hand_over(), why },
            };
            owed.end(ended);
        }));
    }

    /// Probes a lane. What a probe that outlives its scheduler would claim is not known to the
    /// next one, so it is cut off with it.
    pub(crate) fn probe(
        &self,
        lane: LaneId,
        led: Option<Lease>,
        interval: Duration,
        permit: Permit,
        told: oneshot::Receiver<Told>,
    ) {
        let leave = self.leave(permit.clearance(), Some(told));
        let owed = OwedPermit::of_probe(&self.events, permit);
        let led = led.map(|lease| self.hands.lease(lease));
        let prober = Prober { hands: self.hands.clone(), lane, lease: led, interval };
        let (cut, gone) = (self.hands.cut.clone(), self.gone.clone());
        self.hands.attempts.spawn(async move {
            let _owed = owed;
            let probing = Box::pin(cut.run_until_cancelled(prober.probe(leave)));
            if let Some(Some(Err(error))) = gone.run_until_cancelled(probing).await {
                tracing::warn!(%error, lane_id = lane.0, "probe.failed");
            }
        });
    }

    fn leave(&self, clearance: Clearance, told: Option<oneshot::Receiver<Told>>) -> Leave {
        let turn = told.map(|told| Turn { events: self.events.clone(), told });
        let (clock, stopping) = (self.hands.clock, self.hands.stopping.clone());
        Leave { clearance, clock, stopping, turn }
    }
}
