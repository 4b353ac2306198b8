//! What `/metrics` shows. Typed methods only: no other crate names a metric or a label.

mod process;
mod register;
mod sampled;
mod samples;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::{Encoder, Histogram, IntCounter, IntCounterVec, Registry, TextEncoder};

use crate::names;
use process::Process;
pub use register::MetricsError;
use register::{counter, counters, gauges, histogram, show};
use sampled::Sampled;
use samples::Samples;
pub use samples::{
    LaneGauge, LaneSample, MonitorSample, PoolSample, QueueLink, SpanLoss, VerificationSample,
    WebhookSample,
};

/// Seconds. From a receiver in the same rack to the 15 s time-out of an attempt.
const ATTEMPT_BUCKETS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0];

/// Seconds. From a delivery that went straight through to a lane that was held for a weekend.
const END_TO_END_BUCKETS: [f64; 16] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 21600.0,
    172_800.0,
];

/// Calls of an intake, as they are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntakeRoute {
    /// `POST /events`.
    Events,
    /// A broker's own webhook.
    Relay,
}

impl IntakeRoute {
    fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Relay => "relay",
        }
    }
}

/// All metrics of the process. A clone is another handle on the same numbers.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    events_received: IntCounter,
    events_duplicate: IntCounter,
    intake_requests: IntCounterVec,
    relay_broken_bodies: IntCounterVec,
    http_limited: IntCounterVec,
    out: Out,
    alerts: IntCounterVec,
    spans_dropped: IntCounterVec,
    process: Process,
    sampled: Sampled,
    samples: Mutex<Samples>,
}

/// What a worker counts.
struct Out {
    deliveries: IntCounterVec,
    attempts: IntCounterVec,
    finished: IntCounterVec,
    attempt_duration: Histogram,
    end_to_end: Histogram,
}

impl Out {
    fn new(registry: &Registry) -> Result<Self, MetricsError> {
        let by_labels = |name, help, labels: &[&str]| counters(registry, name, help, labels);
        Ok(Self {
            deliveries: by_labels(
                names::DELIVERIES,
                "Attempts, by what they came to.",
                &["outcome"],
            )?,
            attempts: by_labels(
                names::ATTEMPTS,
                "Attempts, by what they came to and by lane.",
                &["outcome", "lane"],
            )?,
            finished: by_labels(
                names::DELIVERIES_FINISHED,
                "Deliveries that came to their end, by which.",
                &["status"],
            )?,
            attempt_duration: histogram(
                names::DELIVERY_ATTEMPT_DURATION,
                "Time that one attempt took.",
                &ATTEMPT_BUCKETS,
            )?,
            end_to_end: histogram(
                names::DELIVERY_END_TO_END,
                "Time from the acceptance of an event to its delivery.",
                &END_TO_END_BUCKETS,
            )?,
        })
    }
}

impl Inner {
    fn new() -> Result<Self, MetricsError> {
        let registry = Registry::new();
        let by_labels = |name, help, labels: &[&str]| counters(&registry, name, help, labels);
        Ok(Self {
            events_received: counter(
                names::EVENTS_RECEIVED,
                "Events accepted, without duplicates.",
            )?,
            events_duplicate: counter(
                names::EVENTS_DUPLICATE,
                "Events that repeated an accepted one.",
            )?,
            intake_requests: by_labels(
                names::INTAKE_REQUESTS,
                "Calls that bring events, by the status of their answers.",
                &["route", "status"],
            )?,
            relay_broken_bodies: by_labels(
                names::RELAY_BROKEN_BODIES,
                "Bodies of relayed calls that were no JSON, by whether the query sufficed.",
                &["accepted"],
            )?,
            http_limited: by_labels(
                names::HTTP_LIMITED,
                "Calls refused because their caller called too often.",
                &["token", "route"],
            )?,
            out: Out::new(&registry)?,
            alerts: by_labels(
                names::ALERTS,
                "Alerts that a channel was sent, by what came of it.",
                &["channel", "result"],
            )?,
            spans_dropped: by_labels(
                names::SPANS_DROPPED,
                "Spans that did not reach the collector.",
                &["reason"],
            )?,
            process: Process::register(&registry)?,
            sampled: Sampled::register(&registry)?,
            samples: Mutex::default(),
            registry,
        })
    }
}

impl Metrics {
    /// All metrics; `version` and `revision` are the program's. What an intake or a worker counts is
    /// shown once one of them says that it is one.
    pub fn new(version: &str, revision: &str) -> Result<Self, MetricsError> {
        let inner = Inner::new()?;
        let build = &["version", "revision"];
        let help = "The running version; always 1.";
        gauges(&inner.registry, names::BUILD_INFO, help, build)?
            .with_label_values(&[version, revision])
            .set(1.0);
        Ok(Self(Arc::new(inner)))
    }

