//! Calls of a process to the store: what they do there, and what can become of them.

use std::rc::Rc;

use postrider_domain::{DeliveryId, LaneId};
use postrider_scheduler::{LaneShare, Lease, Scope, Which};
use postrider_store::{
    Beat, ClaimLimited, ClaimProbeDelivery, ClaimTerms, Kept, Poll, ProbeClaim, Unclaim, UnclaimNo,
    Unsettled, WorkerId,
};

use crate::call::{Answer, Call, What};
use crate::flaw::Flaw;
use crate::happening::Happening;
use crate::process::Who;
use crate::trace::told;
use crate::world::World;

/// Answers of which nobody waits for have this id.
const NOBODY: u64 = 0;

/// What becomes of a call.
enum Passage {
    Answered,
    /// Its connection died: it never arrives.
    Lost,
    /// It arrives and its answer does not, perhaps long after everybody gave it up.
    Unheard(u64),
    /// The store says at once that it can't.
    Refused,
}

impl World {
    pub(crate) fn call(&mut self, who: Who, what: What) {
        self.last_call += 1;
        let id = self.last_call;
        let asked_at = self.worker_now(who);
        let process = &mut self.processes[who.slot];
        let call = Rc::new(Call { worker: process.worker, asked_at, what });
        process.pending.insert(id, Rc::clone(&call));
        self.at(self.plan.deadline, Happening::Expires(who, id));
        let on_the_way = self.round_trip();
        let fate = self.fate_of(who, &call.what);
        let arrives = matches!(fate, Passage::Answered | Passage::Unheard(_));
        self.commits_open += u32::from(arrives && call.what.commits_events());
        match fate {
            Passage::Answered => self.at(on_the_way, Happening::Executes(who, id, call)),
            Passage::Lost => told!(self, "{who}: {:?} never arrives", call.what),
            Passage::Unheard(late) => {
                told!(self, "{who}: {:?} will not be answered", call.what);
                self.checks.unheard(late > self.plan.deadline, self.now + late, who);
                self.at(late, Happening::Executes(who, NOBODY, call));
            }
            Passage::Refused => self.at(on_the_way, Happening::Refuses(who, id)),
        }
    }

    fn fate_of(&mut self, who: Who, what: &What) -> Passage {
        let process = &self.processes[who.slot];
        if self.now < self.store_away_until {
            return Passage::Refused;
        }
        if self.now < process.store_cut_until {
            return if process.is_refused { Passage::Refused } else { Passage::Lost };
        }
        let is_unclaim = matches!(what, What::Unclaim { .. });
        let one_in = if is_unclaim { 3 } else { 12 };
        let is_lossy = self.now < self.lossy_until && self.chance.one_in(one_in);
        if !is_lossy {
            return Passage::Answered;
        }
        if is_unclaim && self.chance.one_in(2) {
            // Repeated meanwhile, it finds what was claimed since.
            return Passage::Unheard(self.chance.within(1..=4 * self.plan.deadline));
        }
        match self.chance.within(0..=9) {
            0..=2 => Passage::Lost,
            3..=7 => Passage::Unheard(self.round_trip()),
            8 => Passage::Unheard(self.chance.within(1..=2 * self.plan.deadline)),
            _ => Passage::Refused,
        }
    }

    pub(crate) fn round_trip(&mut self) -> u64 {
        let most = if self.now < self.slow_store_until { 400 } else { 3 };
        self.chance.within(1..=most)
    }

    /// The call is there.
    pub(crate) fn executes(&mut self, who: Who, id: u64, call: &Call) {
        self.commits_open -= u32::from(call.what.commits_events());
        let process = &self.processes[who.slot];
        let is_cut = self.now < process.store_cut_until && id != NOBODY;
        if is_cut || self.now < self.store_away_until {
            return;
        }
        self.model.set_now(self.db_now());
        let answer = self.execute(call);
        self.checks.executed(call);
        self.checks.parks.executed(answer.claims(), &self.model);
        self.checks.pauses(&self.model, self.now);
        if let Some(limit) = self.checks.asks_in_pause(call, &self.model, self.now)
            && self.was_fair_since(who, 10_000)
        {
            self.fail(format!("{who} asks for claims of limit {}, which is paused", limit.0));
        }
        if !matches!(call.what, What::Poll(_) | What::Renew(..)) {
            told!(self, "store: {:?} of {who} -> {answer:?}", call.what);
        }
        if id != NOBODY {
            let back = self.round_trip();
            self.at(back, Happening::Answers(who, id, answer));
        }
    }

