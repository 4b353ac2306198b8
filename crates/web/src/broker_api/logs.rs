//! Attempts in the line format of Pact Broker 2.120 (`webhook_request_logger.rb`), from what
//! was kept of them: redacted when they were recorded, or rendered again with stars. The status of
//! an answer is always shown.

use std::fmt::Write as _;
use std::time::Duration;

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use postrider_api::RequestOrigin;
use postrider_domain::{WebhookUuid, without_bidirectional_controls};
use postrider_store::AttemptRow;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::shown::ShownRequest;

/// How an attempt's log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending<'a> {
    /// Nothing more: a test that the target took.
    Tested,
    /// A test that failed.
    TestFailed,
    /// The target took it.
    Succeeded,
    /// Another attempt follows after this wait.
    RetryIn(Duration),
    /// Another attempt follows once the lane of this name is open.
    RetryWhenOpen(&'a str),
    /// No other attempt follows these.
    GivenUp {
        /// Attempts made.
        attempts: u32,
    },
}

/// The severity that a line names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Debug,
    Info,
    Error,
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Error => "ERROR",
        }
    }
}

/// One attempt with what its log says around it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LoggedAttempt<'a> {
    pub(crate) attempt: &'a AttemptRow,
    pub(crate) request: &'a ShownRequest,
    /// `None` for a webhook that was not saved.
    pub(crate) webhook: Option<&'a WebhookUuid>,
    /// What the event brought, as one JSON object.
    pub(crate) context: &'a Value,
    pub(crate) ending: Ending<'a>,
}

/// A request or an answer as kept (`postrider_render::describe_request`).
#[derive(Deserialize)]
struct Kept {
    #[serde(default)]
    method: String,
    #[serde(default)]
    url: String,
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(default)]
    body: Option<Box<RawValue>>,
    #[serde(default)]
    body_bytes: Option<u64>,
    #[serde(default)]
    error: Option<String>,
}

/// The log of one attempt: lines, each with its line break.
pub(crate) fn log_lines(logged: &LoggedAttempt<'_>) -> String {
    let attempt = logged.attempt;
    let mut log = Log { text: String::new(), at: attempt.started_at };
    log.line(Level::Debug, &format!("Webhook context {}", logged.context));
    if logged.request.origin == Some(RequestOrigin::Rendered) {
        log.line(Level::Debug, "The request was not kept: it is rendered again");
    }
    if let Some(note) = &logged.request.note {
        log.line(Level::Debug, &format!("The request: {note}"));
    }
    if let Some(request) = kept(&logged.request.text) {
        log.line(Level::Info, &format!("HTTP/1.1 {} {}", request.method, request.url));
        log.headers_and_body(&request);
    }
    log.at = attempt.started_at.saturating_add(signed(attempt.duration)).unwrap_or(log.at);
    if let Some(status) = attempt.status_code {
        log.line(Level::Info, &format!("HTTP/1.1 {status} {}", reason(status)));
    }
    if let Some(response) = kept(&attempt.response) {
        log.headers_and_body(&response);
        if let Some(error) = &response.error {
            log.line(
                Level::Error,
                &format!(
                    "Error executing webhook{} {} - {error}",
                    logged.webhook.map(|uuid| format!(" {uuid}")).unwrap_or_default(),
                    attempt.outcome
                ),
            );
        }
    }
    if let Some(ending) = ending(logged.ending) {
        log.line(Level::Info, &ending);
    }
    log.text
}

/// One line of a log.
pub(crate) fn log_line(at: Timestamp, level: Level, message: &str) -> String {
    let mut log = Log { text: String::new(), at };
    log.line(level, message);
    log.text
}

struct Log {
    text: String,
    at: Timestamp,
}

impl Log {
    fn line(&mut self, level: Level, message: &str) {
        let at = self.at.strftime("%Y-%m-%dT%H:%M:%SZ");
        // Texts of targets and events must not turn the line around.
        let message = without_bidirectional_controls(message);
        // Writing to a String cannot fail.
        let _infallible = writeln!(self.text, "[{at}] {}: {message}", level.as_str());
    }

    fn headers_and_body(&mut self, kept: &Kept) {
        for (name, value) in &kept.headers {
            let value = value.as_str().unwrap_or_default();
            self.line(Level::Info, &format!("{name}: {value}"));
        }
        if let Some(body) = &kept.body {
            self.line(Level::Info, &body_text(body));
        }
        if let Some(bytes) = kept.body_bytes {
            let missing = if kept.body.is_some() { "its end" } else { "it" };
            let line = format!("The body is {bytes} bytes long; {missing} is not kept");
            self.line(Level::Debug, &line);
        }
    }
}

/// Nothing is kept of a request that was not sent.
fn kept(text: &str) -> Option<Kept> {
    serde_json::from_str(text).ok()
}

/// A body that is no JSON is kept as a string.
fn body_text(body: &RawValue) -> String {
    serde_json::from_str::<String>(body.get()).unwrap_or_else(|_| body.get().to_owned())
}

fn reason(status: u16) -> &'static str {
    let status = StatusCode::from_u16(status).ok();
    status.and_then(|status| status.canonical_reason()).unwrap_or("Status")
}

fn ending(ending: Ending<'_>) -> Option<String> {
    match ending {
        Ending::Tested => None,
        Ending::TestFailed => Some("Webhook execution failed".to_owned()),
        Ending::Succeeded => Some("Successfully executed webhook".to_owned()),
        Ending::RetryIn(wait) => {
            Some(format!("Retrying webhook in {} seconds", wait.as_secs_f64().round()))
        }
        Ending::RetryWhenOpen(lane) => Some(format!("Retrying webhook when lane {lane} is open")),
        Ending::GivenUp { attempts } => {
            let plural = if attempts == 1 { "" } else { "s" };
            Some(format!("Webhook execution failed after {attempts} attempt{plural}"))
        }
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or_default()
}

#[cfg(test)]
mod tests;