    /// This process takes events in: its counts are shown from zero, so that the first is seen as
    /// an increase.
    pub fn expect_events(&self) {
        show(&self.0.registry, self.0.events_received.clone());
        show(&self.0.registry, self.0.events_duplicate.clone());
        for accepted in ["true", "false"] {
            self.0.relay_broken_bodies.with_label_values(&[accepted]);
        }
        for route in [IntakeRoute::Events, IntakeRoute::Relay] {
            self.0.intake_requests.with_label_values(&[route.as_str(), "503"]);
        }
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

    /// A call that brings events was answered with this status.
    pub fn intake_answered(&self, route: IntakeRoute, status: &str) {
        self.0.intake_requests.with_label_values(&[route.as_str(), status]).inc();
    }

    /// This process delivers: these outcomes are shown, with zero as long as none was recorded, so
    /// that the first of a class is seen as an increase.
    pub fn expect_outcomes(&self, outcomes: impl IntoIterator<Item = &'static str>) {
        show(&self.0.registry, self.0.out.attempt_duration.clone());
        show(&self.0.registry, self.0.out.end_to_end.clone());
        for outcome in outcomes {
            self.0.out.deliveries.with_label_values(&[outcome]);
        }
        for status in ["delivered", "failed", "discarded"] {
            self.0.out.finished.with_label_values(&[status]);
        }
    }

    /// An outcome was recorded. `outcome` is the name of its class.
    pub fn outcome_recorded(&self, outcome: &'static str) {
        self.0.out.deliveries.with_label_values(&[outcome]).inc();
    }

    /// An attempt in a lane came to this.
    pub fn attempted(&self, lane: &str, outcome: &'static str) {
        self.outcome_recorded(outcome);
        self.0.out.attempts.with_label_values(&[outcome, lane]).inc();
    }

    /// So many deliveries are `delivered`, `failed` or `discarded` for good.
    pub fn finished(&self, status: &'static str, count: u64) {
        self.0.out.finished.with_label_values(&[status]).inc_by(count);
    }

    /// From now on these channels are shown, with zero as long as nothing was sent.
    pub fn expect_alerts(&self, channel: &'static str, results: &[&'static str]) {
        for result in results {
            self.0.alerts.with_label_values(&[channel, result]);
        }
    }

    /// A channel was sent an alert, with this result.
    pub fn alert_tried(&self, channel: &'static str, result: &'static str) {
        self.0.alerts.with_label_values(&[channel, result]).inc();
    }

    /// An attempt took this long.
    pub fn attempt_took(&self, duration: Duration) {
        self.0.out.attempt_duration.observe(duration.as_secs_f64());
    }

    /// A delivery was accepted by its target this long after its event was accepted here.
    pub fn delivered_after(&self, duration: Duration) {
        self.0.out.end_to_end.observe(duration.as_secs_f64());
    }

    /// Age of the oldest delivery that waits; zero when none does.
    pub fn set_oldest_pending_age(&self, age: Duration) {
        self.samples().oldest_pending_age = Some(age);
    }

    /// Replaces the depths of all queues.
    pub fn set_queue_depths(&self, queues: Vec<(String, u32)>) {
        self.samples().queues = queues;
    }

    /// Whether RabbitMQ can be used now.
    pub fn set_queue_up(&self, link: QueueLink, is_up: bool) {
        self.samples().queue_up.insert(link, is_up);
    }

    /// The links that this process has, and whether they could be used when it last looked.
    pub fn queue_links(&self) -> Vec<(QueueLink, bool)> {
        self.samples().queue_up.iter().map(|(link, is_up)| (*link, *is_up)).collect()
    }

    /// Replaces what is known of the connections to the database, and how long the oldest step on
    /// deliveries has waited for it.
    pub fn set_database(&self, pools: Vec<PoolSample>, oldest_step: Duration) {
        let mut samples = self.samples();
        (samples.pools, samples.oldest_step) = (pools, Some(oldest_step));
    }

    /// Deliveries that this worker has claimed and not recorded yet.
    pub fn set_claims_in_flight(&self, claims: u64) {
        self.samples().claims_in_flight = Some(claims);
    }

    /// What this monitor says of itself.
    pub fn set_monitor(&self, monitor: MonitorSample) {
        self.samples().monitor = Some(monitor);
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
        self.0.process.fill();
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

/// Without an allocation when the key is known.
fn put<T>(map: &mut BTreeMap<String, T>, key: &str, value: T) {
    match map.get_mut(key) {
        Some(slot) => *slot = value,
        None => drop(map.insert(key.to_owned(), value)),
    }
}

#[cfg(test)]
mod tests;
