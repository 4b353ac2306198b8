//! When a condition is an incident.
//!
//! | kind | opens when | ends when |
//! |---|---|---|
//! | `sustained_failures` | since a webhook's last success `POSTRIDER_SUSTAINED_FAILURES` different deliveries failed, over at least `POSTRIDER_SUSTAINED_FAILURES_FOR`; the streak never expires, so that a webhook used once a day alarms on its third day | it succeeds once, or its lane or the webhook itself is held: one cause is one incident |
//! | `lane_held` | a lane is held by a credential or a secret; by hand it is none | it is open, or held by hand |
//! | `lane_late` | the newest delivery that waits for a limit would leave later than `POSTRIDER_DELIVERY_OBJECTIVE` from now, because of its rate or of a pause that its target asked for; what waits in held lanes does not count | it would leave in time, or nothing waits |
//! | `webhook_held` | a webhook is parked | it is parked no more |
//! | `poison` | a delivery's claims were lost five times | seven days later, or when it is replayed |
//! | `verification_stale` | a pair owes a verification for longer than its threshold | it is verified |
//! | `verification_silent` | a broker has a publication that no event told of | an event tells of one, or it is verified and published anew |
//! | `broker_unreachable` | a broker refuses the credential, or could not be asked for a whole interval, of short ones a minute | it answers |
//! | `fact_unreadable` | a part of what is judged could not be read in three rounds | it was read |
//! | `pairs_full` | there are more pairs than are kept | all find room |
//! | `credential_expiring` | GitHub said that a secret's value expires within 14 days, or has | GitHub says otherwise, or another value is set |
//! | `first_contact` | pairs of a broker were late already when it was first asked about them | none of them is late any more |
//! | `holds_back` | what is deployed of a consumer has had no result of its provider's main head for a day | it has one, or something else is deployed |
//! | `owed_after_failure` | verifications stay owed whose deliveries by a webhook failed for good | each has a result, or was taken after all, or the webhook fails as a whole |
//! | `redispatch_gave_up` | a verification stays owed although it was dispatched again as often as it may be | it has a result, or nobody owes it any more |
//! | `relay_gone` | the webhook at a broker that relayed to here was removed, or switched off | one is there and switched on |
//! | `relay_refused` | calls of a broker's webhook are refused here for their token | one of the same webhook is taken, or none was refused for a day, for an hour where others of the broker are taken |
//! | `local_trouble` | a worker's machine can't make requests: no descriptors, ports, buffers, memory, resolver | it makes one again, or the worker is gone |

mod again;
mod credential;
mod lane;
mod mend;
mod pair;
mod relay;
mod streak;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use postrider_domain::{
    BrokerReach, FreshnessRules, HoldCause, PairKey, RedispatchMode, WebhookUuid,
};
use postrider_store::{
    BrokerRead, BrokerRelay, BrokerTrouble, CredentialRow, IncidentFinding, IncidentKind, LaneInfo,
    PairRow, ParkedWebhook, RelayCalls, Severity, StreakFact, TroubledWorker,
};
use uuid::Uuid;

use crate::debts::DebtFact;
use crate::words::age;
use mend::Mend;

/// Thresholds, from settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Different deliveries that failed in a row and open an incident, at least 1.
    pub sustained_failures: u64,
    /// How long they must have failed.
    pub sustained_for: Duration,
    /// A limit whose newest waiting delivery would leave later than this is an incident.
    pub delivery_objective: Duration,
    /// When a pair is late.
    pub freshness: FreshnessRules,
    /// How often brokers are asked.
    pub broker_interval: Duration,
    /// Whether dispatches that led to nothing are made again.
    pub redispatch: RedispatchMode,
}

/// How long a broker's answer counts, compared with how long it may fail: a read may be slow, and
/// one may fail.
const ANSWERS_COUNT_FOR: u32 = 3;
/// A broker that is asked every few seconds may fail so many times in a row, and a minute at most.
const FAILS: u32 = 12;
const FAILS_FOR: Duration = Duration::from_mins(1);

