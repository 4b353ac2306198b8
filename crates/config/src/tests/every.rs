//! Every setting from every place.

use std::collections::BTreeSet;
use std::path::Path;

use super::given::{Given, KEY, env, file, shown};
use crate::declaration::Unset;
use crate::mode::Mode;
use crate::reference::{declarations, reference, tables};
use crate::value::Origin;

/// Every setting with a value that differs from its default, and that value as it is shown.
const ALL: [(&str, &str, &str); 38] = [
    ("DATABASE_URL", "postgres://u:hunter2@db/p?x=hunter2", "postgres://u:***@db/p"),
    ("AMQP_URL", "amqps://u:hunter2@mq", "amqps://u:***@mq"),
    ("DATA_DIR", "/data", "/data"),
    ("LISTEN", "0.0.0.0:80", "0.0.0.0:80"),
    ("ADMIN_LISTEN", "127.0.0.1:0", "127.0.0.1:0"),
    ("BASE_URL", "https://p.example", "https://p.example"),
    ("TRUSTED_PROXIES", "10.0.0.1", "10.0.0.1"),
    ("MASTER_KEY", KEY, "***"),
    ("API_TOKENS", "read:hunter2", "***"),
    ("WEBHOOK_RETRY_SCHEDULE", "1 2", "1 2"),
    ("WEBHOOK_HTTP_CODE_SUCCESS", "200", "200"),
    ("WEBHOOK_SCHEME_WHITELIST", "https http", "https http"),
    ("WEBHOOK_HTTP_METHOD_WHITELIST", "POST PUT", "POST PUT"),
    ("WEBHOOK_HOST_WHITELIST", "*.example /a{1,2}/", "*.example /a{1,2}/"),
    ("WEBHOOK_ALLOW_NETWORKS", "10.0.0.0/8", "10.0.0.0/8"),
    ("WEBHOOK_TIMEOUT", "3s", "3s"),
    ("EXECUTE_WAIT", "10s", "10s"),
    ("WEBHOOK_CERTIFICATES", "/certs", "/certs"),
    ("GITHUB_HOSTS", "github.example", "github.example"),
    ("LANE_RATE", "5/s", "5/s"),
    ("LANE_BURST", "3", "3"),
    ("LANE_CONCURRENCY", "2", "2"),
    ("PROBE_INTERVAL", "5s", "5s"),
    ("POLL_INTERVAL", "200ms", "200ms"),
    ("JANITOR_INTERVAL", "1s", "1s"),
    ("LEASE", "4s", "4s"),
    ("CLAIM_MARGIN", "2s", "2s"),
    ("WORKER_CONCURRENCY", "7", "7"),
    ("SHUTDOWN_GRACE", "1m", "1m"),
    ("MONITOR_INTERVAL", "1s", "1s"),
    ("SUSTAINED_FAILURES", "9", "9"),
    ("SUSTAINED_FAILURES_FOR", "5m", "5m"),
    ("DELIVERY_OBJECTIVE", "7m", "7m"),
    ("RETENTION", "7d", "7d"),
    ("DB_CONNECTIONS", "5", "5"),
    ("SWEEP_AFTER", "30s", "30s"),
    ("LOG_FORMAT", "text", "text"),
    ("CRASH_AT", "sent:1", "sent:1"),
];
const MORE: [(&str, &str, &str); 29] = [
    ("ALLOWED_HOSTS", "postrider.internal", "postrider.internal"),
    ("API_RATE", "50/s", "50/s"),
    ("INTAKE_RATE", "100/s", "100/s"),
    ("MAX_CONNECTIONS", "99", "99"),
    ("REDACT_MORE", "x-api-key", "x-api-key"),
    ("QUEUES", "3", "3"),
    ("OLD_QUEUES_KEPT", "2h", "2h"),
    ("PREFETCH", "10", "10"),
    ("MACHINE_USERS", "robot-*", "robot-*"),
    ("CREDENTIAL_INTERVAL", "12h", "12h"),
    ("MAX_UNPUBLISHED", "9", "9"),
    ("FRESHNESS", "36h", "36h"),
    ("TIMEZONE", "Europe/Berlin", "Europe/Berlin"),
    ("QUIET_DAYS", "fri", "fri"),
    ("BROKER_INTERVAL", "1m", "1m"),
    ("BROKER_WATCH", "observe", "observe"),
    ("BROKER_SWEEP", "1h", "1h"),
    ("REDISPATCH", "dry-run", "dry-run"),
    ("ALERT_SLACK_URL", "https://hooks.slack.example/hunter2", "***"),
    ("ALERT_ALERTMANAGER_URL", "http://u:hunter2@am:9093/x", "http://u:***@am:9093/x"),
    ("ALERT_WEBHOOK_URL", "https://alerts.example/hunter2", "***"),
    ("ALERT_WEBHOOK_SECRET", "hunter2", "***"),
    ("ALERT_RESEND", "30s", "30s"),
    ("ALERT_REMIND", "1h", "1h"),
    ("ALERT_DIGEST", "09:00", "09:00"),
    ("ALERT_WATCHDOG", "on", "on"),
    ("ALERT_RETRY", "1s", "1s"),
    ("ALERT_TIMEOUT", "5s", "5s"),
    ("RELAY_ANSWER_WITHIN", "5s", "5s"),
];

fn all() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    ALL.into_iter().chain(MORE)
}

