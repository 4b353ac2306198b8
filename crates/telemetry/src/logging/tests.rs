//! Tests of log lines: what they say, what they hide, and that none is lost at the end.

use std::io;
use std::sync::Mutex;

use serde_json::Value;

use super::redact::Guard;
use super::*;

/// Keeps what is written.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const LONG: Duration = Duration::from_secs(10);

/// What `log` writes, line by line.
fn lines_of(format: LogFormat, log: impl FnOnce()) -> Vec<String> {
    let sink = Arc::new(Sink::new(format, SinkLimits::default()));
    let kept = Kept::default();
    sink.start(kept.clone()).unwrap();
    let lines = Lines { format, sink: Arc::clone(&sink) };
    tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), log);
    assert!(sink.flush(LONG));
    let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn json_of(log: impl FnOnce()) -> Value {
    let lines = lines_of(LogFormat::Json, log);
    assert_eq!(lines.len(), 1, "{lines:?}");
    serde_json::from_str(&lines[0]).unwrap()
}

#[test]
fn fields_are_at_the_top_level_with_their_types() {
    let will_retry: Option<bool> = None;
    let line = json_of(|| {
        tracing::info!(
            lane = "api.github.com/token",
            attempt = 2_u64,
            retry_in_ms = -1_i64,
            share = 0.5,
            possible_duplicate = false,
            outcome = %"accepted",
            will_retry,
            "delivery.attempted"
        );
    });
    assert_eq!(line["message"], "delivery.attempted");
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["target"], "postrider_telemetry::logging::tests");
    assert_eq!(line["lane"], "api.github.com/token");
    assert_eq!(line["attempt"], 2);
    assert_eq!(line["retry_in_ms"], -1);
    assert_eq!(line["share"], 0.5);
    assert_eq!(line["possible_duplicate"], false);
    assert_eq!(line["outcome"], "accepted");
    assert!(line.get("will_retry").is_none());
}

#[test]
fn the_timestamp_is_utc_with_milliseconds() {
    let line = json_of(|| tracing::info!("x"));
    let text = line["timestamp"].as_str().unwrap();
    assert_eq!(text.len(), "2026-11-22T10:00:00.000Z".len(), "{text}");
    assert!(text.ends_with('Z') && text.parse::<Timestamp>().is_ok(), "{text}");
}

#[test]
fn hostile_text_stays_one_valid_line() {
    let evil = "a\nb\"c\\d\u{1b}[31m\u{0}";
    let line = json_of(|| tracing::warn!(evil, "{evil}"));
    assert_eq!(line["message"], evil);
    assert_eq!(line["evil"], evil);
    let lines = lines_of(LogFormat::Text, || tracing::warn!(evil, "{evil}"));
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains(" WARN ") && !lines[0].contains('\u{1b}'), "{lines:?}");
}

#[test]
fn a_field_can_not_pretend_to_be_the_level() {
    let line = json_of(|| tracing::info!(level = "ERROR", timestamp = 1, "x"));
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["field.level"], "ERROR");
    assert_eq!(line["field.timestamp"], 1);
}

#[test]
fn an_error_brings_its_causes() {
    let error = LoggingError::Thread(io::Error::other("no threads left"));
    let error: &dyn std::error::Error = &error;
    let line = json_of(|| tracing::error!(error, "x"));
    assert_eq!(line["error"], "cannot start the log writer: no threads left");
}

#[test]
fn guarded_values_are_starred_wherever_they_are() {
    guard_secrets(["ghp_logging\"quoted", "ab"]);
    let secret = "Bearer ghp_logging\"quoted, twice ghp_logging\"quoted";
    let nested = serde_json::json!({ "inner": secret }).to_string();
    let line = json_of(|| tracing::info!(nested, debug = ?secret, "{secret} ab"));
    let text = line.to_string();
    assert!(!text.contains("ghp_logging"), "{text}");
    assert_eq!(line["message"], "Bearer ********, twice ******** ab");
    let text = lines_of(LogFormat::Text, || tracing::info!(secret, "{secret}")).concat();
    assert!(!text.contains("ghp_logging"), "{text}");
}

#[test]
fn the_longest_value_wins_and_what_is_left_is_searched_on() {
    let mut guard = Guard::default();
    assert_eq!(guard.redact("secret"), "secret");
    for value in ["secr", "secret-long", "äöü", "no"] {
        guard.add(value);
    }
    assert!(!guard.add("secr"));
    guard.index();
    assert_eq!(guard.redact("xsecret-longsecret"), "x****************et");
    assert_eq!(guard.redact("→äöü←"), "→********←");
    assert_eq!(guard.redact("no se cr"), "no se cr");
    assert_eq!(guard.redact("sec"), "sec");
}

#[test]
fn of_too_many_values_the_oldest_are_forgotten() {
    let mut guard = Guard::default();
    for number in 0..10_001 {
        guard.add(&format!("value-{number:05}"));
    }
    guard.index();
    assert_eq!(
        guard.redact("value-00000 value-00001 value-10000"),
        "value-00000 ******** ********"
    );
}

/// It flushes what the whole process logs, so no other test may.
#[test]
fn a_panic_that_ends_the_process_takes_no_line_with_it() {
    let kept = Kept::default();
    // Nothing is written before somebody flushes.
    let limits = SinkLimits { batch: 1 << 20, gather: LONG * 100, ..SinkLimits::default() };
    install("info", LogFormat::Json, limits, kept.clone()).unwrap();
    let ended = std::panic::catch_unwind(|| {
        let _last_lines = LastLines { within: LONG };
        for number in 0..1_000 {
            tracing::info!(number, "last_lines");
        }
        panic!("on purpose");
    });
    assert!(ended.is_err());
    let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
    let numbers = text.lines().filter_map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["message"].as_str().filter(|&message| message == "last_lines")?;
        line["number"].as_u64()
    });
    assert!(numbers.eq(0..1_000));
}

#[test]
fn a_filter_that_is_nonsense_is_refused() {
    assert!(matches!(init("info,[[", LogFormat::Json), Err(LoggingError::Filter(_))));
}
