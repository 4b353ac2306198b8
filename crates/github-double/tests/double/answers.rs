//! Recorded answers, checks, limits and tokens.

use std::collections::HashSet;
use std::time::Duration;

use postrider_github_double::{
    Double, LimitStyle, Options, Play, REPOSITORY_DISPATCH_SCHEMA, TokenSeen, Window, recordings,
};
use serde_json::{Value, json};

use crate::harness::{TOKEN, client, dispatch, dispatch_as, double, payload, status};

#[tokio::test]
async fn every_recorded_answer_is_played_byte_for_byte() {
    let double = double().await;
    let client = client();
    let mut played = 0;
    for recording in recordings() {
        double.script("o/r", vec![Play::Recorded(&recording.case)]).unwrap();
        let answer = dispatch(&client, &double, "o/r").send().await.unwrap();
        let case = &recording.case;
        assert_eq!(answer.status(), recording.status, "{case}");
        let mut headers = answer.headers().clone();
        for (name, value) in &recording.headers {
            assert_eq!(headers.remove(name).as_ref(), Some(value), "{case} {name}");
        }
        // What the server adds where the recording is silent: framing and the date.
        headers.remove("content-length");
        headers.remove("date");
        assert!(headers.is_empty(), "{case} {headers:?}");
        assert_eq!(answer.bytes().await.unwrap(), recording.body, "{case}");
        played += 1;
    }
    assert_eq!(played, 37);
    assert_eq!(double.journal().len(), played);
}

#[tokio::test]
async fn an_accepted_dispatch_looks_like_githubs() {
    let double = double().await;
    let client = client();
    let mut ids = HashSet::new();
    for root in ["", "/api/v3"] {
        let url = format!("{}{root}/repos/o/r/dispatches", double.base_url());
        let request = client.post(url).header("authorization", format!("token {TOKEN}"));
        let answer = request.json(&payload("d")).send().await.unwrap();
        assert_eq!(answer.status(), 204);
        let headers = answer.headers();
        assert!(!headers.contains_key("content-type") && !headers.contains_key("content-length"));
        assert_eq!(headers["x-ratelimit-limit"], "5000");
        let reset: i64 = headers["x-ratelimit-reset"].to_str().unwrap().parse().unwrap();
        let ahead = reset - jiff::Timestamp::now().as_second();
        assert!((0..=3600).contains(&ahead), "{ahead}");
        ids.insert(headers["x-github-request-id"].clone());
    }
    assert_eq!(ids.len(), 2, "each answer has its own request id");
    assert_eq!(double.counts().accepted, 2);
}

#[tokio::test]
async fn bad_content_is_refused_with_the_reason() {
    let double = double().await;
    let client = client();
    let keys: Value =
        (0..13).map(|n| (format!("k{n}"), json!(n))).collect::<serde_json::Map<_, _>>().into();
    let table = [
        (json!([]), 400, "Body should be a JSON object"),
        (json!({}), 422, "\"event_type\" wasn't supplied"),
        (json!({"event_type": "x".repeat(101)}), 422, "101 were supplied"),
        (json!({"event_type": "x", "client_payload": keys}), 422, "13 were supplied"),
        (json!({"event_type": "x", "client_payload": "p"}), 422, "client_payload"),
        (
            json!({"event_type": "x", "client_payload": {"k": "v".repeat(70_000)}}),
            422,
            "client_payload is too large.",
        ),
    ];
    for (body, expected, reason) in table {
        let answer = dispatch_as(&client, &double, "o/r", TOKEN, &body).send().await.unwrap();
        assert_eq!(answer.status(), expected, "{reason}");
        let told: Value = answer.json().await.unwrap();
        assert!(told["message"].as_str().unwrap().contains(reason), "{told}");
    }
    let broken = dispatch(&client, &double, "o/r").body("{");
    assert_eq!(status(broken).await, 400);
    let huge = dispatch(&client, &double, "o/r").body(vec![b' '; 5 * 1024 * 1024]);
    assert_eq!(status(huge).await, 422);
    assert_eq!(double.counts().accepted, 0);
    assert_eq!(double.counts().requests, 8);
}

#[tokio::test]
async fn the_user_agent_is_judged_before_the_token() {
    let double = double().await;
    let bare = reqwest::Client::builder().no_proxy().build().unwrap();
    let refused = dispatch_as(&bare, &double, "o/r", "wrong", &payload("d")).send().await.unwrap();
    assert_eq!(refused.status(), 403);
    assert!(refused.text().await.unwrap().contains("User-Agent"));
    let refused = dispatch_as(&client(), &double, "o/r", "wrong", &json!(1)).send().await.unwrap();
    assert_eq!(refused.status(), 401);
    let told: Value = refused.json().await.unwrap();
    assert_eq!(told["message"], "Bad credentials");
}

#[tokio::test]
async fn a_token_dies_and_another_takes_its_place() {
    let double = double().await;
    let client = client();
    assert_eq!(status(dispatch(&client, &double, "o/r")).await, 204);
    double.accept_tokens(["second"]);
    assert_eq!(status(dispatch(&client, &double, "o/r")).await, 401);
    let renewed = dispatch_as(&client, &double, "o/r", "second", &payload("d-2"));
    assert_eq!(status(renewed).await, 204);
    let unknown = dispatch_as(&client, &double, "o/r", "third", &payload("d-3"));
    assert_eq!(status(unknown).await, 401);
    let seen: Vec<TokenSeen> = double.journal().iter().map(|entry| entry.token).collect();
    let expected =
        [TokenSeen::Accepted(0), TokenSeen::Dead(0), TokenSeen::Accepted(1), TokenSeen::Unknown];
    assert_eq!(seen, expected);
    assert_eq!(double.counts().unauthorized, 2);
}

