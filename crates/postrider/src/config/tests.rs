//! Tables for resolving settings.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use postrider_domain::{LaneLimits, Rate};
use secrecy::ExposeSecret;

use super::client::ClientSettings;
use super::problem::Problems;
use super::reader::Sources;
use super::settings::{Mode, Settings};
use super::value::Origin;

/// 32 bytes in base64.
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

#[derive(Default, Clone)]
struct Given {
    env: BTreeMap<String, String>,
    file: Option<String>,
    flags: BTreeMap<&'static str, String>,
}

fn env(pairs: &[(&str, &str)]) -> Given {
    let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Given { env: pairs.collect(), ..Given::default() }
}

fn file(text: &str) -> Given {
    Given { file: Some(text.to_owned()), ..Given::default() }
}

fn read(path: &Path) -> io::Result<String> {
    match path.to_str() {
        Some("/secret/key") => Ok(format!("{KEY}\n")),
        Some("/secret/token") => Ok("from-file\r\n".to_owned()),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

impl Given {
    fn sources(&self) -> Sources<'_> {
        let file = self.file.as_deref().map(|text| (Path::new("postrider.toml"), text));
        Sources { env: &self.env, file, flags: &self.flags, read: &read }
    }

    fn settings(&self) -> Settings {
        Settings::resolve(&self.sources()).unwrap_or_else(|problems| panic!("{problems:#?}"))
    }

    fn problems(&self) -> Vec<String> {
        Settings::resolve(&self.sources())
            .err()
            .map(|problems| lines(&problems))
            .unwrap_or_default()
    }
}

fn lines(problems: &Problems) -> Vec<String> {
    problems.lines().collect()
}

fn shown(settings: &Settings, name: &str) -> (Option<String>, String) {
    let shown = settings.effective.iter().find(|shown| shown.name == name).unwrap();
    (shown.value.clone(), shown.origin.to_string())
}

/// Every setting with a value that differs from its default, and that value as it is shown.
const ALL: [(&str, &str, &str); 36] = [
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
    ("RETENTION", "7d", "7d"),
    ("DB_CONNECTIONS", "5", "5"),
    ("SWEEP_AFTER", "30s", "30s"),
    ("LOG_FORMAT", "text", "text"),
    ("CRASH_AT", "sent:1", "sent:1"),
];
const MORE: [(&str, &str, &str); 15] = [
    ("QUEUES", "3", "3"),
    ("PREFETCH", "10", "10"),
    ("MAX_UNPUBLISHED", "9", "9"),
    ("FRESHNESS", "36h", "36h"),
    ("TIMEZONE", "Europe/Berlin", "Europe/Berlin"),
    ("QUIET_DAYS", "fri", "fri"),
    ("BROKER_INTERVAL", "1m", "1m"),
    ("ALERT_SLACK_URL", "https://hooks.slack.example/hunter2", "***"),
    ("ALERT_ALERTMANAGER_URL", "http://u:hunter2@am:9093/x", "http://u:***@am:9093/x"),
    ("ALERT_WEBHOOK_URL", "https://alerts.example/hunter2", "***"),
    ("ALERT_WEBHOOK_SECRET", "hunter2", "***"),
    ("ALERT_RESEND", "30s", "30s"),
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
        "HTTPS_PROXY",
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

#[test]
fn flag_before_environment_before_file_before_default() {
    let mut given = file("listen = '127.0.0.1:3'");
    assert_eq!(given.settings().listen.listen.port(), 3);
    given.env.insert("POSTRIDER_LISTEN".to_owned(), "127.0.0.1:2".to_owned());
    assert_eq!(given.settings().listen.listen.port(), 2);
    given.flags.insert("LISTEN", "127.0.0.1:1".to_owned());
    let settings = given.settings();
    assert_eq!(settings.listen.listen.port(), 1);
    assert_eq!(shown(&settings, "POSTRIDER_LISTEN").1, "flag --listen");
    given = file("listen = '127.0.0.1:3'");
    given.env.insert("POSTRIDER_LISTEN".to_owned(), "  ".to_owned());
    assert_eq!(given.settings().listen.listen.port(), 3, "an empty variable is not set");
}

#[test]
fn other_programs_variables_are_fall_backs() {
    let mut given = env(&[
        ("DATABASE_URL", "postgres://db/x"),
        ("AMQP_URL", "amqp://mq"),
        ("POSTRIDER_MASTER_KEY", KEY),
        ("PACT_BROKER_WEBHOOK_HTTP_METHOD_WHITELIST", "GET POST"),
        ("PACT_BROKER_WEBHOOK_SCHEME_WHITELIST", "http"),
        ("POSTRIDER_WEBHOOK_SCHEME_WHITELIST", "https"),
        ("PACT_BROKER_BASE_URL", "https://ignored"),
        ("POSTRIDER_TEST_DATABASE_URL", "ignored"),
    ]);
    let settings = given.settings();
    assert!(matches!(settings.mode, Mode::Distributed { .. }));
    assert_eq!(settings.webhook.methods, ["GET", "POST"]);
    assert_eq!(settings.webhook.schemes, ["https"]);
    assert_eq!(shown(&settings, "POSTRIDER_DATABASE_URL").1, "environment DATABASE_URL");
    given.env.insert("POSTRIDER_DATABASE_URL".to_owned(), "postgres://ours/x".to_owned());
    let Mode::Distributed { database_url, .. } = given.settings().mode else { panic!("embedded") };
    assert_eq!(database_url.expose_secret(), "postgres://ours/x");
}

#[test]
fn secrets_may_be_files() {
    let settings = env(&[("POSTRIDER_MASTER_KEY_FILE", "/secret/key")]).settings();
    assert!(settings.access.master_key.is_some());
    assert!(file("master_key_file = '/secret/key'").settings().access.master_key.is_some());
    insta::assert_snapshot!(
        env(&[("POSTRIDER_MASTER_KEY_FILE", "/secret/key"), ("POSTRIDER_MASTER_KEY", KEY)])
            .problems().join("\n"),
        @"error: POSTRIDER_MASTER_KEY (environment): is given together with POSTRIDER_MASTER_KEY_FILE; fix: keep one of the two"
    );
    insta::assert_snapshot!(
        env(&[("POSTRIDER_API_TOKENS_FILE", "/nowhere")]).problems().join("\n"),
        @r#"error: POSTRIDER_API_TOKENS_FILE (environment): cannot read "/nowhere": entity not found; fix: name a file that this user can read"#
    );
    assert_eq!(env(&[("POSTRIDER_LISTEN_FILE", "/x")]).problems().len(), 1, "LISTEN is no secret");
}

#[test]
fn spans_are_off_until_an_endpoint_is_named() {
    let off: [&[(&str, &str)]; 4] = [
        &[],
        &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_EXPORTER_OTLP_HEADERS", "nonsense")],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"), ("OTEL_SDK_DISABLED", "TRUE")],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"), ("OTEL_TRACES_EXPORTER", "none")],
    ];
    for given in off {
        assert!(env(given).settings().traces.is_none(), "{given:?}");
    }
    for (given, endpoint) in [
        (("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"), "http://c:4318/v1/traces"),
        (("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c/otlp"), "https://c/otlp/v1/traces"),
        (("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:1/own"), "http://c:1/own"),
        (("OTEL_TRACES_EXPORTER", "otlp"), "http://localhost:4318/v1/traces"),
    ] {
        let traces = env(&[given]).settings().traces.unwrap();
        assert_eq!(traces.endpoint, endpoint);
        assert_eq!((traces.queue, traces.batch), (2048, 512));
        assert_eq!(traces.timeout.as_secs(), 10);
    }
}

