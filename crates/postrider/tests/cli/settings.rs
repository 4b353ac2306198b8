//! Exit codes, health, and what is said of the settings.

use serde_json::{Value, json};

use super::server::{Server, expect, postrider, stderr, stdout};

#[test]
fn every_status_has_its_exit_code() {
    for (status, exit) in
        [(200, 0), (400, 1), (404, 1), (401, 4), (403, 4), (429, 5), (500, 3), (503, 3)]
    {
        let server = Server::start(&[("GET /api/v1/lanes", &[(status, json!({ "lanes": [] }))])]);
        let output = server.run(&["lanes", "list"]);
        expect(&output, exit);
        let errors = stderr(&output);
        assert_eq!(errors.is_empty(), exit == 0, "{errors}");
        assert!(exit == 0 || errors.starts_with("error: "), "{errors}");
        assert!(!errors.contains("hunter2"));
        assert_eq!(server.calls()[0].authorization.as_deref(), Some("Bearer hunter2"));
    }
}

#[test]
fn nobody_there_is_exit_3_with_a_fix() {
    let output = postrider(&["lanes", "list", "--url", "http://127.0.0.1:1"], &[], "");
    expect(&output, 3);
    let errors = stderr(&output);
    assert!(errors.starts_with("error: cannot reach postrider at http://127.0.0.1:1/"), "{errors}");
    assert!(errors.contains("\nfix: "), "{errors}");
}

#[test]
fn health_tells_ready_from_not_ready_from_not_there() {
    let ready = (200, json!({ "status": "ok" }));
    let starting = (503, json!({ "status": "unavailable", "reason": "starting" }));
    let no_role = (200, json!({ "hello": "world" }));
    for (answer, exit, says) in
        [(ready, 0, ""), (starting, 1, "starting"), (no_role, 3, "no health")]
    {
        let server = Server::start(&[("GET /readyz", &[answer])]);
        let output = server.run(&["health", "--admin-url", &server.url]);
        expect(&output, exit);
        assert!(stderr(&output).contains(says), "{}", stderr(&output));
        assert_eq!(server.calls()[0].authorization, None, "a probe shows no token");
    }
    expect(&postrider(&["health", "--admin-url", "http://127.0.0.1:1"], &[], ""), 3);
    expect(&postrider(&["health", "--admin-url", "ftp://127.0.0.1"], &[], ""), 2);
}

#[test]
fn health_finds_the_role_by_its_settings() {
    let server = Server::start(&[("GET /readyz", &[(200, json!({ "status": "ok" }))])]);
    // What the roles lack, here tokens for an open address, is no concern of a probe.
    let listen = server.url.replace("http://127.0.0.1", "0.0.0.0");
    let settings = [("POSTRIDER_LISTEN", "0.0.0.0:9393"), ("POSTRIDER_ADMIN_LISTEN", &listen)];
    expect(&postrider(&["health"], &settings, ""), 0);
    let output = postrider(&["health"], &[("POSTRIDER_ADMIN_LISTEN", "127.0.0.1:0")], "");
    expect(&output, 2);
    assert!(stderr(&output).contains("--admin-url"), "{}", stderr(&output));
    let output = postrider(&["health"], &[("POSTRIDER_ADMIN_LISTN", "127.0.0.1:9394")], "");
    expect(&output, 2);
}

#[test]
fn wrong_usage_is_exit_2() {
    for arguments in [
        &["lanes"][..],
        &["nonsense"],
        &["deliveries", "list", "--status", "bogus"],
        &["deliveries", "list", "--since", "yesterday"],
        &["deliveries", "replay"],
        &["secrets", "set", "bad name"],
        &["secrets", "set", "name", "value"],
        &["lanes", "list", "--url", "ftp://x"],
        &["lanes", "list", "--token-file", "/nowhere"],
        &["serve", "--config", "/nowhere.toml"],
        &["ingest"],
        &["worker"],
        &["monitor"],
    ] {
        let output = postrider(arguments, &[], "");
        expect(&output, 2);
        assert!(!stderr(&output).is_empty() || !stdout(&output).is_empty(), "{arguments:?}");
    }
}

#[test]
fn roles_of_their_own_say_why_they_refuse() {
    let errors = stderr(&postrider(&["worker"], &[], ""));
    assert!(errors.contains("Postgres and RabbitMQ"), "{errors}");
    assert!(errors.contains("fix: set POSTRIDER_DATABASE_URL and POSTRIDER_AMQP_URL"), "{errors}");
}

