//! What the monitor judges, and when: at the rounds at which a verdict can have changed.
//!
//! A pair is late from an instant on that its debts and thresholds tell beforehand. So a provider
//! is judged after looks at its pairs while there is something to tell of it, and when a debt
//! crosses a threshold. The test `jumping_changes_nothing` compares that with judging at all rounds.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use postrider_domain::{HoldCause, Learned, PairKey, RelayState, WebhookUuid, age, relay_state};
use postrider_monitor::{DebtFact, Facts, MonitorFacts, RelayFacts, Tally, evaluate};
use postrider_store::{
    BrokerRead, BrokerRelay, BrokerTrouble, EventFate, IncidentFinding, IncidentKind, StreakFact,
    ToldDebt,
};

use crate::happening::Happening;
use crate::look::broker;
use crate::parts::{Failed, Provider};
use crate::plan::{JUDGE_EVERY, JUDGE_OFFSET, duration};
use crate::time::{DAY, Millis, at, since_beginning};
use crate::world::{World, next_multiple};

/// Incidents of pairs.
const OF_PAIRS: [IncidentKind; 4] = [
    IncidentKind::VerificationStale,
    IncidentKind::VerificationSilent,
    IncidentKind::FirstContact,
    IncidentKind::HoldsBack,
];

impl World {
    /// Judges the provider's pairs after a look at one.
    pub(crate) fn plan_judge_after_look(&mut self, pair: usize) {
        let provider = self.pairs[pair].provider;
        let of = &self.providers[provider];
        let is_told_of = of.learned.is_silent
            || of.rows.iter().any(|row| self.is_open_of(&row.key))
            || self.crossings(of).any(|crossing| crossing <= self.now);
        if is_told_of {
            self.plan_judge(provider, self.now);
        }
        self.plan_judge_at_crossing(provider);
    }

    fn plan_judge_at_crossing(&mut self, provider: usize) {
        let crossings = self.crossings(&self.providers[provider]);
        if let Some(next) = crossings.filter(|crossing| *crossing > self.now).min() {
            self.plan_judge(provider, next);
        }
    }

    fn plan_judge(&mut self, provider: usize, after: Millis) {
        let round = next_round(after);
        let planned = self.providers[provider].judge_at;
        if planned.is_none_or(|planned| round < planned || planned < self.now) {
            self.providers[provider].judge_at = Some(round);
            self.plan(round, Happening::Judge(provider));
        }
    }

    pub(crate) fn is_open_of(&self, key: &PairKey) -> bool {
        let subject = key.to_string();
        !self.open.is_empty()
            && OF_PAIRS.iter().any(|kind| self.open.contains_key(&(*kind, subject.clone())))
    }

    /// When debts cross thresholds, at the earliest: quiet days may make it later. Now, if they did.
    fn crossings<'w>(&'w self, of: &'w Provider) -> impl Iterator<Item = Millis> + 'w {
        let thresholds = of.learned.threshold.into_iter().chain([duration(DAY)]);
        let says = of.rows.iter().filter_map(|row| row.facts.says.as_ref());
        let debts = says.clone().flat_map(|says| &says.owes).map(|debt| debt.since);
        let holds = says
            .flat_map(|says| &says.holds_back)
            .map(|hold| (since_beginning(hold.since) + DAY + 1).max(self.now));
        let late = debts.flat_map(move |since| {
            thresholds.clone().map(move |threshold| self.late_at(since, threshold))
        });
        late.chain(holds)
    }

    fn late_at(&self, since: Timestamp, threshold: Duration) -> Millis {
        let quiet = &self.rules.freshness.quiet;
        let passed = age(quiet, since, at(self.now));
        let left = SignedDuration::try_from(threshold.saturating_sub(passed)).unwrap_or_default();
        if passed > threshold {
            self.now
        } else if quiet.is_quiet(at(self.now)) {
            next_multiple(self.now, DAY)
        } else {
            self.now + Millis::try_from(left.as_millis()).unwrap_or(DAY) + 1
        }
    }

    /// Judges a provider's pairs at this round, if it is planned.
    pub(crate) fn judge(&mut self, provider: usize) {
        if self.plan.at_every_round || self.providers[provider].judge_at != Some(self.now) {
            return;
        }
        self.providers[provider].judge_at = None;
        self.judge_now(provider);
        self.plan_judge_at_crossing(provider);
    }

    fn judge_now(&mut self, provider: usize) {
        let reads = self.reads();
        let mut tally = Tally::new(&self.rules, &reads, at(self.now));
        tally.see(&self.providers[provider].rows);
        let silences = tally.silences();
        let findings = tally.into_findings();
        let of = &mut self.providers[provider];
        for (_, _, is_silent) in &silences {
            of.learned = Learned { is_silent: *is_silent, ..of.learned };
            let learned = of.learned;
            of.rows.iter_mut().for_each(|row| row.facts.learned = Some(learned));
        }
        let subjects: BTreeSet<String> = of.rows.iter().map(|row| row.key.to_string()).collect();
        self.make_so(findings, |kind, subject| {
            OF_PAIRS.contains(&kind) && subjects.contains(subject)
        });
        if !silences.is_empty() {
            self.plan_judge(provider, self.now);
        }
    }

    /// Every provider and everything else, at every round.
    pub(crate) fn round(&mut self) {
        (0..self.providers.len()).for_each(|provider| self.judge_now(provider));
        self.evaluate_now();
        self.plan(self.now + JUDGE_EVERY, Happening::Round);
    }

