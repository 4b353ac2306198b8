//! What unusual answers lead to: pages in place of answers, waits that the target names, refusals
//! that are the credential's.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::harness::{Api, Looking, Mode, Plan, SOON, Scripted, ScriptedTarget, event, wait_until};

const HTML: (&str, &str) = ("content-type", "text/html; charset=utf-8");
const JSON: (&str, &str) = ("content-type", "application/json");
const ID: (&str, &str) = ("x-github-request-id", "0681:62D5:1E22F03:626F1F6");

const fn taken(status: u16) -> Scripted {
    Scripted { status, headers: &[], body: "" }
}

/// A path, what it answers, and what becomes of a delivery to it.
struct Case {
    path: &'static str,
    answers: &'static [Scripted],
    status: &'static str,
    outcomes: &'static [&'static str],
}

const CASES: &[Case] = &[
    // A captive portal or a proxy's page in place of GitHub's 204.
    Case {
        path: "/repos/acme/page/dispatches",
        answers: &[Scripted { status: 200, headers: &[HTML], body: "<html>x</html>" }, taken(204)],
        status: "delivered",
        outcomes: &["server_error", "accepted"],
    },
    // The same without a content type.
    Case {
        path: "/repos/acme/typeless/dispatches",
        answers: &[Scripted { status: 202, headers: &[], body: "<!DOCTYPE html>" }, taken(204)],
        status: "delivered",
        outcomes: &["server_error", "accepted"],
    },
    Case {
        path: "/repos/acme/list/dispatches",
        answers: &[Scripted {
            status: 403,
            headers: &[JSON],
            body: "{\"message\":\"Although you appear to have the correct authorization \
                   credentials, the `acme` organization has an IP allow list enabled, and your IP \
                   address is not permitted to access this resource.\"}",
        }],
        status: "held",
        outcomes: &["credential"],
    },
    Case {
        path: "/repos/acme/suspended/dispatches",
        answers: &[Scripted {
            status: 403,
            headers: &[JSON],
            body: "{\"message\":\"Sorry. Your account was suspended.\"}",
        }],
        status: "held",
        outcomes: &["credential"],
    },
    // No dispatch, and not one of GitHub's hosts: the request id tells.
    Case {
        path: "/repos/acme/web/statuses/abc",
        answers: &[
            Scripted {
                status: 403,
                headers: &[JSON, ID, ("retry-after", "1")],
                body: "{\"message\":\"API rate limit exceeded for user ID 1.\"}",
            },
            taken(201),
        ],
        status: "delivered",
        outcomes: &["rate_limited", "accepted"],
    },
    // The same words of somebody else are no limit.
    Case {
        path: "/hooks/forbidden",
        answers: &[
            Scripted {
                status: 403,
                headers: &[JSON, ID],
                body: "{\"message\":\"API rate limit exceeded for user ID 1.\"}",
            },
            taken(201),
        ],
        status: "delivered",
        outcomes: &["permission", "accepted"],
    },
    Case {
        path: "/hooks/maintenance",
        answers: &[
            Scripted { status: 503, headers: &[("retry-after", "3")], body: "" },
            taken(200),
        ],
        status: "delivered",
        outcomes: &["server_error", "accepted"],
    },
    Case {
        path: "/hooks/moved-in",
        answers: &[
            Scripted { status: 404, headers: &[("retry-after", "3")], body: "" },
            taken(200),
        ],
        status: "delivered",
        outcomes: &["not_found", "accepted"],
    },
];

/// Answers that speak of the credential, though not in so many words.
const SIGN_IN: &[(&str, &[Scripted])] = &[
    ("/acme/_apis/build", &[Scripted { status: 203, headers: &[HTML], body: "<html>Sign in" }]),
    (
        "/hooks/sso",
        &[Scripted { status: 302, headers: &[("location", "/auth/login?x=1")], body: "" }],
    ),
];

const FLOOD: &str = "/hooks/now";

fn webhook(url: &str, path: &str) -> Value {
    json!({
        "description": path,
        "events": [{"name": "contract_requiring_verification_published"}],
        "provider": {"name": path},
        "request": {
            "method": "POST",
            "url": format!("{url}{path}"),
            "headers": {"Authorization": format!("Bearer of-{path}"), "Content-Type": "application/json"},
            "body": {"event_type": "x", "client_payload": {}}
        }
    })
}

/// Registers a webhook for the path and sends an event for it; the delivery's id.
async fn deliver(api: &Api, url: &str, path: &str) -> Result<String> {
    api.create_webhook(&webhook(url, path)).await?;
    let accepted = api.publish(&event(1, path)).await?;
    let id = accepted["deliveries"][0]["id"].as_str().context("a delivery")?;
    Ok(id.to_owned())
}

