//! What was found, for people and for programs.

use std::time::Duration;

use jiff::Timestamp;
use postrider_domain::owed::PairState;
use postrider_domain::print_duration;
use serde_json::{Value, json};

use super::judge::{Answer, Finding, Newest, severity};
use super::rule::Owes;
use crate::broker::failure;
use crate::{Exit, Out, complain, printable, seconds};

/// Troubles that are told one by one on standard error.
const MAX_TOLD: usize = 10;

/// A check that was carried out.
#[derive(Debug, Clone)]
pub(super) struct Report {
    /// The broker's address.
    pub(super) broker: String,
    pub(super) checked_at: Timestamp,
    /// Never empty.
    pub(super) findings: Vec<Finding>,
}

impl Report {
    /// The worst of all pairs; "nothing was checked" is never fine.
    pub(super) fn exit(&self) -> Exit {
        let exits = self.findings.iter().filter_map(|finding| finding.answer.exit());
        exits.max_by_key(|exit| severity(*exit)).unwrap_or(Exit::Usage)
    }

    /// How many pairs are fresh, or owe nothing that is late.
    pub(super) fn fresh(&self) -> usize {
        self.findings.iter().filter(|finding| finding.is_fresh()).count()
    }

    /// The findings, worst first.
    pub(super) fn worst_first(&self) -> Vec<&Finding> {
        let mut findings: Vec<&Finding> = self.findings.iter().collect();
        findings.sort_by_key(|finding| {
            // What was not asked follows the trouble that kept it from being asked.
            std::cmp::Reverse(finding.answer.exit().map_or(1, severity))
        });
        findings
    }

    /// `12 pairs checked: 10 fresh, 2 not`.
    pub(super) fn total(&self) -> String {
        let (all, fresh) = (self.findings.len(), self.fresh());
        let pairs = if all == 1 { "pair" } else { "pairs" };
        format!("{all} {pairs} checked: {fresh} fresh, {} not", all - fresh)
    }

    /// A sentence for one pair, a table for several.
    pub(super) fn text(&self, out: &mut Out) {
        if let [finding] = &self.findings[..] {
            if !finding.is_trouble() {
                out.line(finding.sentence());
            }
            return;
        }
        let rows = self.findings.iter().map(Finding::cells).collect();
        out.table(&COLUMNS, rows, "");
        out.line(self.total());
    }

    /// Says on standard error what kept pairs from being judged.
    pub(super) fn complain(&self) {
        let mut told: Vec<String> = Vec::new();
        let troubles = self.findings.iter().filter_map(Finding::trouble);
        for (message, fix) in troubles {
            if told.len() < MAX_TOLD && !told.contains(&message) {
                complain(&format!("error: {}\nfix: {fix}", printable(&message)));
                told.push(message);
            }
        }
    }

    /// The document of `-o json`.
    pub(super) fn json(&self) -> Value {
        json!({
            "broker": self.broker,
            "checked_at": self.checked_at,
            "result": self.worst_first().first().map(|finding| finding.answer.name()),
            "exit_code": self.exit().code(),
            "pairs": self.findings.iter().map(Finding::json).collect::<Vec<_>>(),
        })
    }
}

/// The columns of [`Finding::cells`].
pub(super) const COLUMNS: [&str; 7] =
    ["consumer", "provider", "state", "age", "allowed", "verified at", "result"];

impl Finding {
    /// Verified, or not late.
    pub(super) fn is_fresh(&self) -> bool {
        self.answer.exit() == Some(Exit::Fine)
    }

    /// Neither yes nor no.
    fn is_trouble(&self) -> bool {
        self.trouble().is_some()
    }

    /// What kept the pair from being judged, and what to do.
    fn trouble(&self) -> Option<(String, String)> {
        match &self.answer {
            Answer::UnknownName(_) => {
                Some((self.detail(), "write the names as the broker shows them".to_owned()))
            }
            Answer::Failed(error) => {
                let failure = failure(error);
                Some((failure.message, failure.fix.unwrap_or_default()))
            }
            Answer::Judged(..)
            | Answer::Fresh(_)
            | Answer::Stale(_)
            | Answer::Unverified { .. }
            | Answer::NotAsked => None,
        }
    }

    /// `checkout -> billing: stale, verified 2d 4h ago (…); at most 24h are allowed`.
    pub(super) fn sentence(&self) -> String {
        let pair = &self.question.pair;
        let (consumer, provider) = (printable(&pair.consumer), printable(&pair.provider));
        format!("{consumer} -> {provider}: {}, {}", self.answer.name(), self.detail())
    }

