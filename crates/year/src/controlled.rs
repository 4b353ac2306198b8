//! Whether the wrong rules find what is there to be found.

use std::time::Duration;

use postrider_domain::{BrokerReach, FreshnessState, PairFacts, judge};

use crate::control::{NEWEST_CONTRACT, NEWEST_RESULT, STREAK_EXPIRES};
use crate::counts::is_busy;
use crate::happening::Happening;
use crate::plan::FaultKind;
use crate::time::{HOUR, at};
use crate::world::World;

impl World {
    /// A result, for the rule of three times the median; busy pairs are left out.
    pub(crate) fn control_result(&mut self, pair: usize, took: Duration) {
        let of = &self.pairs[pair];
        if !is_busy(of.rate) {
            self.controls.result(of.provider, took);
        }
    }

    /// Whether the wrong rules found what is there to be found.
    pub(crate) fn look_at_controls(&mut self) {
        for number in 0..self.faults.len() {
            let fault = &self.faults[number];
            let is_open = fault.clock.is_some()
                && fault.over.is_none()
                && fault.until > self.now
                && fault.found.is_none_or(|found| self.now - found < HOUR);
            if !is_open {
                continue;
            }
            let (subject, kind) = (fault.subject, fault.kind);
            let mut found = [false; 3];
            match kind {
                FaultKind::DeadPair | FaultKind::LostDispatch | FaultKind::LostForDeployed => {
                    found[NEWEST_RESULT] = self.by_newest_result(subject);
                    found[NEWEST_CONTRACT] = self.by_newest_contract(subject);
                }
                FaultKind::TargetGone => {
                    let least = self.rules.sustained_failures;
                    found[STREAK_EXPIRES] = self.controls.is_sustained(subject, least, self.now);
                }
                _ => {}
            }
            let now = self.now;
            for (control, is_found) in self.faults[number].by_control.iter_mut().zip(found) {
                if is_found {
                    control.get_or_insert(now);
                }
            }
        }
        self.plan(self.now + HOUR, Happening::Controls);
    }

    fn by_newest_result(&self, pair: usize) -> bool {
        let facts = PairFacts { learned: None, ..self.pairs[pair].events.clone() };
        self.is_stale(pair, &facts, BrokerReach::NotAsked)
    }

    fn by_newest_contract(&self, number: usize) -> bool {
        let pair = &self.pairs[number];
        let mut facts = self.providers[pair.provider].rows[pair.place].facts.clone();
        let newest = at(pair.newest().map_or(self.now, |newest| newest.at));
        let owes = facts.says.iter_mut().flat_map(|says| &mut says.owes);
        owes.for_each(|debt| debt.since = newest);
        self.is_stale(number, &facts, BrokerReach::Answers)
    }

    fn is_stale(&self, number: usize, facts: &PairFacts, reach: BrokerReach) -> bool {
        let pair = &self.pairs[number];
        let key = &self.providers[pair.provider].rows[pair.place].key;
        let verdict = judge(&self.rules.freshness, key, facts, reach, at(self.now));
        verdict.state == FreshnessState::Stale
    }
}