    fn reads(&self) -> Vec<BrokerRead> {
        let failing = self.failing_since.filter(|since| *since <= self.now);
        let answered_at = Some(at(if self.away.is_some() { self.answered_at } else { self.now }));
        let failing =
            failing.map(|since| (at(since), BrokerTrouble::Away, "connection refused".to_owned()));
        vec![BrokerRead { broker: broker(), answered_at, failing }]
    }

    /// Judges what is not of pairs at the next round after then.
    pub(crate) fn plan_evaluate(&mut self, after: Millis) {
        let round = next_round(after);
        let planned = self.evaluate_at;
        if planned.is_none_or(|planned| round < planned || planned < self.now) {
            self.evaluate_at = Some(round);
            self.plan(round, Happening::Evaluate);
        }
    }

    /// Judges what is not of pairs at this round, if that is planned.
    pub(crate) fn evaluate(&mut self) {
        if self.plan.at_every_round || self.evaluate_at != Some(self.now) {
            return;
        }
        self.evaluate_at = None;
        self.evaluate_now();
        let due = (0..self.providers.len()).filter_map(|provider| self.sustained_at(provider));
        let failing = self.failing_since.map(|since| since + 60_000);
        if let Some(next) = due.chain(failing).filter(|due| *due > self.now).min() {
            self.plan_evaluate(next);
        }
    }

    fn evaluate_now(&mut self) {
        let findings = evaluate(&self.rules, &self.facts(), at(self.now));
        self.make_so(findings, |kind, _| !OF_PAIRS.contains(&kind));
    }

    fn facts(&self) -> Facts {
        let streaks = self.providers.iter().filter_map(Provider::streak);
        let held = self.lanes.iter().enumerate().filter_map(|(number, lane)| {
            let since = at(lane.held_since?);
            Some((lane_name(number), HoldCause::Credential, since, lane.waiting.len() as u64))
        });
        let failed = self.providers.iter().flat_map(|of| {
            of.webhook
                .failed
                .iter()
                .filter_map(|failed| debt(of, self.pairs[failed.pair].place, failed))
        });
        let there = self.relay_seen_off.map(|since| BrokerRelay {
            broker: broker(),
            uuid: "relay".to_owned(),
            state: RelayState::Disabled,
            since: at(since),
        });
        Facts {
            store: MonitorFacts {
                streaks: streaks.collect(),
                held: held.collect(),
                ..MonitorFacts::default()
            },
            brokers: self.reads(),
            debts: failed.collect(),
            relays: RelayFacts { there: there.into_iter().collect(), calls: Vec::new() },
            ..Facts::default()
        }
    }

    /// The broker is asked for its webhook.
    pub(crate) fn look_for_relay(&mut self) {
        let is_enabled = self.relay_off.is_none();
        let state = relay_state(Some("relay"), &[("relay".to_owned(), is_enabled)]);
        let is_gone = state.is_some_and(|(_, state)| state != RelayState::Enabled);
        self.relay_seen_off = is_gone.then_some(self.relay_seen_off.unwrap_or(self.now));
        self.plan_evaluate(self.now);
    }

    /// Makes the open incidents that `is_judged` covers what was found, as the store does.
    fn make_so(
        &mut self,
        findings: Vec<IncidentFinding>,
        is_judged: impl Fn(IncidentKind, &str) -> bool,
    ) {
        let found: BTreeSet<(IncidentKind, String)> =
            findings.into_iter().map(|one| (one.kind, one.subject)).collect();
        self.open.retain(|key, _| !is_judged(key.0, &key.1) || found.contains(key));
        for (kind, subject) in found {
            if !self.open.contains_key(&(kind, subject.clone())) {
                self.open.insert((kind, subject.clone()), self.now);
                self.opened(kind, &subject);
            }
        }
    }
}

impl Provider {
    fn streak(&self) -> Option<StreakFact> {
        let webhook = &self.webhook;
        let uuid: WebhookUuid = webhook.uuid.parse().ok()?;
        (webhook.failures > 0).then(|| StreakFact {
            webhook: uuid,
            description: String::new(),
            lane: lane_name(webhook.lane),
            failures: webhook.failures,
            deliveries: webhook.deliveries,
            since: webhook.since.map(at),
            last_outcome: webhook.last_outcome,
            last_status_code: None,
            last_success_at: None,
        })
    }
}

/// A debt whose delivery failed for good.
fn debt(of: &Provider, place: usize, failed: &Failed) -> Option<DebtFact> {
    let webhook: WebhookUuid = of.webhook.uuid.parse().ok()?;
    let event = postrider_domain::EventId(uuid::Uuid::nil());
    let debt = ToldDebt {
        key: of.rows.get(place)?.key.clone(),
        consumer_version: failed.contract.to_string(),
        provider_version: failed.version.to_string(),
        published_at: None,
        event,
        again: 0,
        again_event: None,
        seen_at: at(failed.seen_at),
        learned: Some(of.learned),
    };
    let fate = EventFate {
        ended_at: Some(at(failed.at)),
        failed: vec![(webhook, at(failed.at))],
        ..EventFate::of(event)
    };
    Some(DebtFact { debt, first: Some(fate), again: None })
}

/// The first round after then.
fn next_round(after: Millis) -> Millis {
    next_multiple(after - JUDGE_OFFSET, JUDGE_EVERY) + JUDGE_OFFSET
}

fn lane_name(number: usize) -> String {
    format!("api.github.com/token{number}")
}
