//! Freshness, alerts, brokers.

use secrecy::ExposeSecret;

use super::given::{env, file, shown};

#[test]
fn pairs_of_the_file() {
    let settings = file(
        "freshness = '36h'\ntimezone = 'Europe/Berlin'\nquiet_days = []\n[[pair]]\nconsumer = 'A/1'\nprovider = 'P'\nmax_age = '2h'\ncritical = true\n[[pair]]\nbroker = 'b'\nconsumer = 'A'\nprovider = 'P'",
    )
    .settings();
    let rules = settings.freshness;
    assert_eq!(rules.max_age.map(|age| age.as_secs()), Some(36 * 3600));
    assert!(rules.quiet.is_empty());
    let [one, two] = &rules.pairs[..] else { panic!("{rules:?}") };
    assert_eq!((one.consumer.as_str(), one.max_age.unwrap().as_secs()), ("A/1", 7200));
    assert!(one.critical && one.broker.is_none());
    assert!(!two.critical && two.max_age.is_none());
    assert_eq!(two.broker.as_deref(), Some("b"));
    assert!(env(&[("POSTRIDER_QUIET_DAYS", "none")]).settings().freshness.quiet.is_empty());
    let auto = env(&[("POSTRIDER_FRESHNESS", "auto")]).settings().freshness;
    assert_eq!(auto.max_age, None, "it is learned");
    assert!(!auto.quiet.is_empty(), "weekends are quiet unless told otherwise");
}

#[test]
fn a_digest_and_a_watchdog_need_somebody_to_tell() {
    for (asked, value, missing) in [
        ("POSTRIDER_ALERT_DIGEST", "09:00", "POSTRIDER_ALERT_SLACK_URL"),
        ("POSTRIDER_ALERT_WATCHDOG", "on", "POSTRIDER_ALERT_ALERTMANAGER_URL"),
    ] {
        let problems = env(&[(asked, value)]).problems();
        let told = |line: &String| line.contains(asked) && line.contains(missing);
        assert!(problems.iter().any(told), "{problems:?}");
        let given = [(asked, value), (missing, "https://alerts.example/x")];
        let alerts = env(&given).settings().alerts;
        assert!(alerts.digest.is_some() || alerts.watchdog);
    }
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
        ("POSTRIDER_ALERT_DIGEST", "9 o'clock"),
        ("POSTRIDER_ALERT_WATCHDOG", "yes"),
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
        "POSTRIDER_ALERT_DIGEST (environment): \"9 o'clock\" is no time of day",
        "POSTRIDER_ALERT_WATCHDOG (environment): \"yes\" is neither",
    ] {
        let found = problems.iter().any(|line| line.starts_with(&format!("error: {expected}")));
        assert!(found, "{expected} in {problems:#?}");
    }
    assert_eq!(problems.len(), 11, "{problems:#?}");
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
    let brokers = &settings.brokers;
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
    assert!(alone.brokers.is_empty(), "no address, no broker");
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
