//! Pairs whose verification is late.

use jiff::{SignedDuration, Timestamp};
use postrider_domain::{
    BrokerReach, FreshnessRules, FreshnessState, PairFacts, PairKey, Verdict, judge, print_duration,
};
use postrider_store::{IncidentFinding, IncidentKind, PairRow, Severity};

use super::{quoted, told_duration};

/// The incident of a pair that is late.
pub(super) fn late(
    rules: &FreshnessRules,
    row: &PairRow,
    reach: BrokerReach,
    now: Timestamp,
) -> Option<IncidentFinding> {
    let verdict = judge(rules, &row.key, &row.facts, reach, now);
    let (kind, cause, summary, next) = match verdict.state {
        FreshnessState::Stale => stale(&row.key, &row.facts, &verdict),
        FreshnessState::Silent => silent(&row.key, &row.facts, now),
        // Whoever wants to know asks; nothing is late.
        FreshnessState::Failed
        | FreshnessState::Unguarded
        | FreshnessState::Owing
        | FreshnessState::Fresh
        | FreshnessState::Unknown => return None,
    };
    let severity = if verdict.critical { Severity::Critical } else { Severity::Warning };
    Some(IncidentFinding { kind, subject: row.key.to_string(), cause, severity, summary, next })
}

type Told = (IncidentKind, &'static str, String, String);

fn stale(key: &PairKey, facts: &PairFacts, verdict: &Verdict) -> Told {
    let dispatch = facts.last_dispatch.filter(|at| Some(*at) >= facts.owed_since());
    let (cause, why, next) = match dispatch {
        None => (
            "not_dispatched",
            "nothing was delivered for it since".to_owned(),
            format!("postrider deliveries list {}", options(key)),
        ),
        Some(at) => (
            "not_verified",
            format!("the provider was told at {at}, and no result came"),
            check(key, verdict),
        ),
    };
    let summary = format!(
        "The contract of {} waits for a verification for {}, longer than {}: {why}",
        name(key),
        told_age(verdict),
        print_duration(verdict.max_age),
    );
    (IncidentKind::VerificationStale, cause, summary, next)
}

fn silent(key: &PairKey, facts: &PairFacts, now: Timestamp) -> Told {
    let published = facts.says.as_ref().and_then(|says| says.untold(facts.told_publication, now));
    let at = published.map_or_else(String::new, |at| format!(" at {at}"));
    let last = facts
        .told_publication
        .map_or_else(|| "none ever came".to_owned(), |told| format!("the last one came at {told}"));
    let summary = format!(
        "The broker has a contract of {} that was published{at}, and no event told of it ({last}): \
         the broker's webhook does not reach postrider",
        name(key),
    );
    let next = "postrider reconcile --since 1d".to_owned();
    (IncidentKind::VerificationSilent, "no_event", summary, next)
}

fn name(key: &PairKey) -> String {
    format!("\"{}\" with \"{}\" at broker \"{}\"", key.consumer, key.provider, key.broker)
}

fn told_age(verdict: &Verdict) -> String {
    let age = SignedDuration::try_from(verdict.age.unwrap_or_default());
    told_duration(age.unwrap_or(SignedDuration::MAX))
}

fn check(key: &PairKey, verdict: &Verdict) -> String {
    let most = print_duration(verdict.max_age);
    format!("postrider check verification {} --max-age {most}", options(key))
}

fn options(key: &PairKey) -> String {
    format!("{} {}", option("--consumer", &key.consumer), option("--provider", &key.provider))
}

/// A name that begins like an option has to be tied to its option.
fn option(option: &str, name: &str) -> String {
    let between = if name.starts_with('-') { '=' } else { ' ' };
    format!("{option}{between}{}", quoted(name))
}
