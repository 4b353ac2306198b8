//! What `/metrics` shows. Typed methods only: no other crate names a metric or a label.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGaugeVec,
    Opts, Registry, TextEncoder,
};

use crate::names;

/// Seconds. From a receiver in the same rack to the 15 s time-out of an attempt.
const ATTEMPT_BUCKETS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0];

/// Seconds. From the fast road to a lane that was held for a weekend.
const END_TO_END_BUCKETS: [f64; 16] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 21600.0,
    172_800.0,
];

/// The state of a lane as the metric shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaneGauge {
    /// Deliveries may go.
    Open,
    /// The target asked for a pause.
    Paused,
    /// Deliveries wait until somebody mends a cause.
    Held,
}

impl LaneGauge {
    const ALL: [Self; 3] = [Self::Open, Self::Paused, Self::Held];

    fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Paused => "paused",
            Self::Held => "held",
        }
    }
}

/// One lane at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneSample {
    /// The lane's name.
    pub lane: String,
    /// Its state.
    pub state: LaneGauge,
    /// Deliveries that wait in it.
    pub backlog: u64,
    /// What GitHub last said remains of its hourly budget, when it said so.
    pub github_ratelimit_remaining: Option<u64>,
}

/// One webhook at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSample {
    /// The webhook's uuid.
    pub webhook: String,
    /// Failures since its last success.
    pub consecutive_failures: u64,
    /// Time of its last success, in seconds since 1970, when there was one.
    pub last_success: Option<i64>,
}

/// One pair at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationSample {
    /// The consumer's name.
    pub consumer: String,
    /// The provider's name.
    pub provider: String,
    /// Age of the newest verification.
    pub age: Duration,
}

/// The metrics could not be set up or rendered.
#[derive(Debug, thiserror::Error)]
#[error("metrics")]
pub struct MetricsError(#[from] prometheus::Error);

/// All metrics of the process. A clone is another handle on the same numbers.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    events_received: IntCounter,
    events_duplicate: IntCounter,
    deliveries: IntCounterVec,
    attempt_duration: Histogram,
    end_to_end: Histogram,
    oldest_pending_age: Gauge,
    sampled: Sampled,
    samples: Mutex<Samples>,
}

/// Gauges with labels that come and go; filled from [`Samples`] when rendered.
struct Sampled {
    queue_depth: IntGaugeVec,
    lane_state: IntGaugeVec,
    lane_backlog: IntGaugeVec,
    github_ratelimit_remaining: IntGaugeVec,
    consecutive_failures: IntGaugeVec,
    last_success: IntGaugeVec,
    incidents_open: IntGaugeVec,
    verification_age: GaugeVec,
}

/// The latest of everything with labels that come and go. Each list is replaced as a whole, so
/// that what vanished is no longer shown.
#[derive(Default)]
struct Samples {
    queues: Vec<(String, u32)>,
    lanes: Vec<LaneSample>,
    webhooks: Vec<WebhookSample>,
    incidents: Vec<(String, u64)>,
    verifications: Vec<VerificationSample>,
}

impl Metrics {
    /// All metrics at zero; `version` is the program's.
    pub fn new(version: &str) -> Result<Self, MetricsError> {
        let registry = Registry::new();
        gauges(&registry, names::BUILD_INFO, "The running version; always 1.", &["version"])?
            .with_label_values(&[version])
            .set(1);
        Ok(Self(Arc::new(Inner {
            events_received: counter(
                &registry,
                names::EVENTS_RECEIVED,
                "Events accepted, without duplicates.",
            )?,
            events_duplicate: counter(
                &registry,
                names::EVENTS_DUPLICATE,
                "Events that repeated an accepted one.",
            )?,
            deliveries: counters(&registry)?,
            attempt_duration: histogram(
                &registry,
                names::DELIVERY_ATTEMPT_DURATION,
                "Time that one attempt took.",
                &ATTEMPT_BUCKETS,
            )?,
            end_to_end: histogram(
                &registry,
                names::DELIVERY_END_TO_END,
                "Time from the acceptance of an event to its delivery.",
                &END_TO_END_BUCKETS,
            )?,
            oldest_pending_age: gauge(
                &registry,
                names::OLDEST_PENDING_AGE,
                "Age of the oldest delivery that waits.",
            )?,
            sampled: Sampled::register(&registry)?,
            samples: Mutex::default(),
            registry,
        })))
    }

