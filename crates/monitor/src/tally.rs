//! What comes of all pairs, page by page: late ones, how many are in which state, and the oldest
//! verifications. Memory does not grow with the pairs.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use jiff::Timestamp;
use postrider_domain::{BrokerReach, FreshnessState, Learned, PairKey, Silence, age, judge};
use postrider_store::{BrokerRead, IncidentFinding, PairRow};
use postrider_telemetry::{Metrics, VerificationSample};

use crate::failed_runs::{Doubt, MOST as DOUBTS_MOST};
use crate::rules::{Rules, first_contact, holds_back, late, reach, was_late_when_met};

/// Pairs whose age is shown by name.
const SHOWN: usize = 1_000;

/// Judges pairs and keeps what is to be told and shown.
#[derive(Debug)]
pub struct Tally<'a> {
    rules: &'a Rules,
    brokers: &'a [BrokerRead],
    now: Timestamp,
    findings: Vec<IncidentFinding>,
    /// By broker how many pairs were late when it was met, and one of them.
    late_when_met: BTreeMap<String, (u64, PairKey)>,
    states: [u64; FreshnessState::ALL.len()],
    /// Pairs whose runs tell whether they are late.
    doubts: Vec<Doubt>,
    /// By broker and provider what speaks for its silence, and whether it was silent before.
    silences: BTreeMap<(String, String), (Silence, bool)>,
    /// The youngest of them on top.
    oldest: BinaryHeap<Reverse<(Duration, String, String, Duration)>>,
}

impl<'a> Tally<'a> {
    /// Nothing was seen yet. Brokers are those that are asked.
    pub fn new(rules: &'a Rules, brokers: &'a [BrokerRead], now: Timestamp) -> Self {
        Self {
            rules,
            brokers,
            now,
            findings: Vec::new(),
            late_when_met: BTreeMap::new(),
            states: [0; FreshnessState::ALL.len()],
            doubts: Vec::new(),
            silences: BTreeMap::new(),
            oldest: BinaryHeap::new(),
        }
    }

    /// Takes a page of pairs in.
    pub fn see(&mut self, rows: &[PairRow]) {
        for row in rows {
            let reach: BrokerReach = reach(self.brokers, &row.key.broker, self.rules, self.now);
            let verdict = judge(&self.rules.freshness, &row.key, &row.facts, reach, self.now);
            for (count, state) in self.states.iter_mut().zip(FreshnessState::ALL) {
                *count += u64::from(state == verdict.state);
            }
            if was_late_when_met(self.rules, row, reach, self.now) {
                let broker = row.key.broker.clone();
                let met = self.late_when_met.entry(broker);
                met.or_insert_with(|| (0, row.key.clone())).0 += 1;
            } else {
                self.findings.extend(late(self.rules, row, reach, self.now));
            }
            self.findings.extend(holds_back(row, reach, self.now));
            self.listen(row);
            if self.doubts.len() < DOUBTS_MOST {
                let freshness = &self.rules.freshness;
                self.doubts.extend(Doubt::of(row, &verdict, freshness, self.now));
            }
            self.show_age(row, verdict.max_age);
        }
    }

    /// What the pair says of its provider's silence.
    fn listen(&mut self, row: &PairRow) {
        let Some(Learned { threshold: Some(threshold), is_silent, .. }) = row.facts.learned else {
            return;
        };
        let provider = (row.key.broker.clone(), row.key.provider.clone());
        let heard = self.silences.entry(provider).or_insert((Silence::default(), is_silent));
        let last_result = row.facts.last_verification.map(|newest| newest.at);
        let quiet = &self.rules.freshness.quiet;
        heard.0.see(last_result, row.facts.asked_since(), threshold, (quiet, self.now));
    }

    /// Providers, by broker and name, that fell silent or gave results again.
    pub fn silences(&self) -> Vec<(String, String, bool)> {
        let changed = self.silences.iter().filter_map(|((broker, provider), (silence, was))| {
            let is = silence.is_confirmed();
            (is != *was).then(|| (broker.clone(), provider.clone(), is))
        });
        changed.collect()
    }

    /// Pairs that are late by the times of their provider, as far as nothing else says so.
    pub(crate) fn doubts(&self) -> &[Doubt] {
        &self.doubts
    }

    fn show_age(&mut self, row: &PairRow, max_age: Duration) {
        let Some(newest) = row.facts.last_verification else { return };
        let age = age(&self.rules.freshness.quiet, newest.at, self.now);
        let is_shown = self.oldest.len() < SHOWN
            || self.oldest.peek().is_some_and(|Reverse((youngest, ..))| *youngest < age);
        if is_shown {
            let (consumer, provider) = (row.key.consumer.clone(), row.key.provider.clone());
            self.oldest.push(Reverse((age, consumer, provider, max_age)));
        }
        if self.oldest.len() > SHOWN {
            self.oldest.pop();
        }
    }

    /// Shows the figures; of equal pairs at several brokers the oldest age.
    pub fn show(&self, metrics: &Metrics) {
        let mut shown: BTreeMap<(&str, &str), (Duration, Duration)> = BTreeMap::new();
        for Reverse((age, consumer, provider, max_age)) in &self.oldest {
            let oldest = shown.entry((consumer, provider)).or_default();
            *oldest = (*oldest).max((*age, *max_age));
        }
        let sample = |((consumer, provider), (age, max_age)): ((&str, &str), _)| {
            let (consumer, provider) = (consumer.to_owned(), provider.to_owned());
            VerificationSample { consumer, provider, age, max_age }
        };
        metrics.set_verification_ages(shown.into_iter().map(sample).collect());
        let states = FreshnessState::ALL.iter().zip(self.states);
        metrics.set_pairs(states.map(|(state, n)| (state.as_str().to_owned(), n)).collect());
    }

