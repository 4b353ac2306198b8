//! What the process says of itself: log lines, metrics, and the trace context that travels with
//! a delivery.

mod logging;
mod metrics;
pub mod names;
pub mod step;
mod trace;

pub use logging::{LogFormat, LoggingError, flush, guard_secrets, init, redact};
pub use metrics::{
    LaneGauge, LaneSample, Metrics, MetricsError, VerificationSample, WebhookSample,
};
pub use trace::{InvalidTraceparent, TRACEPARENT, TraceContext};
