//! What `/metrics` shows. Typed methods only: no other crate names a metric or a label.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::{
    Encoder, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

use crate::names;

/// The source's revision, which whoever builds the program may give.
const REVISION: &str = match option_env!("POSTRIDER_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// Seconds. From a receiver in the same rack to the 15 s time-out of an attempt.
const ATTEMPT_BUCKETS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0];

/// Seconds. From a delivery that went straight through to a lane that was held for a weekend.
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

/// When a consumer's pact was last verified by a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationSample {
    /// The consumer's name.
    pub consumer: String,
    /// The provider's name.
    pub provider: String,
    /// Time since its last verification.
    pub age: Duration,
}

/// Why a span did not reach the collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanLoss {
    /// Too many spans waited to be exported.
    QueueFull,
    /// The collector was away, too slow or refused them.
    NotExported,
}

impl SpanLoss {
    const ALL: [Self; 2] = [Self::QueueFull, Self::NotExported];

    fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::NotExported => "not_exported",
        }
    }
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
    relay_broken_bodies: IntCounterVec,
    http_limited: IntCounterVec,
    deliveries: IntCounterVec,
    attempt_duration: Histogram,
    end_to_end: Histogram,
    spans_dropped: IntCounterVec,
    sampled: Sampled,
    samples: Mutex<Samples>,
}

/// Gauges with labels that come and go; filled from [`Samples`] when rendered.
struct Sampled {
    oldest_pending_age: GaugeVec,
    queue_depth: IntGaugeVec,
    lane_state: IntGaugeVec,
    lane_backlog: IntGaugeVec,
    github_ratelimit_remaining: IntGaugeVec,
    credential_expiry: IntGaugeVec,
    consecutive_failures: IntGaugeVec,
    last_success: IntGaugeVec,
    incidents_open: IntGaugeVec,
    verification_age: GaugeVec,
    pairs: IntGaugeVec,
}

/// The latest of everything that comes and goes. Each list is replaced as a whole, so that what
/// vanished is no longer shown; what nobody in this process knows is not shown at all.
#[derive(Default)]
struct Samples {
    oldest_pending_age: Option<Duration>,
    /// By lane.
    github_ratelimit_remaining: BTreeMap<String, u64>,
    /// By credential, in seconds since 1970.
    credential_expiry: BTreeMap<String, i64>,
    verification_ages: Vec<VerificationSample>,
    pairs: Vec<(String, u64)>,
    queues: Vec<(String, u32)>,
    lanes: Vec<LaneSample>,
    webhooks: Vec<WebhookSample>,
    incidents: Vec<(String, u64)>,
}

