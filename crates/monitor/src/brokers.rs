//! Asking the brokers what was published and verified.

use std::time::Duration;

use jiff::Timestamp;
use postrider_broker::{Broker, BrokerConfig, BrokerError};
use postrider_domain::{WatchMode, relay_state};
use postrider_store::{BrokerRead, BrokerRelay, BrokerTrouble, MonitorLease, StoreError};
use postrider_telemetry::Metrics;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::pairs::Pairs;
use crate::rules::Rules;
use crate::watch::{Healer, Healing, Memory, Teller, Walk, Walked, WatchError};

/// What is known of debts is kept as long as they are seen, and for so long after.
const KEEP_DEBTS: Duration = Duration::from_hours(7 * 24);
/// How often a broker is asked for its relay at most.
const RELAY_EVERY: Duration = Duration::from_mins(10);
/// How often it is looked whether a relay called.
const CALLS_EVERY: Duration = Duration::from_secs(1);
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
    teller: Teller,
    healer: Healer,
    memory: Memory,
    every: Duration,
    sweep: Duration,
    lease: watch::Receiver<Option<MonitorLease>>,
    /// When the broker was last asked for its relay.
    relay_asked: Option<Instant>,
    /// The last call of its relay that is known of.
    called_at: Option<Timestamp>,
}

/// How a broker is asked.
#[derive(Debug, Clone)]
pub(crate) struct Asking {
    /// How often what changed is looked for.
    pub(crate) every: Duration,
    /// How long until every consumer was looked at once more.
    pub(crate) sweep: Duration,
    /// What becomes of verifications that are owed.
    pub(crate) mode: WatchMode,
    /// What is done about dispatches that led to nothing.
    pub(crate) healing: Healing,
}

impl Asking {
    /// By the settings.
    pub(crate) fn of(rules: &Rules, sweep: Duration, mode: WatchMode) -> Self {
        let every = rules.broker_interval;
        let healing = Healing {
            mode: rules.redispatch,
            freshness: rules.freshness.clone(),
            objective: rules.delivery_objective,
            every,
        };
        Self { every, sweep, mode, healing }
    }
}

impl Asker {
    pub(crate) fn new(
        named: NamedBroker,
        pairs: Pairs,
        asking: Asking,
        metrics: Metrics,
        lease: watch::Receiver<Option<MonitorLease>>,
    ) -> Result<Self, BrokerError> {
        let Asking { every, sweep, mode, healing } = asking;
        let teller = Teller::new(named.name.clone(), mode, pairs.store().clone(), metrics);
        let healer = Healer::new(named.name.clone(), pairs.store().clone(), healing);
        let broker = Broker::new(named.config)?;
        let memory = Memory::new(every, sweep);
        Ok(Self {
            name: named.name,
            broker,
            pairs,
            teller,
            healer,
            memory,
            every,
            sweep,
            lease,
            relay_asked: None,
            called_at: None,
        })
    }

    /// Asks for ever; cancel it by dropping.
    pub(crate) async fn run(mut self) {
        let mut lease = self.lease.clone();
        loop {
            let Ok(held) = lease.wait_for(Option::is_some).await.map(|held| *held) else { return };
            let Some(held) = held else { continue };
            let wait = Box::pin(self.round(held)).await.unwrap_or_else(|error| {
                tracing::warn!(%error, broker = self.name, "broker.store_failed");
                self.every
            });
            // Up to a tenth more, so that monitors of one broker don't ask in step.
            self.rest(wait.mul_f64(1.0 + rand::random::<f64>() / 10.0)).await;
        }
    }

