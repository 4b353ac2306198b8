//! Attempts: from a claim to what is recorded.

use std::time::Duration;

use postrider_domain::{Answer, ClaimNo};
use postrider_scheduler::{Ended, Event, Millis, Permit, SendWhen, Ticket, Unsent};
use postrider_store::Claim;

use crate::attempt::{Attempt, Request, Stage};
use crate::flaw::Flaw;
use crate::happening::Happening;
use crate::judge;
use crate::process::Who;
use crate::target::{Target, Weather};
use crate::trace::told;
use crate::world::World;

impl World {
    pub(crate) fn start(&mut self, who: Who, claim: Claim, permit: Permit, send: SendWhen) {
        let ticket = permit.ticket();
        let attempt = Attempt {
            lane: claim.lane_id,
            permit: Some(permit),
            claim: Some(claim),
            stage: Stage::Preparing,
            send,
            send_by: Millis(u64::MAX),
            probing: None,
        };
        self.processes[who.slot].attempts.insert(ticket, attempt);
        let wait = if self.chance.one_in(40) { self.chance.within(5..=300) } else { 0 };
        self.at(wait, Happening::Prepared(who, ticket));
    }

    pub(crate) fn prepared(&mut self, who: Who, ticket: Ticket) {
        let process = &mut self.processes[who.slot];
        let panics = process.panics > 0;
        let Some(attempt) = process.attempts.get_mut(&ticket) else { return };
        if panics {
            return self.panics(who, ticket, false);
        }
        if attempt.stage != Stage::Preparing {
            return;
        }
        if attempt.claim.as_ref().is_some_and(|claim| self.model.lacks_secret(claim.webhook_id)) {
            return self.came(who, ticket, &Answer::SecretMissing, Duration::ZERO);
        }
        attempt.stage = Stage::Ready;
        match attempt.send {
            SendWhen::Ready => self.send(who, ticket),
            SendWhen::Told => self.tell(who, Event::Prepared { ticket, claim: None }),
        }
    }

    pub(crate) fn send(&mut self, who: Who, ticket: Ticket) {
        let now = self.worker_now(who);
        let process = &mut self.processes[who.slot];
        let Some(attempt) = process.attempts.get_mut(&ticket) else { return };
        if matches!(attempt.stage, Stage::Sent { .. }) {
            return self.fail(format!("{who} sends {ticket:?} twice"));
        }
        let may_send = attempt.permit.as_ref().is_some_and(|permit| permit.may_send(now))
            && now <= attempt.send_by;
        if !may_send {
            return self.unsent(who, ticket, Unsent::Stopped);
        }
        if self.now < process.trouble_until {
            return self.unsent(who, ticket, Unsent::LocalTrouble);
        }
        let lane = attempt.lane;
        let Some(limit) = self.model.lane(lane).map(|lane| lane.limit) else { return };
        attempt.stage = Stage::Sent { at: self.now, limit };
        let request = Request {
            delivery: attempt.claim.as_ref().map(|claim| claim.id),
            webhook: attempt.claim.as_ref().map(|claim| claim.webhook_id),
            lane,
            limit,
            claim_no: attempt.claim.as_ref().map_or(ClaimNo(0), |claim| claim.claim_no),
            is_probe: attempt.probing.is_some(),
            is_marked: attempt.claim.as_ref().is_some_and(|claim| claim.maybe_sent),
        };
        let early = match self.flaw {
            Some(Flaw::PermitBackEarly) if attempt.probing.is_none() => attempt.permit.take(),
            _ => None,
        };
        told!(self, "{who} sends {ticket:?} {request:?}");
        if let Some(what) = self.checks.sends(who, &request, &self.model, self.now) {
            self.fail(what);
        }
        self.requests.insert((who, ticket), request);
        let on_the_way = self.chance.within(0..=40);
        self.at(on_the_way, Happening::Arrives(who, ticket));
        let timeout = self.plan.timeout_ms();
        self.at(timeout, Happening::Replies(who, ticket, Answer::Timeout { sent: true }));
        if let Some(permit) = early {
            let ended = Ended::NotRequested { verdict: postrider_scheduler::Verdict::Continue };
            self.tell(who, Event::AttemptEnded { permit, ended });
        }
    }