#[tokio::test]
async fn too_many_writes_are_told_of_and_banned_when_asked() {
    let hour = Duration::from_hours(1);
    let double = Double::start(Options::default().with_rate(2, hour, false)).await.unwrap();
    let client = client();
    for _ in 0..2 {
        assert_eq!(status(dispatch(&client, &double, "o/r")).await, 204);
    }
    let limited = dispatch(&client, &double, "o/r").send().await.unwrap();
    assert_eq!(limited.status(), 403);
    let wait: u64 = limited.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((3590..=3600).contains(&wait), "{wait}");
    assert!(!double.banned());

    double.set_rate(Some(Window { count: 1, per: hour }), true);
    assert_eq!(status(dispatch(&client, &double, "o/r")).await, 204);
    assert_eq!(status(dispatch(&client, &double, "o/r")).await, 403);
    assert!(double.banned());
    let banned = dispatch(&client, &double, "o/r").send().await.unwrap();
    assert_eq!(banned.status(), 403);
    assert!(!banned.headers().contains_key("retry-after"));
    let counts = double.counts();
    assert_eq!((counts.accepted, counts.violations, counts.refused_banned), (3, 2, 1));
}

#[tokio::test]
async fn the_limit_speaks_in_each_of_githubs_ways() {
    let table = [
        (LimitStyle::Secondary403, 403, Some("retry-after")),
        (LimitStyle::Secondary429, 429, Some("retry-after")),
        (LimitStyle::SecondaryBodyOnly, 403, None),
        (LimitStyle::Primary, 403, Some("x-ratelimit-reset")),
    ];
    for (limit_style, expected, header) in table {
        let options = Options { limit_style, ..Options::default() };
        let options = options.with_rate(1, Duration::from_mins(1), false);
        let double = Double::start(options).await.unwrap();
        let client = client();
        assert_eq!(status(dispatch(&client, &double, "o/r")).await, 204);
        let limited = dispatch(&client, &double, "o/r").send().await.unwrap();
        assert_eq!(limited.status(), expected, "{limit_style:?}");
        let headers = limited.headers().clone();
        assert_eq!(headers.contains_key("retry-after"), header == Some("retry-after"));
        if limit_style == LimitStyle::Primary {
            assert_eq!(headers["x-ratelimit-remaining"], "0");
            let reset: i64 = headers["x-ratelimit-reset"].to_str().unwrap().parse().unwrap();
            let ahead = reset - jiff::Timestamp::now().as_second();
            assert!((55..=60).contains(&ahead), "{ahead}");
        }
        assert!(limited.text().await.unwrap().contains("rate limit"));
    }
}

#[tokio::test]
async fn reads_and_workflow_dispatches() {
    let double = double().await;
    let client = client();
    let get = |path: &str| client.get(format!("{}{path}", double.base_url())).bearer_auth(TOKEN);
    let repo: Value = get("/repos/me/mine").send().await.unwrap().json().await.unwrap();
    assert_eq!(repo["full_name"], "me/mine");
    for path in ["/rate_limit", "/user", "/versions", "/api/v3/user"] {
        assert_eq!(status(get(path)).await, 200, "{path}");
    }
    let user = get("/user").send().await.unwrap();
    let ends = &user.headers()["github-authentication-token-expiration"];
    let ends = ends.to_str().unwrap().replace(" UTC", "Z").replace(' ', "T");
    let left = ends.parse::<jiff::Timestamp>().unwrap().duration_since(jiff::Timestamp::now());
    assert!(left.as_hours() > 89 * 24, "not what was recorded: {ends}");
    let wrong = client.get(format!("{}/user", double.base_url())).bearer_auth("x");
    assert_eq!(status(wrong).await, 401);
    assert_eq!(status(get("/repos/me/mine/")).await, 404);
    let versions = client.get(format!("{}/versions", double.base_url()));
    assert_eq!(status(versions).await, 200, "needs no token");

    let url = format!("{}/repos/o/r/actions/workflows/ci.yml/dispatches", double.base_url());
    let run = |body: Value| client.post(&url).bearer_auth(TOKEN).json(&body);
    assert_eq!(status(run(json!({"ref": "main"}))).await, 204);
    assert_eq!(status(run(json!({}))).await, 422);
    let details =
        json!({"ref": "main", "return_run_details": true, "inputs": {"delivery_id": "w"}});
    let details: Value = run(details).send().await.unwrap().json().await.unwrap();
    assert!(details["run_url"].as_str().unwrap().contains("/repos/o/r/actions/runs/"));
    assert_eq!(double.accepted()[1].delivery_id.as_deref(), Some("w"));
    assert_eq!(double.counts().accepted, 2);
}

#[test]
fn githubs_schema_and_the_double_agree() {
    let schema: Value = serde_json::from_str(REPOSITORY_DISPATCH_SCHEMA).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let keys = |count: usize| -> Value {
        (0..count).map(|n| (format!("k{n}"), json!(n))).collect::<serde_json::Map<_, _>>().into()
    };
    assert!(validator.is_valid(&json!({"event_type": "a", "client_payload": keys(10)})));
    for bad in [
        json!({"event_type": "a", "client_payload": keys(11)}),
        json!({"client_payload": {}}),
        json!({"event_type": ""}),
        json!({"event_type": "x".repeat(101)}),
        json!([]),
    ] {
        assert!(!validator.is_valid(&bad), "{bad}");
    }
}
