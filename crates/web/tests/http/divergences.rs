//! Where postrider differs from Pact Broker 2.120 on purpose, each with its reason and a check.

use http::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Answer, Harness, event, hook};
use crate::triggered;

/// One difference.
#[derive(Debug)]
pub(crate) struct Divergence {
    pub(crate) name: &'static str,
    broker: &'static str,
    here: &'static str,
    why: &'static str,
}

/// All of them.
pub(crate) const DIVERGENCES: &[Divergence] = &[
    Divergence {
        name: "pacticipants",
        broker: "refuses names of pacticipants that it does not know",
        here: "takes names as given",
        why: "pacticipants are not stored here",
    },
    Divergence {
        name: "empty body",
        broker: "500",
        here: "400",
        why: "a client's mistake is no server error, and the Ruby client repeats any 5xx",
    },
    Divergence { name: "array body", broker: "500", here: "400", why: "as for the empty body" },
    Divergence {
        name: "PUT without events",
        broker: "500",
        here: "keeps the events",
        why: "it is what the broker means to do",
    },
    Divergence {
        name: "null body",
        broker: "sends the four bytes null",
        here: "sends no body",
        why: "nobody asked for them",
    },
    Divergence {
        name: "whitelists at delivery",
        broker: "looks at its whitelists when a webhook is written",
        here: "looks again before each request, at the address connected to too",
        why: "a tightened list has to stop what was stored before",
    },
    Divergence {
        name: "single-pass rendering",
        broker: "fills in variables one after the other, so that values are filled in again",
        here: "fills each in once; values of a JSON body can't break it",
        why: "values come from whoever publishes a contract",
    },
    Divergence {
        name: "duplicate events",
        broker: "stores them, so that the webhook fires twice",
        here: "stores each once",
        why: "a bug",
    },
    Divergence {
        name: "label below a path",
        broker: "500 when the path names the pacticipant and the body gives a label",
        here: "400",
        why: "as for the empty body",
    },
    Divergence {
        name: "null headers",
        broker: "500 on create",
        here: "none",
        why: "as on replace",
    },
    Divergence {
        name: "header values",
        broker: "500 for some values that are no strings, and takes control characters",
        here: "400",
        why: "they can't be sent",
    },
    Divergence {
        name: "methods",
        broker: "takes the name of any constant of Ruby's Net::HTTP",
        here: "takes methods of HTTP",
        why: "an accident of Ruby",
    },
    Divergence {
        name: "U+0000",
        broker: "stores it where the database can",
        here: "400",
        why: "PostgreSQL can't",
    },
    Divergence {
        name: "uuid in the body",
        broker: "is judged instead of the path's, so that a bad path is stored",
        here: "both are judged",
        why: "such a webhook could not be linked to",
    },
    Divergence {
        name: "user info in URLs",
        broker: "shown",
        here: "starred, and kept when the stars come back",
        why: "it is a credential",
    },
    Divergence {
        name: "keys of APIs",
        broker: "shows what is written into headers like X-Api-Key and parameters like token",
        here: "stars it, unless a variable stands there, and keeps it when the stars come back",
        why: "it is a credential",
    },
    Divergence {
        name: "warnings",
        broker: "says nothing of unknown variables and mistyped keys",
        here: "names them in the answer",
        why: "they would be sent literally, or mean nothing",
    },
    Divergence {
        name: "index",
        broker: "has relations to all of its resources",
        here: "has those to webhooks",
        why: "the other resources are not here",
    },
    Divergence {
        name: "reason phrase",
        broker: "logs the answer's own",
        here: "logs the standard one of its code",
        why: "HTTP/2 has none, and it means nothing",
    },
    Divergence {
        name: "status codes",
        broker: "hides answers unless a host whitelist is set",
        here: "logs them always",
        why: "whoever may read logs has to see why a delivery failed",
    },
    Divergence {
        name: "status of a pair",
        broker: "404 for names that it does not know",
        here: "an empty status",
        why: "pacticipants are not stored here",
    },
    Divergence {
        name: "503",
        broker: "500 while its database is away",
        here: "503 with Retry-After",
        why: "it passes by itself",
    },
    Divergence {
        name: "control characters in paths",
        broker: "422 for new lines and tabs only",
        here: "422 for all of them",
        why: "no name has them, and logs are lines",
    },
    Divergence {
        name: "hal browser",
        broker: "sends a browser that also takes JSON to its HAL browser",
        here: "answers with the document",
        why: "there is no HAL browser here",
    },
];

