//! What the monitor makes of a look at a pair: the rule of what is owed, what is kept of it, what
//! becomes an event, what is learned.

use std::collections::BTreeSet;

use jiff::Timestamp;
use postrider_domain::owed::{
    Contract, Counted, Debt, Fate, Judged, Looked, Owing, Past, Role, Side, Sight, Step,
    VersionResult, fate,
};
use postrider_domain::{BrokerSays, Learned, PairFacts};
use postrider_monitor::fold::{self, Ledger};

use crate::parts::{BROKER, ENVIRONMENT, Pair, Provider, Published};
use crate::plan::{FaultKind, LOOK_EVERY};
use crate::time::{Millis, SECOND, at};
use crate::world::World;

/// Steps that are looked back over at first.
const BACK: usize = 20;

impl World {
    /// Looks at a pair, if its broker can be reached.
    pub(crate) fn look(&mut self, number: usize) {
        if self.pairs[number].look_at != Some(self.now) {
            return;
        }
        self.pairs[number].look_at = None;
        if self.away.is_some() {
            // It is looked at when the broker is back.
            self.pairs[number].look_at = Some(Millis::MAX);
            return;
        }
        let now = at(self.now);
        let provider = self.pairs[number].provider;
        let counts = self.providers[provider].standing().counts(&Side::Broker);
        let counting = self.providers[provider].counting();
        let contracts = self.pairs[number].lines(&counting);
        let mut judged = Judged::of(&contracts, &counts);
        for debt in &mut judged.owes {
            refine(&mut self.pairs[number], &self.providers[provider], debt);
        }
        judged.owes.sort_by_key(|debt| debt.since);
        let facts = facts(&judged, &contracts, &counts, now);
        self.keep(number, facts);
        self.learn(number);
        self.tell(number, &judged.owes);
        self.see(number, judged.owes.is_empty());
        self.plan_judge_after_look(number);
    }

    /// Keeps what was found with what is known already.
    fn keep(&mut self, number: usize, facts: PairFacts) {
        let pair = &self.pairs[number];
        let rows = &mut self.providers[pair.provider].rows;
        let row = rows.swap_remove(pair.place);
        let key = row.key.clone();
        let mut ledger = Ledger::new(vec![row], 0);
        ledger.learn(&key, &fold::Learned::Facts(Box::new(facts)));
        rows.extend(ledger.into_rows());
        let last = rows.len() - 1;
        rows.swap(pair.place, last);
    }

    /// Learns how long the provider took.
    fn learn(&mut self, number: usize) {
        let took = std::mem::take(&mut self.pairs[number].took);
        let of = &mut self.providers[self.pairs[number].provider];
        if !took.is_empty() {
            for took in took {
                of.times.add(took);
            }
            let threshold = of.times.threshold();
            of.learned = Learned { threshold, seen: of.times.len(), ..of.learned };
        }
        let learned = of.learned;
        of.rows.iter_mut().for_each(|row| row.facts.learned = Some(learned));
    }

    /// What nobody told of becomes an event.
    fn tell(&mut self, number: usize, owes: &[Debt]) {
        let looked = self.looked_last.unwrap_or(self.now - LOOK_EVERY);
        let pair = &mut self.pairs[number];
        let Some(newest) = pair.contracts.back_mut() else { return };
        let sight = Sight {
            first_contact: Some(at(0)),
            looked_at: Some(Looked::Here(at(looked))),
            is_known: newest.is_seen,
        };
        newest.is_seen = true;
        let name = newest.version.to_string();
        let mut to_tell = Vec::new();
        for debt in owes.iter().filter(|debt| debt.consumer_version == name) {
            let Ok(version) = debt.provider.version.parse::<u32>() else { continue };
            if fate(debt, &sight) == Fate::Tell && !newest.told.contains(&version) {
                newest.told.push(version);
                to_tell.push((number, newest.version, version));
            }
        }
        let slowness = if to_tell.is_empty() { 1.0 } else { self.chance.slowness() };
        for told in to_tell {
            self.dispatch(told, slowness, self.now + SECOND);
        }
    }

    /// What of the faults' doing is over, and which failed deliveries' debts are still owed.
    fn see(&mut self, number: usize, owes_nothing: bool) {
        let (now, pair) = (self.now, &mut self.pairs[number]);
        let provider = pair.provider;
        let of = &mut self.providers[provider];
        let counting = of.counting();
        let had_failed = !of.webhook.failed.is_empty();
        of.webhook.failed.retain_mut(|failed| {
            if failed.pair != number {
                return true;
            }
            failed.seen_at = now;
            let contract = pair.contract(failed.contract);
            let is_owed = contract.is_some_and(|one| !one.has_result_of(failed.version));
            is_owed && counting.contains(&failed.version)
        });
        let any_left = !of.webhook.failed.is_empty();
        if had_failed {
            self.plan_evaluate(now);
        }
        if had_failed && !any_left {
            self.no_failure_is_left(provider);
        }
        for fault in self.pairs[number].excuses.clone() {
            if owes_nothing || self.is_outlived(number, fault) {
                self.pairs[number].excuses.remove(&fault);
                self.is_over(fault);
            }
        }
    }

