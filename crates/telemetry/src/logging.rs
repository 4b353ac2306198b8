//! Log lines on standard output: one a line, flat, and without secrets.
//!
//! A line is made on the thread that logs and handed to a thread that writes, so a reader that
//! hangs never stops deliveries. Every end of the process but `kill -9` writes what is left: see
//! [`LastLines`].

mod line;
mod redact;
mod sink;

use std::io::Write;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

pub use line::LogFormat;
pub use redact::{guard_secrets, redact};
use sink::{Sink, SinkLimits};

static SINK: OnceLock<Arc<Sink>> = OnceLock::new();

/// Logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter is not in the syntax of `RUST_LOG`.
    #[error("log filter {0:?} is not understood")]
    Filter(String),
    /// The process has a subscriber already.
    #[error("logging is set up already")]
    Installed,
    /// The thread that writes could not be started.
    #[error("cannot start the log writer")]
    Thread(#[source] std::io::Error),
}

/// Installs logging for the whole process. `filter` is in the syntax of `RUST_LOG`, such as
/// `info` or `info,postrider_worker=debug`.
pub fn init(filter: &str, format: LogFormat) -> Result<(), LoggingError> {
    install(filter, format, SinkLimits::default(), std::io::stdout())
}

/// Whether a text is a filter that [`init`] takes.
///
/// # Errors
/// It is none.
pub fn check_filter(filter: &str) -> Result<(), LoggingError> {
    read_filter(filter).map(drop)
}

fn read_filter(filter: &str) -> Result<EnvFilter, LoggingError> {
    EnvFilter::try_new(filter).map_err(|_| LoggingError::Filter(filter.to_owned()))
}

fn install(
    filter: &str,
    format: LogFormat,
    limits: SinkLimits,
    out: impl Write + Send + 'static,
) -> Result<(), LoggingError> {
    let filter = read_filter(filter)?;
    let sink = Arc::new(Sink::new(format, limits));
    let lines = Lines { format, sink: Arc::clone(&sink) };
    let subscriber = tracing_subscriber::registry().with(filter).with(lines);
    subscriber.try_init().map_err(|_| LoggingError::Installed)?;
    sink.start(out).map_err(LoggingError::Thread)?;
    SINK.set(sink).map_err(|_| LoggingError::Installed)
}

/// Waits until every line logged so far is written, at most `within`. Returns whether it is.
/// Call it before the process ends.
pub fn flush(within: Duration) -> bool {
    SINK.get().is_none_or(|sink| sink.flush(within))
}

/// Waits for the last lines when it is dropped, also by a panic that ends the process. Make it the
/// first value of `main`, so that it is dropped after everything that logs.
#[derive(Debug)]
#[must_use = "it flushes when it is dropped"]
pub struct LastLines {
    /// How long at most.
    pub within: Duration,
}

impl Drop for LastLines {
    fn drop(&mut self) {
        // Standard output hangs otherwise, and there is nobody to tell.
        flush(self.within);
    }
}

/// Turns events into lines.
struct Lines {
    format: LogFormat,
    sink: Arc<Sink>,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let line = line::of_event(self.format, Timestamp::now(), event);
        self.sink.write(&line);
    }
}

#[cfg(test)]
mod tests;