impl Metrics {
    /// All metrics at zero; `version` is the program's.
    pub fn new(version: &str) -> Result<Self, MetricsError> {
        let registry = Registry::new();
        let build = &["version", "revision"];
        gauges(&registry, names::BUILD_INFO, "The running version; always 1.", build)?
            .with_label_values(&[version, REVISION])
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
            relay_broken_bodies: relay_broken_bodies(&registry)?,
            http_limited: http_limited(&registry)?,
            deliveries: counters(
                &registry,
                names::DELIVERIES,
                "Outcomes recorded, by class.",
                "outcome",
            )?,
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
            spans_dropped: counters(
                &registry,
                names::SPANS_DROPPED,
                "Spans that did not reach the collector.",
                "reason",
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

    /// A call was refused because its caller called too often: `token` is the name of the
    /// caller's token, `route` what has the rate.
    pub fn http_limited(&self, token: &str, route: &'static str) {
        self.0.http_limited.with_label_values(&[token, route]).inc();
    }

    /// The body of a relayed call was no JSON; `accepted`: its query sufficed.
    pub fn relay_broken_body(&self, accepted: bool) {
        let accepted = if accepted { "true" } else { "false" };
        self.0.relay_broken_bodies.with_label_values(&[accepted]).inc();
    }

    /// From now on these outcomes are shown, with zero as long as none was recorded, so that the
    /// first of a class is seen as an increase.
    pub fn expect_outcomes(&self, outcomes: impl IntoIterator<Item = &'static str>) {
        for outcome in outcomes {
            self.0.deliveries.with_label_values(&[outcome]);
        }
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
        self.samples().oldest_pending_age = Some(age);
    }

    /// Replaces the depths of all queues.
    pub fn set_queue_depths(&self, queues: Vec<(String, u32)>) {
        self.samples().queues = queues;
    }

    /// Replaces the figures of all lanes.
    pub fn set_lanes(&self, lanes: Vec<LaneSample>) {
        self.samples().lanes = lanes;
    }

    /// What GitHub last said remains of a lane's hourly budget.
    pub fn set_github_ratelimit_remaining(&self, lane: &str, remaining: u64) {
        put(&mut self.samples().github_ratelimit_remaining, lane, remaining);
    }

    /// Replaces when credentials expire, in seconds since 1970, of all of which GitHub said so.
    pub fn set_credential_expiries(&self, credentials: Vec<(String, i64)>) {
        self.samples().credential_expiry = credentials.into_iter().collect();
    }

    /// Replaces the numbers of pairs by state.
    pub fn set_pairs(&self, pairs: Vec<(String, u64)>) {
        self.samples().pairs = pairs;
    }

    /// Replaces the ages of the last verifications of pairs.
    pub fn set_verification_ages(&self, pairs: Vec<VerificationSample>) {
        self.samples().verification_ages = pairs;
    }

    /// From now on lost spans are counted, from zero.
    pub(crate) fn expect_spans(&self) {
        for reason in SpanLoss::ALL {
            self.0.spans_dropped.with_label_values(&[reason.as_str()]);
        }
    }

    /// So many spans did not reach the collector.
    pub(crate) fn spans_dropped(&self, reason: SpanLoss, count: u64) {
        self.0.spans_dropped.with_label_values(&[reason.as_str()]).inc_by(count);
    }

    /// Replaces the figures of all webhooks.
    pub fn set_webhooks(&self, webhooks: Vec<WebhookSample>) {
        self.samples().webhooks = webhooks;
    }

    /// Replaces the numbers of open incidents by kind. A kind with none is worth a zero.
    pub fn set_incidents(&self, incidents: Vec<(String, u64)>) {
        self.samples().incidents = incidents;
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
            oldest_pending_age: real_gauges(
                registry,
                names::OLDEST_PENDING_AGE,
                "Age of the oldest delivery that waits.",
                &[],
            )?,
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
            credential_expiry: gauges(
                registry,
                names::CREDENTIAL_EXPIRY_TIMESTAMP,
                "When GitHub says that a credential expires.",
                &["credential"],
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
            verification_age: real_gauges(
                registry,
                names::VERIFICATION_AGE,
                "Age of a pair's newest verification, quiet days left out.",
                &["consumer", "provider"],
            )?,
            pairs: gauges(registry, names::PAIRS, "Pairs by how fresh they are.", &["state"])?,
        })
    }

    fn fill(&self, samples: &Samples) {
        self.oldest_pending_age.reset();
        if let Some(age) = samples.oldest_pending_age {
            self.oldest_pending_age.with_label_values::<&str>(&[]).set(age.as_secs_f64());
        }
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
        self.pairs.reset();
        for (state, pairs) in &samples.pairs {
            self.pairs.with_label_values(&[state]).set(signed(*pairs));
        }
        self.verification_age.reset();
        for VerificationSample { consumer, provider, age } in &samples.verification_ages {
            let pair = [consumer.as_str(), provider.as_str()];
            self.verification_age.with_label_values(&pair).set(age.as_secs_f64());
        }
        self.fill_github(samples);
    }

    fn fill_github(&self, samples: &Samples) {
        self.github_ratelimit_remaining.reset();
        for (lane, remaining) in &samples.github_ratelimit_remaining {
            self.github_ratelimit_remaining.with_label_values(&[lane]).set(signed(*remaining));
        }
        self.credential_expiry.reset();
        for (credential, at) in &samples.credential_expiry {
            self.credential_expiry.with_label_values(&[credential]).set(*at);
        }
    }

    fn fill_lanes(&self, lanes: &[LaneSample]) {
        self.lane_state.reset();
        self.lane_backlog.reset();
        for sample in lanes {
            let lane = sample.lane.as_str();
            for state in LaneGauge::ALL {
                let is = i64::from(state == sample.state);
                self.lane_state.with_label_values(&[lane, state.as_str()]).set(is);
            }
            self.lane_backlog.with_label_values(&[lane]).set(signed(sample.backlog));
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

/// Without an allocation when the key is known.
fn put<T>(map: &mut BTreeMap<String, T>, key: &str, value: T) {
    match map.get_mut(key) {
        Some(slot) => *slot = value,
        None => drop(map.insert(key.to_owned(), value)),
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

/// Shown from the start, so that the first broken body is an increase.
fn relay_broken_bodies(registry: &Registry) -> Result<IntCounterVec, MetricsError> {
    let help = "Bodies of relayed calls that were no JSON, by whether the query sufficed.";
    let bodies = counters(registry, names::RELAY_BROKEN_BODIES, help, "accepted")?;
    for accepted in ["true", "false"] {
        bodies.with_label_values(&[accepted]).reset();
    }
    Ok(bodies)
}

fn http_limited(registry: &Registry) -> Result<IntCounterVec, MetricsError> {
    let help = "Calls refused because their caller called too often.";
    let opts = Opts::new(names::HTTP_LIMITED, help);
    let limited = IntCounterVec::new(opts, &["token", "route"])?;
    registry.register(Box::new(limited.clone()))?;
    Ok(limited)
}

fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    label: &str,
) -> Result<IntCounterVec, MetricsError> {
    let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
    registry.register(Box::new(counters.clone()))?;
    Ok(counters)
}

fn real_gauges(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<GaugeVec, MetricsError> {
    let gauges = GaugeVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(gauges.clone()))?;
    Ok(gauges)
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
