//! What a process makes of the store's answers.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use postrider_domain::{HoldCause, LaneLimits, LaneState, Transition};
use postrider_scheduler::{
    Batch, ClaimKey, ClaimedDelivery, CommitResult, Event, Hold, LaneStatus, Lease, LimitRefusal,
    LimitStatus, Pace, Pacing, Terms,
};
use postrider_store::{Claim, LimitedClaim, Recorded};

use crate::call::{Answer, Call, CallId, What};
use crate::happening::Happening;
use crate::process::{Phase, Who};
use crate::trace::told;
use crate::world::World;

/// Outcomes in one statement.
const BATCH_MAX: usize = 200;

impl World {
    pub(crate) fn answers(&mut self, who: Who, id: CallId, answer: Answer) {
        if self.now < self.processes[who.slot].store_cut_until {
            // It is lost with its connection; the call expires.
            return;
        }
        let Some(call) = self.processes[who.slot].pending.remove(&id) else { return };
        self.heard(who, &call, answer);
        self.exits_if_done(who);
    }

    fn heard(&mut self, who: Who, call: &Call, answer: Answer) {
        let event = match (&call.what, answer) {
            (_, Answer::GivenUp | Answer::Opened) => return self.opened(who, call),
            (_, Answer::Renewed(kept)) => {
                Event::Renewed { leases: kept.into_iter().map(of_scheduler).collect() }
            }
            (What::Acquire(limit), Answer::Acquired(lease)) => {
                Event::Acquired { limit: *limit, lease: lease.map(of_scheduler) }
            }
            (_, Answer::Polled(page)) => {
                let lanes = page.lanes.iter().map(status).collect();
                Event::Polled { lanes, next: page.next }
            }
            (
                What::ClaimFresh(batch, _)
                | What::ClaimAtIntake { batch, .. }
                | What::ClaimDue(batch, ..),
                Answer::Claimed(claims),
            ) => {
                // A message may name what others have claimed: that is no loop.
                if matches!(call.what, What::ClaimDue(..)) || !claims.is_empty() {
                    self.count_claim(who, claims.len());
                }
                Event::Claimed { batch: *batch, claims: claims.into_iter().map(claimed).collect() }
            }
            (What::ClaimLimited { batch, .. }, Answer::Limited(claim)) => {
                let count = if let LimitedClaim::Claimed(got) = &claim { got.len() } else { 0 };
                self.count_claim(who, count);
                limited(*batch, claim)
            }
            (What::Unclaim { batch, number, .. }, Answer::Unclaimed(Some(_))) => {
                self.processes[who.slot].unclaimed = *number;
                Event::Unclaimed { batch: *batch }
            }
            (What::Unclaim { batch, .. }, Answer::Unclaimed(None)) => {
                Event::UnclaimFailed { batch: *batch }
            }
            (What::MakeDue(batch, _), Answer::MadeDue) => Event::MadeDue { batch: *batch },
            (What::Record(batch), Answer::Recorded) => return self.recorded(who, batch),
            (What::ClaimProbe { ticket, lane, .. }, Answer::MayProbe(right)) => {
                return self.may_probe(who, *ticket, *lane, right);
            }
            (What::Canary { ticket, .. }, Answer::Canary(claim)) => {
                return self.probe_claim(who, *ticket, call.asked_at, claim.map(|claim| *claim));
            }
            (what, answer) => {
                return self.fail(format!("{what:?} was answered by {answer:?}"));
            }
        };
        self.tell(who, event);
    }

    fn count_claim(&mut self, who: Who, got: usize) {
        if got > 0 {
            self.checks.fruitful(who);
        } else if let Some(what) = self.checks.fruitless(who, self.now) {
            self.fail(what);
        }
    }

    /// The store could not be reached, or nobody knows.
    pub(crate) fn fails(&mut self, who: Who, id: CallId, commit: CommitResult) {
        let Some(call) = self.processes[who.slot].pending.remove(&id) else { return };
        told!(self, "{who}: {:?} failed: {commit:?}", call.what);
        let now = self.now;
        if matches!(call.what, What::Unclaim { .. } | What::Record(_) | What::Canary { .. }) {
            self.processes[who.slot].disturbed_at = now;
        }
        let event = match &call.what {
            What::Renew(..) => Event::RenewFailed,
            What::Acquire(limit) => Event::AcquireFailed { limit: *limit },
            What::Poll(_) => Event::PollFailed,
            What::ClaimFresh(batch, _)
            | What::ClaimAtIntake { batch, .. }
            | What::ClaimDue(batch, ..)
            | What::ClaimLimited { batch, .. } => Event::ClaimFailed { batch: *batch, commit },
            What::Unclaim { batch, .. } => Event::UnclaimFailed { batch: *batch },
            What::MakeDue(batch, _) => Event::MakeDueFailed { batch: *batch },
            What::Record(_) => {
                let process = &mut self.processes[who.slot];
                process.record_wait = (process.record_wait * 2).clamp(50, 1_000);
                let wait = process.record_wait;
                return self.at(wait, Happening::RecordsAgain(who));
            }
            What::ClaimProbe { ticket, .. }
            | What::Canary { ticket, .. }
            | What::Opens { ticket, .. } => return self.probe_ends(who, *ticket),
            What::GiveUp(_) => return,
        };
        self.tell(who, event);
        self.exits_if_done(who);
    }

