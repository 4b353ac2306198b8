//! What people do: publish contracts, build, deploy.

use postrider_domain::{EventName, age};

use crate::happening::Happening;
use crate::parts::{Delivery, Published, REMEMBERED, Verified};
use crate::plan::FaultKind;
use crate::time::{Millis, SECOND, at};
use crate::world::World;

/// One verification in a hundred fails: the provider does not keep the contract.
const FAILS: f64 = 0.01;

impl World {
    /// A consumer publishes a new content on main, and its broker tells of it.
    pub(crate) fn publish(&mut self, number: usize) {
        let (now, rate) = (self.now, self.pairs[number].rate);
        self.plan_next(rate, Happening::Publish(number));
        let provider = self.pairs[number].provider;
        let counting = self.providers[provider].counting();
        let is_told = self.relay_off.is_none() && self.away.is_none();
        let pair = &mut self.pairs[number];
        let version = pair.newest().map_or(1, |newest| newest.version + 1);
        let told = if is_told { counting.clone() } else { Vec::new() };
        pair.add(Published { version, at: now, results: Vec::new(), told, is_seen: false });
        pair.events.told(EventName::ContractRequiringVerificationPublished, at(now), None);
        pair.excuses.extend(self.away);
        self.plan_look(number, now);
        if is_told {
            // A broker sends its webhooks' calls five seconds after what they tell of, and later.
            let slowness = self.chance.slowness();
            let delay = self.chance.millis(5 * SECOND, 9 * SECOND);
            for version_owing in counting {
                self.dispatch((number, version, version_owing), slowness, now + delay);
            }
        }
    }

    /// A delivery that leaves then.
    pub(crate) fn dispatch(
        &mut self,
        (pair, contract, version): (usize, u32, u32),
        slowness: f64,
        leaves: Millis,
    ) {
        let slowness = if self.plan.is_slow_together { slowness } else { self.chance.slowness() };
        self.tally.dispatched(self.pairs[pair].rate);
        let delivery = Delivery { pair, contract, version, attempt: 1, slowness };
        self.plan(leaves, Happening::Attempt(delivery));
    }

    /// A provider builds its main branch: it verifies what its consumers have on main and what
    /// they have deployed, as of now.
    pub(crate) fn build(&mut self, number: usize) {
        let of = &self.providers[number];
        let (takes, builds) = (of.takes, of.builds);
        let verified: Vec<(usize, Vec<u32>)> = of
            .pairs
            .iter()
            .map(|pair| {
                let pair_of = &self.pairs[*pair];
                let newest = pair_of.newest().map(|one| one.version);
                let deployed = pair_of.deployed.as_ref().map(|(one, _)| one.version);
                let deployed = deployed.filter(|one| Some(*one) != newest);
                (*pair, newest.into_iter().chain(deployed).collect())
            })
            .collect();
        self.plan_next(builds, Happening::BuildBegins(number));
        let slowness = self.chance.slowness();
        let ends = self.now + self.chance.takes(takes, slowness);
        self.plan(ends, Happening::BuildEnds { provider: number, verified });
    }

    /// The first result that a build publishes makes its version the head; the others follow.
    pub(crate) fn end_build(&mut self, number: usize, verified: Vec<(usize, Vec<u32>)>) {
        let of = &mut self.providers[number];
        if of.dead.is_some() {
            return;
        }
        let version = of.next_version;
        of.next_version += 1;
        of.heads.push_back((version, self.now));
        if of.heads.len() > REMEMBERED {
            of.heads.pop_front();
        }
        let mut comes = self.now;
        for (pair, contracts) in verified {
            let success = !self.chance.is(FAILS);
            self.plan_look(pair, self.now);
            self.plan(comes, Happening::BuildResult { pair, version, contracts, success });
            comes += self.chance.millis(SECOND, 20 * SECOND);
        }
    }

