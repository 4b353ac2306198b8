//! The broker's order of checks, its three forms of errors, and what a path may be.

use http::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Harness, hook};

const JSON: (&str, &str) = ("content-type", "application/json");
const NOBODY: &str = "/webhooks/00000000-0000-0000-0000-000000000000";
const LOGS: &str = "/triggered-webhooks/00000000-0000-0000-0000-000000000000/logs";

/// Every resource with the methods that it knows.
const RESOURCES: [(&str, &str); 14] = [
    ("/", "GET, OPTIONS"),
    ("/webhooks", "GET, POST, OPTIONS"),
    (NOBODY, "GET, PUT, DELETE, OPTIONS"),
    ("/webhooks/execute", "POST, OPTIONS"),
    ("/webhooks/00000000-0000-0000-0000-000000000000/execute", "POST, OPTIONS"),
    ("/webhooks/provider/P", "POST, GET, OPTIONS"),
    ("/webhooks/consumer/C", "POST, GET, OPTIONS"),
    ("/webhooks/provider/P/consumer/C", "POST, GET, OPTIONS"),
    ("/pacts/provider/P/consumer/C/webhooks", "POST, GET, OPTIONS"),
    ("/pacts/provider/P/consumer/C/webhooks/status", "GET, OPTIONS"),
    (LOGS, "GET, OPTIONS"),
    ("/secrets", "GET, POST, OPTIONS"),
    ("/secrets/00000000-0000-0000-0000-000000000000", "GET, PUT, DELETE, OPTIONS"),
    ("/doc/webhooks", "GET, OPTIONS"),
];

#[tokio::test]
async fn methods_come_first() {
    let harness = Harness::start().await;
    for (path, list) in RESOURCES {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT"] {
            if list.split(", ").any(|allowed| allowed == method) {
                continue;
            }
            // Nothing else is looked at: neither body nor types.
            let headers = [("accept", "image/png"), ("content-type", "image/png")];
            let answer = harness.call(method, path, &headers, "{").await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_eq!((answer.header("allow"), answer.text.as_str()), (list, ""));
            assert_eq!(answer.header("content-type"), "", "{method} {path}");
        }
        let answer = harness.call("OPTIONS", path, &[("accept", "image/png")], "").await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(answer.header("access-control-allow-methods"), list);
        assert_eq!(answer.text, "");
        let unknown = harness.call("BREW", path, &[], "").await;
        assert_eq!(unknown.status, StatusCode::NOT_IMPLEMENTED, "{path}");
    }
}

/// Headers, a body and the status of the answer.
type Step<'a> = (&'a [(&'a str, &'a str)], &'a str, u16);