    /// Waits so long, or until a call of the broker's relay tells that something changed there. A
    /// broker that wants to be left alone is.
    async fn rest(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let is_left_alone = wait > self.every.saturating_mul(2);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if is_left_alone || left <= CALLS_EVERY {
                return sleep(left).await;
            }
            sleep(CALLS_EVERY).await;
            let called_at = self.pairs.store().relay_taken_at(&self.name).await;
            if called_at.is_ok_and(|at| at != self.called_at) {
                return;
            }
        }
    }

    /// Asks once; how long to wait now.
    async fn round(&mut self, lease: MonitorLease) -> Result<Duration, StoreError> {
        if !self.memory.is_of(lease) {
            self.resume(lease).await?;
        }
        let of = (self.name.as_str(), &self.broker);
        self.called_at = self.pairs.store().relay_taken_at(&self.name).await?;
        let acts = (&self.teller, &self.healer);
        let walk = Walk::new(of, &self.pairs, acts, lease, &self.memory);
        let began = walk.began;
        match Box::pin(walk.run(&mut self.memory)).await {
            Ok(walked) => {
                self.tell(&walked);
                self.write_down(lease, walked.swept_since).await?;
                self.note(lease, Some(began), None).await?;
                self.look_for_relay(lease).await?;
                Ok(self.every)
            }
            Err(WatchError::Broker(error)) => {
                let (trouble, asked) = trouble_of(&error);
                // A walk may take minutes, and have been answered until just now.
                let since = self.broker.answered_at().map_or(began, |answered| answered.max(began));
                self.note(lease, None, Some((since, trouble, error.to_string()))).await?;
                Ok(asked.unwrap_or_default().clamp(self.every, LONGEST_WAIT.max(self.every)))
            }
            Err(WatchError::Store(error)) => Err(error),
            Err(WatchError::LeaseLost) => Ok(self.every),
        }
    }

    /// Goes on where the last walk ended, whoever made it. Who only reads for freshness begins
    /// anew each time: what is owed meanwhile stays owed when the broker is met.
    async fn resume(&mut self, lease: MonitorLease) -> Result<(), StoreError> {
        let walk = match self.teller.mode() {
            WatchMode::On | WatchMode::Observe => {
                self.pairs.store().broker_walk(&self.name).await?
            }
            WatchMode::Off => None,
        };
        self.memory.resume(lease, walk, (self.every, self.sweep));
        Ok(())
    }

    /// Writes down how far the broker was read, and forgets debts that a whole sweep did not see.
    async fn write_down(
        &mut self,
        lease: MonitorLease,
        swept_since: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        if self.teller.mode() == WatchMode::Off {
            return Ok(());
        }
        let store = self.pairs.store();
        if let Some(walk) = self.memory.due_walk(Instant::now()) {
            store.save_broker_walk(lease, &self.name, &walk).await?;
        }
        if let Some(since) = swept_since {
            let before = since.saturating_sub(KEEP_DEBTS).unwrap_or(Timestamp::UNIX_EPOCH);
            store.forget_debts(lease, &self.name, before).await?;
        }
        Ok(())
    }

    /// Asks the broker now and then for its own webhook that relays to here.
    async fn look_for_relay(&mut self, lease: MonitorLease) -> Result<(), StoreError> {
        let every = RELAY_EVERY.min(self.sweep);
        if self.relay_asked.is_some_and(|at| at.elapsed() < every) {
            return Ok(());
        }
        self.relay_asked = Some(Instant::now());
        let found = match self.broker.relays().await {
            Ok(found) => found,
            // Who may read contracts need not be allowed to read webhooks.
            Err(error) => {
                tracing::debug!(%error, broker = self.name, "broker.relay_unknown");
                return Ok(());
            }
        };
        let ours = found.into_iter().filter(|relay| relay.is_for(&self.name));
        let ours: Vec<(String, bool)> = ours.map(|relay| (relay.uuid, relay.enabled)).collect();
        let store = self.pairs.store();
        let known = store.broker_relays().await?;
        let before = known.iter().find(|relay| relay.broker == self.name);
        let Some((uuid, state)) = relay_state(before.map(|relay| relay.uuid.as_str()), &ours)
        else {
            return Ok(());
        };
        let (broker, since) = (self.name.clone(), Timestamp::now());
        let relay = BrokerRelay { broker, uuid, state, since };
        store.save_broker_relay(lease, &relay).await.map(drop)
    }

    /// Says what a look came to, if it came to anything.
    fn tell(&self, walked: &Walked) {
        if walked.told > 0 || walked.first_contact > 0 {
            tracing::info!(
                broker = self.name,
                mode = self.teller.mode().as_str(),
                told = walked.told,
                first_contact = walked.first_contact,
                examined = walked.examined,
                "watch.walked"
            );
        }
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
