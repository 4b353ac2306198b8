//! The commands as a shell sees them: exit codes, standard output, standard error. A small
//! server plays the operations API; the real one is driven by the whole-system tests.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// One call as the server saw it.
#[derive(Debug, Clone)]
struct Call {
    method: Method,
    target: String,
    authorization: Option<String>,
    content_type: Option<String>,
    body: Value,
}

/// Answers by method and path, taken from the front; the last one stays.
type Script = BTreeMap<String, Vec<(u16, Value)>>;

#[derive(Clone, Default)]
struct Shared {
    calls: Arc<Mutex<Vec<Call>>>,
    script: Arc<Mutex<Script>>,
}

struct Server {
    shared: Shared,
    url: String,
    // Dropped last; the server ends with it.
    _runtime: Runtime,
}

impl Server {
    fn start(script: &[(&str, &[(u16, Value)])]) -> Self {
        let script = script.iter().map(|(route, answers)| ((*route).to_owned(), answers.to_vec()));
        let shared = Shared { script: Arc::new(Mutex::new(script.collect())), ..Shared::default() };
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(shared.clone());
        runtime.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { shared, url, _runtime: runtime }
    }

    fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().unwrap().clone()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, "")
    }

    fn run_with(&self, arguments: &[&str], stdin: &str) -> Output {
        postrider(arguments, &[("POSTRIDER_URL", &self.url), ("POSTRIDER_TOKEN", "hunter2")], stdin)
    }
}

async fn answer(
    State(shared): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    shared.calls.lock().unwrap().push(Call {
        method: method.clone(),
        target: uri.to_string(),
        authorization: text(header::AUTHORIZATION),
        content_type: text(header::CONTENT_TYPE),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    });
    let mut script = shared.script.lock().unwrap();
    let Some(answers) = script.get_mut(&format!("{method} {}", uri.path())) else {
        return (StatusCode::NOT_FOUND, json!({ "detail": "no such thing" }).to_string())
            .into_response();
    };
    let (status, body) = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
    let status = StatusCode::from_u16(status).unwrap();
    let mut response = (status, body.to_string()).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, "0".parse().unwrap());
    }
    response
}