/// How long a broker's answer counts when it is asked this often.
pub fn broker_patience(interval: Duration) -> Duration {
    may_fail_for(interval).saturating_mul(ANSWERS_COUNT_FOR)
}

/// How long a broker that is asked this often may fail before that is an incident.
fn may_fail_for(interval: Duration) -> Duration {
    interval.saturating_mul(FAILS).min(FAILS_FOR).max(interval)
}

/// What the store tells of webhooks, lanes and deliveries.
#[derive(Debug, Clone, Default)]
pub struct MonitorFacts {
    /// Every webhook that is not deleted and was ever attempted.
    pub streaks: Vec<StreakFact>,
    /// Held lanes: name, cause, since, backlog.
    pub held: Vec<(String, HoldCause, Timestamp, u64)>,
    /// Webhooks that are parked.
    pub parked: Vec<ParkedWebhook>,
    /// Poisoned deliveries of the last seven days: id and webhook.
    pub poisoned: Vec<(Uuid, WebhookUuid)>,
}

/// What is judged.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Streaks, lanes, deliveries.
    pub store: MonitorFacts,
    /// Pairs.
    pub pairs: Vec<PairRow>,
    /// Whether the brokers that are asked do answer.
    pub brokers: Vec<BrokerRead>,
    /// Workers whose machine lacks something.
    pub troubled: Vec<TroubledWorker>,
    /// Secrets, with what is known of them.
    pub credentials: Vec<CredentialRow>,
    /// Lanes, with what waits in them.
    pub lanes: Vec<LaneInfo>,
    /// Debts that an event told of.
    pub debts: Vec<DebtFact>,
    /// Brokers' own webhooks.
    pub relays: RelayFacts,
}

/// Brokers' own webhooks that relay to here.
#[derive(Debug, Clone, Default)]
pub struct RelayFacts {
    /// Whether they are there.
    pub there: Vec<BrokerRelay>,
    /// Their calls.
    pub calls: Vec<RelayCalls>,
}

impl Facts {
    /// Whether the broker tells of verifications when it is asked.
    pub fn reach(&self, broker: &str, rules: &Rules, now: Timestamp) -> BrokerReach {
        reach(&self.brokers, broker, rules, now)
    }
}

/// Whether a broker tells of verifications when it is asked.
pub(crate) fn reach(
    brokers: &[BrokerRead],
    broker: &str,
    rules: &Rules,
    now: Timestamp,
) -> BrokerReach {
    let read = brokers.iter().find(|read| read.broker == broker);
    read.map_or(BrokerReach::NotAsked, |read| {
        read.reach(now, broker_patience(rules.broker_interval))
    })
}

/// Whether a pair's verification was late already when its broker was first asked about it.
pub(crate) fn was_late_when_met(
    rules: &Rules,
    row: &PairRow,
    reach: BrokerReach,
    now: Timestamp,
) -> bool {
    pair::was_late_when_met(&rules.freshness, row, reach, now)
}

/// The incident of so many pairs of a broker that were late already when it was first asked.
pub(crate) fn first_contact(broker: &str, pairs: u64, one: &PairKey) -> IncidentFinding {
    pair::first_contact(broker, pairs, one)
}

/// The incident of a pair whose deployed content holds its provider back.
pub(crate) fn holds_back(
    row: &PairRow,
    reach: BrokerReach,
    now: Timestamp,
) -> Option<IncidentFinding> {
    pair::holds_back(row, reach, now)
}

/// The incident of a pair whose verification is late.
pub(crate) fn late(
    rules: &Rules,
    row: &PairRow,
    reach: BrokerReach,
    now: Timestamp,
) -> Option<IncidentFinding> {
    pair::late(&rules.freshness, row, reach, now)
}