/// Differences that show only when something is sent, with the tests that check them.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("whitelists at delivery", "tests/it/compat.rs", "whitelists_hold_at_delivery_too"),
    (
        "single-pass rendering",
        "crates/render/src/tests/properties.rs",
        "raw_bodies_are_spliced_once",
    ),
    ("null body", "crates/render/src/tests/bodies.rs", "no_body_and_null_send_none"),
];

/// A row of the table.
pub(crate) fn divergence(name: &str) -> &'static Divergence {
    let found = DIVERGENCES.iter().find(|row| row.name == name);
    found.unwrap_or_else(|| panic!("{name} is in no row of the table"))
}

const JSON: (&str, &str) = ("content-type", "application/json");

async fn created(harness: &Harness, document: &Value) -> Value {
    let answer = harness.json("POST", "/webhooks", document).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    answer.json()
}

async fn post(harness: &Harness, body: &str) -> Answer {
    harness.call("POST", "/webhooks", &[JSON], body.to_owned()).await
}

async fn refused(harness: &Harness, pointer: &str, value: Value) -> Value {
    let answer = harness.json("POST", "/webhooks", &with(pointer, value)).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
    answer.json()["errors"].clone()
}

/// The seed of all these webhooks with one member set.
fn with(pointer: &str, value: Value) -> Value {
    let mut document = hook();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    document.pointer_mut(parent).unwrap()[key] = value;
    document
}

/// Provokes a difference.
async fn check(name: &str) {
    let harness = Harness::start().await;
    match name {
        "empty body" => assert_eq!(post(&harness, "").await.status, 400),
        "array body" => assert_eq!(post(&harness, "[{}]").await.status, 400),
        "pacticipants" | "duplicate events" | "null headers" | "null body" | "warnings" => {
            taken(&harness, name).await;
        }
        "header values" | "methods" | "U+0000" | "uuid in the body" | "label below a path" => {
            turned_down(&harness, name).await;
        }
        "PUT without events" | "user info in URLs" => replaced(&harness, name).await,
        "keys of APIs" => starred(&harness).await,
        "index" | "status of a pair" | "control characters in paths" | "hal browser" => {
            read(&harness, name).await;
        }
        "reason phrase" | "status codes" => {
            let log = triggered::one_log(&harness, 418).await;
            assert!(log.contains(" INFO: HTTP/1.1 418 I'm a teapot\n"), "{log}");
        }
        "503" => {
            harness.store.close().await;
            let answer = harness.get("/webhooks").await;
            assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "5"));
            assert!(answer.json()["error"]["message"].is_string(), "{answer:?}");
        }
        unknown => panic!("{unknown} has no check"),
    }
}

async fn taken(harness: &Harness, name: &str) {
    match name {
        "pacticipants" => {
            let shown = created(harness, &with("/consumer", json!({"name": "nobody"}))).await;
            assert_eq!(shown["consumer"]["name"], "nobody");
        }
        "duplicate events" => {
            let twice = json!([{"name": "contract_published"}, {"name": "contract_published"}]);
            let shown = created(harness, &with("/events", twice)).await;
            assert_eq!(shown["events"].as_array().unwrap().len(), 1);
        }
        "null headers" => {
            let shown = created(harness, &with("/request/headers", Value::Null)).await;
            assert_eq!(shown["request"].get("headers"), None);
        }
        "null body" => {
            let shown = created(harness, &with("/request/body", Value::Null)).await;
            assert_eq!(shown["request"].get("body"), None);
            let uuid = shown["uuid"].as_str().unwrap().parse().unwrap();
            let stored = harness.store.webhook(&uuid).await.unwrap().unwrap();
            assert!(stored.webhook.request.body.is_none());
        }
        _ => {
            let shown = created(harness, &with("/request/body", json!("${pactbroker.x}"))).await;
            assert_eq!(shown["warnings"].as_array().unwrap().len(), 1);
        }
    }
}