/// Runs the program with nothing of this process's environment, in an empty directory.
fn postrider(arguments: &[&str], env: &[(&str, &str)], stdin: &str) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_postrider"))
        .args(arguments)
        .env_clear()
        .envs(env.iter().copied())
        .current_dir(dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    // A command that does not read its input may be gone already.
    input.write_all(stdin.as_bytes()).ok();
    drop(input);
    child.wait_with_output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
fn expect(output: &Output, exit: i32) {
    assert_eq!(code(output), exit, "stdout: {}\nstderr: {}", stdout(output), stderr(output));
}

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
fn the_topology_needs_no_rabbitmq() {
    let output = postrider(&["topology", "-o", "json"], &[("POSTRIDER_QUEUES", "3")], "");
    expect(&output, 0);
    let topology: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(topology["queues"].as_array().unwrap().len(), 4, "three queues and the dead one");
    assert_eq!(topology["queues"][0]["arguments"]["x-queue-type"], "quorum");
}

const LIST: &str = "GET /api/v1/deliveries";

#[test]
fn deliveries_are_listed_over_pages() {
    let row = |id: &str| json!({ "id": id, "status": "failed", "last_outcome": "server_error", "last_status_code": 503 });
    let server = Server::start(&[(
        LIST,
        &[
            (200, json!({ "deliveries": [row("a"), row("b")], "next": "c1" })),
            (200, json!({ "deliveries": [row("c")], "next": null })),
        ],
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
    let plan = json!({ "lanes": [{ "lane": "h/c", "deliveries": 2, "drain_seconds": 61.0 }], "open": 1, "without_webhook": 0, "replayed": 2 });
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
            json!({ "status": "failed", "dry_run": false, "forget_marks": false }),
        ]
    );
    let many: Vec<String> =
        (0..4).map(|n| format!("01936f2e-7b1c-7cc0-9d5e-0a3f5b6c7d8{n}")).collect();
    let arguments: Vec<&str> =
        ["deliveries", "replay"].into_iter().chain(many.iter().map(String::as_str)).collect();
    expect(&server.run(&arguments), 1);
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
    assert_eq!(bodies, [json!("s3cret"), json!("s3cret\n"), json!("hunter2")]);
    expect(&server.run_with(&["secrets", "set", "t"], "\n"), 2);
    expect(&server.run(&["secrets", "set", "t", "--from-env", "NOT_SET"]), 2);
}

#[test]
fn published_events_are_counted_and_refusals_named() {
    let answers = json!([
        { "status": 202, "event_id": "e", "deliveries": [], "duplicate": false },
        { "status": 202, "event_id": "e", "deliveries": [], "duplicate": true },
        { "status": 400, "errors": [{ "pointer": "/2/consumer/name", "detail": "is missing" }] },
    ]);
    let server = Server::start(&[("POST /events", &[(202, answers)])]);
    let output =
        server.run_with(&["events", "publish"], "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"c\"}\n");
    expect(&output, 1);
    assert_eq!(stdout(&output), "accepted 1, duplicate 1, refused 1\n");
    assert_eq!(stderr(&output), "event 3 refused (400): /consumer/name is missing\n");
    assert_eq!(server.calls()[0].body, json!([{ "id": "a" }, { "id": "b" }, { "id": "c" }]));
}

#[test]
fn what_the_intake_could_not_store_is_sent_again_under_the_same_key() {
    let taken = json!({ "status": 202, "duplicate": false });
    let away = json!({ "status": 503 });
    let server = Server::start(&[(
        "POST /events",
        &[
            (503, json!({ "detail": "the store is away" })),
            (202, json!([taken, away])),
            (202, json!([taken])),
        ],
    )]);
    let output = server.run_with(&["events", "publish", "--json"], "[{\"n\":1},{\"n\":2}]");
    expect(&output, 0);
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["accepted"], 2);
    let bodies: Vec<Value> = server.calls().into_iter().map(|call| call.body).collect();
    assert_eq!(bodies.len(), 3);
    assert_eq!(bodies[0], bodies[1]);
    assert_eq!(bodies[2], json!([bodies[0][1]]));
    assert!(bodies[0][0]["id"].is_string());
}

#[test]
fn cloud_events_go_out_as_such_and_broken_input_not_at_all() {
    let server = Server::start(&[("POST /events", &[(202, json!([{ "status": 202 }]))])]);
    let event = json!({ "specversion": "1.0", "id": "1", "source": "s", "type": "x" }).to_string();
    expect(&server.run_with(&["events", "publish"], &event), 0);
    let content_type = server.calls()[0].content_type.clone();
    assert_eq!(content_type.as_deref(), Some("application/cloudevents-batch+json"));
    for broken in ["", "[]", "{\"id\":\"a\"}\n{", "nonsense"] {
        expect(&server.run_with(&["events", "publish"], broken), 2);
    }
    expect(&server.run(&["events", "publish", "-f", "/nowhere"]), 2);
    assert_eq!(server.calls().len(), 1);
}

const UUID: &str = "0123456789abcdef";

fn webhook() -> Value {
    json!({
        "uuid": UUID, "description": "d", "enabled": true,
        "request": { "method": "POST", "url": "https://h/x" },
        "events": [{ "name": "contract_published" }],
        "createdAt": "2026-01-01T00:00:00+00:00", "_links": {},
    })
}

fn broker(more: &[(&str, &[(u16, Value)])]) -> Server {
    let links = json!({ "_links": { "pb:webhooks": [{ "href": format!("http://elsewhere/webhooks/{UUID}") }] } });
    let (collection, document) = ([(200, links)], [(200, webhook())]);
    let get = format!("GET /webhooks/{UUID}");
    let mut script: Vec<(&str, &[(u16, Value)])> =
        vec![("GET /webhooks", &collection), (&get, &document)];
    script.extend_from_slice(more);
    Server::start(&script)
}

const FILE: &str = "
- description: d
  request: {method: POST, url: 'https://h/y'}
  events: [{name: contract_published}]
- description: new
  request: {method: POST, url: 'https://h/z'}
";

#[test]
fn applying_webhooks_plans_first_and_acts_when_told_to() {
    let put = format!("PUT /webhooks/{UUID}");
    let server = broker(&[(&put, &[(200, json!({}))]), ("POST /webhooks", &[(201, json!({}))])]);
    let output = server.run_with(&["webhooks", "apply", "-f", "-"], FILE);
    expect(&output, 0);
    let text = stdout(&output);
    assert!(text.contains("replace    d (0123456789abcdef)"), "{text}");
    assert!(text.contains("request.url: \"https://h/x\" -> \"https://h/y\""), "{text}");
    assert!(text.contains("create     new") && text.contains("add --yes"), "{text}");
    assert!(server.calls().iter().all(|call| call.method == Method::GET));
    expect(&server.run_with(&["webhooks", "apply", "-f", "-", "--yes"], FILE), 0);
    let writes: Vec<String> = server
        .calls()
        .into_iter()
        .filter(|call| call.method != Method::GET)
        .map(|call| format!("{} {}", call.method, call.target))
        .collect();
    assert_eq!(writes, [put, "POST /webhooks".to_owned()]);
}

#[test]
fn what_is_there_already_is_left_alone() {
    let server = broker(&[]);
    let output =
        server.run_with(&["webhooks", "apply", "-f", "-", "--yes"], &webhook().to_string());
    expect(&output, 0);
    assert!(
        stdout(&output).contains("0 to create, 0 to replace, 1 unchanged"),
        "{}",
        stdout(&output)
    );
    assert!(server.calls().iter().all(|call| call.method == Method::GET));
}

#[test]
fn a_refused_webhook_is_exit_1_with_the_fields() {
    let errors = json!({ "errors": { "request.url": ["scheme must be https"] } });
    let server = broker(&[("POST /webhooks", &[(400, errors)])]);
    let document = "description: new\nrequest: {method: POST, url: 'http://h'}\n";
    let output = server.run_with(&["webhooks", "apply", "-f", "-", "--yes"], document);
    expect(&output, 1);
    assert!(stderr(&output).contains("request.url scheme must be https"), "{}", stderr(&output));
}

#[test]
fn webhooks_are_listed_with_their_last_delivery() {
    let page = json!({ "deliveries": [{ "status": "failed", "last_outcome": "not_found", "last_status_code": 404 }], "next": null });
    let server = broker(&[(LIST, &[(200, page)])]);
    let output = server.run(&["webhooks", "list"]);
    expect(&output, 0);
    assert!(stdout(&output).contains("not_found 404"), "{}", stdout(&output));
    let shown = server.run(&["webhooks", "show", UUID]);
    expect(&shown, 0);
    assert!(stdout(&shown).contains("url: https://h/x"), "{}", stdout(&shown));
    assert!(!stdout(&shown).contains("_links"));
    expect(&server.run(&["webhooks", "delete", "fedcba9876543210"]), 1);
}

#[test]
fn lanes_and_incidents() {
    let lane = json!({ "name": "h/c", "state": "held", "cause": "credential", "backlog": 3, "drain_seconds": 90.0 });
    let incident =
        json!({ "kind": "lane_held", "subject": "h/c", "summary": "s\u{1b}[2J", "next": "n" });
    let server = Server::start(&[
        ("GET /api/v1/lanes", &[(200, json!({ "lanes": [lane] }))]),
        ("POST /api/v1/lanes/hold", &[(200, json!({ "name": "h/c" }))]),
        ("POST /api/v1/lanes/release", &[(404, json!({ "detail": "no lane of this name" }))]),
        ("GET /api/v1/incidents", &[(200, json!({ "incidents": [incident] }))]),
    ]);
    let output = server.run(&["lanes", "list"]);
    expect(&output, 0);
    assert!(stdout(&output).contains("credential") && stdout(&output).contains("1m"));
    expect(&server.run(&["lanes", "hold", "h/c"]), 0);
    assert_eq!(server.calls()[1].body, json!({ "lane": "h/c" }));
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
