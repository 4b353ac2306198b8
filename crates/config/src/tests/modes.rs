//! What goes together and what does not.

use super::given::env;

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
