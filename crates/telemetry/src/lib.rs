//! What the process says of itself: log lines, metrics, spans, and the trace context that travels
//! with a delivery.

mod logging;
mod metrics;
pub mod names;
pub mod spans;
pub mod step;
mod supervise;
mod trace;

pub use logging::{
    LastLines, LogFormat, LoggingError, check_filter, flush, guard_secrets, init, redact,
};
pub use metrics::{
    IntakeRoute, LaneGauge, LaneSample, Metrics, MetricsError, MonitorSample, PoolSample,
    QueueLink, SpanLoss, VerificationSample, WebhookSample,
};
pub use supervise::Supervisor;
pub use trace::{InvalidTraceparent, TRACEPARENT, TraceContext};
