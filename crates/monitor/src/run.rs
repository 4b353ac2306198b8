//! The loop around the rules: lease, facts, incidents, figures, retention.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use postrider_broker::BrokerError;
use postrider_domain::{LaneRules, LaneState, age};
use postrider_store::{
    BrokerRead, Incident, IncidentKind, IncidentSync, LaneInfo, LaneSpec, MonitorFacts,
    MonitorLease, PairRow, Store, StoreError, WorkerId,
};
use postrider_telemetry::step::{Step, reached};
use postrider_telemetry::{LaneGauge, LaneSample, Metrics, VerificationSample, WebhookSample};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::alert::Sender;
use crate::brokers::Asker;
use crate::pairs::Pairs;
use crate::{AlertConfig, AlertError, Facts, NamedBroker, Rules, evaluate};

/// Rows that retention drops in one statement.
const PRUNE_CHUNK: u32 = 1_000;
/// Statements of retention in one round.
const PRUNE_CHUNKS_MAX: u32 = 200;
/// How often retention runs.
const PRUNE_EVERY: Duration = Duration::from_mins(10);
/// Idempotency keys live this long.
const KEEP_KEYS: Duration = Duration::from_hours(7 * 24);

/// Settings of the monitor.
#[derive(Debug, Clone)]
pub struct MonitorConfig {
    /// When something is an incident.
    pub rules: Rules,
    /// How often facts are judged.
    pub interval: Duration,
    /// How long history is kept.
    pub retention: Duration,
    /// Limits that lanes should have.
    pub lanes: LaneRules,
    /// Brokers that are asked for verifications.
    pub brokers: Vec<NamedBroker>,
    /// Who is told of incidents.
    pub alerts: AlertConfig,
}

/// The monitor can't be made from its settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MonitorError {
    /// Where alerts go.
    #[error("{0}")]
    Alert(#[from] AlertError),
    /// A broker.
    #[error("broker {name}: {error}")]
    Broker {
        /// Its name here.
        name: String,
        /// What is wrong with its settings.
        error: BrokerError,
    },
}

/// The monitor of one process.
#[derive(Debug)]
pub struct Monitor {
    config: MonitorConfig,
    store: Store,
    metrics: Metrics,
    owner: WorkerId,
    active: Arc<AtomicBool>,
    pairs: Pairs,
    lease: watch::Sender<Option<MonitorLease>>,
    senders: Vec<Sender>,
    askers: Vec<Asker>,
    /// Wakes the senders.
    news: Vec<Arc<Notify>>,
}

impl Monitor {
    /// A monitor that does nothing until it is run. `owner` must be new at each start.
    pub fn new(
        config: MonitorConfig,
        store: Store,
        metrics: Metrics,
        owner: WorkerId,
    ) -> Result<Self, MonitorError> {
        let (lease, held) = watch::channel(None);
        let pairs = Pairs::new(store.clone());
        let senders = Sender::all(&config.alerts, &store, &held, config.interval)?;
        let every = config.rules.broker_interval;
        let asker = |named: &NamedBroker| {
            Asker::new(named.clone(), pairs.clone(), every, held.clone())
                .map_err(|error| MonitorError::Broker { name: named.name.clone(), error })
        };
        let askers = config.brokers.iter().map(asker).collect::<Result<_, _>>()?;
        let news = senders.iter().map(Sender::news).collect();
        let active = Arc::default();
        Ok(Self { config, store, metrics, owner, active, pairs, lease, senders, askers, news })
    }

