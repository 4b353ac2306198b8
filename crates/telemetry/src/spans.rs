//! Spans: what a trace shows of an event's way, exported by OTLP.
//!
//! | span | kind | parent | made by |
//! |---|---|---|---|
//! | `POST /events` | server | the caller's, when it sent a `traceparent` | intake |
//! | `publish <exchange>:<routing key>` | producer | the call | intake, for each message |
//! | `process <exchange>:<routing key>` | consumer | the call | worker, for a delivery that a message brought |
//! | `process` | internal | the call | worker, for a delivery out of the store |
//! | `POST` | client | the processing | worker |
//!
//! A message may carry deliveries of several calls. So every delivery stays in the trace of its own
//! call, and links lead across: a publishing has the first call as its parent and links to the
//! others, a first try links to the publishing, a later try to the first.
//!
//! The ids are those of [`TraceContext`], which travels in rows, AMQP headers and log lines anyway.
//! So spans are made whole when their work is done, and a process that dies loses those that it
//! had not exported, never the trace.
//!
//! Nothing here waits. Spans that find the queue full are dropped and counted; a collector that is
//! away, slow or hanging costs spans and nothing else. Without [`start`] each call is one load.

mod data;
mod export;
mod sampling;

use std::sync::OnceLock;
use std::time::Duration;

use crate::{Metrics, TraceContext};

pub use data::{About, Begun, Call, Fact, Place, Process, Publish, Request};
pub use export::{SpanConfig, SpansError};
pub use sampling::{InvalidSampling, Sampling};

use export::Export;

static EXPORT: OnceLock<Export> = OnceLock::new();

/// Exports the spans of this process from now on; the first call wins.
pub fn start(config: SpanConfig, metrics: Metrics) -> Result<(), SpansError> {
    let export = Export::new(config, metrics)?;
    EXPORT.set(export).map_err(|_| SpansError::Started)
}

/// Exports what is left, at most `within`, and blocks the thread as long.
pub fn stop(within: Duration) {
    if let Some(export) = EXPORT.get() {
        export.stop(within);
    }
}

/// Whether spans are exported.
pub fn is_on() -> bool {
    EXPORT.get().is_some()
}

/// Whether spans of this trace are exported.
pub fn wanted(trace: &TraceContext) -> bool {
    trace.sampled() && is_on()
}

/// The context of a call that came from outside, with its parent's or a new trace; whether it is
/// recorded is decided here for the whole trace.
pub fn of_call(parent: Option<TraceContext>) -> TraceContext {
    let context = parent.map_or_else(TraceContext::new_root, |parent| parent.child());
    match EXPORT.get() {
        None => context,
        Some(export) => context.with_sampled(export.samples(parent, context)),
    }
}

/// Exports a finished span, if its trace is wanted.
pub fn record(place: &Place, fact: &Fact<'_>) {
    if let Some(export) = EXPORT.get()
        && place.context.sampled()
    {
        export.record(place, fact);
    }
}

#[cfg(test)]
mod tests;
