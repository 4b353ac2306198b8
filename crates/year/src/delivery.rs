//! Deliveries to GitHub and the runs that they start: attempts, retries, streaks, lanes that are
//! held, results.

use std::time::Duration;

use postrider_domain::{
    Decision, LaneEvidence, LanePolicy, LastOutcome, Outcome, ParkPolicy, Refusal, StreakNews,
    Transition, WebhookId, decide,
};

use crate::happening::Happening;
use crate::parts::{Delivery, Failed};
use crate::plan::{FAILED_EVERY, Fault, FaultKind, duration};
use crate::time::{Millis, SECOND};
use crate::world::World;

/// So many requests fail for no reason that lasts.
const FLAKES: f64 = 0.002;
/// One verification in a hundred fails: the provider does not keep the contract.
const FAILS: f64 = 0.01;

impl World {
    /// A request leaves, unless its lane is held.
    pub(crate) fn attempt(&mut self, delivery: Delivery) {
        let provider = self.pairs[delivery.pair].provider;
        let lane = self.providers[provider].webhook.lane;
        if let Some(fault) = self.lanes[lane].dead
            && self.lanes[lane].held_since.is_some()
        {
            self.touched(delivery.pair, fault);
            self.lanes[lane].waiting.push(delivery);
            return;
        }
        let (outcome, status) = self.answer(provider, lane);
        self.streak(provider, (outcome, status), delivery.attempt == 1);
        match decide(&self.retry, delivery.attempt, outcome, None, self.chance.share()) {
            Decision::Deliver => self.taken(delivery),
            Decision::RetryAfter(wait) => {
                let next = Delivery { attempt: delivery.attempt + 1, ..delivery };
                self.plan(self.now + millis(wait), Happening::Attempt(next));
            }
            Decision::GiveUp => self.failed(provider, delivery),
            Decision::Hold => self.refused(lane, delivery),
            // No target asks for a pause here.
            Decision::PauseLane => {}
        }
    }

    fn answer(&mut self, provider: usize, lane: usize) -> (Outcome, u16) {
        let now = self.now;
        let is_hiccup = self.hiccups.iter().any(|(from, to)| (*from..*to).contains(&now));
        if self.lanes[lane].dead.is_some() {
            (Outcome::Credential, 401)
        } else if is_hiccup || self.chance.is(FLAKES) {
            (Outcome::ServerError, 502)
        } else if self.providers[provider].webhook.gone.is_some() {
            (Outcome::NotFound, 404)
        } else {
            (Outcome::Accepted, 204)
        }
    }

    /// Adds an attempt to its webhook's streak, as the stores do.
    fn streak(&mut self, provider: usize, (outcome, status): (Outcome, u16), is_first: bool) {
        let mut news = StreakNews::default();
        news.add(LastOutcome { outcome, status_code: Some(status) }, is_first);
        let now = self.now;
        self.controls.streak(provider, &news, now);
        let webhook = &mut self.providers[provider].webhook;
        let had_failed = webhook.failures > 0;
        if news.succeeded {
            (webhook.failures, webhook.deliveries, webhook.since) = (0, 0, None);
        }
        webhook.failures += u64::from(news.failures);
        webhook.deliveries += u64::from(news.deliveries);
        webhook.last_outcome = news.last.map(|last| last.outcome);
        if news.failures > 0 {
            webhook.since.get_or_insert(now);
            webhook.last_failure = Some(now);
        }
        let due = self.sustained_at(provider);
        if had_failed || due.is_some() {
            self.start_clock(provider, due);
            self.plan_evaluate(due.unwrap_or(now).max(now));
        }
    }

    /// When the webhook's streak is long enough, if it has enough deliveries.
    pub(crate) fn sustained_at(&self, provider: usize) -> Option<Millis> {
        let webhook = &self.providers[provider].webhook;
        let since = webhook.since?;
        let is_enough = webhook.deliveries.min(webhook.failures) >= self.rules.sustained_failures;
        is_enough.then(|| since + millis(self.rules.sustained_for))
    }

    /// The bound of a target that is gone counts from when the rule can know.
    fn start_clock(&mut self, provider: usize, due: Option<Millis>) {
        if let (Some(due), Some(fault)) = (due, self.providers[provider].webhook.gone) {
            let now = self.now;
            self.faults[fault].clock.get_or_insert(due.max(now));
        }
    }

