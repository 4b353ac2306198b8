//! Asking the brokers what was published and verified.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use postrider_broker::{
    Broker, BrokerConfig, BrokerError, LineChoice, Pair, Scope, SideChoice, Survey,
};
use postrider_domain::owed::Judged;
use postrider_domain::{BrokerSays, PairFacts, PairKey};
use postrider_store::{BrokerRead, BrokerTrouble, MonitorLease, StoreError};
use tokio::sync::watch;

use crate::fold::{Learned, facts_of};
use crate::pairs::Pairs;

/// Pairs that are asked for at one time.
const SIDE_BY_SIDE: usize = 4;
/// Longest time that a broker is left alone because it asked for it.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// A broker that is asked.
#[derive(Debug, Clone)]
pub struct NamedBroker {
    /// Its name here; relayed events carry it too.
    pub name: String,
    /// Where it is.
    pub config: BrokerConfig,
}

/// Asks one broker again and again.
#[derive(Debug)]
pub(crate) struct Asker {
    name: String,
    broker: Broker,
    pairs: Pairs,
    every: Duration,
    lease: watch::Receiver<Option<MonitorLease>>,
}

impl Asker {
    pub(crate) fn new(
        named: NamedBroker,
        pairs: Pairs,
        every: Duration,
        lease: watch::Receiver<Option<MonitorLease>>,
    ) -> Result<Self, BrokerError> {
        Ok(Self { name: named.name, broker: Broker::new(named.config)?, pairs, every, lease })
    }

    /// Asks for ever; cancel it by dropping.
    pub(crate) async fn run(self) {
        let mut lease = self.lease.clone();
        loop {
            let Ok(held) = lease.wait_for(Option::is_some).await.map(|held| *held) else { return };
            let Some(held) = held else { continue };
            let wait = self.round(held).await.unwrap_or_else(|error| {
                tracing::warn!(%error, broker = self.name, "broker.store_failed");
                self.every
            });
            // Up to a tenth more, so that monitors of one broker don't ask in step.
            tokio::time::sleep(wait.mul_f64(1.0 + rand::random::<f64>() / 10.0)).await;
        }
    }

    /// Asks once; how long to wait now.
    async fn round(&self, lease: MonitorLease) -> Result<Duration, StoreError> {
        let began = Timestamp::now();
        match self.read(began).await {
            Ok(read) => {
                if self.pairs.learn(lease, &self.name, &read).await? {
                    self.note(lease, Some(began), None).await?;
                }
                Ok(self.every)
            }
            Err(error) => {
                let (trouble, asked) = trouble_of(&error);
                self.note(lease, None, Some((began, trouble, error.to_string()))).await?;
                Ok(asked.unwrap_or_default().clamp(self.every, LONGEST_WAIT.max(self.every)))
            }
        }
    }

    /// Everything that the broker knows of pairs. One pair that it can't tell of leaves the
    /// others; that it can't tell of any is trouble of the broker.
    async fn read(&self, now: Timestamp) -> Result<Vec<(PairKey, Learned)>, BrokerError> {
        let pairs = self.broker.pairs().await?;
        let survey = Survey::new(&self.broker, Scope::Many);
        let mut asked = stream::iter(pairs)
            .map(|pair| async {
                let learned = ask(&survey, &pair, now).await;
                (self.key(pair), learned)
            })
            .buffer_unordered(SIDE_BY_SIDE);
        let (mut read, mut refused, mut told) = (Vec::new(), None, false);
        while let Some((key, learned)) = asked.next().await {
            let learned = match learned {
                Ok(facts) => Learned::Facts(Box::new(facts)),
                // It holds for every pair.
                Err(error @ (BrokerError::Credential { .. } | BrokerError::RateLimited { .. })) => {
                    return Err(error);
                }
                Err(error) => {
                    let trouble = error.to_string();
                    tracing::debug!(broker = self.name, pair = %key, trouble, "broker.pair_unknown");
                    refused = Some(error);
                    Learned::Trouble(trouble, now)
                }
            };
            told |= matches!(learned, Learned::Facts(_));
            read.push((key, learned));
        }
        match refused {
            Some(error) if !told && read.len() > 1 => Err(error),
            _ => Ok(read),
        }
    }

    fn key(&self, pair: Pair) -> PairKey {
        PairKey { broker: self.name.clone(), consumer: pair.consumer, provider: pair.provider }
    }

    /// Notes whether it answered; the beginning of a trouble stays what it was.
    async fn note(
        &self,
        lease: MonitorLease,
        answered_at: Option<Timestamp>,
        failing: Option<(Timestamp, BrokerTrouble, String)>,
    ) -> Result<(), StoreError> {
        let known = self.pairs.store().broker_reads().await?;
        let known = known.into_iter().find(|read| read.broker == self.name);
        let (before, since) = known
            .map_or((None, None), |read| (read.answered_at, read.failing.map(|(since, ..)| since)));
        match (&failing, since) {
            (Some((_, trouble, error)), None) => {
                tracing::warn!(broker = self.name, cause = trouble.as_str(), error, "broker.away");
            }
            (None, Some(_)) => tracing::info!(broker = self.name, "broker.answers"),
            (Some(_), Some(_)) | (None, None) => {}
        }
        let failing = failing.map(|(at, trouble, error)| (since.unwrap_or(at), trouble, error));
        let read =
            BrokerRead { broker: self.name.clone(), answered_at: answered_at.or(before), failing };
        self.pairs.store().save_broker_read(lease, &read).await.map(drop)
    }
}

/// What a broker says of a pair, and the newest publication and verification of its lines.
async fn ask(survey: &Survey<'_>, pair: &Pair, now: Timestamp) -> Result<PairFacts, BrokerError> {
    let view = match survey.view(pair, &LineChoice::default(), &SideChoice::Broker).await {
        Ok(view) => view,
        // Deleted between the two requests.
        Err(BrokerError::UnknownName { .. }) => return Ok(PairFacts::default()),
        Err(error) => return Err(error),
    };
    let mut judged = Judged::of(&view.contracts, &view.counts);
    for debt in &mut judged.owes {
        survey.refine(pair, debt).await?;
    }
    judged.owes.sort_by_key(|debt| debt.since);
    let says = BrokerSays::of(&judged, &view.contracts, &view.counts, now);
    Ok(PairFacts { says: Some(says), ..facts_of(&view.rows) })
}

fn trouble_of(error: &BrokerError) -> (BrokerTrouble, Option<Duration>) {
    match error {
        BrokerError::Away { retry_after, .. } => (BrokerTrouble::Away, *retry_after),
        BrokerError::Credential { .. } => (BrokerTrouble::Credential, None),
        BrokerError::RateLimited { retry_after, .. } => (BrokerTrouble::RateLimited, *retry_after),
        BrokerError::Setup { .. }
        | BrokerError::UnknownName { .. }
        | BrokerError::Unexpected { .. } => (BrokerTrouble::Unexpected, None),
    }
}
