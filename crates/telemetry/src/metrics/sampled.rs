//! Gauges with labels that come and go; filled from [`Samples`] when rendered.

use std::collections::BTreeMap;

use prometheus::{GaugeVec, Registry};

use super::register::{MetricsError, gauges};
use super::samples::{LaneGauge, LaneSample, Samples, VerificationSample, WebhookSample};
use crate::names;

/// Each with what it says and its labels.
const GAUGES: &[(&str, &str, &[&str])] = &[
    (names::OLDEST_PENDING_AGE, "Age of the oldest delivery that waits.", &[]),
    (names::QUEUE_DEPTH, "Messages ready in a queue.", &["queue"]),
    (names::QUEUE_UP, "1 while RabbitMQ can be used, else 0.", &["link"]),
    (
        names::LANE_STATE,
        "1 for the state that a lane is in; a held one says why.",
        &["lane", "state", "cause"],
    ),
    (names::LANE_BACKLOG, "Deliveries that wait in a lane.", &["lane"]),
    (
        names::GITHUB_RATELIMIT_REMAINING,
        "What GitHub last said remains of a lane's hourly budget.",
        &["lane"],
    ),
    (
        names::CREDENTIAL_EXPIRY_TIMESTAMP,
        "When GitHub says that a credential expires.",
        &["credential"],
    ),
    (
        names::WEBHOOK_INFO,
        "What a webhook is called, and its lane; always 1.",
        &["webhook", "description", "lane"],
    ),
    (names::CONSECUTIVE_FAILURES, "Failures of a webhook since its last success.", &["webhook"]),
    (names::LAST_SUCCESS_TIMESTAMP, "Time of a webhook's last success.", &["webhook"]),
    (names::INCIDENTS_OPEN, "Incidents that are open.", &["kind"]),
    (
        names::VERIFICATION_AGE,
        "Age of a pair's newest verification, quiet days left out.",
        &["consumer", "provider"],
    ),
    (
        names::VERIFICATION_MAX_AGE,
        "How old a pair's verification may get.",
        &["consumer", "provider"],
    ),
    (names::PAIRS, "Pairs by how fresh they are.", &["state"]),
    (names::DATABASE_CONNECTIONS, "Connections to the database.", &["pool", "state"]),
    (
        names::DATABASE_OLDEST_STEP,
        "How long the oldest step on deliveries has waited for the database.",
        &[],
    ),
    (names::CLAIMS_IN_FLIGHT, "Deliveries that a worker has claimed and not recorded yet.", &[]),
    (names::MONITOR_ACTIVE, "1 for the monitor that judges, 0 for one that stands by.", &[]),
    (names::QUIET_DAY, "1 on a day that does not count as age, else 0.", &[]),
];

/// All of them, by name.
pub(super) struct Sampled(BTreeMap<&'static str, GaugeVec>);

impl Sampled {
    pub(super) fn register(registry: &Registry) -> Result<Self, MetricsError> {
        let made = GAUGES
            .iter()
            .map(|(name, help, labels)| Ok((*name, gauges(registry, name, help, labels)?)));
        Ok(Self(made.collect::<Result<_, MetricsError>>()?))
    }

    /// Shows these, and nothing of before.
    pub(super) fn fill(&self, samples: &Samples) {
        self.0.values().for_each(GaugeVec::reset);
        if let Some(age) = samples.oldest_pending_age {
            self.set(names::OLDEST_PENDING_AGE, &[], age.as_secs_f64());
        }
        for (kind, open) in &samples.incidents {
            self.set(names::INCIDENTS_OPEN, &[kind], number(*open));
        }
        for (state, pairs) in &samples.pairs {
            self.set(names::PAIRS, &[state], number(*pairs));
        }
        samples.lanes.iter().for_each(|lane| self.lane(lane));
        samples.webhooks.iter().for_each(|webhook| self.webhook(webhook));
        samples.verification_ages.iter().for_each(|pair| self.pair(pair));
        self.github(samples);
        self.process(samples);
    }

    fn set(&self, name: &str, labels: &[&str], value: f64) {
        if let Some(gauge) = self.0.get(name) {
            gauge.with_label_values(labels).set(value);
        }
    }

    fn lane(&self, sample: &LaneSample) {
        let lane = sample.lane.as_str();
        for state in LaneGauge::ALL {
            let is_so = state == sample.state;
            let cause = sample.cause.filter(|_| is_so).unwrap_or_default();
            let labels = [lane, state.as_str(), cause];
            self.set(names::LANE_STATE, &labels, one_if(is_so));
        }
        self.set(names::LANE_BACKLOG, &[lane], number(sample.backlog));
    }

    fn webhook(&self, sample: &WebhookSample) {
        let webhook = sample.webhook.as_str();
        let known = [webhook, sample.description.as_str(), sample.lane.as_str()];
        self.set(names::WEBHOOK_INFO, &known, 1.0);
        self.set(names::CONSECUTIVE_FAILURES, &[webhook], number(sample.consecutive_failures));
        if let Some(at) = sample.last_success {
            self.set(names::LAST_SUCCESS_TIMESTAMP, &[webhook], seconds(at));
        }
    }

    fn pair(&self, sample: &VerificationSample) {
        let pair = [sample.consumer.as_str(), sample.provider.as_str()];
        self.set(names::VERIFICATION_AGE, &pair, sample.age.as_secs_f64());
        self.set(names::VERIFICATION_MAX_AGE, &pair, sample.max_age.as_secs_f64());
    }

    fn github(&self, samples: &Samples) {
        for (lane, remaining) in &samples.github_ratelimit_remaining {
            self.set(names::GITHUB_RATELIMIT_REMAINING, &[lane], number(*remaining));
        }
        for (credential, at) in &samples.credential_expiry {
            self.set(names::CREDENTIAL_EXPIRY_TIMESTAMP, &[credential], seconds(*at));
        }
    }

    /// What the process knows of its own links and work.
    fn process(&self, samples: &Samples) {
        for (queue, depth) in &samples.queues {
            self.set(names::QUEUE_DEPTH, &[queue], f64::from(*depth));
        }
        for (link, is_up) in &samples.queue_up {
            self.set(names::QUEUE_UP, &[link.as_str()], one_if(*is_up));
        }
        for pool in &samples.pools {
            self.set(names::DATABASE_CONNECTIONS, &[pool.pool, "used"], f64::from(pool.used));
            self.set(names::DATABASE_CONNECTIONS, &[pool.pool, "idle"], f64::from(pool.idle));
        }
        if let Some(age) = samples.oldest_step {
            self.set(names::DATABASE_OLDEST_STEP, &[], age.as_secs_f64());
        }
        if let Some(claims) = samples.claims_in_flight {
            self.set(names::CLAIMS_IN_FLIGHT, &[], number(claims));
        }
        if let Some(monitor) = samples.monitor {
            self.set(names::MONITOR_ACTIVE, &[], one_if(monitor.active));
            self.set(names::QUIET_DAY, &[], one_if(monitor.quiet_day));
        }
    }
}

fn one_if(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

#[expect(clippy::cast_precision_loss, reason = "nothing here is counted beyond 2^53")]
fn number(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "a second of 1970 to far beyond today")]
fn seconds(since_1970: i64) -> f64 {
    since_1970 as f64
}
