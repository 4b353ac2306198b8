//! Deliveries and secrets.

use serde_json::{Value, json};

use super::server::{ID, LIST, Server, delivery, expect, page, stderr, stdout};

#[test]
fn deliveries_are_listed_over_pages() {
    let row = || {
        delivery(
            json!({ "status": "failed", "last_outcome": "server_error", "last_status_code": 503 }),
        )
    };
    let server = Server::start(&[(
        LIST,
        &[(200, page(&[row(), row()], Some("c1"))), (200, page(&[row()], None))],
    )]);
    let output = server.run(&[
        "deliveries",
        "list",
        "--status",
        "failed",
        "--since",
        "2026-01-01T00:00:00Z",
    ]);
    expect(&output, 0);
    let text = stdout(&output);
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(text.contains("server_error 503"), "{text}");
    let targets: Vec<String> = server.calls().into_iter().map(|call| call.target).collect();
    assert_eq!(
        targets,
        [
            "/api/v1/deliveries?status=failed&since=2026-01-01T00%3A00%3A00Z&limit=50",
            "/api/v1/deliveries?status=failed&since=2026-01-01T00%3A00%3A00Z&limit=48&cursor=c1",
        ]
    );
}

#[test]
fn a_replay_acts_only_when_told_to() {
    let plan = json!({ "lanes": [{ "lane": "h/c", "deliveries": 2, "drain_seconds": 61 }], "open": 1, "without_webhook": 0, "deliveries": 2, "dry_run": true, "done": 2, "finished": true, "id": null });
    let server = Server::start(&[("POST /api/v1/deliveries/replay", &[(200, plan)])]);
    let output = server.run(&["deliveries", "replay", "--status", "failed"]);
    expect(&output, 0);
    assert!(stdout(&output).contains("add --yes"), "{}", stdout(&output));
    expect(&server.run(&["deliveries", "replay", "--status", "failed", "--yes"]), 0);
    let bodies: Vec<Value> = server.calls().into_iter().map(|call| call.body).collect();
    assert_eq!(
        bodies,
        [
            json!({ "status": "failed", "dry_run": true, "forget_marks": false }),
            json!({
                "status": "failed", "dry_run": false, "forget_marks": false,
                "id": bodies[1]["id"].as_str().expect("an id of its own"),
            }),
        ]
    );
    let many: Vec<String> =
        (0..4).map(|n| format!("01936f2e-7b1c-7cc0-9d5e-0a3f5b6c7d8{n}")).collect();
    let arguments: Vec<&str> =
        ["deliveries", "replay"].into_iter().chain(many.iter().map(String::as_str)).collect();
    expect(&server.run(&arguments), 1);
}

#[test]
fn ids_may_be_cut() {
    let plan = json!({ "lanes": [{ "lane": "h/c", "deliveries": 1, "drain_seconds": null }], "open": 0, "not_waiting": 0, "without_webhook": 0, "deliveries": 1, "dry_run": false, "done": 1, "finished": true, "id": ID });
    let mut one = delivery(json!({ "attempts": [], "event": {} }));
    one["id"] = json!(ID);
    let several = json!({ "detail": "several deliveries begin with 0193: give more of the id" });
    let server = Server::start(&[
        ("GET /api/v1/deliveries/01936f2e-7b1c", &[(200, one)]),
        ("GET /api/v1/deliveries/0193", &[(400, several)]),
        ("POST /api/v1/deliveries/replay", &[(200, plan.clone())]),
        ("POST /api/v1/deliveries/discard", &[(200, plan)]),
    ]);
    for (act, done) in
        [("replay", "1 delivery is sent again"), ("discard", "1 delivery is discarded")]
    {
        let output = server.run(&["deliveries", act, "01936f2e-7b1c", "--yes"]);
        expect(&output, 0);
        assert!(stdout(&output).contains(done), "{}", stdout(&output));
        assert_eq!(server.calls().last().unwrap().body["ids"], json!([ID]));
        let output = server.run(&["deliveries", act, "0193", "--yes"]);
        expect(&output, 1);
        assert!(stderr(&output).contains("give more of the id"), "{}", stderr(&output));
        expect(&server.run(&["deliveries", act, "abcd", "--yes"]), 1);
        expect(&server.run(&["deliveries", act, "abc", "--yes"]), 2);
    }
    let acts = server.calls().iter().filter(|call| !call.body.is_null()).count();
    assert_eq!(acts, 2, "what is not known whole is not acted upon");
}

#[test]
fn an_act_over_very_many_goes_on_until_it_is_finished() {
    let id = "01936f2e-7b1c-7cc0-9d5e-0a3f5b6c7d8e";
    let part = |done: u64, finished: bool| json!({ "id": id, "lanes": [], "not_waiting": 0, "deliveries": 0, "dry_run": false, "done": done, "finished": finished });
    let answers = [(200, part(2_000, false)), (200, part(3_000, true))];
    let server = Server::start(&[("POST /api/v1/deliveries/discard", &answers)]);
    let output = server.run(&["deliveries", "discard", "--lane", "h/c", "--yes"]);
    expect(&output, 0);
    let text = stdout(&output);
    let bodies: Vec<Value> = server.calls().into_iter().map(|call| call.body).collect();
    let own = bodies[0]["id"].as_str().expect("an id of its own");
    assert!(text.contains(&format!("--resume {own}")), "{text}");
    assert!(text.contains("3000 deliveries"), "{text}");
    assert_eq!(
        bodies,
        [json!({ "lane": "h/c", "dry_run": false, "id": own }), json!({ "resume": own })]
    );
    expect(&server.run(&["deliveries", "discard", "--resume", id]), 0);
}

#[test]
fn secrets_come_from_input_file_or_environment() {
    let answer = json!({ "name": "t", "rev": 2, "lanes_opened": ["h/t"] });
    let server = Server::start(&[("PUT /api/v1/secrets/t", &[(200, answer)])]);
    let output = server.run_with(&["secrets", "set", "t"], "s3cret\n");
    expect(&output, 0);
    assert_eq!(stdout(&output), "set t (revision 2)\nopened lane h/t\n");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("value");
    std::fs::write(&path, "s3cret\n\n").unwrap();
    expect(&server.run(&["secrets", "set", "t", "--from-file", path.to_str().unwrap()]), 0);
    expect(&server.run(&["secrets", "set", "t", "--from-env", "POSTRIDER_TOKEN"]), 0);
    let bodies: Vec<Value> =
        server.calls().into_iter().map(|call| call.body["value"].clone()).collect();
    assert_eq!(bodies, [json!("s3cret"), json!("s3cret"), json!("hunter2")]);
    expect(&server.run_with(&["secrets", "set", "t"], "\n"), 2);
    expect(&server.run(&["secrets", "set", "t", "--from-env", "NOT_SET"]), 2);
}