    pub(crate) fn build_result(
        &mut self,
        number: usize,
        version: u32,
        contracts: &[u32],
        success: bool,
    ) {
        let pair = &self.pairs[number];
        if let Some(fault) = pair.dead.or(self.providers[pair.provider].dead) {
            self.touched(number, fault);
            return;
        }
        for contract in contracts {
            self.verified(number, (*contract, version), success);
        }
    }

    /// A result is there.
    pub(crate) fn verified(
        &mut self,
        number: usize,
        (contract, version): (u32, u32),
        success: bool,
    ) {
        let now = self.now;
        let pair = &mut self.pairs[number];
        let result = Verified { version, at: now, success };
        let counting = self.providers[pair.provider].counting();
        if let Some(published) = pair.contract(contract) {
            published.add(result.clone(), &counting);
            let of_contract = pair.past.results.entry(contract.to_string()).or_default();
            of_contract.insert(version.to_string());
        }
        if let Some((deployed, _)) = &mut pair.deployed
            && deployed.version == contract
        {
            deployed.add(result, &counting);
        }
        pair.events.verified(at(now), Some(success));
        self.providers[pair.provider].last_result = now;
        self.plan_look(number, now);
    }

    /// The provider's head is deployed, if it keeps the newest contracts.
    pub(crate) fn deploy(&mut self, number: usize) {
        let of = &self.providers[number];
        let (head, _) = of.head();
        let (deploys, is_new) = (of.deploys, head != of.deployed.0);
        let keeps =
            |pair: &usize| self.pairs[*pair].newest().is_none_or(|newest| newest.is_kept_by(head));
        let is_deployed = is_new && of.pairs.iter().all(keeps);
        self.plan_next(deploys, Happening::Deploy(number));
        if is_deployed {
            self.providers[number].deployed = (head, self.now);
            for pair in self.providers[number].pairs.clone() {
                self.plan_look(pair, self.now);
            }
        }
    }

    /// The newest contract that the deployed provider keeps is deployed.
    pub(crate) fn deploy_consumer(&mut self, number: usize) {
        let pair = &mut self.pairs[number];
        let deployed = self.providers[pair.provider].deployed.0;
        let kept = pair.contracts.iter().rev().find(|one| one.is_kept_by(deployed));
        if let Some(kept) = kept.cloned()
            && pair.deployed.as_ref().is_none_or(|(before, _)| before.version < kept.version)
        {
            pair.deployed = Some((kept, self.now));
        }
        let rate = pair.rate.min(0.05);
        self.plan_look(number, self.now);
        self.plan_next(rate, Happening::DeployConsumer(number));
    }

    /// A fault touched a pair: what it owes from now on, until it owes nothing, is the fault's
    /// doing. What is told of already can't be told of once more.
    pub(crate) fn touched(&mut self, number: usize, fault: usize) {
        let pair = &mut self.pairs[number];
        pair.excuses.insert(fault);
        let key = &self.providers[pair.provider].rows[pair.place].key;
        if !self.is_open_of(key) && self.faults[fault].kind.is_of_age() {
            self.faults[fault].clock.get_or_insert(self.now);
        }
    }

    /// A dead provider's second debt is the second sign: of another pair, and one that no result can
    /// have come after.
    pub(crate) fn signs(&mut self, (number, contract, version): (usize, u32, u32), fault: usize) {
        let pair = &mut self.pairs[number];
        let of = &self.providers[pair.provider];
        let before = pair.contract(contract.saturating_sub(1));
        let is_first_debt = before.is_none_or(|before| before.has_result_of(version));
        let is_after = pair.contract(contract).is_some_and(|one| one.at > of.last_result);
        let fault = &mut self.faults[fault];
        let (Some(threshold), Some(clock)) = (of.learned.threshold, fault.clock) else { return };
        if fault.kind != FaultKind::DeadProvider || !is_first_debt || !is_after {
            return;
        }
        fault.signs.insert(number);
        if fault.signs.len() == 2 {
            let quiet = &self.rules.freshness.quiet;
            let passed = age(quiet, at(clock), at(self.now));
            fault.bound = fault.bound.min(passed.saturating_add(threshold));
        }
    }
}