    /// The request is at its target.
    pub(crate) fn arrives(&mut self, who: Who, ticket: Ticket) {
        let Some(request) = self.requests.remove(&(who, ticket)) else { return };
        let target = self.target_of(request.lane);
        let Some(delivery) = request.delivery else {
            if let Some(what) = self.checks.read(&request, &self.model, self.now) {
                self.fail(what);
            }
            let status = if target.reads() { 200 } else { 401 };
            let answer =
                Answer::Response { status, github: None, wait: None, asks_to_sign_in: false };
            return self.at(20, Happening::Replies(who, ticket, answer));
        };
        let is_dead = request.webhook.is_some_and(|id| self.credentials.is_dead(id));
        let target = if is_dead && !target.kind.is_github() {
            Target { weather: Weather::Rejects, ..target }
        } else {
            target
        };
        let reaction = target.react(&mut self.chance);
        if matches!(reaction.answer, Some((_, Answer::Response { status: 401, .. }))) {
            self.checks.parks.refused(delivery);
        }
        told!(self, "target {}: {delivery} -> {reaction:?}", request.lane.0);
        let took_effect = reaction.took_effect;
        let wrong = self.checks.arrived(delivery, &request, took_effect, &self.model, self.now);
        if let Some(what) = wrong {
            self.fail(what);
        }
        if let Some((wait, answer)) = reaction.answer {
            self.at(wait, Happening::Replies(who, ticket, answer));
        }
    }

    pub(crate) fn replies(&mut self, who: Who, ticket: Ticket, answer: &Answer) {
        let process = &mut self.processes[who.slot];
        let panics = process.panics > 0;
        let Some(attempt) = process.attempts.get(&ticket) else { return };
        let Stage::Sent { at, limit } = attempt.stage else { return };
        if panics && attempt.probing.is_none() {
            return self.panics(who, ticket, true);
        }
        if attempt.probing.is_some() {
            return self.probe_replies(who, ticket, answer);
        }
        self.checks.ends(who, limit);
        self.came(who, ticket, answer, Duration::from_millis(self.now - at));
    }

    /// An attempt has come to its end, by an answer or before its request began.
    fn came(&mut self, who: Who, ticket: Ticket, answer: &Answer, took: Duration) {
        let Some(attempt) = self.processes[who.slot].attempts.remove(&ticket) else { return };
        let Some(claim) = attempt.claim else { return };
        let kind = self.target_of(attempt.lane).kind;
        let jitter = self.chance.share();
        let recorded = judge::judge(&self.plan.rules, kind, &claim, answer, jitter);
        let ended = judge::ended(answer, &recorded.transition, took);
        told!(self, "{who} gets {answer:?} for {ticket:?}: {:?}", recorded.transition);
        self.outcome(who, recorded);
        if let Some(permit) = attempt.permit {
            self.tell(who, Event::AttemptEnded { permit, ended });
        }
        self.exits_if_done(who);
    }

    fn panics(&mut self, who: Who, ticket: Ticket, may_have_arrived: bool) {
        let process = &mut self.processes[who.slot];
        process.panics = process.panics.saturating_sub(1);
        let Some(attempt) = process.attempts.remove(&ticket) else { return };
        if let Stage::Sent { limit, .. } = attempt.stage {
            self.checks.ends(who, limit);
        }
        let (Some(claim), Some(permit)) = (&attempt.claim, attempt.permit) else { return };
        told!(self, "{who} panics in {ticket:?}");
        let recorded = judge::lost(claim, may_have_arrived);
        self.outcome(who, recorded);
        self.tell(who, Event::AttemptEnded { permit, ended: Ended::Panicked });
    }

    pub(crate) fn withdraw(&mut self, who: Who, ticket: Ticket) {
        let Some(attempt) = self.processes[who.slot].attempts.get(&ticket) else { return };
        if !matches!(attempt.stage, Stage::Sent { .. }) {
            self.unsent(who, ticket, Unsent::Stopped);
        }
    }

    fn unsent(&mut self, who: Who, ticket: Ticket, why: Unsent) {
        let Some(attempt) = self.processes[who.slot].attempts.get(&ticket) else { return };
        if attempt.probing.is_some() {
            return self.probe_unsent(who, ticket);
        }
        let Some(attempt) = self.processes[who.slot].attempts.remove(&ticket) else { return };
        if let (Some(claim), Some(permit)) = (attempt.claim, attempt.permit) {
            let ended = Ended::Unsent { claim, why };
            self.tell(who, Event::AttemptEnded { permit, ended });
            self.exits_if_done(who);
        }
    }
}