/// The table of pairs is full: `refused` found no room in this round.
pub(crate) fn pairs_full(most: u64, refused: u64) -> IncidentFinding {
    IncidentFinding {
        kind: IncidentKind::PairsFull,
        subject: "pairs".to_owned(),
        cause: "full",
        severity: Severity::Warning,
        summary: format!(
            "There are {most} pairs of consumers and providers, which is as many as are kept: \
             {refused} more are not watched; a shorter POSTRIDER_RETENTION lets those go sooner \
             that nothing names any more"
        ),
        next: "postrider config show".to_owned(),
    }
}

/// All conditions that hold now.
pub fn evaluate(rules: &Rules, facts: &Facts, now: Timestamp) -> Vec<IncidentFinding> {
    let mend = Mend::new(&facts.credentials);
    let streaks = facts
        .store
        .streaks
        .iter()
        .filter(|streak| is_sustained(streak, rules, now) && !is_explained(streak, &facts.store))
        .map(|streak| streak::sustained(streak, mend, now));
    let held = facts.store.held.iter().filter_map(|(lane, cause, since, backlog)| {
        lane_held((lane, *cause, *since), *backlog, mend, now)
    });
    let slow = lane::late(&facts.lanes, rules.delivery_objective, now);
    let parked = facts.store.parked.iter().map(|parked| webhook_held(parked, mend, now));
    let poisoned = facts.store.poisoned.iter().map(|(delivery, webhook)| IncidentFinding {
        kind: IncidentKind::Poison,
        subject: delivery.to_string(),
        cause: "poison",
        severity: Severity::Warning,
        summary: format!(
            "Delivery {delivery} of webhook {webhook} was claimed five times by workers that \
             were not heard of again; it is set aside"
        ),
        next: format!("postrider deliveries show {delivery}"),
    });
    let late = facts.pairs.iter().filter_map(|row| {
        pair::late(&rules.freshness, row, facts.reach(&row.key.broker, rules, now), now)
    });
    let brokers = facts
        .brokers
        .iter()
        .filter_map(|read| broker_unreachable(read, may_fail_for(rules.broker_interval), now));
    let troubled = facts.troubled.iter().map(|worker| local_trouble(worker, now));
    let failed =
        again::failed(&facts.debts, |webhook| is_told_of(webhook, rules, &facts.store, now));
    let given_up = facts
        .debts
        .iter()
        .filter_map(|debt| again::given_up(rules.redispatch, &rules.freshness, debt));
    let expiring = facts.credentials.iter().filter_map(|one| credential::expiring(one, now));
    streaks
        .chain(held)
        .chain(slow)
        .chain(parked)
        .chain(poisoned)
        .chain(late)
        .chain(brokers)
        .chain(troubled)
        .chain(expiring)
        .chain(failed)
        .chain(given_up)
        .chain(facts.relays.there.iter().filter_map(|one| relay::gone(one, now)))
        .chain(facts.relays.calls.iter().filter_map(|calls| relay::refused(calls, now)))
        .collect()
}

fn is_sustained(streak: &StreakFact, rules: &Rules, now: Timestamp) -> bool {
    let least = SignedDuration::try_from(rules.sustained_for).unwrap_or(SignedDuration::MAX);
    let lasts = |since| now.duration_since(since) >= least;
    streak.deliveries.min(streak.failures) >= rules.sustained_failures.max(1)
        && streak.since.is_some_and(lasts)
}

/// Whether a webhook has an incident of its own.
fn is_told_of(webhook: &WebhookUuid, rules: &Rules, store: &MonitorFacts, now: Timestamp) -> bool {
    let fails =
        |streak: &StreakFact| streak.webhook == *webhook && is_sustained(streak, rules, now);
    store.streaks.iter().any(fails) || store.parked.iter().any(|parked| parked.uuid == *webhook)
}

/// Held, the lane or the webhook has an incident of its own that says why.
fn is_explained(streak: &StreakFact, store: &MonitorFacts) -> bool {
    store.held.iter().any(|(lane, ..)| *lane == streak.lane)
        || store.parked.iter().any(|parked| parked.uuid == streak.webhook)
}

