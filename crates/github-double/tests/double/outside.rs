//! The program, driven from another process.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{client, payload, status};

struct Program {
    child: Child,
    base_url: String,
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_github-double"))
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["message"], "listening");
        let base_url = line["base_url"].as_str().unwrap().to_owned();
        Self { child, base_url }
    }

    async fn journal(&self, query: &str) -> Value {
        let url = format!("{}/_journal{query}", self.base_url);
        client().get(url).send().await.unwrap().json().await.unwrap()
    }

    async fn control(&self, orders: Value) -> u16 {
        status(client().post(format!("{}/_control", self.base_url)).json(&orders)).await
    }

    async fn dispatch(&self, token: &str) -> u16 {
        let url = format!("{}/repos/o/r/dispatches", self.base_url);
        status(client().post(url).bearer_auth(token).json(&payload("d"))).await
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Gone already if the test ended it itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test]
async fn the_program_is_scripted_and_read_over_http() {
    let program = Program::start(&["--token", "a", "--token", "b"]);
    assert_eq!(program.dispatch("b").await, 204);
    let plays =
        json!(["check", {"delay": {"ms": 1, "then": "accept"}}, {"recorded": "not-found-404"}]);
    let script = json!({"target": "o/r", "plays": plays, "repeat_last": true});
    assert_eq!(program.control(json!({"tokens": ["c"], "script": script})).await, 204);
    assert_eq!(program.dispatch("b").await, 401);
    assert_eq!(program.dispatch("b").await, 204);
    assert_eq!(program.dispatch("c").await, 404);
    assert_eq!(program.dispatch("c").await, 404);
    let page = program.journal("?from=2&limit=3").await;
    assert_eq!(page["entries"].as_array().unwrap().len(), 3);
    assert_eq!((&page["next"], &page["counts"]["requests"]), (&json!(5), &json!(5)));
    assert_eq!(page["entries"][0]["token"], json!({"dead": 1}));
    assert_eq!(program.control(json!({"reset": true})).await, 204);
    assert_eq!(program.journal("").await["counts"]["requests"], 0);
    assert_eq!(program.dispatch("c").await, 204);
}

#[tokio::test]
async fn a_wrong_order_changes_nothing() {
    let program = Program::start(&["--token", "a"]);
    let script = json!({"target": "o/r", "plays": [{"recorded": "nope"}]});
    assert_eq!(program.control(json!({"tokens": [], "script": script})).await, 400);
    assert_eq!(program.control(json!({"tokenz": []})).await, 400);
    assert_eq!(program.dispatch("a").await, 204);
}

#[tokio::test]
async fn limits_and_the_journal_file_are_arguments() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("journal.jsonl");
    let path = file.to_str().unwrap();
    let mut program =
        Program::start(&["--token", "a", "--rate", "1/1m", "--ban", "--journal", path]);
    assert_eq!(program.dispatch("a").await, 204);
    assert_eq!(program.dispatch("a").await, 403);
    assert_eq!(program.journal("?limit=0").await["banned"], true);
    assert_eq!(program.control(json!({"rate": {"count": 9, "per_ms": 1000}})).await, 204);
    assert_eq!(program.dispatch("a").await, 204);
    program.child.kill().unwrap();
    program.child.wait().unwrap();
    assert_eq!(std::fs::read_to_string(file).unwrap().lines().count(), 3, "survives a kill");
}

#[test]
fn wrong_arguments_are_refused() {
    for rate in ["180", "0/60s", "180/60h", "x/1s", "180/"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_github-double"));
        let output = command.args(["--rate", rate]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{rate}");
    }
}
