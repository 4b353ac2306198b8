//! Which traces are recorded: the samplers of the OpenTelemetry specification, by their names.

use opentelemetry::trace::{SpanKind, TraceContextExt};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, ShouldSample};

use crate::TraceContext;

const NAMES: &str = "always_on, always_off, traceidratio, parentbased_always_on, \
                     parentbased_always_off or parentbased_traceidratio";

/// Decides for a call from outside, once for its whole trace.
#[derive(Debug, Clone)]
pub struct Sampling(Sampler);

/// The sampler is not known, or its argument not a ratio.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSampling {
    /// No sampler has this name.
    #[error("{0:?} is no sampler; use {NAMES}")]
    Name(String),
    /// The argument of a ratio.
    #[error("{0:?} is no ratio from 0 to 1")]
    Ratio(String),
}

impl Sampling {
    /// The sampler of `OTEL_TRACES_SAMPLER` with `OTEL_TRACES_SAMPLER_ARG`, which only the two
    /// with a ratio have: 1 unless given.
    pub fn parse(name: &str, argument: Option<&str>) -> Result<Self, InvalidSampling> {
        let (is_parent_based, root) = match name.strip_prefix("parentbased_") {
            Some(root) => (true, root),
            None => (false, name),
        };
        let root = match root {
            "always_on" => Sampler::AlwaysOn,
            "always_off" => Sampler::AlwaysOff,
            "traceidratio" => Sampler::TraceIdRatioBased(ratio(argument)?),
            _ => return Err(InvalidSampling::Name(name.to_owned())),
        };
        Ok(Self(if is_parent_based { Sampler::ParentBased(Box::new(root)) } else { root }))
    }

    /// Whether the trace of `context`, whose parent is another program's, is recorded.
    pub(crate) fn samples(&self, parent: Option<TraceContext>, context: TraceContext) -> bool {
        let parent = parent.map(|parent| {
            opentelemetry::Context::new().with_remote_span_context(parent.to_span_context(true))
        });
        let trace_id = context.to_span_context(false).trace_id();
        let kind = SpanKind::Server;
        let sampled = self.0.should_sample(parent.as_ref(), trace_id, "", &kind, &[], &[]);
        sampled.decision == SamplingDecision::RecordAndSample
    }
}

fn ratio(argument: Option<&str>) -> Result<f64, InvalidSampling> {
    let Some(text) = argument else { return Ok(1.0) };
    match text.trim().parse::<f64>() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        Ok(_) | Err(_) => Err(InvalidSampling::Ratio(text.to_owned())),
    }
}