fn outcomes(delivery: &Value) -> Vec<&str> {
    let attempts = delivery["attempts"].as_array().into_iter().flatten();
    attempts.filter_map(|attempt| attempt["outcome"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unusual_answers() -> Result<()> {
    let now: &'static [Scripted] =
        &[Scripted { status: 429, headers: &[("retry-after", "0")], body: "" }];
    let all = CASES.iter().map(|case| (case.path, case.answers));
    let scripts: Vec<_> = all.chain(SIGN_IN.iter().copied()).chain([(FLOOD, now)]).collect();
    let target = ScriptedTarget::start(&scripts).await?;
    let plan = Plan::new(Mode::Embedded)
        .set("WEBHOOK_RETRY_SCHEDULE", "1 1")
        // What is held is not asked for again while the others are looked at.
        .set("PROBE_INTERVAL", "5m");
    let cluster = plan.start().await?;
    let api = cluster.api()?;
    let flooded = deliver(&api, target.url(), FLOOD).await?;
    let mut cases = Vec::new();
    for case in CASES {
        cases.push((case, deliver(&api, target.url(), case.path).await?));
    }
    let mut refused = Vec::new();
    for (path, _) in SIGN_IN {
        refused.push(deliver(&api, target.url(), path).await?);
    }
    for (case, id) in &cases {
        wait_until(case.path, SOON, async || {
            let delivery = api.delivery(id).await?;
            let is_so = delivery["status"] == case.status && outcomes(&delivery) == case.outcomes;
            Ok(Looking::when(is_so, || delivery.to_string()))
        })
        .await?;
    }
    for id in &refused {
        wait_until("a sign-in page to be understood", SOON, async || {
            let delivery = api.delivery(id).await?;
            let is_so = delivery["last_outcome"] == "credential";
            Ok(Looking::when(is_so, || delivery.to_string()))
        })
        .await?;
        ensure!(api.delivery(id).await?["status"] != "delivered");
    }
    // Never earlier than the target said.
    for path in ["/hooks/maintenance", "/hooks/moved-in"] {
        let asked = target.asked(path);
        let gap = asked[1].duration_since(asked[0]);
        ensure!(gap >= Duration::from_millis(2_900), "{path} was asked again after {gap:?}");
    }
    // 1 s, then 2 s, then 4 s: at most one request more than there were gaps.
    let asked = target.asked(FLOOD);
    let gaps: Vec<_> = asked.windows(2).map(|pair| pair[1].duration_since(pair[0])).collect();
    ensure!(gaps.iter().all(|gap| *gap >= Duration::from_millis(900)), "{gaps:?}");
    let first = gaps.first().context("a second request")?;
    ensure!(gaps.last() >= Some(first) && gaps.len() < 8, "{gaps:?}");
    ensure!(api.delivery(&flooded).await?["status"] != "failed");
    cluster.finish().await
}

const STATUSES: &str = "/repos/acme/budget/statuses/5f0c1d9";

/// Nothing is left until then; afterwards there is.
fn spent_until(reset: i64) -> &'static [Scripted] {
    let reset: &'static str = reset.to_string().leak();
    let spent = vec![JSON, ID, ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", reset)];
    let left = vec![JSON, ID, ("x-ratelimit-remaining", "4870"), ("x-ratelimit-reset", reset)];
    let refused = Scripted { status: 403, headers: spent.leak(), body: "{}" };
    vec![refused, Scripted { status: 201, headers: left.leak(), body: "{}" }].leak()
}

/// What GitHub says of the budget at a commit status counts as at a dispatch: the lane waits for
/// its reset, and shows what is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_budget_is_read_at_commit_statuses_too() -> Result<()> {
    let begun = (Instant::now(), Timestamp::now());
    let reset = begun.1.as_second() + 8;
    let target = ScriptedTarget::start(&[(STATUSES, spent_until(reset))]).await?;
    let host = target.url().trim_start_matches("http://");
    let plan = Plan::new(Mode::Embedded).set("GITHUB_HOSTS", host);
    let cluster = plan.set("WEBHOOK_RETRY_SCHEDULE", "1 1").start().await?;
    let api = cluster.api()?;
    let id = deliver(&api, target.url(), STATUSES).await?;
    let delivery = wait_until("the status to be set", SOON, async || {
        let delivery = api.delivery(&id).await?;
        let is_so = delivery["status"] == "delivered";
        Ok(if is_so { Looking::Found(delivery) } else { Looking::NotYet(delivery.to_string()) })
    })
    .await?;
    ensure!(outcomes(&delivery) == ["rate_limited", "accepted"], "{delivery}");
    let second = *target.asked(STATUSES).get(1).context("a second request")?;
    let at = begun.1 + second.duration_since(begun.0);
    ensure!(at.as_second() >= reset, "asked at {at}, before {reset} s");
    wait_until("the budget to be shown", SOON, async || {
        let text = cluster.admin("serve")?.get("/metrics").await?.text;
        let lines = text.lines().filter(|line| line.contains("github_ratelimit_remaining{"));
        let shown: Vec<_> = lines.collect();
        let is_so = shown.len() == 1 && shown[0].ends_with(" 4870");
        Ok(Looking::when(is_so, || format!("{shown:?}")))
    })
    .await?;
    cluster.finish().await
}
