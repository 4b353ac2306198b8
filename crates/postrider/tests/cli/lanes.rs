//! Lanes, incidents, and a reader that goes away.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::server::{Server, expect, incident, lane, stderr, stdout};

#[test]
fn lanes_and_incidents() {
    let held = lane(
        json!({ "state": "held", "cause": "credential", "backlog": 3, "drain_seconds": null }),
    );
    let paused = json!({ "name": "h/p", "state": "paused", "drain_seconds": null });
    let open = json!({ "name": "h/o", "backlog": 3, "drain_seconds": 90 });
    let lanes = [held, lane(paused), lane(open)];
    let incident = incident(json!({ "summary": "s\u{1b}[2J" }));
    let server = Server::start(&[
        ("GET /api/v1/lanes", &[(200, json!({ "lanes": lanes }))]),
        ("POST /api/v1/lanes/hold", &[(200, lane(json!({})))]),
        ("POST /api/v1/lanes/release", &[(404, json!({ "detail": "no lane of this name" }))]),
        ("GET /api/v1/incidents", &[(200, json!({ "incidents": [incident], "next": null }))]),
    ]);
    let output = server.run(&["lanes", "list"]);
    expect(&output, 0);
    let shown = stdout(&output);
    for (name, drains) in [("h/c", "when released"), ("h/p", "after the pause"), ("h/o", "1m")] {
        let line = shown.lines().find(|line| line.contains(name)).unwrap();
        assert!(line.ends_with(drains), "{line}");
    }
    assert!(shown.contains("credential"), "{shown}");
    let cut = stdout(&server.run(&["lanes", "list", "--limit", "2"]));
    assert!(cut.ends_with("2 of 3 shown, more: --limit 3\n"), "{cut}");
    expect(&server.run(&["lanes", "hold", "h/c"]), 0);
    assert_eq!(server.calls()[2].body, json!({ "lane": "h/c" }));
    expect(&server.run(&["lanes", "release", "h/x"]), 1);
    let output = server.run(&["incidents", "list", "--open"]);
    assert_eq!(server.calls().last().unwrap().target, "/api/v1/incidents?open=true&limit=50");
    expect(&output, 0);
    assert!(!stdout(&output).contains('\u{1b}'), "data steers the terminal");
    let json = server.run(&["incidents", "list", "-o", "json"]);
    assert_eq!(
        serde_json::from_slice::<Value>(&json.stdout).unwrap()["incidents"][0]["kind"],
        "lane_held"
    );
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_postrider"))
        .args(["config", "show"])
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(stderr(&output), "");
    expect(&output, 0);
}