async fn turned_down(harness: &Harness, name: &str) {
    match name {
        "header values" => {
            let errors = refused(harness, "/request/headers", json!({"A": 1, "b": "\n"})).await;
            assert_eq!(errors["request.headers"].as_array().unwrap().len(), 2);
        }
        "methods" => {
            let errors = refused(harness, "/request/method", json!("string")).await;
            assert_eq!(errors["request.method"], json!(["is not a recognised HTTP method"]));
        }
        "U+0000" => {
            let errors = refused(harness, "/description", json!("a\u{0}")).await;
            assert!(errors["description"].is_array(), "{errors}");
        }
        "label below a path" => {
            let body = with("/consumer", json!({"label": "l"}));
            let answer = harness.json("POST", "/webhooks/consumer/C", &body).await;
            assert_eq!(answer.status, 400);
        }
        _ => {
            let body = with("/uuid", json!("a-good-uuid-in-the-body"));
            let answer = harness.json("PUT", "/webhooks/short", &body).await;
            assert_eq!(answer.status, 400);
        }
    }
}

async fn replaced(harness: &Harness, name: &str) {
    let before = created(harness, &with("/request/url", json!("https://u:p@h/x"))).await;
    let path = format!("/webhooks/{}", before["uuid"].as_str().unwrap());
    let mut document = before.clone();
    if name == "PUT without events" {
        document.as_object_mut().unwrap().remove("events");
    }
    assert_eq!(before["request"]["url"], "https://**********@h/x");
    let answer = harness.json("PUT", &path, &document).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["events"], before["events"]);
    let uuid = before["uuid"].as_str().unwrap().parse().unwrap();
    let stored = harness.store.webhook(&uuid).await.unwrap().unwrap();
    assert_eq!(stored.webhook.request.url, "https://u:p@h/x");
}

async fn starred(harness: &Harness) {
    let url = "https://h/x?token=hunter2&api_key=${user.a}&page=1";
    let mut document = with("/request/url", json!(url));
    document["request"]["headers"] =
        json!({"X-Api-Key": "hunter3", "X-Secret": "${user.a}", "Accept": "a"});
    let shown = created(harness, &document).await;
    assert_eq!(shown["request"]["url"], "https://h/x?token=**********&api_key=${user.a}&page=1");
    let headers = json!({"x-api-key": "**********", "x-secret": "${user.a}", "accept": "a"});
    assert_eq!(shown["request"]["headers"], headers);
    let path = format!("/webhooks/{}", shown["uuid"].as_str().unwrap());
    assert_eq!(harness.json("PUT", &path, &shown).await.status, 200);
    let uuid = shown["uuid"].as_str().unwrap().parse().unwrap();
    let stored = harness.store.webhook(&uuid).await.unwrap().unwrap();
    assert_eq!(stored.webhook.request.url, url);
    assert!(stored.webhook.request.headers.iter().any(|(_, value)| value == "hunter3"));
}

async fn read(harness: &Harness, name: &str) {
    match name {
        "index" => {
            let links = harness.get("/").await.json()["_links"].clone();
            let relations: Vec<_> = links.as_object().unwrap().keys().cloned().collect();
            assert_eq!(relations, ["self", "pb:webhooks", "pb:webhook", "curies"]);
        }
        "status of a pair" => {
            harness.event(&event()).await;
            let answer = harness.get("/pacts/provider/P/consumer/C/webhooks/status").await;
            assert_eq!(answer.json()["summary"], json!({"successful": 0, "failed": 0}));
        }
        "control characters in paths" => {
            assert_eq!(harness.get("/webhooks/provider/a%07").await.status, 422);
        }
        _ => {
            let browser = [("accept", "text/html,application/json,*/*;q=0.1")];
            assert_eq!(harness.call("GET", "/webhooks", &browser, "").await.status, 200);
        }
    }
}

/// Whether the test that checks it is where it should be.
fn is_checked_elsewhere(name: &str) -> bool {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let found = ELSEWHERE.iter().find(|(row, ..)| *row == name);
    found.is_some_and(|(_, file, test)| {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        assert!(text.contains(&format!("fn {test}(")), "{name}: {test} in {file}");
        true
    })
}

#[tokio::test]
async fn each_difference_is_as_the_table_says() {
    for Divergence { name, broker, here, why } in DIVERGENCES {
        assert!([broker, here, why].iter().all(|text| !text.is_empty()), "{name}");
        if !is_checked_elsewhere(name) || *name == "null body" {
            check(name).await;
        }
    }
}
