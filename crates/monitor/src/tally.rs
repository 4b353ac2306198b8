//! What comes of all pairs, page by page: late ones, how many are in which state, and the oldest
//! verifications. Memory does not grow with the pairs.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use jiff::Timestamp;
use postrider_domain::{BrokerReach, FreshnessState, age, judge};
use postrider_store::{BrokerRead, IncidentFinding, PairRow};
use postrider_telemetry::{Metrics, VerificationSample};

use crate::rules::{Rules, late, reach};

/// Pairs whose age is shown by name.
const SHOWN: usize = 1_000;

/// Judges pairs and keeps what is to be told and shown.
#[derive(Debug)]
pub(crate) struct Tally<'a> {
    rules: &'a Rules,
    brokers: &'a [BrokerRead],
    now: Timestamp,
    findings: Vec<IncidentFinding>,
    states: [u64; FreshnessState::ALL.len()],
    /// The youngest of them on top.
    oldest: BinaryHeap<Reverse<(Duration, String, String)>>,
}

impl<'a> Tally<'a> {
    pub(crate) fn new(rules: &'a Rules, brokers: &'a [BrokerRead], now: Timestamp) -> Self {
        Self {
            rules,
            brokers,
            now,
            findings: Vec::new(),
            states: [0; FreshnessState::ALL.len()],
            oldest: BinaryHeap::new(),
        }
    }

    /// Takes a page of pairs in.
    pub(crate) fn see(&mut self, rows: &[PairRow]) {
        for row in rows {
            let reach: BrokerReach = reach(self.brokers, &row.key.broker, self.rules, self.now);
            let verdict = judge(&self.rules.freshness, &row.key, &row.facts, reach, self.now);
            for (count, state) in self.states.iter_mut().zip(FreshnessState::ALL) {
                *count += u64::from(state == verdict.state);
            }
            self.findings.extend(late(self.rules, row, reach, self.now));
            self.show_age(row);
        }
    }

    fn show_age(&mut self, row: &PairRow) {
        let Some(newest) = row.facts.last_verification else { return };
        let age = age(&self.rules.freshness.quiet, newest.at, self.now);
        let is_shown = self.oldest.len() < SHOWN
            || self.oldest.peek().is_some_and(|Reverse((youngest, ..))| *youngest < age);
        if is_shown {
            let (consumer, provider) = (row.key.consumer.clone(), row.key.provider.clone());
            self.oldest.push(Reverse((age, consumer, provider)));
        }
        if self.oldest.len() > SHOWN {
            self.oldest.pop();
        }
    }

    /// Shows the figures; of equal pairs at several brokers the oldest age.
    pub(crate) fn show(&self, metrics: &Metrics) {
        let mut shown: BTreeMap<(&str, &str), Duration> = BTreeMap::new();
        for Reverse((age, consumer, provider)) in &self.oldest {
            let oldest = shown.entry((consumer, provider)).or_default();
            *oldest = (*oldest).max(*age);
        }
        let samples = shown.into_iter().map(|((consumer, provider), age)| VerificationSample {
            consumer: consumer.to_owned(),
            provider: provider.to_owned(),
            age,
        });
        metrics.set_verification_ages(samples.collect());
        let states = FreshnessState::ALL.iter().zip(self.states);
        metrics.set_pairs(states.map(|(state, n)| (state.as_str().to_owned(), n)).collect());
    }

    /// The incidents of late pairs.
    pub(crate) fn into_findings(self) -> Vec<IncidentFinding> {
        self.findings
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use postrider_domain::{FreshnessRules, PairFacts, PairKey, QuietDays, Verified};

    use super::*;

    #[test]
    fn the_oldest_thousand_are_shown_and_all_are_counted() {
        let rules = Rules {
            sustained_failures: 3,
            sustained_for: Duration::from_mins(10),
            freshness: FreshnessRules {
                max_age: FreshnessRules::MAX_AGE,
                quiet: QuietDays::none(),
                pairs: Vec::new(),
            },
            broker_interval: Duration::from_mins(5),
        };
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let row = |number: usize| {
            let at = now - SignedDuration::from_secs(i64::try_from(number).unwrap());
            let facts = PairFacts {
                last_verification: Some(Verified { at, success: Some(true) }),
                ..PairFacts::default()
            };
            let (consumer, provider) = (format!("c{number}"), "P".to_owned());
            let key = PairKey { broker: "default".to_owned(), consumer, provider };
            PairRow { key, facts, watched: Vec::new() }
        };
        let rows: Vec<PairRow> = (0..2_500).map(row).collect();
        let mut tally = Tally::new(&rules, &[], now);
        rows.chunks(700).for_each(|page| tally.see(page));
        assert_eq!(tally.states.iter().sum::<u64>(), 2_500);
        assert_eq!(tally.oldest.len(), SHOWN);
        let youngest = tally.oldest.peek().map(|Reverse((age, ..))| age.as_secs());
        assert_eq!(youngest, Some(1_500));
    }
}
