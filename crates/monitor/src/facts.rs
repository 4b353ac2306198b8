//! What is judged is read fact by fact: each has its own deadline, and one that can't be read
//! keeps no other from being judged.

use std::collections::BTreeMap;
use std::time::Duration;

use postrider_store::{IncidentFinding, IncidentKind, Severity, Store, StoreError};
use tokio::time::timeout;

use crate::rules::RelayFacts;

/// Rounds after which a fact that can't be read is an incident.
const ROUNDS: u32 = 3;
/// How long one fact may take: a statement of the store, and a moment.
const DEADLINE: Duration = Duration::from_secs(20);
/// How long pairs may take, which are many statements.
const PAIRS_DEADLINE: Duration = Duration::from_mins(2);

/// A part of what is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fact {
    /// Failures of webhooks in a row.
    Streaks,
    /// Lanes that are held.
    HeldLanes,
    /// What waits in lanes.
    Lanes,
    /// Webhooks that are parked.
    ParkedWebhooks,
    /// Deliveries that were set aside.
    Poisoned,
    /// Whether brokers answer.
    Brokers,
    /// What the machines of workers lack.
    Workers,
    /// What is known of credentials.
    Credentials,
    /// Debts that events told of.
    Debts,
    /// Brokers' own webhooks, and their calls.
    Relays,
    /// Pairs of consumers and providers.
    Pairs,
}

impl Fact {
    /// Its name in incidents and logs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Streaks => "streaks",
            Self::HeldLanes => "held_lanes",
            Self::Lanes => "lanes",
            Self::ParkedWebhooks => "parked_webhooks",
            Self::Poisoned => "poisoned",
            Self::Brokers => "brokers",
            Self::Workers => "workers",
            Self::Credentials => "credentials",
            Self::Debts => "debts",
            Self::Relays => "relays",
            Self::Pairs => "pairs",
        }
    }

    /// What can't be judged without it.
    fn kinds(self) -> &'static [IncidentKind] {
        match self {
            Self::Streaks => &[IncidentKind::SustainedFailures, IncidentKind::OwedAfterFailure],
            Self::HeldLanes => &[IncidentKind::LaneHeld],
            Self::Lanes => &[IncidentKind::LaneLate],
            Self::ParkedWebhooks => &[IncidentKind::WebhookHeld],
            Self::Poisoned => &[IncidentKind::Poison],
            Self::Brokers => &[
                IncidentKind::BrokerUnreachable,
                IncidentKind::VerificationStale,
                IncidentKind::VerificationSilent,
                IncidentKind::FirstContact,
                IncidentKind::HoldsBack,
            ],
            Self::Workers => &[IncidentKind::LocalTrouble],
            Self::Credentials => &[IncidentKind::CredentialExpiring],
            Self::Debts => &[IncidentKind::OwedAfterFailure, IncidentKind::RedispatchGaveUp],
            Self::Relays => &[IncidentKind::RelayGone, IncidentKind::RelayRefused],
            Self::Pairs => &[
                IncidentKind::VerificationStale,
                IncidentKind::VerificationSilent,
                IncidentKind::FirstContact,
                IncidentKind::HoldsBack,
                IncidentKind::PairsFull,
            ],
        }
    }

    fn deadline(self) -> Duration {
        match self {
            Self::Pairs => PAIRS_DEADLINE,
            Self::Streaks
            | Self::HeldLanes
            | Self::Lanes
            | Self::ParkedWebhooks
            | Self::Poisoned
            | Self::Brokers
            | Self::Workers
            | Self::Credentials
            | Self::Debts
            | Self::Relays => DEADLINE,
        }
    }
}

/// Brokers' own webhooks that relay to here, and their calls.
pub(crate) async fn relays(store: &Store) -> Result<RelayFacts, StoreError> {
    Ok(RelayFacts { there: store.broker_relays().await?, calls: store.relay_calls().await? })
}

/// In how many rounds in a row each fact could not be read.
#[derive(Debug, Default)]
pub(crate) struct Reads(BTreeMap<Fact, u32>);

impl Reads {
    /// The fact, or `None` when it is unknown in this round.
    pub(crate) async fn read<T>(
        &mut self,
        fact: Fact,
        read: impl Future<Output = Result<T, StoreError>>,
    ) -> Option<T> {
        let read = timeout(fact.deadline(), read).await;
        let error = match read {
            Ok(Ok(value)) => {
                self.0.remove(&fact);
                return Some(value);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("not within {:?}", fact.deadline()),
        };
        let rounds = self.0.entry(fact).or_default();
        *rounds += 1;
        tracing::warn!(fact = fact.as_str(), error, rounds, "monitor.fact_unknown");
        None
    }

    /// Kinds of which all facts are known in this round.
    pub(crate) fn judged(&self) -> Vec<IncidentKind> {
        let is_known = |kind: &IncidentKind| !self.0.keys().any(|fact| fact.kinds().contains(kind));
        IncidentKind::ALL.into_iter().filter(is_known).collect()
    }

    /// Facts that are unknown for so long that somebody should look.
    pub(crate) fn findings(&self) -> impl Iterator<Item = IncidentFinding> {
        self.0.iter().filter(|(_, rounds)| **rounds >= ROUNDS).map(|(fact, _)| IncidentFinding {
            kind: IncidentKind::FactUnreadable,
            subject: fact.as_str().to_owned(),
            cause: "unreadable",
            severity: Severity::Warning,
            summary: format!(
                "The monitor can't read \"{}\" from the database in time: whether {} is not known, \
                 and their incidents stay as they are",
                fact.as_str(),
                told(fact.kinds()),
            ),
            next: "postrider config check --connect".to_owned(),
        })
    }
}

fn told(kinds: &[IncidentKind]) -> String {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    format!("there is anything of {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn round(reads: &mut Reads, streaks: bool, pairs: bool) {
        for (fact, is_readable) in [(Fact::Streaks, streaks), (Fact::Pairs, pairs)] {
            let read = async {
                if is_readable { Ok(()) } else { Err(StoreError::Slow("too long".to_owned())) }
            };
            assert_eq!(reads.read(fact, read).await.is_some(), is_readable);
        }
    }

    #[tokio::test]
    async fn one_fact_that_is_unknown_leaves_the_others_to_be_judged() {
        let mut reads = Reads::default();
        round(&mut reads, true, false).await;
        let judged = reads.judged();
        assert!(judged.contains(&IncidentKind::SustainedFailures));
        assert!(judged.contains(&IncidentKind::BrokerUnreachable));
        assert!(!judged.contains(&IncidentKind::VerificationStale));
        assert!(!judged.contains(&IncidentKind::PairsFull));
        round(&mut reads, true, true).await;
        assert_eq!(reads.judged(), IncidentKind::ALL);
    }

    #[tokio::test]
    async fn what_is_unknown_three_times_is_told_until_it_is_read() {
        let mut reads = Reads::default();
        let told = |reads: &Reads| -> Vec<String> {
            reads.findings().map(|finding| finding.subject).collect()
        };
        for expected in [0, 0, 1, 1] {
            round(&mut reads, true, false).await;
            assert_eq!(told(&reads).len(), expected);
        }
        assert_eq!(told(&reads), ["pairs"]);
        round(&mut reads, false, true).await;
        assert!(told(&reads).is_empty());
    }
}