#[test]
fn every_setting_can_come_from_the_environment() {
    let given = Given {
        env: all()
            .map(|(name, value, _)| (format!("POSTRIDER_{name}"), value.to_owned()))
            .collect(),
        ..Given::default()
    };
    let settings = given.settings();
    for (name, _, expected) in all() {
        let variable = format!("POSTRIDER_{name}");
        let origin = format!("environment {variable}");
        assert_eq!(shown(&settings, &variable), (Some(expected.to_owned()), origin));
    }
    let text = format!("{settings:?}");
    assert!(!text.contains("hunter2") && !text.contains(KEY), "a secret is in {text}");
}

#[test]
fn every_setting_can_come_from_the_file() {
    let lines = all().map(|(name, value, _)| format!("{} = {value:?}", name.to_lowercase()));
    let text = lines.collect::<Vec<_>>().join("\n");
    let settings = file(&text).settings();
    for (name, _, expected) in all() {
        let origin = format!("postrider.toml {}", name.to_lowercase());
        assert_eq!(
            shown(&settings, &format!("POSTRIDER_{name}")),
            (Some(expected.to_owned()), origin)
        );
    }
}

#[test]
fn the_tables_above_are_complete() {
    let settings = Given::default().settings();
    let known: BTreeSet<String> =
        settings.effective.iter().map(|shown| shown.name.clone()).collect();
    let known: BTreeSet<String> =
        known.into_iter().filter(|name| !name.starts_with("OTEL_")).collect();
    let foreign = [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "RUST_LOG",
        "POSTRIDER_URL",
        "POSTRIDER_TOKEN",
        "PACT_BROKER_BASE_URL",
        "PACT_BROKER_TOKEN",
        "PACT_BROKER_USERNAME",
        "PACT_BROKER_PASSWORD",
        "POSTRIDER_INGEST_TOKEN",
    ];
    let mut expected: BTreeSet<String> =
        all().map(|(name, _, _)| format!("POSTRIDER_{name}")).collect();
    expected.extend(foreign.map(str::to_owned));
    assert_eq!(known, expected);
}

#[test]
fn defaults() {
    let settings = Given::default().settings();
    assert!(
        matches!(&settings.mode, Mode::Embedded { data_dir } if data_dir == Path::new("./postrider-data"))
    );
    assert_eq!(settings.listen.listen.to_string(), "127.0.0.1:9393");
    assert_eq!(settings.listen.admin.to_string(), "127.0.0.1:9394");
    assert_eq!(settings.lanes, postrider_domain::LaneRules::default());
    assert_eq!(settings.webhook.retry, postrider_domain::RetryPolicy::default());
    assert_eq!(settings.webhook.schemes, ["https"]);
    assert_eq!(settings.webhook.methods, ["POST"]);
    assert_eq!(settings.webhook.success_codes, [200, 201, 202, 203, 204, 205, 206]);
    assert_eq!(settings.monitor.sustained_failures, 3);
    assert!(settings.effective.iter().all(|shown| shown.origin == Origin::Default));
}

/// What is said of settings can be relied on: each has a meaning, readers, and an example that is
/// accepted.
#[test]
fn what_is_said_of_a_setting_is_true() {
    for declaration in declarations() {
        let name = declaration.variable();
        assert!(declaration.meaning().ends_with('.'), "{name}: {}", declaration.meaning());
        assert!(!declaration.section().is_empty() && !declaration.kind.is_empty(), "{name}");
        assert!(!declaration.roles.is_empty(), "{name}");
        let example = declaration.example;
        // Where one value alone can be written, it is the default too.
        let says_more = declaration.unset != Unset::Value(example) || declaration.kind == example;
        assert!(!example.is_empty() && says_more, "{name}");
        // What a shell would make of it is not known here.
        let tried = if example.contains('$') { None } else { Some((name.as_str(), example)) };
        let both =
            [("POSTRIDER_DATABASE_URL", "postgres://db/x"), ("POSTRIDER_AMQP_URL", "amqp://mq")];
        let mut given = env(&both);
        let beside = [
            ("POSTRIDER_MASTER_KEY", KEY),
            ("POSTRIDER_API_TOKENS", "read:a"),
            ("OTEL_TRACES_EXPORTER", "otlp"),
            ("POSTRIDER_ALERT_SLACK_URL", "https://hooks.slack.example/x"),
            ("POSTRIDER_ALERT_ALERTMANAGER_URL", "http://alertmanager:9093"),
            ("PACT_BROKER_BASE_URL", "https://broker.example"),
            ("PACT_BROKER_USERNAME", "reader"),
            ("PACT_BROKER_PASSWORD", "hunter2"),
        ];
        for (name, value) in beside.into_iter().chain(tried) {
            given.env.insert(name.to_owned(), value.to_owned());
        }
        assert_eq!(given.problems(), [""; 0], "{name}");
    }
}

#[test]
fn keys_of_tables_have_examples_that_are_accepted() {
    for table in tables() {
        let keys: Vec<String> =
            table.keys.iter().map(|key| format!("{} = {}", key.name, key.example)).collect();
        // A broker has either a token or a user, and their files are not there.
        let usable =
            keys.iter().filter(|line| !line.contains("_file") && !line.contains("username"));
        let text = usable.cloned().collect::<Vec<_>>().join("\n");
        assert_eq!(file(&format!("[[{}]]\n{text}", table.name)).problems(), [""; 0], "{text}");
    }
}

#[test]
fn the_reference_names_everything_once() {
    let page = reference();
    let headings: Vec<&str> = page.lines().filter(|line| line.starts_with("### ")).collect();
    let names: BTreeSet<&str> = headings.iter().copied().collect();
    assert_eq!(names.len(), headings.len());
    assert_eq!(headings.len(), declarations().len() + tables().len());
}