    /// The incidents of late pairs.
    pub fn into_findings(self) -> Vec<IncidentFinding> {
        let met = self.late_when_met.iter();
        let met = met.map(|(broker, (pairs, one))| first_contact(broker, *pairs, one));
        self.findings.into_iter().chain(met).collect()
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use postrider_domain::owed::Due;
    use postrider_domain::{
        BrokerSays, FreshnessRules, PairFacts, QuietDays, RedispatchMode, SaidDebt, SaidHold,
        Verified,
    };
    use postrider_store::{BrokerTrouble, IncidentKind};

    use super::*;

    #[test]
    fn the_oldest_thousand_are_shown_and_all_are_counted() {
        let rules = rules();
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

    fn rules() -> Rules {
        Rules {
            sustained_failures: 3,
            sustained_for: Duration::from_mins(10),
            delivery_objective: Duration::from_mins(5),
            freshness: FreshnessRules {
                max_age: None,
                quiet: QuietDays::none(),
                pairs: Vec::new(),
                is_watched: true,
            },
            broker_interval: Duration::from_secs(5),
            redispatch: RedispatchMode::On,
        }
    }

    /// A pair of a broker that was first asked 30 hours ago, of which a version has owed, and a
    /// head was held back, for so many hours.
    fn row(now: Timestamp, number: usize, owing: i64, held: Option<i64>) -> PairRow {
        let ago = |hours| now - SignedDuration::from_hours(hours);
        let debt = SaidDebt {
            consumer_version: "1".to_owned(),
            lines: vec!["main".to_owned()],
            provider_version: "p".to_owned(),
            branch: None,
            because: vec!["main".to_owned()],
            due: Due::Published,
            blocking: false,
            since: ago(owing),
            is_begin_seen: false,
        };
        let of_hours = |hours| SaidHold {
            consumer_version: "1".to_owned(),
            lines: vec!["deployed:prod".to_owned()],
            provider_version: "p".to_owned(),
            since: ago(hours),
        };
        let says = BrokerSays {
            owes: vec![debt],
            holds_back: held.map(of_hours).into_iter().collect(),
            trouble: None,
            ..BrokerSays::troubled(None, String::new(), ago(30))
        };
        let facts = PairFacts { says: Some(says), ..PairFacts::default() };
        let (consumer, provider) = (format!("c{number}"), "P".to_owned());
        let key = PairKey { broker: "default".to_owned(), consumer, provider };
        PairRow { key, facts, watched: Vec::new() }
    }

    fn found(rows: &[PairRow], now: Timestamp) -> Vec<(IncidentKind, String)> {
        let answers =
            BrokerRead { broker: "default".to_owned(), answered_at: Some(now), failing: None };
        found_where(rows, answers, now)
    }

    fn found_where(
        rows: &[PairRow],
        answers: BrokerRead,
        now: Timestamp,
    ) -> Vec<(IncidentKind, String)> {
        let (rules, brokers) = (rules(), [answers]);
        let mut tally = Tally::new(&rules, &brokers, now);
        tally.see(rows);
        let findings = tally.into_findings().into_iter();
        findings.map(|finding| (finding.kind, finding.subject)).collect()
    }

    #[test]
    fn what_was_late_when_the_broker_was_met_is_one_incident() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        // 400 that were late already, one that became late since, one that is not late.
        let mut rows: Vec<PairRow> = (0..400).map(|number| row(now, number, 90, None)).collect();
        rows.push(row(now, 400, 25, None));
        rows.push(row(now, 401, 20, None));
        let expected = [
            (IncidentKind::VerificationStale, "default/c400/P".to_owned()),
            (IncidentKind::FirstContact, "default".to_owned()),
        ];
        assert_eq!(found(&rows, now), expected);
    }

    #[test]
    fn a_provider_that_is_held_back_for_a_day_is_an_incident() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        for (hours, expected) in [(24, 0), (25, 1)] {
            let found = found(&[row(now, 1, 1, Some(hours))], now);
            assert_eq!(found.len(), expected, "{found:?}");
            assert!(found.iter().all(|(kind, _)| *kind == IncidentKind::HoldsBack));
        }
    }
    #[test]
    fn while_its_broker_is_away_nobody_is_held_back_for_longer() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let ago = |hours| now - SignedDuration::from_hours(hours);
        let away = |answered| BrokerRead {
            broker: "default".to_owned(),
            answered_at: Some(ago(answered)),
            failing: Some((ago(answered), BrokerTrouble::Away, "connection refused".to_owned())),
        };
        let kinds = |held, answered| {
            let found = found_where(&[row(now, 1, 1, Some(held))], away(answered), now);
            found.into_iter().map(|(kind, _)| kind).collect::<Vec<_>>()
        };
        // It was held back for an hour when the broker went, and for 26.
        assert_eq!(kinds(24, 23), []);
        assert_eq!(kinds(49, 23), [IncidentKind::HoldsBack]);
    }
}
