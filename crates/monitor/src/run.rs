//! The loops around the rules: the lease, facts and incidents, figures, retention, upkeep.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use postrider_broker::BrokerError;
use postrider_domain::{LaneRules, LaneState, WatchMode};
use postrider_store::{
    BrokerRead, Incident, IncidentKind, IncidentSync, MonitorLease, Store, StoreError, StreakFact,
    WorkerId,
};
use postrider_telemetry::step::{Step, reached};
use postrider_telemetry::{Metrics, MonitorSample};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::alert::Sender;
use crate::brokers::{Asker, Asking};
use crate::digest::Digester;
use crate::facts::{Fact, Reads};
use crate::pairs::{PAIRS_MOST, Pairs};
use crate::rules::{MonitorFacts, pairs_full};
use crate::samples;
use crate::tally::Tally;
use crate::tasks::Task;
use crate::upkeep::{LANES_EVERY, PRUNE_EVERY, Upkeep};
use crate::{
    AlertConfig, AlertError, Facts, NamedBroker, Rules, debts, evaluate, facts, failed_runs, remind,
};

/// What can't be judged before all events are folded into pairs.
const OF_PAIRS: [IncidentKind; 4] = [
    IncidentKind::VerificationStale,
    IncidentKind::VerificationSilent,
    IncidentKind::FirstContact,
    IncidentKind::HoldsBack,
];

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
    /// Whether owed verifications become events although no call of their broker came.
    pub watch: WatchMode,
    /// How long until every consumer of a broker was looked at once more.
    pub sweep: Duration,
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
    digester: Option<Digester>,
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
        let senders = Sender::all(&config.alerts, (&store, &metrics), &held, config.interval)?;
        let asking = Asking::of(&config.rules, config.sweep, config.watch);
        let asker = |named: &NamedBroker| {
            Asker::new(named.clone(), pairs.clone(), asking.clone(), metrics.clone(), held.clone())
                .map_err(|error| MonitorError::Broker { name: named.name.clone(), error })
        };
        let askers = config.brokers.iter().map(asker).collect::<Result<_, _>>()?;
        let digester =
            Digester::new(&config.alerts, (&store, &config.rules), held, config.interval)?;
        let news = senders.iter().map(Sender::news).collect();
        let active = Arc::default();
        Ok(Self {
            config,
            store,
            metrics,
            owner,
            active,
            pairs,
            lease,
            senders,
            askers,
            digester,
            news,
        })
    }

    /// Whether this one holds the lease.
    pub fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed)
    }

    /// Runs until cancelled, then gives the leases up. Holding the lease, judging, showing
    /// figures, asking brokers, sending alerts, retention and upkeep go on side by side: none
    /// waits for another.
    pub async fn run(mut self, cancel: CancellationToken) {
        if self.config.brokers.is_empty() {
            tracing::info!(
                sees = "no verifications beyond relayed events",
                fix = "set PACT_BROKER_BASE_URL or write [[broker]]",
                "monitor.no_broker"
            );
        }
        let senders = std::mem::take(&mut self.senders).into_iter().map(Sender::run);
        let askers = std::mem::take(&mut self.askers).into_iter().map(Asker::run);
        let digester = self.digester.take().into_iter().map(Digester::run);
        let beside = Box::pin(async move {
            tokio::join!(join_all(senders), join_all(askers), join_all(digester));
            pending::<()>().await;
        });
        let upkeep = Upkeep {
            store: self.store.clone(),
            retention: self.config.retention,
            lanes: self.config.lanes.clone(),
        };
        let tasks = async {
            tokio::join!(
                self.task("retention", PRUNE_EVERY).run(&cancel, || upkeep.prune()),
                self.task("lanes", LANES_EVERY).run(&cancel, || upkeep.look_after_lanes()),
                self.task("holds", self.config.interval).run(&cancel, || upkeep.open_due_holds()),
            );
        };
        tokio::select! {
            () = self.hold_lease(&cancel) => {}
            () = self.judge_for_ever() => {}
            () = self.show_until(&cancel) => {}
            () = tasks => {}
            () = beside => {}
        }
        let lease = *self.lease.borrow();
        if let Some(lease) = lease
            && let Err(error) = self.store.monitor_give_up(lease).await
        {
            tracing::warn!(%error, "monitor.lease_not_given_up");
        }
        if let Err(error) = self.store.task_give_up(self.owner).await {
            tracing::warn!(%error, "monitor.task_leases_not_given_up");
        }
    }

    fn task(&self, name: &'static str, every: Duration) -> Task {
        let (beat, store) = (self.config.interval, self.store.clone());
        Task { name, every, beat, store, owner: self.owner }
    }

    fn ticks(&self) -> Interval {
        let mut ticks = interval(self.config.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    }

    /// Takes or renews the lease, until cancelled. While nobody can tell, it is as it was: each
    /// write looks for itself.
    async fn hold_lease(&self, cancel: &CancellationToken) {
        let length = self.config.interval * 3 + Duration::from_secs(5);
        let mut ticks = self.ticks();
        while cancel.run_until_cancelled(ticks.tick()).await.is_some() {
            let before = *self.lease.borrow();
            let renewed = self.store.monitor_lease(self.owner, before, length);
            match cancel.run_until_cancelled(renewed).await {
                None => return,
                Some(Err(error)) => tracing::warn!(%error, "monitor.failed"),
                Some(Ok(held)) => {
                    if let Some(held) = held.filter(|held| before != Some(*held)) {
                        tracing::info!(epoch = held.epoch, "monitor.active");
                    }
                    self.active.store(held.is_some(), Ordering::Relaxed);
                    self.lease.send_replace(held);
                }
            }
        }
    }

    async fn judge_for_ever(&self) {
        let mut lease = self.lease.subscribe();
        let mut reads = Reads::default();
        let mut known: Option<MonitorLease> = None;
        let mut ticks = self.ticks();
        loop {
            let Ok(held) = lease.wait_for(Option::is_some).await.map(|held| *held) else { return };
            let Some(held) = held else { continue };
            ticks.tick().await;
            let began = Instant::now();
            match self.round(held, known == Some(held), &mut reads).await {
                Ok(()) => {
                    known = Some(held);
                    told_time(began, "monitor.round");
                }
                Err(error) => tracing::warn!(%error, "monitor.failed"),
            }
        }
    }

    async fn round(
        &self,
        lease: MonitorLease,
        is_known: bool,
        reads: &mut Reads,
    ) -> Result<(), StoreError> {
        if !is_known {
            self.sync_brokers(lease).await?;
        }
        let facts = self.read(reads).await;
        let now = Timestamp::now();
        let mut tally = Tally::new(&self.config.rules, &facts.brokers, now);
        let folded = reads.read(Fact::Pairs, self.pairs.fold(lease, |rows| tally.see(rows))).await;
        let mut judged = reads.judged();
        let mut findings = evaluate(&self.config.rules, &facts, now);
        findings.extend(reads.findings());
        match folded {
            // Before all events are folded in, a pair only looks late.
            Some(Some(folded)) => {
                tally.show(&self.metrics);
                self.store.save_silences(lease, &tally.silences()).await?;
                let every = self.config.interval;
                failed_runs::look(&self.store, lease, tally.doubts(), every).await?;
                if folded.refused > 0 {
                    findings.push(pairs_full(PAIRS_MOST as u64, folded.refused));
                }
                if folded.caught_up {
                    findings.extend(tally.into_findings());
                } else {
                    judged.retain(|kind| !OF_PAIRS.contains(kind));
                }
            }
            // The lease is lost.
            Some(None) => return Ok(()),
            None => {}
        }
        // What was not judged stays as it is.
        findings.retain(|finding| judged.contains(&finding.kind));
        self.tell(
            lease,
            IncidentSync { findings, judged, channels: self.config.alerts.channels() },
        )
        .await?;
        self.remind(lease).await
    }

    /// The facts that can be read; what can't be stays empty, and is not judged.
    async fn read(&self, reads: &mut Reads) -> Facts {
        let streaks = reads.read(Fact::Streaks, self.store.streaks()).await;
        if let Some(streaks) = &streaks {
            self.show_streaks(streaks);
        }
        let held = reads.read(Fact::HeldLanes, self.store.held_lanes()).await;
        let lanes = reads.read(Fact::Lanes, self.store.lanes()).await;
        let parked = reads.read(Fact::ParkedWebhooks, self.store.parked_webhooks()).await;
        let poisoned = reads.read(Fact::Poisoned, self.store.poisoned()).await;
        let brokers = reads.read(Fact::Brokers, self.store.broker_reads()).await;
        let troubled = reads.read(Fact::Workers, self.store.troubled_workers()).await;
        let credentials = reads.read(Fact::Credentials, self.store.credentials()).await;
        let debts = reads.read(Fact::Debts, debts::read(&self.store)).await;
        let relays = reads.read(Fact::Relays, facts::relays(&self.store)).await;
        Facts {
            store: MonitorFacts {
                streaks: streaks.unwrap_or_default(),
                held: held.unwrap_or_default(),
                parked: parked.unwrap_or_default(),
                poisoned: poisoned.unwrap_or_default(),
            },
            pairs: Vec::new(),
            brokers: brokers.unwrap_or_default(),
            troubled: troubled.unwrap_or_default(),
            credentials: credentials.unwrap_or_default(),
            lanes: lanes.unwrap_or_default(),
            debts: debts.unwrap_or_default(),
            relays: relays.unwrap_or_default(),
        }
    }

    /// Makes the incidents so.
    async fn tell(&self, lease: MonitorLease, sync: IncidentSync) -> Result<(), StoreError> {
        let Some((opened, resolved)) = self.store.sync_incidents(lease, &sync).await? else {
            return Ok(());
        };
        reached(Step::Opened, opened.len());
        tell(&opened, "incident.opened");
        tell(&resolved, "incident.resolved");
        if !opened.is_empty() || !resolved.is_empty() {
            self.wake_senders();
        }
        self.show_incidents().await
    }

    /// Writes the reminders that are due.
    async fn remind(&self, lease: MonitorLease) -> Result<(), StoreError> {
        let channels = self.config.alerts.reminded();
        if channels.is_empty() {
            return Ok(());
        }
        let unseen = self.store.unseen_incidents().await?;
        let due = remind::due(unseen, self.config.alerts.remind, Timestamp::now());
        let reminded = self.store.remind(lease, &due, &channels).await?.unwrap_or_default();
        reached(Step::Reminded, reminded);
        if reminded > 0 {
            self.wake_senders();
        }
        Ok(())
    }

    fn wake_senders(&self) {
        self.news.iter().for_each(|news| news.notify_one());
    }

    /// Brokers that are asked from now on are unknown, not silent; others are forgotten.
    async fn sync_brokers(&self, lease: MonitorLease) -> Result<(), StoreError> {
        let names: Vec<String> =
            self.config.brokers.iter().map(|broker| broker.name.clone()).collect();
        self.store.keep_broker_reads(lease, &names).await?;
        self.store.keep_broker_walks(lease, &names).await?;
        self.store.keep_broker_relays(lease, &names).await?;
        let known = self.store.broker_reads().await?;
        for broker in names.into_iter().filter(|name| known.iter().all(|read| read.broker != *name))
        {
            let read = BrokerRead { broker, answered_at: None, failing: None };
            self.store.save_broker_read(lease, &read).await?;
        }
        Ok(())
    }

    /// Figures, which every process shows, whether it judges or not.
    async fn show_until(&self, cancel: &CancellationToken) {
        let mut ticks = self.ticks();
        while cancel.run_until_cancelled(ticks.tick()).await.is_some() {
            let began = Instant::now();
            match self.show().await {
                Ok(()) => told_time(began, "monitor.figures"),
                Err(error) => tracing::warn!(%error, "monitor.figures_unknown"),
            }
        }
    }

    async fn show(&self) -> Result<(), StoreError> {
        let lanes = self.store.lanes().await?;
        let now = Timestamp::now();
        let open = lanes.iter().filter(|lane| lane.state == LaneState::Open);
        let oldest = open.filter_map(|lane| lane.open_since).min();
        let age = oldest.and_then(|at| Duration::try_from(now.duration_since(at)).ok());
        let quiet_day = self.config.rules.freshness.quiet.is_quiet(now);
        self.metrics.set_monitor(MonitorSample { active: self.is_active(), quiet_day });
        self.metrics.set_oldest_pending_age(age.unwrap_or_default());
        self.metrics.set_lanes(lanes.iter().map(samples::lane).collect());
        let credentials = self.store.credentials().await?.into_iter();
        let ends =
            credentials.filter_map(|one| Some((one.secret.name, one.expires_at?.as_second())));
        self.metrics.set_credential_expiries(ends.collect());
        Ok(())
    }

    fn show_streaks(&self, streaks: &[StreakFact]) {
        self.metrics.set_webhooks(streaks.iter().map(samples::webhook).collect());
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

/// How long something took, for who wants to know it.
fn told_time(began: Instant, what: &str) {
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::debug!(took_ms, "{what}");
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