    /// `count` events were accepted; duplicates are not among them.
    pub fn events_received(&self, count: u64) {
        self.0.events_received.inc_by(count);
    }

    /// `count` events repeated an accepted one.
    pub fn events_duplicate(&self, count: u64) {
        self.0.events_duplicate.inc_by(count);
    }

    /// An outcome was recorded. `outcome` is the name of its class.
    pub fn outcome_recorded(&self, outcome: &'static str) {
        self.0.deliveries.with_label_values(&[outcome]).inc();
    }

    /// An attempt took this long.
    pub fn attempt_took(&self, duration: Duration) {
        self.0.attempt_duration.observe(duration.as_secs_f64());
    }

    /// A delivery was accepted by its target this long after its event was accepted here.
    pub fn delivered_after(&self, duration: Duration) {
        self.0.end_to_end.observe(duration.as_secs_f64());
    }

    /// Age of the oldest delivery that waits; zero when none does.
    pub fn set_oldest_pending_age(&self, age: Duration) {
        self.0.oldest_pending_age.set(age.as_secs_f64());
    }

    /// Replaces the depths of all queues.
    pub fn set_queue_depths(&self, queues: Vec<(String, u32)>) {
        self.samples().queues = queues;
    }

    /// Replaces the figures of all lanes.
    pub fn set_lanes(&self, lanes: Vec<LaneSample>) {
        self.samples().lanes = lanes;
    }

    /// Replaces the figures of all webhooks.
    pub fn set_webhooks(&self, webhooks: Vec<WebhookSample>) {
        self.samples().webhooks = webhooks;
    }

    /// Replaces the numbers of open incidents by kind. A kind with none is worth a zero.
    pub fn set_incidents(&self, incidents: Vec<(String, u64)>) {
        self.samples().incidents = incidents;
    }

    /// Replaces the figures of all pairs that were ever verified.
    pub fn set_verifications(&self, verifications: Vec<VerificationSample>) {
        self.samples().verifications = verifications;
    }