#[test]
fn spans_by_the_usual_variables() {
    let settings = env(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://common:4318"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://own:4318/x"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20hunter2, x-team = a"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
        ("OTEL_SERVICE_NAME", "courier"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=x,deployment.environment.name=prod"),
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "10"),
    ])
    .settings();
    assert_eq!(shown(&settings, "OTEL_EXPORTER_OTLP_HEADERS").0.as_deref(), Some("***"));
    assert!(!format!("{settings:?}").contains("hunter2"));
    let config = super::wiring::span_config(&settings, "worker").unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    assert_eq!(config.endpoint, "http://own:4318/x");
    assert_eq!(config.headers["authorization"], "Bearer hunter2");
    assert_eq!(config.headers["x-team"], "a");
    assert_eq!((config.timeout.as_millis(), config.queue, config.batch), (1500, 10, 10));
    let said: BTreeMap<_, _> = config.resource.into_iter().collect();
    assert_eq!(said["service.name"], "courier");
    assert_eq!(said["deployment.environment.name"], "prod");
    assert_eq!(said["postrider.role"], "worker");
    let by_file = env(&[
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_HEADERS_FILE", "/secret/token"),
    ]);
    insta::assert_snapshot!(by_file.problems().join("\n"), @"error: OTEL_EXPORTER_OTLP_HEADERS_FILE (environment): is no list of pairs; fix: write name=value,name=value, values percent-encoded");
}