    fn detail(&self) -> String {
        let allowed = print_duration(self.question.max_age);
        let text = match &self.answer {
            Answer::Judged(owes, newest) => self.judged(owes, newest.as_ref()),
            Answer::Fresh(newest) | Answer::Stale(newest) => {
                format!("{}; at most {allowed} is allowed", self.verified(newest))
            }
            Answer::Unverified { published_at: None } => {
                "there is no contract between them, as far as was asked".to_owned()
            }
            Answer::Unverified { published_at: Some(at) } => {
                format!("no result that counts; the newest contract was published at {at}")
            }
            Answer::UnknownName(names) => {
                let names = names.iter().map(|(name, hint)| format!("{name:?}{hint}"));
                let names = names.collect::<Vec<_>>().join("; ");
                format!("the broker knows no pacticipant named {names}")
            }
            Answer::Failed(error) => error.to_string(),
            Answer::NotAsked => "not asked, because the broker was in trouble".to_owned(),
        };
        printable(&text)
    }

    fn judged(&self, owes: &Owes, newest: Option<&Newest>) -> String {
        let provider = &self.question.pair.provider;
        let allowed = print_duration(self.question.max_age);
        let verified = newest.map(|newest| self.verified(newest)).into_iter();
        let parts: Vec<String> = match owes.judged.state {
            _ if owes.is_dropped => {
                vec![format!("the consumer has no contract with {provider} any more")]
            }
            PairState::Unguarded => vec![format!(
                "no version of {provider} counts, as far as was asked: it has no head of a main \
                 branch, and nothing of it is deployed, released or tagged there"
            )],
            PairState::Fresh => {
                let counts = owes.counts.join(", ");
                verified
                    .chain([format!("every version that counts has a result: {counts}")])
                    .collect()
            }
            PairState::Failed | PairState::Stale | PairState::Owing => {
                let allowed = format!("at most {allowed} is allowed");
                owes.sentences(provider).into_iter().chain([allowed]).collect()
            }
        };
        parts.join("; ")
    }

    fn verified(&self, newest: &Newest) -> String {
        let pair = &self.question.pair;
        format!(
            "verified {} ago ({}: {} {} against {} {})",
            seconds(newest.age.as_secs_f64()),
            result(newest.success),
            pair.provider,
            newest.provider_version,
            pair.consumer,
            newest.consumer_version,
        )
    }

    /// One cell for each of [`COLUMNS`].
    pub(super) fn cells(&self) -> Vec<String> {
        let newest = self.answer.newest();
        let dash = || "-".to_owned();
        vec![
            self.question.pair.consumer.clone(),
            self.question.pair.provider.clone(),
            self.answer.name().to_owned(),
            self.age().map_or_else(dash, |age| seconds(age.as_secs_f64())),
            print_duration(self.question.max_age),
            newest.map_or_else(dash, |newest| newest.verified_at.to_string()),
            newest.map_or_else(dash, |newest| result(newest.success).to_owned()),
        ]
    }

    /// Age of what is owed, else of the newest result.
    fn age(&self) -> Option<Duration> {
        let owed = match &self.answer {
            Answer::Judged(owes, _) => owes.age,
            _ => None,
        };
        owed.or(self.answer.newest().map(|newest| newest.age))
    }

    fn json(&self) -> Value {
        let newest = self.answer.newest();
        let mut document = json!({
            "consumer": self.question.pair.consumer,
            "provider": self.question.pair.provider,
            "state": self.answer.name(),
            "detail": self.detail(),
            "max_age_seconds": whole(self.question.max_age),
            "age_seconds": self.age().map(whole),
            "verified_at": newest.map(|newest| newest.verified_at),
            "success": newest.map(|newest| newest.success),
            "consumer_version": newest.map(|newest| &newest.consumer_version),
            "provider_version": newest.map(|newest| &newest.provider_version),
            "verification_url": newest.map(|newest| &newest.url),
        });
        if let Answer::Judged(owes, _) = &self.answer {
            for (name, list) in owes.lists() {
                document[name] = list;
            }
            // Relayed events alone can't tell what counts, and this command hears of none.
            document["basis"] = json!("broker");
        }
        document
    }
}

fn result(success: bool) -> &'static str {
    if success { "success" } else { "failure" }
}

fn whole(time: Duration) -> u64 {
    time.as_secs()
}