    /// Whether this one holds the lease.
    pub fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed)
    }

    /// Runs until cancelled, then gives the lease up. Judging, asking brokers and sending alerts
    /// go on side by side: none waits for another.
    pub async fn run(mut self, cancel: CancellationToken) {
        if self.config.brokers.is_empty() {
            tracing::info!(
                "no broker is configured (PACT_BROKER_BASE_URL or [[broker]]): the monitor sees \
                 no verifications beyond relayed events"
            );
        }
        let senders = std::mem::take(&mut self.senders).into_iter().map(Sender::run);
        let askers = std::mem::take(&mut self.askers).into_iter().map(Asker::run);
        let beside = Box::pin(async move {
            tokio::join!(join_all(senders), join_all(askers));
            pending::<()>().await;
        });
        tokio::select! {
            () = self.watch(&cancel) => {}
            () = beside => {}
        }
        let lease = *self.lease.borrow();
        if let Some(lease) = lease
            && let Err(error) = self.store.monitor_give_up(lease).await
        {
            tracing::warn!(%error, "monitor.lease_not_given_up");
        }
    }

    async fn watch(&self, cancel: &CancellationToken) {
        let mut lease = None;
        let mut pruned_at = None;
        let mut tick = tokio::time::interval(self.config.interval);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while cancel.run_until_cancelled(tick.tick()).await.is_some() {
            let round = cancel.run_until_cancelled(self.round(lease, &mut pruned_at)).await;
            match round {
                None => return,
                Some(Ok(held)) => lease = held,
                Some(Err(error)) => tracing::warn!(%error, "monitor.failed"),
            }
            self.active.store(lease.is_some(), Ordering::Relaxed);
            self.lease.send_replace(lease);
        }
    }

    async fn round(
        &self,
        lease: Option<MonitorLease>,
        pruned_at: &mut Option<Instant>,
    ) -> Result<Option<MonitorLease>, StoreError> {
        self.show().await?;
        let length = self.config.interval * 3 + Duration::from_secs(5);
        let Some(held) = self.store.monitor_lease(self.owner, lease, length).await? else {
            return Ok(None);
        };
        if lease.is_none_or(|before| before != held) {
            tracing::info!(epoch = held.epoch, "monitor.active");
            self.sync_lanes().await?;
            self.sync_brokers(held).await?;
        }
        if !self.judge(held).await? {
            return Ok(None);
        }
        if pruned_at.is_none_or(|at| at.elapsed() >= PRUNE_EVERY) {
            *pruned_at = Some(Instant::now());
            self.prune().await?;
        }
        Ok(Some(held))
    }

    /// Reads the facts, judges them and makes the incidents so; `false` when the lease is lost.
    async fn judge(&self, lease: MonitorLease) -> Result<bool, StoreError> {
        let Some(folded) = self.pairs.fold(lease).await? else {
            return Ok(false);
        };
        let store = self.store.monitor_facts().await?;
        let brokers = self.store.broker_reads().await?;
        let now = Timestamp::now();
        self.show_streaks(&store);
        self.show_pairs(&folded.rows, now);
        // Before all events are folded in, a pair only looks late.
        let pairs = if folded.caught_up { folded.rows } else { Vec::new() };
        let facts = Facts { store, pairs, brokers };
        let sync = IncidentSync {
            findings: evaluate(&self.config.rules, &facts, now),
            judged: judged(folded.caught_up),
            channels: self.config.alerts.channels(),
        };
        let Some((opened, resolved)) = self.store.sync_incidents(lease, &sync).await? else {
            return Ok(false);
        };
        reached(Step::Opened, opened.len());
        tell(&opened, "incident.opened");
        tell(&resolved, "incident.resolved");
        if !opened.is_empty() || !resolved.is_empty() {
            self.news.iter().for_each(|news| news.notify_one());
        }
        self.show_incidents().await?;
        Ok(true)
    }

    /// Brokers that are asked from now on are unknown, not silent; others are forgotten.
    async fn sync_brokers(&self, lease: MonitorLease) -> Result<(), StoreError> {
        let names: Vec<String> =
            self.config.brokers.iter().map(|broker| broker.name.clone()).collect();
        self.store.keep_broker_reads(lease, &names).await?;
        let known = self.store.broker_reads().await?;
        for broker in names.into_iter().filter(|name| known.iter().all(|read| read.broker != *name))
        {
            let read = BrokerRead { broker, answered_at: None, failing: None };
            self.store.save_broker_read(lease, &read).await?;
        }
        Ok(())
    }

    /// L10: settings may have changed since a lane was made.
    async fn sync_lanes(&self) -> Result<(), StoreError> {
        let lanes = self.store.lanes().await?;
        let specs: Vec<LaneSpec> = lanes
            .into_iter()
            .map(|lane| LaneSpec {
                limits: self.config.lanes.limits_for(&lane.name),
                name: lane.name,
            })
            .collect();
        let changed = self.store.sync_lanes(&specs).await?;
        if changed > 0 {
            tracing::info!(changed, "lanes.limits_changed");
        }
        Ok(())
    }

    async fn prune(&self) -> Result<(), StoreError> {
        for _ in 0..PRUNE_CHUNKS_MAX {
            let gone = self.store.prune(self.config.retention, KEEP_KEYS, PRUNE_CHUNK).await?;
            if gone < u64::from(PRUNE_CHUNK) {
                break;
            }
        }
        for _ in 0..PRUNE_CHUNKS_MAX {
            if self.store.prune_incidents(self.config.retention, PRUNE_CHUNK).await? == 0 {
                break;
            }
        }
        self.store.prune_pairs(self.config.retention).await?;
        Ok(())
    }

    async fn show(&self) -> Result<(), StoreError> {
        let stats = self.store.stats().await?;
        self.metrics.set_oldest_pending_age(stats.oldest_pending.unwrap_or_default());
        let lanes = self.store.lanes().await?;
        self.metrics.set_lanes(lanes.iter().map(sample).collect());
        Ok(())
    }

    fn show_streaks(&self, facts: &MonitorFacts) {
        let samples = facts.streaks.iter().map(|streak| WebhookSample {
            webhook: streak.webhook.to_string(),
            consecutive_failures: streak.failures,
            last_success: streak.last_success_at.map(Timestamp::as_second),
        });
        self.metrics.set_webhooks(samples.collect());
    }

    /// Of equal pairs at several brokers the oldest age is shown.
    fn show_pairs(&self, rows: &[PairRow], now: Timestamp) {
        let quiet = &self.config.rules.freshness.quiet;
        let mut oldest: BTreeMap<(&str, &str), Duration> = BTreeMap::new();
        for row in rows {
            if let Some(newest) = row.facts.last_verification {
                let key = (row.key.consumer.as_str(), row.key.provider.as_str());
                let shown = oldest.entry(key).or_default();
                *shown = (*shown).max(age(quiet, newest.at, now));
            }
        }
        let samples = oldest.into_iter().map(|((consumer, provider), age)| VerificationSample {
            consumer: consumer.to_owned(),
            provider: provider.to_owned(),
            age,
        });
        self.metrics.set_verification_ages(samples.collect());
    }

    async fn show_incidents(&self) -> Result<(), StoreError> {
        let open = self.store.open_incidents().await?;
        let counts = IncidentKind::ALL.into_iter().map(|kind| {
            let count = open.iter().find(|(known, _)| *known == kind).map_or(0, |(_, n)| *n);
            (kind.as_str().to_owned(), count)
        });
        self.metrics.set_incidents(counts.collect());
        Ok(())
    }
}

/// Kinds that can be judged.
fn judged(caught_up: bool) -> Vec<IncidentKind> {
    let of_pairs = [IncidentKind::VerificationStale, IncidentKind::VerificationSilent];
    IncidentKind::ALL.into_iter().filter(|kind| caught_up || !of_pairs.contains(kind)).collect()
}

fn sample(lane: &LaneInfo) -> LaneSample {
    let paused = lane.paused_until.is_some_and(|until| until > Timestamp::now());
    let state = match lane.state {
        LaneState::Held(_) => LaneGauge::Held,
        LaneState::Open if paused => LaneGauge::Paused,
        LaneState::Open => LaneGauge::Open,
    };
    LaneSample { lane: lane.name.clone(), state, backlog: lane.backlog }
}

fn tell(incidents: &[Incident], what: &str) {
    for incident in incidents {
        tracing::warn!(
            incident_id = %incident.id,
            kind = incident.kind.as_str(),
            subject = incident.subject,
            summary = incident.summary,
            next = incident.next,
            "{what}"
        );
    }
}