#[test]
fn spans_that_cannot_be_exported_as_asked_are_refused() {
    let problems = env(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4317"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2"),
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
    ])
    .problems();
    insta::assert_snapshot!(problems.join("\n"), @r#"
    error: OTEL_EXPORTER_OTLP_ENDPOINT (environment): is no http or https URL; fix: write an http or https URL, e.g. https://host:9393
    error: OTEL_EXPORTER_OTLP_PROTOCOL (environment): "grpc" is not spoken here; fix: write http/protobuf, and name the collector's HTTP port, usually 4318
    error: OTEL_EXPORTER_OTLP_COMPRESSION (environment): "gzip" is not done here; fix: write none
    error: OTEL_EXPORTER_OTLP_HEADERS (environment): is no list of pairs; fix: write name=value,name=value, values percent-encoded
    error: OTEL_TRACES_SAMPLER_ARG (environment): "2" is no ratio from 0 to 1; fix: write a ratio such as 0.1
    error: OTEL_BSP_MAX_QUEUE_SIZE (environment): "0" is no number from 1 to 1000000; fix: write a whole number in that range
    "#);
}

#[test]
fn one_url_alone_is_refused_by_the_missing_one_s_name() {
    insta::assert_snapshot!(
        env(&[("DATABASE_URL", "postgres://db/x")]).problems().join("\n"),
        @"error: POSTRIDER_AMQP_URL (default): is missing although POSTRIDER_DATABASE_URL is set: distributed mode needs both; fix: set POSTRIDER_AMQP_URL, e.g. amqp://user:password@host, or leave both out for embedded mode"
    );
    insta::assert_snapshot!(
        env(&[("POSTRIDER_AMQP_URL", "amqp://mq")]).problems().join("\n"),
        @"error: POSTRIDER_DATABASE_URL (default): is missing although POSTRIDER_AMQP_URL is set: distributed mode needs both; fix: set POSTRIDER_DATABASE_URL, e.g. postgres://user@host/postrider, or leave both out for embedded mode"
    );
}

#[test]
fn distributed_mode_needs_a_master_key() {
    let urls = [("DATABASE_URL", "postgres://db/x"), ("AMQP_URL", "amqp://mq")];
    let problems = env(&urls).problems().join("\n");
    assert!(problems.contains("POSTRIDER_MASTER_KEY"), "{problems}");
    assert!(problems.contains("openssl rand -base64 32"), "{problems}");
}

#[test]
fn an_open_door_is_refused() {
    for (listen, open) in [
        ("127.0.0.1:1", false),
        ("[::1]:1", false),
        ("0.0.0.0:1", true),
        ("[::]:1", true),
        ("10.0.0.1:1", true),
    ] {
        let refused = !env(&[("POSTRIDER_LISTEN", listen)]).problems().is_empty();
        assert_eq!(refused, open, "{listen}");
        let tokens = ("POSTRIDER_API_TOKENS", "operate:x");
        assert_eq!(env(&[("POSTRIDER_LISTEN", listen), tokens]).problems(), [""; 0]);
    }
}

