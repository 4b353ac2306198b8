//! How metrics are made.

use prometheus::{GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry};

/// The metrics could not be set up or rendered.
#[derive(Debug, thiserror::Error)]
#[error("metrics")]
pub struct MetricsError(#[from] prometheus::Error);

/// A counter that is shown once somebody counts it: see [`show`].
pub(super) fn counter(name: &str, help: &str) -> Result<IntCounter, MetricsError> {
    Ok(IntCounter::new(name, help)?)
}

/// A histogram that is shown once somebody observes it: see [`show`].
pub(super) fn histogram(
    name: &str,
    help: &str,
    buckets: &[f64],
) -> Result<Histogram, MetricsError> {
    Ok(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?)
}

/// Counters by labels: shown from the first count, or the first zero.
pub(super) fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntCounterVec, MetricsError> {
    let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(counters.clone()))?;
    Ok(counters)
}

/// Gauges by labels: shown from the first value.
pub(super) fn gauges(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<GaugeVec, MetricsError> {
    let gauges = GaugeVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(gauges.clone()))?;
    Ok(gauges)
}

/// From now on it is part of the text, with zero until something happens; the second time changes
/// nothing.
pub(super) fn show(registry: &Registry, metric: impl prometheus::core::Collector + 'static) {
    if let Err(error) = registry.register(Box::new(metric)) {
        tracing::trace!(%error, "metrics.shown_already");
    }
}
