//! Pairs whose verification is late.

use jiff::{SignedDuration, Timestamp};
use postrider_domain::{
    BrokerReach, BrokerSays, FreshnessRules, FreshnessState, PairFacts, PairKey, Verdict, judge,
    print_duration,
};
use postrider_store::{IncidentFinding, IncidentKind, PairRow, Severity};

use crate::words::{quoted, told_duration};

/// How long a deployed content may hold its provider's main head back.
const HOLDS_BACK: SignedDuration = SignedDuration::from_hours(24);

/// The incident of a deployed content that has held its provider's main head back for a day. What
/// a broker that is away does not tell holds nobody back for longer than it was seen to.
pub(super) fn holds_back(
    row: &PairRow,
    reach: BrokerReach,
    now: Timestamp,
) -> Option<IncidentFinding> {
    let says = row.facts.says.as_ref()?;
    let seen_at = match reach {
        BrokerReach::Answers => now,
        BrokerReach::Away { answered_at } => answered_at?.min(now),
        BrokerReach::NotAsked => return None,
    };
    let longest = says.holds_back.iter().min_by_key(|hold| hold.since)?;
    let passed = seen_at.duration_since(longest.since);
    if says.trouble.is_some() || passed <= HOLDS_BACK {
        return None;
    }
    let summary = format!(
        "{} has no result of {} {}, the head of its main branch, for {}: what is deployed of {} \
         ({}) stops the deployment of that version",
        name(&row.key),
        row.key.provider,
        longest.provider_version,
        told_duration(passed),
        row.key.consumer,
        longest.lines.join(", "),
    );
    Some(IncidentFinding {
        kind: IncidentKind::HoldsBack,
        subject: row.key.to_string(),
        cause: "no_result",
        severity: Severity::Warning,
        summary,
        next: format!("postrider check verification {} --max-age 24h", options(&row.key)),
    })
}

/// Whether a pair is late that was so already when its broker was first asked about it. A critical
/// one is told of by itself all the same.
pub(super) fn was_late_when_met(
    rules: &FreshnessRules,
    row: &PairRow,
    reach: BrokerReach,
    now: Timestamp,
) -> bool {
    let verdict = judge(rules, &row.key, &row.facts, reach, now);
    let is_old = |says: &BrokerSays| says.was_late_when_met(verdict.max_age, &rules.quiet);
    verdict.state == FreshnessState::Stale
        && !verdict.critical
        && row.facts.says.as_ref().is_some_and(is_old)
}

/// The incident of pairs that were late already when their broker was met: so many, and one of
/// them.
pub(super) fn first_contact(broker: &str, pairs: u64, one: &PairKey) -> IncidentFinding {
    let (others, verb) = if pairs == 1 { ("pair", "was") } else { ("pairs", "were") };
    IncidentFinding {
        kind: IncidentKind::FirstContact,
        subject: broker.to_owned(),
        cause: "late_when_met",
        severity: Severity::Warning,
        summary: format!(
            "{pairs} {others} of broker \"{broker}\" {verb} late already when it was first asked, \
             e.g. {}; none of them is told of by itself",
            name(one),
        ),
        next: format!("postrider freshness --state stale {}", option("--broker", broker)),
    }
}

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
