//! Probes of held lanes and parked webhooks: a read at GitHub, elsewhere one delivery.

use std::time::Duration;

use postrider_domain::{Answer, LaneId, Transition};
use postrider_scheduler::{ClaimKey, Event, Millis, Permit, Ticket};
use postrider_store::{Claim, ProbeClaim, Recorded};

use crate::attempt::{Attempt, Probing, Stage};
use crate::call::What;
use crate::happening::Happening;
use crate::judge;
use crate::process::Who;
use crate::world::World;

impl World {
    pub(crate) fn probe(&mut self, who: Who, permit: Permit, probing: Probing, lane: LaneId) {
        let ticket = permit.ticket();
        let attempt = Attempt::of_probe(permit, lane, probing);
        self.processes[who.slot].attempts.insert(ticket, attempt);
        self.call(who, What::ClaimProbe { ticket, lane, lease: probing.lease });
    }

    pub(crate) fn may_probe(
        &mut self,
        who: Who,
        ticket: Ticket,
        lane: LaneId,
        right: Option<ProbeClaim>,
    ) {
        let is_read = self.target_of(lane).kind.is_github();
        // Without its secret there is nothing to ask with.
        let lacks = |right: &ProbeClaim| {
            let webhook = right.webhook.or_else(|| Some(self.model.lane_webhook(lane)?.id));
            webhook.is_none_or(|webhook| self.model.lacks_secret(webhook))
        };
        let right = right.filter(|right| !lacks(right));
        let Some(attempt) = self.processes[who.slot].attempts.get_mut(&ticket) else { return };
        let Some(probing) = &mut attempt.probing else { return };
        probing.right = right;
        let Probing { is_withdrawn, lease, interval, .. } = *probing;
        match right.filter(|_| !is_withdrawn) {
            None => self.probe_ends(who, ticket),
            Some(right) if is_read && right.webhook.is_none() => {
                attempt.stage = Stage::Ready;
                self.tell(who, Event::Prepared { ticket, claim: None });
            }
            Some(right) => {
                self.call(who, What::Canary { ticket, lane, right, lease, interval });
            }
        }
    }

    pub(crate) fn probe_claim(
        &mut self,
        who: Who,
        ticket: Ticket,
        asked_at: Millis,
        claim: Option<Claim>,
    ) {
        let Some(attempt) = self.processes[who.slot].attempts.get_mut(&ticket) else { return };
        let Some(claim) = claim else { return self.probe_ends(who, ticket) };
        let key = ClaimKey { id: claim.id, claim_no: claim.claim_no };
        attempt.send_by = asked_at.after_floor(claim.length.saturating_sub(claim.timeout));
        attempt.claim = Some(claim);
        attempt.stage = Stage::Ready;
        let send_by = attempt.send_by;
        let is_withdrawn = attempt.probing.is_some_and(|probing| probing.is_withdrawn);
        let left = send_by.0.saturating_sub(self.worker_now(who).0);
        self.at(left + 1, Happening::ProbeLate(who, ticket));
        self.tell(who, Event::Prepared { ticket, claim: Some(key) });
        if is_withdrawn {
            self.probe_unsent(who, ticket);
        }
    }

    /// Its turn did not come while what it claimed could be sent.
    pub(crate) fn probe_late(&mut self, who: Who, ticket: Ticket) {
        let attempt = self.processes[who.slot].attempts.get(&ticket);
        let waits = |attempt: &Attempt| attempt.stage == Stage::Ready && attempt.claim.is_some();
        if attempt.is_some_and(waits) {
            self.probe_unsent(who, ticket);
        }
    }

    /// A probe is not made.
    pub(crate) fn probe_unsent(&mut self, who: Who, ticket: Ticket) {
        let Some(attempt) = self.processes[who.slot].attempts.get_mut(&ticket) else { return };
        if attempt.stage == Stage::Preparing {
            if let Some(probing) = &mut attempt.probing {
                probing.is_withdrawn = true;
            }
            return;
        }
        if let Some(claim) = attempt.claim.take() {
            let released = Transition::Released { after: Duration::ZERO };
            self.outcome(who, Recorded::of(&claim, released, None));
        }
        self.probe_ends(who, ticket);
    }

    pub(crate) fn probe_replies(&mut self, who: Who, ticket: Ticket, answer: &Answer) {
        let jitter = self.chance.share();
        let Some(attempt) = self.processes[who.slot].attempts.get_mut(&ticket) else { return };
        let (lane, claim) = (attempt.lane, attempt.claim.take());
        let Some(right) = attempt.probing.and_then(|probing| probing.right) else { return };
        // Its end is still to come, but not by this request.
        attempt.stage = Stage::Ready;
        let opens = match claim {
            None => matches!(answer, Answer::Response { status: 200, .. }),
            Some(claim) => {
                let kind = self.target_of(lane).kind;
                let recorded = judge::judge(&self.plan.rules, kind, &claim, answer, jitter);
                let opens = judge::opens(&recorded);
                self.outcome(who, judge::spared(recorded));
                opens
            }
        };
        if opens {
            self.call(who, What::Opens { ticket, lane, right });
        } else {
            self.probe_ends(who, ticket);
        }
    }

    pub(crate) fn probe_ends(&mut self, who: Who, ticket: Ticket) {
        let Some(attempt) = self.processes[who.slot].attempts.remove(&ticket) else { return };
        if let Some(permit) = attempt.permit {
            self.tell(who, Event::Probed { permit });
        }
        self.exits_if_done(who);
    }
}
