//! Planting faults and mending them.

use crate::happening::Happening;
use crate::plan::{Fault, FaultKind, LOOK_EVERY, RELAY_EVERY};
use crate::time::{MINUTE, Millis, SECOND};
use crate::world::{World, next_multiple};

impl World {
    pub(crate) fn plant(&mut self, number: usize) {
        let Fault { kind, subject, at, until, .. } = self.faults[number].clone();
        match kind {
            FaultKind::DeadCredential => self.lanes[subject].dead = Some(number),
            FaultKind::DeadPair => self.pairs[subject].dead = Some(number),
            FaultKind::DeadProvider => self.providers[subject].dead = Some(number),
            FaultKind::LostDispatch | FaultKind::LostForDeployed => {
                self.pairs[subject].loses_next = Some(number);
            }
            FaultKind::RelayOff => {
                self.relay_off = Some(number);
                self.faults[number].clock = Some(at);
                self.plan(next_multiple(at, RELAY_EVERY), Happening::LookForRelay);
            }
            FaultKind::BrokerAway => self.broker_goes(number),
            FaultKind::TargetGone => {
                self.providers[subject].webhook.gone = Some(number);
                self.faults.push(Fault::new(FaultKind::FinalFailure, subject, (at, until)));
            }
            FaultKind::FinalFailure => {}
        }
        self.plan(until, Happening::Mend(number));
    }

    fn broker_goes(&mut self, number: usize) {
        let fails = next_multiple(self.now, LOOK_EVERY);
        self.away = Some(number);
        self.answered_at = fails - LOOK_EVERY;
        self.failing_since = Some(fails);
        self.faults[number].clock = Some(self.now);
        self.plan_evaluate(fails + MINUTE - 1);
    }

    /// Somebody mends it, unless it is mended already.
    pub(crate) fn mend(&mut self, number: usize) {
        let Fault { kind, subject, .. } = self.faults[number].clone();
        match kind {
            FaultKind::DeadCredential => self.open_lane(subject),
            FaultKind::DeadPair => {
                self.pairs[subject].dead = None;
                self.run_again(&[subject]);
            }
            FaultKind::DeadProvider => {
                self.providers[subject].dead = None;
                let pairs = self.providers[subject].pairs.clone();
                self.run_again(&pairs);
            }
            FaultKind::LostDispatch | FaultKind::LostForDeployed => self.run_again(&[subject]),
            FaultKind::RelayOff => {
                self.relay_off = None;
                self.plan(next_multiple(self.now, RELAY_EVERY), Happening::LookForRelay);
            }
            FaultKind::BrokerAway => self.broker_is_back(),
            FaultKind::TargetGone if self.providers[subject].webhook.gone == Some(number) => {
                self.faults[number].until = self.now;
                self.providers[subject].webhook.gone = None;
                let pairs = self.providers[subject].pairs.clone();
                self.run_again(&pairs);
            }
            FaultKind::TargetGone | FaultKind::FinalFailure => {}
        }
    }

    /// The first walk looks at all that changed before the broker counts as answering.
    fn broker_is_back(&mut self) {
        let before = self.answered_at;
        (self.away, self.failing_since) = (None, None);
        self.looked_last = Some(before);
        for pair in 0..self.pairs.len() {
            self.forgets(pair, before);
            if self.pairs[pair].look_at.is_some() {
                self.pairs[pair].look_at = Some(self.now);
                self.look(pair);
            }
        }
        self.looked_last = None;
        self.plan_evaluate(self.now);
    }

    /// Where so much was published while nobody looked that what the broker tells does not reach
    /// back to the look before, nobody can know that what was owed then has been owed since: a
    /// result may have come in between. What is owed counts from the oldest contract that is told.
    fn forgets(&mut self, number: usize, looked: Millis) {
        let pair = &self.pairs[number];
        let Some(oldest) = pair.contracts.front().map(|one| one.at).filter(|at| *at > looked)
        else {
            return;
        };
        for number in &pair.excuses {
            let fault = &mut self.faults[*number];
            if fault.kind.is_of_age() && fault.found.is_none() {
                fault.clock = fault.clock.map(|clock| clock.max(oldest));
            }
        }
    }

    /// What is owed is dispatched by hand.
    fn run_again(&mut self, pairs: &[usize]) {
        for number in pairs {
            let provider = self.pairs[*number].provider;
            self.providers[provider].webhook.failed.retain(|failed| failed.pair != *number);
            let pair = &self.pairs[*number];
            let counting = self.providers[pair.provider].counting();
            let Some(newest) = pair.newest() else { continue };
            let deployed = pair.deployed.iter().map(|(deployed, _)| deployed);
            let owed: Vec<(usize, u32, u32)> = deployed
                .chain([newest])
                .flat_map(|contract| {
                    let without =
                        counting.iter().filter(|version| !contract.has_result_of(**version));
                    without.map(|version| (*number, contract.version, *version))
                })
                .collect();
            let mut leaves: Millis = self.now;
            for one in owed {
                leaves += SECOND;
                self.dispatch(one, 1.0, leaves);
            }
        }
    }
}
