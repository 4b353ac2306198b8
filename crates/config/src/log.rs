//! What is logged, and where a test lets a process die.

use postrider_telemetry::LogFormat;
use postrider_telemetry::step::CrashAt;

use crate::declaration::{Setting, variable};
use crate::reader::{Given, Reader, Reported};
use crate::section::settings;
use crate::value::{Raw, Wrong};

settings! {
    /// What is logged.
    struct Lines {
        /// Whether log lines are JSON, or text for people.
        format: Option<LogFormat> =
            Setting::new("LOG_FORMAT", "json or text", log_format)
                .example("text")
                .else_in_words("text on a terminal, else json"),
        /// What is logged, in the syntax of the crate `tracing-subscriber`.
        filter: Given =
            variable(&["RUST_LOG"], "directives, separated by commas")
                .example("info,postrider=debug")
                .unparsed_else(LogSettings::FILTER),
    }
}

/// What is logged.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// One line of JSON, or text for people; `None`: text where standard output is a terminal.
    pub format: Option<LogFormat>,
    /// In the syntax of `RUST_LOG`.
    pub filter: String,
}

impl LogSettings {
    /// What is logged without `RUST_LOG`. That spans can't be exported, or that RabbitMQ is away,
    /// is told by ourselves, once and where it is a fault; of lapin only what it does not survive.
    const FILTER: &str = "info,lapin=off,lapin::thread=error,sqlx=warn,hyper=warn,\
                          h2=warn,rustls=warn,opentelemetry_sdk=off,\
                          opentelemetry-otlp=off";

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let Lines { format, filter } = Lines::read(reader)?;
        Ok(Self { format, filter: filter.text().unwrap_or_default() })
    }
}

settings! {
    /// For tests alone.
    pub struct TestSettings {
        /// The step of a delivery at which the process dies, and how often it is reached before.
        pub crash_at: Option<CrashAt> =
            Setting::new("CRASH_AT", "step:count", crash_at).example("sent:1").optional(),
    }
}

fn log_format(raw: &Raw) -> Result<LogFormat, Wrong> {
    match raw.text().as_str() {
        "json" => Ok(LogFormat::Json),
        "text" => Ok(LogFormat::Text),
        other => Err(Wrong::new(format!("{other:?} is no log format"), "write json or text")),
    }
}

fn crash_at(raw: &Raw) -> Result<CrashAt, Wrong> {
    raw.text()
        .parse()
        .map_err(|what: String| Wrong::new(what, "leave it out: it is for crash tests alone"))
}