    fn taken(&mut self, delivery: Delivery) {
        let Delivery { pair: number, contract, version, slowness, .. } = delivery;
        let provider = self.pairs[number].provider;
        let takes = self.providers[provider].takes;
        let dead = self.pairs[number].dead.or(self.providers[provider].dead);
        let lost = dead.or_else(|| self.loses(number, version));
        if let Some(fault) = lost {
            self.touched(number, fault);
            self.signs((number, contract, version), fault);
            return;
        }
        self.pairs[number].running.insert((contract, version));
        let comes = self.now + self.chance.takes(takes, slowness);
        self.plan(comes, Happening::Result { delivery, taken_at: self.now });
    }

    /// Whether this dispatch is the one that is lost.
    fn loses(&mut self, number: usize, version: u32) -> Option<usize> {
        let pair = &self.pairs[number];
        let fault = pair.loses_next?;
        let of = &self.providers[pair.provider];
        let is_it = match self.faults[fault].kind {
            FaultKind::LostForDeployed => version == of.deployed.0 && version != of.head().0,
            _ => version == of.head().0,
        };
        if !is_it {
            return None;
        }
        self.pairs[number].loses_next = None;
        Some(fault)
    }

    /// A run's result.
    pub(crate) fn result(&mut self, delivery: &Delivery, taken_at: Millis) {
        let Delivery { pair: number, contract, version, .. } = *delivery;
        let provider = self.pairs[number].provider;
        let pair = &mut self.pairs[number];
        pair.running.remove(&(contract, version));
        // Who dies takes along what runs.
        if let Some(fault) = self.providers[provider].dead {
            self.touched(number, fault);
            return;
        }
        let took = duration(self.now - taken_at);
        self.pairs[number].took.push(took);
        self.control_result(number, took);
        let success = !self.chance.is(FAILS);
        self.verified(number, (contract, version), success);
    }

    /// A delivery failed for good.
    fn failed(&mut self, provider: usize, delivery: Delivery) {
        let Delivery { pair, contract, version, .. } = delivery;
        let now = self.now;
        let webhook = &mut self.providers[provider].webhook;
        webhook.failed.push(Failed { pair, contract, version, at: now, seen_at: now });
        if let Some(fault) = webhook.gone {
            self.touched(pair, fault);
            if let Some(one) = self.final_failure(provider) {
                one.clock.get_or_insert(now);
            }
        }
        self.plan_look(pair, now + FAILED_EVERY);
    }

    /// The fault that is the first final failure of the provider's webhook, while it is not found.
    pub(crate) fn final_failure(&mut self, provider: usize) -> Option<&mut Fault> {
        let is_it = |one: &&mut Fault| {
            one.kind == FaultKind::FinalFailure && one.subject == provider && one.found.is_none()
        };
        self.faults.iter_mut().rev().find(is_it)
    }

    /// Nothing is owed any more of what failed: the next failure is the first.
    pub(crate) fn no_failure_is_left(&mut self, provider: usize) {
        if let Some(one) = self.final_failure(provider).filter(|one| one.over.is_none()) {
            one.clock = None;
        }
    }

    /// L4: one refusal of GitHub's holds the lane.
    fn refused(&mut self, lane: usize, delivery: Delivery) {
        let mut policy = LanePolicy { in_use: true, has_credential: true, ..LanePolicy::default() };
        let evidence = LaneEvidence {
            webhook: WebhookId(1),
            transition: Transition::CredentialRejected {
                refusal: Refusal::AtGithub,
                secret_rev: policy.secret_rev,
                secrets_rev: 0,
                probe_after: Duration::from_mins(1),
            },
            outcome: Some(Outcome::Credential),
            rejections: 0,
        };
        policy.add(&evidence, &mut ParkPolicy { is_in_use: true, ..ParkPolicy::default() });
        let now = self.now;
        let of = &mut self.lanes[lane];
        of.waiting.push(delivery);
        if policy.hold.is_some() {
            of.held_since.get_or_insert(now);
        }
        if let Some(fault) = of.dead {
            self.faults[fault].clock.get_or_insert(now);
            self.touched(delivery.pair, fault);
        }
        self.plan_evaluate(now);
    }

    /// A new token: what waited leaves, one a second.
    pub(crate) fn open_lane(&mut self, lane: usize) {
        let of = &mut self.lanes[lane];
        (of.dead, of.held_since) = (None, None);
        let waiting = std::mem::take(&mut of.waiting);
        let mut leaves = self.now;
        for delivery in waiting {
            leaves += SECOND;
            self.plan(leaves, Happening::Attempt(delivery));
        }
        self.plan_evaluate(self.now);
    }
}

fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX / 4)
}