    fn execute(&mut self, call: &Call) -> Answer {
        let worker = call.worker;
        let terms = ClaimTerms { worker, timeout: self.plan.timeout, margin: self.plan.margin };
        let model = &mut self.model;
        match &call.what {
            What::Renew(leases, unclaimed) => {
                let (claim, unclaimed) = (terms.timeout + terms.margin, *unclaimed);
                let lease = self.plan.lease;
                model.beat(Beat { worker, claim, lease, unclaimed, trouble: None });
                let leases: Vec<_> = leases.iter().map(|lease| of_store(*lease, worker)).collect();
                Answer::Renewed(model.renew(&leases, self.plan.lease))
            }
            What::Acquire(limit) => {
                Answer::Acquired(model.acquire(*limit, worker, self.plan.lease))
            }
            What::GiveUp(leases) => {
                let leases: Vec<_> = leases.iter().map(|lease| of_store(*lease, worker)).collect();
                model.give_up(&leases);
                Answer::GivenUp
            }
            What::Poll(Which::Those(lanes)) => Answer::Polled(model.poll(Poll::Those(lanes))),
            What::Poll(Which::Page { after }) => Answer::Polled(model.poll(Poll::Page(*after))),
            What::ClaimFresh(_, ids) => self.claims_fresh(ids, terms),
            What::ClaimAtIntake { ids, intake, .. } => {
                Answer::Claimed(self.commits_claiming(intake, ids, terms))
            }
            What::ClaimDue(_, lanes, suspect) => {
                let share =
                    |of: &LaneShare| postrider_store::LaneShare { lane: of.lane, limit: of.limit };
                let shares: Vec<_> = lanes.iter().map(share).collect();
                Answer::Claimed(model.claim_due(&shares, *suspect, terms))
            }
            What::ClaimLimited { lease, count, interval, suspect, .. } => {
                let lease = of_store(*lease, worker);
                let (limit, interval, suspect) = (*count, *interval, *suspect);
                let asked = ClaimLimited { lease, limit, interval, suspect, terms };
                Answer::Limited(model.claim_limited(asked))
            }
            What::Unclaim { number, scope, live, .. } => {
                let arrived = UnclaimNo(i64::try_from(self.last_call).unwrap_or(i64::MAX));
                let is_flawed = self.flaw == Some(Flaw::LateUnclaim);
                let number = if is_flawed { arrived } else { *number };
                let live: Vec<_> = live.iter().map(|key| (key.id, key.claim_no)).collect();
                let kept = Kept { live: &live, pending: &[] };
                let claim = match scope {
                    Scope::Fresh(ids) => Unsettled::Fresh(ids),
                    Scope::Due(lanes) => Unsettled::Due(lanes),
                    Scope::Limited(lease) => Unsettled::Limited(of_store(*lease, worker)),
                };
                Answer::Unclaimed(model.unclaim(Unclaim { worker, number, claim, kept }))
            }
            What::MakeDue(_, ids) => {
                model.make_due(ids);
                Answer::MadeDue
            }
            What::Record(batch) => {
                model.record(batch);
                Answer::Recorded
            }
            What::ClaimProbe { lane, lease, .. } => {
                let lease = lease.map(|lease| of_store(lease, worker));
                Answer::MayProbe(model.claim_probe(*lane, lease, self.plan.probe))
            }
            What::Canary { lane, right, lease, interval, .. } => {
                let lease = lease.map(|lease| of_store(lease, worker));
                let (lane, probe, interval) = (*lane, *right, *interval);
                let asked = ClaimProbeDelivery { lane, probe, lease, interval, terms };
                Answer::Canary(model.claim_probe_delivery(asked).map(Box::new))
            }
            What::Opens { lane, right, .. } => self.opens(*lane, *right),
        }
    }

    fn claims_fresh(&mut self, ids: &[DeliveryId], terms: ClaimTerms) -> Answer {
        let claims = match self.flaw {
            Some(Flaw::ParkHidden) => {
                self.model.unaware_of_parks(|model| model.claim_fresh(ids, terms))
            }
            _ => self.model.claim_fresh(ids, terms),
        };
        Answer::Claimed(claims)
    }

    fn opens(&mut self, lane: LaneId, right: ProbeClaim) -> Answer {
        let is_forgotten = self.flaw == Some(Flaw::ReleaseForgotten) && right.webhook.is_some();
        if !is_forgotten {
            self.model.release_probed(lane, right);
        }
        Answer::Opened
    }
}

fn of_store(lease: Lease, worker: WorkerId) -> postrider_store::Lease {
    postrider_store::Lease { limit: lease.limit, worker, epoch: lease.epoch }
}