    /// Whether what a lost dispatch made the pair owe is not owed any more, though something is.
    fn is_outlived(&self, number: usize, fault: usize) -> bool {
        let pair = &self.pairs[number];
        let fault = &self.faults[fault];
        let says = self.providers[pair.provider].rows[pair.place].facts.says.as_ref();
        let is_lost = matches!(fault.kind, FaultKind::LostDispatch | FaultKind::LostForDeployed);
        fault.clock.zip(says).is_some_and(|(clock, says)| {
            is_lost && says.owes.iter().all(|debt| debt.since > at(clock))
        })
    }
}

impl Pair {
    /// The newest contract of each line, with the results of the versions that count.
    fn lines(&self, counting: &[u32]) -> Vec<Contract> {
        let mut lines = Vec::new();
        let (deployed, placed_since) =
            self.deployed.as_ref().map(|(one, since)| (one, at(*since))).unzip();
        let place = || Role::Deployed(ENVIRONMENT.to_owned());
        if let Some(newest) = self.newest() {
            let is_deployed = deployed.is_some_and(|one| one.version == newest.version);
            let roles = [Role::Main].into_iter().chain(is_deployed.then(place)).collect();
            let placed_since = placed_since.filter(|_| is_deployed);
            lines.push(newest.as_contract(roles, placed_since, counting));
        }
        let other = deployed.filter(|one| lines.iter().all(|line| !one.is(line)));
        lines.extend(other.map(|one| one.as_contract(vec![place()], placed_since, counting)));
        lines
    }
}

impl Published {
    fn is(&self, contract: &Contract) -> bool {
        contract.consumer_version == self.version.to_string()
    }

    fn as_contract(
        &self,
        lines: Vec<Role>,
        placed_since: Option<Timestamp>,
        counting: &[u32],
    ) -> Contract {
        let asked = self.results.iter().filter(|result| counting.contains(&result.version));
        let results = asked.map(|result| VersionResult {
            provider_version: result.version.to_string(),
            success: result.success,
            at: at(result.at),
        });
        Contract {
            consumer_version: self.version.to_string(),
            lines,
            published_at: at(self.at),
            placed_since,
            results: results.collect(),
        }
    }
}

/// What a survey makes of what it read.
fn facts(judged: &Judged, contracts: &[Contract], counts: &[Counted], now: Timestamp) -> PairFacts {
    let mut facts = PairFacts::default();
    for contract in contracts {
        for result in &contract.results {
            facts.verified(result.at, Some(result.success));
        }
        facts.published(contract.published_at, contract.results.is_empty());
    }
    PairFacts { says: Some(BrokerSays::of(judged, contracts, counts, now)), ..facts }
}

/// Since when the debt's line has been owing, as a survey finds out: a few steps back, and as far
/// as it can be seen where that is not enough.
fn refine(pair: &mut Pair, provider: &Provider, debt: &mut Debt) {
    let itself = Owing { since: debt.since, is_begin_seen: false };
    let near = near(pair, provider, debt);
    let mut found = near.owing().filter(|owing| owing.since <= debt.since).unwrap_or(itself);
    if near.reaches_back_to(found.since) {
        pair.past.roles = roles(provider, debt, usize::MAX);
        let far = pair.past.owing().filter(|owing| owing.since <= found.since);
        found = far.unwrap_or(found);
    }
    (debt.since, debt.is_begin_seen) = (found.since, found.is_begin_seen);
}

/// The newest contracts of the line. Of an environment it is not known what was there before.
fn near(pair: &Pair, provider: &Provider, debt: &Debt) -> Past {
    let is_main = debt.lines.contains(&Role::Main);
    let of_line: Vec<&Published> = if is_main {
        pair.contracts.iter().rev().take(BACK).collect()
    } else {
        pair.deployed.iter().map(|(deployed, _)| deployed).collect()
    };
    let verified = |one: &Published| {
        one.results.iter().map(|result| result.version.to_string()).collect::<BTreeSet<_>>()
    };
    Past {
        contracts: of_line.iter().map(|one| step(one.version, one.at)).collect(),
        roles: roles(provider, debt, BACK),
        results: of_line.iter().map(|one| (one.version.to_string(), verified(one))).collect(),
        has_older: is_main && pair.contracts.len() > BACK,
    }
}

/// For each role of the debt's version the versions that had it.
fn roles(provider: &Provider, debt: &Debt, most: usize) -> Vec<Vec<Step>> {
    let heads = || {
        let newest = provider.heads.iter().rev().take(most);
        newest.rev().map(|(version, since)| step(*version, *since)).collect()
    };
    let now = |since: Timestamp| vec![Step { version: debt.provider.version.clone(), at: since }];
    let roles = debt.provider.because.iter().map(|(role, since)| match role {
        Role::Main => heads(),
        _ => now(*since),
    });
    roles.collect()
}

fn step(version: u32, since: Millis) -> Step {
    Step { version: version.to_string(), at: at(since) }
}

/// The broker's name in what is told.
pub(crate) fn broker() -> String {
    BROKER.to_owned()
}