    /// Everything in the Prometheus text format 0.0.4.
    pub fn render(&self) -> Result<String, MetricsError> {
        let samples = self.samples();
        self.0.sampled.fill(&samples);
        let families = self.0.registry.gather();
        drop(samples);
        let mut text = Vec::new();
        TextEncoder::new().encode(&families, &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    fn samples(&self) -> MutexGuard<'_, Samples> {
        self.0.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Sampled {
    fn register(registry: &Registry) -> Result<Self, MetricsError> {
        let by_lane = &["lane"];
        let by_webhook = &["webhook"];
        Ok(Self {
            queue_depth: gauges(
                registry,
                names::QUEUE_DEPTH,
                "Messages ready in a queue.",
                &["queue"],
            )?,
            lane_state: gauges(
                registry,
                names::LANE_STATE,
                "1 for the state that a lane is in.",
                &["lane", "state"],
            )?,
            lane_backlog: gauges(
                registry,
                names::LANE_BACKLOG,
                "Deliveries that wait in a lane.",
                by_lane,
            )?,
            github_ratelimit_remaining: gauges(
                registry,
                names::GITHUB_RATELIMIT_REMAINING,
                "What GitHub last said remains of a lane's hourly budget.",
                by_lane,
            )?,
            consecutive_failures: gauges(
                registry,
                names::CONSECUTIVE_FAILURES,
                "Failures of a webhook since its last success.",
                by_webhook,
            )?,
            last_success: gauges(
                registry,
                names::LAST_SUCCESS_TIMESTAMP,
                "Time of a webhook's last success.",
                by_webhook,
            )?,
            incidents_open: gauges(
                registry,
                names::INCIDENTS_OPEN,
                "Incidents that are open.",
                &["kind"],
            )?,
            verification_age: float_gauges(
                registry,
                names::VERIFICATION_AGE,
                "Age of a pair's newest verification, quiet days left out.",
                &["consumer", "provider"],
            )?,
        })
    }

    fn fill(&self, samples: &Samples) {
        self.queue_depth.reset();
        for (queue, depth) in &samples.queues {
            self.queue_depth.with_label_values(&[queue]).set(i64::from(*depth));
        }
        self.fill_lanes(&samples.lanes);
        self.fill_webhooks(&samples.webhooks);
        self.incidents_open.reset();
        for (kind, open) in &samples.incidents {
            self.incidents_open.with_label_values(&[kind]).set(signed(*open));
        }
        self.verification_age.reset();
        for sample in &samples.verifications {
            let labels = [sample.consumer.as_str(), sample.provider.as_str()];
            self.verification_age.with_label_values(&labels).set(sample.age.as_secs_f64());
        }
    }

    fn fill_lanes(&self, lanes: &[LaneSample]) {
        self.lane_state.reset();
        self.lane_backlog.reset();
        self.github_ratelimit_remaining.reset();
        for sample in lanes {
            let lane = sample.lane.as_str();
            for state in LaneGauge::ALL {
                let is = i64::from(state == sample.state);
                self.lane_state.with_label_values(&[lane, state.as_str()]).set(is);
            }
            self.lane_backlog.with_label_values(&[lane]).set(signed(sample.backlog));
            if let Some(remaining) = sample.github_ratelimit_remaining {
                let gauge = self.github_ratelimit_remaining.with_label_values(&[lane]);
                gauge.set(signed(remaining));
            }
        }
    }

    fn fill_webhooks(&self, webhooks: &[WebhookSample]) {
        self.consecutive_failures.reset();
        self.last_success.reset();
        for sample in webhooks {
            let webhook = sample.webhook.as_str();
            let failures = self.consecutive_failures.with_label_values(&[webhook]);
            failures.set(signed(sample.consecutive_failures));
            if let Some(at) = sample.last_success {
                self.last_success.with_label_values(&[webhook]).set(at);
            }
        }
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn counter(registry: &Registry, name: &str, help: &str) -> Result<IntCounter, MetricsError> {
    let counter = IntCounter::new(name, help)?;
    registry.register(Box::new(counter.clone()))?;
    Ok(counter)
}

fn counters(registry: &Registry) -> Result<IntCounterVec, MetricsError> {
    let opts = Opts::new(names::DELIVERIES, "Outcomes recorded, by class.");
    let counters = IntCounterVec::new(opts, &["outcome"])?;
    registry.register(Box::new(counters.clone()))?;
    Ok(counters)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> Result<Gauge, MetricsError> {
    let gauge = Gauge::new(name, help)?;
    registry.register(Box::new(gauge.clone()))?;
    Ok(gauge)
}

fn gauges(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntGaugeVec, MetricsError> {
    let gauges = IntGaugeVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(gauges.clone()))?;
    Ok(gauges)
}

fn float_gauges(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<GaugeVec, MetricsError> {
    let gauges = GaugeVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(gauges.clone()))?;
    Ok(gauges)
}

fn histogram(
    registry: &Registry,
    name: &str,
    help: &str,
    buckets: &[f64],
) -> Result<Histogram, MetricsError> {
    let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    let histogram = Histogram::with_opts(opts)?;
    registry.register(Box::new(histogram.clone()))?;
    Ok(histogram)
}

#[cfg(test)]
mod tests;
