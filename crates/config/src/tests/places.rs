//! Which place wins, and what is said of what is wrong there.

use secrecy::ExposeSecret;

use super::given::{KEY, env, file, shown};
use crate::mode::Mode;

#[test]
fn flag_before_environment_before_file_before_default() {
    let mut given = file("listen = '127.0.0.1:3'");
    assert_eq!(given.settings().listen.listen.port(), 3);
    given.env.insert("POSTRIDER_LISTEN".to_owned(), "127.0.0.1:2".to_owned());
    assert_eq!(given.settings().listen.listen.port(), 2);
    given.flags.insert("LISTEN".to_owned(), "127.0.0.1:1".to_owned());
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
    let marked = env(&[("POSTRIDER_MASTER_KEY_FILE", "/secret/marked")]).settings();
    assert!(marked.access.master_key.is_some(), "as some editors write it");
    insta::assert_snapshot!(
        env(&[("POSTRIDER_API_TOKENS_FILE", "/secret/blank")]).problems().join("\n"),
        @r#"error: POSTRIDER_API_TOKENS_FILE (environment): "/secret/blank" is empty; fix: write the value into it"#
    );
    assert_eq!(env(&[("POSTRIDER_LISTEN_FILE", "/x")]).problems().len(), 1, "LISTEN is no secret");
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
    assert_eq!(settings.queue.old_queues, 3);
    assert_eq!(file("listen = { a = 1 }").problems().len(), 1);
}

#[test]
fn a_broken_file_is_reported_without_its_text() {
    let problems = file("listen = '127.0.0.1:1'\nmaster_key = hunter2\n").problems().join("\n");
    assert!(problems.contains("line 2") && !problems.contains("hunter2"), "{problems}");
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
    given.flags.insert("ADMIN_LISTEN".to_owned(), "nowhere".to_owned());
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