/// Each check fails alone with the ones after it failing too.
#[tokio::test]
async fn one_check_after_the_other() {
    let harness = Harness::with_tokens("operate:op").await;
    let token = ("authorization", "Bearer op");
    let (png, text) = (("accept", "image/png"), ("content-type", "text/plain"));
    let good = hook().to_string();
    let steps: [Step<'_>; 5] = [
        (&[png, JSON], "{", 401),
        (&[token, png, JSON], "{", 400),
        (&[token, png, text], "{}", 400),
        (&[token, png, text], &good, 406),
        (&[token, text], &good, 415),
    ];
    for (path, method) in [("/webhooks", "POST"), ("/webhooks/consumer/C", "POST"), (NOBODY, "PUT")]
    {
        for (headers, body, status) in steps {
            let answer = harness.call(method, path, headers, body.to_owned()).await;
            assert_eq!(answer.status, status, "{method} {path} {headers:?}: {answer:?}");
            let is_empty = answer.text.is_empty();
            assert_eq!(is_empty, status != 400, "{method} {path} {headers:?}: {answer:?}");
        }
    }
    for path in [NOBODY, LOGS, "/pacts/provider/P/consumer/C/webhooks/status"] {
        let answer = harness.call("GET", path, &[token, png], "").await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (406, ""), "{path}");
    }
    let secret = "/secrets/00000000-0000-0000-0000-000000000000";
    for (headers, body, status) in [
        (vec![token, png, text], r#"{"name":1}"#, 400),
        (vec![token, png, text], r#"{"name":"n"}"#, 406),
        (vec![token, text], r#"{"name":"n"}"#, 404),
    ] {
        let answer = harness.call("PUT", secret, &headers, body).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
}

#[tokio::test]
async fn paths_that_are_none() {
    let harness = Harness::start().await;
    for (path, status, detail) in [
        ("//webhooks", 404, "The requested path is not a valid URL path."),
        ("/webhooks//", 404, "The requested path is not a valid URL path."),
        ("/webhooks/provider/%FF", 404, "The requested path is not a valid URL path."),
        ("/webhooks/a%0ab", 422, "URL path cannot contain a new line character."),
        ("/webhooks/a%09b", 422, "URL path cannot contain a tab character."),
    ] {
        let answer = harness.call("PATCH", path, &[("accept", "text/html")], "").await;
        assert_eq!(answer.header("content-type"), "application/problem+json;charset=utf-8");
        let body = answer.json();
        assert_eq!((answer.status.as_u16(), &body["status"]), (status, &json!(status)), "{path}");
        assert_eq!(body["detail"], detail, "{path}");
    }
}

#[tokio::test]
async fn what_is_not_there() {
    let harness = Harness::start().await;
    let message = "The requested document was not found on this server.";
    for path in ["/nothing", "/webhooks/x/y", NOBODY, LOGS, "/doc/nothing", "/pacts/latest"] {
        let plain = harness.get(path).await;
        assert_eq!(plain.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(plain.header("content-type"), "application/json;charset=utf-8");
        assert_eq!(plain.json(), json!({ "error": message }));

        let both = [("accept", "application/hal+json, text/plain, application/problem+json")];
        let problem = harness.call("GET", path, &both, "").await;
        assert_eq!(problem.header("content-type"), "application/problem+json;charset=utf-8");
        assert_eq!(
            problem.json(),
            json!({
                "title": "404 Not Found", "type": "http://pr.test/problem/not-found",
                "detail": message, "status": 404,
            })
        );

        let browser = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
        let page = harness.call("GET", path, &browser, "").await;
        assert_eq!(page.status, StatusCode::NOT_FOUND);
        assert_eq!(page.header("content-type"), "text/html;charset=utf-8");
        assert!(page.text.contains(message), "{}", page.text);
    }
}

async fn problem(harness: &Harness, body: &str) -> (u16, Value) {
    let accept = ("accept", "application/hal+json, application/problem+json");
    let answer = harness.call("POST", "/webhooks", &[JSON, accept], body.to_owned()).await;
    assert_eq!(answer.header("content-type"), "application/problem+json;charset=utf-8");
    (answer.status.as_u16(), answer.json())
}

#[tokio::test]
async fn problem_documents() {
    let harness = Harness::start().await;
    let (status, body) = problem(&harness, "{\"a\":").await;
    assert_eq!(status, 400);
    assert_eq!(
        body,
        json!({
            "title": "Server error", "type": "http://pr.test/problem/server-error",
            "detail": "JSON::ParserError - unexpected end of input at line 1 column 6",
            "status": 500,
        })
    );
    let document = json!({
        "events": [{"name": "contract_published"}, {}],
        "request": {"method": "GET", "url": 1},
        "consumer": {"name": "C", "label": "l"},
    });
    let (status, body) = problem(&harness, &document.to_string()).await;
    assert_eq!(status, 400);
    let title = (&body["title"], &body["type"], &body["instance"]);
    let expected = json!(["Validation errors", "http://pr.test/problems/validation-error", "/"]);
    assert_eq!(title, (&expected[0], &expected[1], &expected[2]));
    let errors: Vec<_> = body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| {
            assert_eq!(error["title"], "Invalid body parameter");
            let kind = error["type"].as_str().unwrap().rsplit('/').next().unwrap();
            let text = |key: &str| error[key].as_str().unwrap();
            format!("{} {kind}: {}", text("pointer"), text("detail"))
        })
        .collect();
    assert_eq!(
        errors,
        [
            "/request/method invalid-body-property-format: must be POST. See \
             /doc/webhooks#whitelist for more information.",
            "/request/url invalid-body-property-value: must be a string",
            "/consumer/label invalid-body-property-value: name and label cannot be provided at \
             the same time",
            "/events/1 missing-body-property: name is missing",
        ]
    );
}

#[tokio::test]
async fn types_of_answers() {
    let harness = Harness::start().await;
    let uuid = harness.webhook(&hook()).await;
    let path = format!("/webhooks/{uuid}");
    for (accept, status) in [
        ("application/hal+json", 200),
        ("application/hal+json, application/json", 200),
        ("application/hal+json, application/json, */*; q=0.01", 200),
        ("*/*", 200),
        ("", 200),
        ("application/json", 406),
        ("text/html", 406),
        ("application/problem+json", 406),
    ] {
        let answer = harness.call("GET", &path, &[("accept", accept)], "").await;
        assert_eq!(answer.status, status, "{accept}");
    }
    for path in [format!("{path}.json"), format!("{path}/"), "/webhooks.json".to_owned()] {
        let answer = harness.call("GET", &path, &[("accept", "text/html")], "").await;
        let expected = if path.ends_with('/') { 406 } else { 200 };
        assert_eq!(answer.status, expected, "{path}");
    }
    // An error is told even to a client that takes nothing else.
    let only = [JSON, ("accept", "application/problem+json")];
    let answer = harness.call("POST", "/webhooks", &only, "{}").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.json()["errors"][0]["pointer"], "/request");
    let deleted = harness.call("DELETE", &path, &[("accept", "image/png")], "").await;
    assert_eq!(deleted.status, StatusCode::NOT_ACCEPTABLE);
    assert_eq!(harness.get(&path).await.status, StatusCode::OK);
}

/// The curies of index and collections, and what messages of validation point to.
#[tokio::test]
async fn help_is_where_links_say() {
    let harness = Harness::start().await;
    let mut paths = vec!["/doc/webhooks".to_owned()];
    for (from, relations) in
        [("/", ["webhooks", "webhook"].as_slice()), ("/webhooks", &["create", "webhooks"])]
    {
        let links = harness.get(from).await.json()["_links"].clone();
        let curie = links["curies"][0]["href"].as_str().unwrap().to_owned();
        for rel in relations {
            assert!(links.get(format!("pb:{rel}")).is_some(), "{links}");
            let href = curie.replace("{rel}", rel);
            paths.push(href.strip_prefix("http://pr.test").unwrap().to_owned());
        }
    }
    for path in paths {
        for accept in ["text/html,*/*;q=0.8", "application/hal+json, application/json", "*/*"] {
            let page = harness.call("GET", &path, &[("accept", accept)], "").await;
            assert_eq!(page.status, StatusCode::OK, "{path}");
            assert_eq!(page.header("content-type"), "text/html;charset=utf-8");
            assert!(page.text.contains(r#"id="whitelist""#), "{path}");
        }
    }
}

/// What the broker's clients do with the index.
#[tokio::test]
async fn the_index_leads_to_webhooks() {
    let harness = Harness::start().await;
    let uuid = harness.webhook(&hook()).await;
    let links = harness.get("/").await.json()["_links"].clone();
    assert_eq!(links["self"]["href"], "http://pr.test");
    let link = |rel: &str| links[rel]["href"].as_str().unwrap().replace("{uuid}", &uuid);
    for rel in ["pb:webhooks", "pb:webhook"] {
        let href = link(rel);
        let path = href.strip_prefix("http://pr.test").unwrap();
        assert_eq!(harness.get(path).await.status, StatusCode::OK, "{path}");
    }
}