fn local_trouble(troubled: &TroubledWorker, now: Timestamp) -> IncidentFinding {
    let worker = troubled.worker.0;
    IncidentFinding {
        kind: IncidentKind::LocalTrouble,
        subject: worker.to_string(),
        cause: "local_trouble",
        severity: Severity::Critical,
        summary: format!(
            "Worker {worker} can't make requests for {}: {}; what it can't send waits, none is \
             dropped and no target is blamed",
            age(troubled.since, now),
            troubled.what
        ),
        next: "postrider deliveries list --status queued".to_owned(),
    }
}

fn lane_held(
    (lane, cause, since): (&str, HoldCause, Timestamp),
    backlog: u64,
    mend: Mend<'_>,
    now: Timestamp,
) -> Option<IncidentFinding> {
    let (why, next) = match cause {
        HoldCause::Credential => (mend.refused(lane), mend.secret(lane, "new-token")),
        HoldCause::SecretMissing => ("a secret has no value", mend.secret(lane, "token")),
        HoldCause::SecretUnusable => ("a secret's value can't be sent", mend.secret(lane, "token")),
        // Whoever held it knows.
        HoldCause::Manual => return None,
    };
    Some(IncidentFinding {
        kind: IncidentKind::LaneHeld,
        subject: lane.to_owned(),
        cause: cause.as_str(),
        severity: Severity::Critical,
        summary: format!(
            "Lane {lane} is held for {}: {why}; {}",
            age(since, now),
            waiting(backlog)
        ),
        next,
    })
}

/// `1 delivery waits, it is not dropped`.
fn waiting(backlog: u64) -> String {
    match backlog {
        1 => "1 delivery waits, it is not dropped".to_owned(),
        many => format!("{many} deliveries wait, none is dropped"),
    }
}

fn webhook_held(parked: &ParkedWebhook, mend: Mend<'_>, now: Timestamp) -> IncidentFinding {
    let ParkedWebhook { uuid, lane, cause, since, backlog, .. } = parked;
    let why = match cause {
        HoldCause::Credential | HoldCause::Manual => {
            "its target refused the credential, and no other webhook of its lane was refused"
        }
        HoldCause::SecretMissing => "a secret that it uses has no value",
        HoldCause::SecretUnusable => "the value of a secret that it uses can't be sent",
    };
    IncidentFinding {
        kind: IncidentKind::WebhookHeld,
        subject: uuid.to_string(),
        cause: cause.as_str(),
        severity: Severity::Critical,
        summary: format!(
            "Webhook {uuid} of lane {lane} is held for {}: {why}; {}",
            age(*since, now),
            waiting(*backlog)
        ),
        next: mend
            .own_secret(lane, "new-token")
            .unwrap_or_else(|| format!("postrider webhooks test {uuid}")),
    }
}

fn broker_unreachable(
    read: &BrokerRead,
    patience: Duration,
    now: Timestamp,
) -> Option<IncidentFinding> {
    let (since, trouble, detail) = read.failing.as_ref()?;
    let patience = SignedDuration::try_from(patience).unwrap_or(SignedDuration::MAX);
    let is_certain = *trouble == BrokerTrouble::Credential;
    if !is_certain && now.duration_since(*since) < patience {
        return None;
    }
    let next = match trouble {
        BrokerTrouble::Credential => "postrider config show".to_owned(),
        BrokerTrouble::Away | BrokerTrouble::RateLimited | BrokerTrouble::Unexpected => {
            "postrider check verification --all-pairs --max-age 24h".to_owned()
        }
    };
    Some(IncidentFinding {
        kind: IncidentKind::BrokerUnreachable,
        subject: read.broker.clone(),
        cause: trouble.as_str(),
        severity: Severity::Warning,
        summary: format!(
            "Broker \"{}\" can't be asked for verifications for {}: {detail}; until it can, no \
             pair is called late because of it",
            read.broker,
            age(*since, now)
        ),
        next,
    })
}

#[cfg(test)]
mod tests;
