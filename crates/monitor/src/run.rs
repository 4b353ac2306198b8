//! The loop around the rules: lease, facts, incidents, figures, retention.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use postrider_domain::{LaneRules, LaneState};
use postrider_store::{
    Incident, IncidentKind, LaneInfo, LaneSpec, MonitorFacts, MonitorLease, Store, StoreError,
    WorkerId,
};
use postrider_telemetry::{LaneGauge, LaneSample, Metrics, WebhookSample};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{Rules, evaluate};

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
}

/// The monitor of one process.
#[derive(Debug, Clone)]
pub struct Monitor {
    config: MonitorConfig,
    store: Store,
    metrics: Metrics,
    owner: WorkerId,
    active: Arc<AtomicBool>,
}

impl Monitor {
    /// A monitor that does nothing until it is run. `owner` must be new at each start.
    pub fn new(config: MonitorConfig, store: Store, metrics: Metrics, owner: WorkerId) -> Self {
        Self { config, store, metrics, owner, active: Arc::default() }
    }

    /// Whether this one holds the lease.
    pub fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed)
    }

    /// Runs until cancelled, then gives the lease up.
    pub async fn run(self, cancel: CancellationToken) {
        let mut lease = None;
        let mut pruned_at = None;
        let mut tick = tokio::time::interval(self.config.interval);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while cancel.run_until_cancelled(tick.tick()).await.is_some() {
            match self.round(lease, &mut pruned_at).await {
                Ok(held) => lease = held,
                Err(error) => tracing::warn!(%error, "monitor.failed"),
            }
            self.active.store(lease.is_some(), Ordering::Relaxed);
        }
        if let Some(lease) = lease
            && let Err(error) = self.store.monitor_give_up(lease).await
        {
            tracing::warn!(%error, "monitor.lease_not_given_up");
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
        if lease.is_none() {
            tracing::info!(epoch = held.epoch, "monitor.active");
            self.sync_lanes().await?;
        }
        let facts = self.store.monitor_facts().await?;
        self.show_streaks(&facts);
        let findings = evaluate(self.config.rules, &facts, Timestamp::now());
        let Some((opened, resolved)) = self.store.sync_incidents(held, &findings).await? else {
            return Ok(None);
        };
        tell(&opened, "incident.opened");
        tell(&resolved, "incident.resolved");
        self.show_incidents().await?;
        if pruned_at.is_none_or(|at| at.elapsed() >= PRUNE_EVERY) {
            *pruned_at = Some(Instant::now());
            self.prune().await?;
        }
        Ok(Some(held))
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

    async fn show_incidents(&self) -> Result<(), StoreError> {
        let open = self.store.incidents(true, 1_000).await?;
        let counts = IncidentKind::ALL.into_iter().map(|kind| {
            let count = open.iter().filter(|incident| incident.kind == kind).count();
            (kind.as_str().to_owned(), u64::try_from(count).unwrap_or(u64::MAX))
        });
        self.metrics.set_incidents(counts.collect());
        Ok(())
    }
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