#[test]
fn all_problems_are_reported_at_once() {
    let mut given = file(
        "lisen = 'x'\nretention = 0\n[[lane]]\nmatch = ['h/c']\nrate = 'fast'\nbrst = 2\n[[lane]]\nrate = '1/s'",
    );
    given.env = env(&[
        ("POSTRIDER_LISTNE", "x"),
        ("POSTRIDER_WEBHOOK_TIMEOUT", "soon"),
        ("POSTRIDER_MASTER_KEY", "hunter2"),
        ("POSTRIDER_DATABASE_URL", "mysql://hunter2"),
        ("POSTRIDER_FRESHNESS", "often"),
    ])
    .env;
    given.flags.insert("ADMIN_LISTEN", "nowhere".to_owned());
    let problems = given.problems();
    assert!(!problems.iter().any(|line| line.contains("hunter2") || line.contains('\n')));
    insta::assert_snapshot!(problems.join("\n"), @r#"
    error: POSTRIDER_DATABASE_URL (environment): is no URL of postgres, postgresql; fix: write a URL such as postgres://user@host/postrider
    error: --admin-listen (flag): "nowhere" is no address with a port; fix: write ADDRESS:PORT, e.g. 127.0.0.1:9393 or [::]:9393
    error: POSTRIDER_MASTER_KEY (environment): the master key has to be 32 bytes in base64: make one with `openssl rand -base64 32` (this is no base64); fix: make one with `openssl rand -base64 32`
    error: POSTRIDER_WEBHOOK_TIMEOUT (environment): "soon" is no duration: use forms such as 250ms, 15s, 5m, 24h, 30d, or a bare number of seconds; fix: write 1ms to 10m, e.g. 15s
    error: lane 1: brst (postrider.toml): is not a setting of a lane; fix: did you mean burst?
    error: lane 1: rate (postrider.toml): "fast" is no rate: use a whole number from 1 and a window up to 1d, such as 3/s, 75/min, 500/h, 180/6s, or unlimited; fix: write N/s, N/min, N/h or unlimited
    error: lane 2: match (postrider.toml): names no lanes; fix: write a list of HOST/CREDENTIAL, e.g. ["api.github.com/githubToken"]
    error: retention (postrider.toml): "0" is out of range; fix: write 1s to 3650d, e.g. 15s
    error: POSTRIDER_FRESHNESS (environment): "often" is no duration: use forms such as 250ms, 15s, 5m, 24h, 30d, or a bare number of seconds; fix: write 1ms to 3650d, e.g. 15s
    error: POSTRIDER_LISTNE (environment): is not a setting; fix: did you mean POSTRIDER_LISTEN?
    error: lisen (postrider.toml): is not a setting; fix: did you mean listen?
    "#);
}

#[test]
fn a_broken_file_is_reported_without_its_text() {
    let problems = file("listen = '127.0.0.1:1'\nmaster_key = hunter2\n").problems().join("\n");
    assert!(problems.contains("line 2") && !problems.contains("hunter2"), "{problems}");
}

#[test]
fn lanes_of_the_file() {
    let settings = file(
        "lane_rate = '30/min'\n[[lane]]\nmatch = ['api.github.com/*', 'x/y']\nname = 'gh'\nrate = '10/s'\nburst = 2\nconcurrency = 3\nper_hour = 450\n",
    )
    .settings();
    let rule = settings.lanes.overrides.first().unwrap();
    assert_eq!(rule.matches, ["api.github.com/*", "x/y"]);
    assert_eq!(rule.name.as_deref(), Some("gh"));
    assert_eq!(rule.rate, Some("10/s".parse::<Rate>().unwrap()));
    assert_eq!((rule.burst, rule.concurrency, rule.per_hour), (Some(2), Some(3), Some(450)));
    let rate: Rate = "30/min".parse().unwrap();
    assert_eq!(settings.lanes.github, LaneLimits { rate, ..LaneLimits::GITHUB });
    assert_eq!(settings.lanes.other, LaneLimits { rate, ..LaneLimits::OTHER });
}

#[test]
fn lists_and_numbers_may_be_toml_values() {
    let settings = file(
        "webhook_retry_schedule = [1, '2m']\nwebhook_http_code_success = [204]\nwebhook_timeout = 7\nqueues = 3",
    )
    .settings();
    assert_eq!(
        settings
            .webhook
            .retry
            .schedule
            .iter()
            .map(std::time::Duration::as_secs)
            .collect::<Vec<_>>(),
        [1, 120]
    );
    assert_eq!(settings.webhook.success_codes, [204]);
    assert_eq!(settings.webhook.timeout.as_secs(), 7);
    assert_eq!(settings.queue.queues, 3);
    assert_eq!(file("listen = { a = 1 }").problems().len(), 1);
}

#[test]
fn clients_need_little() {
    let resolve = |given: &Given| ClientSettings::resolve(&given.sources());
    let client = resolve(&Given::default()).unwrap();
    assert_eq!(client.url.as_str(), "http://127.0.0.1:9393/");
    assert!(client.token.is_none());
    let mut given = env(&[
        ("DATABASE_URL", "postgres://only/this"),
        ("POSTRIDER_LISTEN", "0.0.0.0:1234"),
        ("POSTRIDER_TOKEN", "t"),
    ]);
    let client = resolve(&given).unwrap();
    assert_eq!(client.url.as_str(), "http://127.0.0.1:1234/");
    assert_eq!(client.token.unwrap().expose_secret(), "t");
    given.flags.insert("URL", "https://p.example/base".to_owned());
    given.flags.insert("TOKEN_FILE", "/secret/token".to_owned());
    let client = resolve(&given).unwrap();
    assert_eq!(client.url.as_str(), "https://p.example/base");
    assert_eq!(client.token.unwrap().expose_secret(), "from-file");
    given.env.insert("POSTRIDER_TOEKN".to_owned(), "x".to_owned());
    insta::assert_snapshot!(
        lines(&resolve(&given).unwrap_err()).join("\n"),
        @"error: POSTRIDER_TOEKN (environment): is not a setting; fix: did you mean POSTRIDER_TOKEN?"
    );
}

#[test]
fn pairs_of_the_file() {
    let settings = file(
        "freshness = '36h'\ntimezone = 'Europe/Berlin'\nquiet_days = []\n[[pair]]\nconsumer = 'A/1'\nprovider = 'P'\nmax_age = '2h'\ncritical = true\n[[pair]]\nbroker = 'b'\nconsumer = 'A'\nprovider = 'P'",
    )
    .settings();
    let rules = settings.monitor.freshness;
    assert_eq!(rules.max_age.as_secs(), 36 * 3600);
    assert!(rules.quiet.is_empty());
    let [one, two] = &rules.pairs[..] else { panic!("{rules:?}") };
    assert_eq!((one.consumer.as_str(), one.max_age.unwrap().as_secs()), ("A/1", 7200));
    assert!(one.critical && one.broker.is_none());
    assert!(!two.critical && two.max_age.is_none());
    assert_eq!(two.broker.as_deref(), Some("b"));
    assert!(env(&[("POSTRIDER_QUIET_DAYS", "none")]).settings().monitor.freshness.quiet.is_empty());
    let auto = env(&[("POSTRIDER_FRESHNESS", "auto")]).settings().monitor.freshness;
    assert_eq!(auto.max_age.as_secs(), 24 * 3600);
    assert!(!auto.quiet.is_empty(), "weekends are quiet unless told otherwise");
}

#[test]
fn what_is_wrong_with_freshness_and_alerts_is_named() {
    let mut given = file("[[pair]]\nconsumer = ''\nmax_age = '0'\ncrit = true\n");
    given.env = env(&[
        ("POSTRIDER_TIMEZONE", "Europe/Berln"),
        ("POSTRIDER_QUIET_DAYS", "sat sonntag"),
        ("POSTRIDER_ALERT_SLACK_URL", "ftp://hunter2"),
        ("POSTRIDER_ALERT_WEBHOOK_SECRET", "hunter2"),
        ("POSTRIDER_ALERT_RESEND", "5m"),
    ])
    .env;
    let problems = given.problems();
    assert!(!problems.iter().any(|line| line.contains("hunter2") || line.contains('\n')));
    for expected in [
        "POSTRIDER_TIMEZONE (environment): \"Europe/Berln\" is no time zone; did you mean Europe/Berlin",
        "POSTRIDER_QUIET_DAYS (environment): \"sonntag\" is no day of the week",
        "pair 1: crit (postrider.toml): is not a setting of a pair",
        "pair 1: provider (postrider.toml): is missing; fix: write provider = \"NAME\"",
        "pair 1: consumer (postrider.toml): is no name",
        "pair 1: max_age (postrider.toml): \"0\" is out of range",
        "POSTRIDER_ALERT_SLACK_URL (environment): is no URL of https, http",
        "POSTRIDER_ALERT_WEBHOOK_SECRET (environment): is set, but there is nothing to sign",
        "POSTRIDER_ALERT_RESEND (environment): \"5m\" is out of range",
    ] {
        let found = problems.iter().any(|line| line.starts_with(&format!("error: {expected}")));
        assert!(found, "{expected} in {problems:#?}");
    }
    assert_eq!(problems.len(), 9, "{problems:#?}");
}

#[test]
fn brokers_of_variables_and_file() {
    use postrider_broker::BrokerAuth::{Basic, Bearer, None as Open};

    let mut given = file(
        "[[broker]]\nname = 'second'\nbase_url = 'http://broker:9292/pact'\ntoken_file = '/secret/token'\n[[broker]]\nname = 'third'\nbase_url = 'https://third.example'",
    );
    given.env = env(&[
        ("PACT_BROKER_BASE_URL", "https://broker.example"),
        ("PACT_BROKER_USERNAME", "reader"),
        ("PACT_BROKER_PASSWORD", "hunter2"),
    ])
    .env;
    let settings = given.settings();
    let brokers = &settings.monitor.brokers;
    let named: Vec<_> =
        brokers.iter().map(|broker| (broker.name.as_str(), broker.base_url.as_str())).collect();
    assert_eq!(
        named,
        [
            ("default", "https://broker.example/"),
            ("second", "http://broker:9292/pact"),
            ("third", "https://third.example/"),
        ]
    );
    assert!(matches!(&brokers[0].auth, Basic { username, .. } if username == "reader"));
    assert!(matches!(&brokers[1].auth, Bearer(token) if token.expose_secret() == "from-file"));
    assert!(matches!(brokers[2].auth, Open));
    assert_eq!(shown(&settings, "PACT_BROKER_PASSWORD").0.as_deref(), Some("***"));
    assert!(!format!("{settings:?}").contains("hunter2"));
    let alone = env(&[("PACT_BROKER_TOKEN", "of another program")]).settings();
    assert!(alone.monitor.brokers.is_empty(), "no address, no broker");
}

#[test]
fn what_is_wrong_with_brokers_is_named() {
    let mut given = file(
        "[[broker]]\nname = 'default'\nbase_url = 'https://b.example'\n[[broker]]\nbase_url = 'ftp://x'\ntoken_file = '/nowhere'\n[[broker]]\nname = 'x'\nbase_url = 'https://x'\nusername = 'u'\n",
    );
    given.env = env(&[
        ("PACT_BROKER_BASE_URL", "https://broker.example"),
        ("PACT_BROKER_TOKEN", "hunter2"),
        ("PACT_BROKER_USERNAME", "u"),
    ])
    .env;
    let problems = given.problems();
    assert!(!problems.iter().any(|line| line.contains("hunter2")));
    for expected in [
        "PACT_BROKER_TOKEN (environment): is given together with PACT_BROKER_USERNAME",
        "broker 2: name (postrider.toml): is missing",
        "broker 2: base_url (postrider.toml): is no http or https URL",
        "broker 2: token_file (postrider.toml): cannot read \"/nowhere\"",
        "broker 3: username (postrider.toml): is given without password_file",
    ] {
        let found = problems.iter().any(|line| line.starts_with(&format!("error: {expected}")));
        assert!(found, "{expected} in {problems:#?}");
    }
    assert_eq!(problems.len(), 5, "{problems:#?}");
    given.env.remove("PACT_BROKER_USERNAME");
    given.env.insert("PACT_BROKER_TOKEN_FILE".to_owned(), "/secret/token".to_owned());
    let problems = given.problems().join("\n");
    assert!(problems.contains("PACT_BROKER_TOKEN (environment): is given together"), "{problems}");
}

#[test]
fn two_brokers_of_one_name_are_refused() {
    let mut given = file("[[broker]]\nname = 'default'\nbase_url = 'https://b.example'\n");
    assert_eq!(given.problems(), [""; 0]);
    given.env = env(&[("PACT_BROKER_BASE_URL", "https://broker.example")]).env;
    let problems = given.problems().join("\n");
    assert!(problems.contains("names \"default\" twice"), "{problems}");
}