#[test]
fn all_problems_with_the_settings_come_at_once() {
    let env = [
        ("POSTRIDER_LISTNE", "x"),
        ("POSTRIDER_LISTEN", "0.0.0.0:1"),
        ("DATABASE_URL", "postgres://h/d"),
    ];
    for command in [&["config", "check"][..], &["serve"], &["config", "show"]] {
        let output = postrider(command, &env, "");
        expect(&output, 2);
        let errors = stderr(&output);
        assert_eq!(errors.lines().count(), 3, "{errors}");
        assert!(errors.contains("did you mean POSTRIDER_LISTEN?"), "{errors}");
        assert!(errors.contains("POSTRIDER_AMQP_URL"), "{errors}");
        assert!(stdout(&output).is_empty());
    }
}

/// What `serve` would refuse `config check` refuses, too.
#[test]
fn what_settings_lead_to_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let pem = "-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n";
    std::fs::write(&file, pem).unwrap();
    let file = file.to_str().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    for (name, value, says) in [
        ("RUST_LOG", "%%%", "RUST_LOG: log filter \"%%%\""),
        ("POSTRIDER_WEBHOOK_CERTIFICATES", file, "ca.pem can't be trusted"),
    ] {
        for command in [&["config", "check"][..], &["serve"]] {
            let output = postrider(command, &[(name, value), ("POSTRIDER_DATA_DIR", data)], "");
            expect(&output, 2);
            let errors = stderr(&output);
            assert!(errors.contains(says) && errors.contains("fix: "), "{errors}");
        }
        assert!(!folder.path().join("data/postrider.db").exists(), "nothing was begun");
    }
}

#[test]
fn settings_are_shown_with_origin_and_without_secrets() {
    let env = [("POSTRIDER_API_TOKENS", "read:hunter2"), ("RUST_LOG", "debug")];
    for arguments in [&["config", "show"][..], &["config", "show", "--json"]] {
        let output = postrider(arguments, &env, "");
        expect(&output, 0);
        let text = stdout(&output);
        assert!(text.contains("environment POSTRIDER_API_TOKENS"), "{text}");
        assert!(text.contains("***") && !text.contains("hunter2"), "{text}");
    }
    expect(&postrider(&["config", "check"], &env, ""), 0);
}

#[test]
fn settings_are_explained_when_asked() {
    let env = [("POSTRIDER_LANE_RATE", "60/min"), ("POSTRIDER_API_TOKENS", "read:hunter2")];
    let output = postrider(&["config", "show", "--explain"], &env, "");
    expect(&output, 0);
    let text = stdout(&output);
    for expected in [
        "POSTRIDER_LISTEN = 127.0.0.1:9393  (default)\n  Address of intake",
        "  type: address and port\n  default: `127.0.0.1:9393`\n  example: `0.0.0.0:9393`\n",
        "  read by: ingest\n  flag: `--listen`\n",
        "POSTRIDER_LANE_RATE = 60/min  (environment POSTRIDER_LANE_RATE)",
        "POSTRIDER_API_TOKENS = ***  (environment POSTRIDER_API_TOKENS)",
        "[[lane]] in the settings file\n",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    assert!(!text.contains("hunter2"));
    let output = postrider(&["config", "show", "--explain", "-o", "json"], &env, "");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let all = document["settings"].as_array().unwrap();
    let timeout = all.iter().find(|entry| entry["name"] == "POSTRIDER_WEBHOOK_TIMEOUT").unwrap();
    assert_eq!(timeout["default"], "15s");
    assert_eq!(timeout["else"], json!(["PACT_BROKER_WEBHOOK_TIMEOUT"]));
    assert_eq!(timeout["file_key"], "webhook_timeout");
    assert_eq!(timeout["read_by"], json!(["ingest", "worker"]));
}

#[test]
fn the_topology_needs_no_rabbitmq() {
    let output = postrider(&["topology", "-o", "json"], &[("POSTRIDER_QUEUES", "3")], "");
    expect(&output, 0);
    let topology: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(topology["queues"].as_array().unwrap().len(), 2, "one and the dead one");
    assert_eq!(topology["queues"][0]["name"], "postrider.deliveries.v2");
    assert_eq!(topology["queues"][0]["arguments"]["x-queue-type"], "quorum");
}
