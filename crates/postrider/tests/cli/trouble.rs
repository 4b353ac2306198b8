//! What is told where something is wrong, and where commands go without being told.

use std::fs::{File, metadata};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use serde_json::json;

use super::server::{LIST, Server, delivery, expect, page, postrider, stderr, stdout};

#[test]
fn what_can_t_be_written_is_a_failure() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_postrider"))
        .arg("openapi")
        .env_clear()
        .stdout(Stdio::from(full))
        .output()
        .unwrap();
    expect(&output, 1);
    assert!(stderr(&output).contains("cannot write to standard output"), "{}", stderr(&output));
}

#[test]
fn far_too_long_filters_are_wrong_usage() {
    let server = Server::start(&[(LIST, &[(200, page(&[], None))])]);
    let long = "x".repeat(100_000);
    expect(&server.run(&["deliveries", "list", "--consumer", &long]), 2);
    assert!(server.calls().is_empty());
}

#[test]
fn a_refused_token_is_told_by_its_source_and_another_server_is_no_postrider() {
    let refusal = json!({"title": "t", "status": 401, "detail": "no such token"});
    let server =
        Server::start(&[(LIST, &[(401, refusal)]), ("GET /api/v1/lanes", &[(404, json!(null))])]);
    let output = server.run(&["deliveries", "list"]);
    expect(&output, 4);
    assert!(stderr(&output).contains("POSTRIDER_TOKEN (environment)"), "{}", stderr(&output));
    let output = server.run(&["lanes", "list"]);
    expect(&output, 3);
    assert!(stderr(&output).contains("as no postrider does"), "{}", stderr(&output));
}

/// Nothing was listed, tested or sent there, so none of it is said to be empty or refused.
#[test]
fn what_another_server_answers_is_no_answer() {
    let uuid = "0123456789abcdef";
    let event = r#"{"event_name":"x"}"#;
    let webhook = "description: d\nrequest: {method: POST, url: 'https://h/y'}\nevents: [{name: contract_published}]";
    let commands: &[(&[&str], &str)] = &[
        (&["webhooks", "list"], ""),
        (&["webhooks", "show", uuid], ""),
        (&["webhooks", "test", uuid], ""),
        (&["webhooks", "apply", "-f", "-", "--yes"], webhook),
        (&["events", "publish"], event),
        (&["deliveries", "list"], ""),
        (&["doctor", "--consumer", "C", "--provider", "P"], ""),
    ];
    let answers =
        [(200, json!({"a": 1})), (200, json!(null)), (302, json!(null)), (404, json!(null))];
    for (status, body) in answers {
        let server = Server::answering(status, &body);
        for (command, input) in commands {
            let output = server.run_with(command, input);
            expect(&output, 3);
            assert_eq!(stdout(&output), "", "{command:?}");
            let told = stderr(&output);
            assert!(told.contains(&server.url) && told.contains("fix:"), "{command:?}: {told}");
        }
    }
}

#[test]
fn contexts_say_where_commands_go() {
    let server = Server::start(&[(LIST, &[(200, page(&[delivery(json!({}))], Some("c1")))])]);
    let home = tempfile::tempdir().unwrap();
    let env = [("XDG_CONFIG_HOME", home.path().to_str().unwrap())];
    let add = ["context", "add", "prod", "--url", &server.url];
    expect(&postrider(&add, &env, "hunter3\n"), 0);
    let listed = stdout(&postrider(&["context", "list"], &env, ""));
    assert!(listed.contains(&server.url) && !listed.contains("hunter3"), "{listed}");
    let token = home.path().join("postrider/tokens/prod");
    assert_eq!(metadata(token).unwrap().permissions().mode() & 0o777, 0o600);
    let output = postrider(&["deliveries", "list", "--limit", "1"], &env, "");
    expect(&output, 0);
    assert!(stdout(&output).ends_with("1 shown, more: --cursor c1\n"), "{}", stdout(&output));
    let sent: Vec<_> = server.calls().into_iter().map(|call| call.authorization).collect();
    assert_eq!(sent, [Some("Bearer hunter3".to_owned())]);
    // The token is for that address and no other.
    let other = Server::start(&[(LIST, &[(200, page(&[], None))])]);
    expect(&postrider(&["--url", &other.url, "deliveries", "list"], &env, ""), 0);
    assert_eq!(other.calls()[0].authorization, None);
    expect(&postrider(&["context", "use", "nowhere"], &env, ""), 1);
}

#[test]
fn lists_come_as_they_are_wanted() {
    let row = delivery(json!({}));
    let server = Server::start(&[(LIST, &[(200, page(&[row], None))])]);
    let told = |format: &str| stdout(&server.run(&["-o", format, "deliveries", "list"]));
    assert_eq!(told("name"), format!("{}\n", super::server::ID));
    assert!(told("yaml").contains("consumer: C\n"), "{}", told("yaml"));
    assert!(told("wide").trim_start().starts_with("STATUS"), "{}", told("wide"));
    assert!(told("json").contains("\"consumer\": \"C\""), "{}", told("json"));
}

#[test]
fn a_secret_goes_only_when_that_was_said_twice() {
    let credential = json!({
        "name": "token", "kind": "token", "owner": null, "scopes": null, "expires_at": null,
        "last_success_at": null, "last_refusal_at": null, "pending": null, "warnings": [],
        "used_by": {"webhooks": ["0123456789abcdef"], "lanes": ["h/token"]},
    });
    let list = json!({"credentials": [credential], "total": 1, "total_is_exact": true});
    let server = Server::start(&[
        ("GET /api/v1/credentials", &[(200, list)]),
        ("DELETE /api/v1/secrets/token", &[(204, json!(null))]),
    ]);
    let output = server.run(&["secrets", "delete", "token"]);
    expect(&output, 0);
    let told = stdout(&output);
    assert!(told.contains("webhook 0123456789abcdef uses it") && told.contains("--yes"), "{told}");
    let deleted = || server.calls().iter().any(|call| call.method == "DELETE");
    assert!(!deleted());
    expect(&server.run(&["secrets", "delete", "token", "--yes"]), 0);
    assert!(deleted());
}