    fn opened(&mut self, who: Who, call: &Call) {
        if let What::Opens { ticket, .. } = call.what {
            self.probe_ends(who, ticket);
        }
    }

    /// An outcome is to be recorded.
    pub(crate) fn outcome(&mut self, who: Who, recorded: Recorded) {
        self.processes[who.slot].outcomes.push_back(recorded);
        self.record_next(who);
    }

    fn record_next(&mut self, who: Who) {
        let process = &mut self.processes[who.slot];
        if process.recording.is_some() || process.outcomes.is_empty() {
            return;
        }
        let count = process.outcomes.len().min(BATCH_MAX);
        let batch = Rc::new(process.outcomes.drain(..count).collect());
        process.recording = Some(Rc::clone(&batch));
        process.record_wait = 0;
        self.call(who, What::Record(batch));
    }

    pub(crate) fn records_again(&mut self, who: Who) {
        if let Some(batch) = self.processes[who.slot].recording.clone() {
            self.call(who, What::Record(batch));
        }
    }

    fn recorded(&mut self, who: Who, batch: &[Recorded]) {
        self.processes[who.slot].recording = None;
        let is_refusal = |each: &&Recorded| {
            matches!(
                each.transition,
                Transition::CredentialRejected { .. } | Transition::Limited { .. }
            )
        };
        let mut closed: Vec<_> = batch.iter().filter(is_refusal).map(|each| each.lane_id).collect();
        closed.sort_unstable();
        closed.dedup();
        let key = |each: &Recorded| ClaimKey { id: each.id, claim_no: each.claim_no };
        let claims = batch.iter().map(key).collect();
        self.tell(who, Event::Recorded { claims, closed });
        if self.is_running(who) {
            self.record_next(who);
            self.exits_if_done(who);
        }
    }

    /// Once its scheduler is done, a process waits for what it asked the store for, to give it
    /// back, and for its outcomes.
    pub(crate) fn exits_if_done(&mut self, who: Who) {
        if !self.is_running(who) {
            return;
        }
        let process = &self.processes[who.slot];
        let is_claiming = process.pending.values().any(|call| call.what.claims());
        if matches!(process.phase, Phase::Stopped(_)) && process.is_settled() && !is_claiming {
            self.at(0, Happening::Exits(who));
        }
    }
}

/// What a leader's claim came to.
fn limited(batch: Batch, claim: LimitedClaim) -> Event<Claim> {
    let why = match claim {
        LimitedClaim::Claimed(claims) => {
            return Event::Claimed { batch, claims: claims.into_iter().map(claimed).collect() };
        }
        LimitedClaim::OldClaims => LimitRefusal::OldClaims,
        LimitedClaim::HourFull { frees_in } => LimitRefusal::HourFull { frees_in },
        LimitedClaim::NotPermitted => LimitRefusal::NotPermitted,
    };
    Event::LimitRefused { batch, why }
}

fn of_scheduler(lease: postrider_store::Lease) -> Lease {
    Lease { limit: lease.limit, epoch: lease.epoch }
}

fn claimed(claim: Claim) -> ClaimedDelivery<Claim> {
    ClaimedDelivery {
        key: ClaimKey { id: claim.id, claim_no: claim.claim_no },
        lane: claim.lane_id,
        length: claim.length,
        timeout: claim.timeout,
        payload: claim,
    }
}

fn status(lane: &postrider_store::LaneStatus) -> LaneStatus {
    let hold = match (lane.state, lane.probe_due) {
        (LaneState::Open, false) => Hold::Open,
        (LaneState::Open, true) => Hold::OpenProbeDue,
        (LaneState::Held(HoldCause::Manual), _) | (LaneState::Held(_), false) => Hold::Held,
        (LaneState::Held(_), true) => Hold::ProbeDue,
    };
    let host = lane.name.split('/').next().unwrap_or_default();
    let limit = &lane.limit;
    LaneStatus {
        lane: lane.id,
        host: Arc::from(host),
        hold,
        due: lane.due,
        open: lane.open,
        probe_in: lane.probe_in,
        limit: LimitStatus {
            id: limit.id,
            terms: terms(&limit.limits),
            leased: limit.leased,
            paused_for: limit.paused_for,
            clean: limit.clean,
            next_send_in: limit.next_send_in.unwrap_or(Duration::ZERO),
        },
    }
}

fn terms(limits: &LaneLimits) -> Terms {
    let pace = limits.interval().map(|interval| Pace { interval, burst: limits.usable_burst() });
    let pacing = if limits.is_limited() { Pacing::Limited { pace } } else { Pacing::Unlimited };
    Terms { concurrency: limits.concurrency, pacing }
}
