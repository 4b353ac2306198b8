//! Targets that refuse, are away or hang; workers that are not there, or die.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use postrider_github_double::{Options, Play};
use serde_json::json;

use super::{Bench, SLACK, execute, hook, json_answer, known_tests};
use crate::harness::{Looking, Mode, Plan, SOON, wait_until};

/// A test is made once, whatever comes of it, and opens no incident.
pub(super) async fn targets_that_fail(mode: Mode) -> Result<()> {
    let plan = Plan::new(mode).set("WEBHOOK_TIMEOUT", "1s").set("SUSTAINED_FAILURES", 1);
    let bench = Bench::start(plan, Options::default()).await?;
    let api = &bench.api;
    api.set_secret("sigToken", "value-of-the-token").await?;
    let uuid = api.create_webhook(&hook(&bench, "exec")).await?;
    let invalid = json_answer(422, &json!({"message": "Invalid"}));
    bench.double.script("exec", vec![invalid, Play::status(503), Play::HalfOpen])?;
    for (status, error) in [(Some(422), None), (Some(503), None), (None, Some("no answer in time"))]
    {
        let began = Instant::now();
        let answer = bench.execute(&uuid).await?;
        ensure!(began.elapsed() < SLACK, "{:?}", began.elapsed());
        ensure!(answer["success"] == false, "{answer:#}");
        ensure!(answer["response"]["status"].as_u64() == status, "{answer:#}");
        ensure!(answer["error"]["message"].as_str() == error, "{answer:#}");
        let logs = answer["logs"].as_str().context("logs")?;
        ensure!(logs.ends_with("INFO: Webhook execution failed\n"), "{logs}");
    }
    let mut elsewhere = hook(&bench, "exec");
    for (url, says) in
        [("http://127.0.0.1:1/refused", "onnect"), ("http://10.255.255.1/private", "10.255.255.1")]
    {
        elsewhere["request"]["url"] = url.into();
        let answer = api.with_json("POST", "/webhooks/execute", &elsewhere).await?.ok()?;
        ensure!(answer["success"] == false && answer.get("response").is_none(), "{answer:#}");
        let error = answer["error"]["message"].as_str().context("an error")?;
        ensure!(error.contains(says), "{error}");
        ensure!(answer["logs"].as_str().is_some_and(|logs| logs.contains(error)), "{answer:#}");
    }
    ensure!(bench.double.counts().requests == 3, "nothing is tried again");
    wait_until("a few rounds of the monitor", SOON, async || {
        let tests = known_tests(api).await?;
        let all_final = tests.iter().all(|test| test["status"] == "failed");
        Ok(Looking::when(tests.len() == 5 && all_final, || format!("{tests:?}")))
    })
    .await?;
    let incidents = api.get("/api/v1/incidents").await?.ok()?;
    ensure!(incidents["incidents"] == json!([]), "{incidents}");
    bench.cluster.finish().await
}

/// The answer comes in time and says what is missing; nothing is sent once a worker is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_worker() -> Result<()> {
    let plan = Plan::new(Mode::Distributed).workers(0).set("EXECUTE_WAIT", "500ms");
    let bench = Bench::start(plan, Options::default()).await?;
    let api = &bench.api;
    for (url, says) in [
        (format!("{}/hook/exec", bench.double.base_url()), "no worker leads lane"),
        ("http://127.0.0.1:1/elsewhere".to_owned(), "no worker had room for it"),
    ] {
        let mut document = hook(&bench, "exec");
        document["request"]["url"] = url.into();
        let began = Instant::now();
        let answer = api.with_json("POST", "/webhooks/execute", &document).await?.ok()?;
        ensure!(began.elapsed() < SLACK, "{:?}", began.elapsed());
        ensure!(answer["success"] == false && answer.get("request").is_none(), "{answer:#}");
        let error = answer["error"]["message"].as_str().context("an error")?;
        ensure!(error.starts_with("nothing was sent: ") && error.contains(says), "{error}");
        ensure!(answer["logs"].as_str().is_some_and(|logs| logs.contains(says)), "{answer:#}");
    }
    let tests = known_tests(api).await?;
    let withdrawn = |test: &serde_json::Value| {
        test["status"] == "discarded" && test["last_outcome"] == "withdrawn"
    };
    ensure!(tests.len() == 2 && tests.iter().all(withdrawn), "{tests:?}");
    bench.cluster.finish().await
}

/// A worker dies with the test in flight: whoever waits is told, and it is not sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_dies() -> Result<()> {
    let plan = Plan::new(Mode::Distributed).workers(1).set("EXECUTE_WAIT", "20s");
    let mut bench = Bench::start(plan, Options::default()).await?;
    bench.api.set_secret("sigToken", "value-of-the-token").await?;
    let uuid = bench.api.create_webhook(&hook(&bench, "exec")).await?;
    bench.double.script("exec", vec![Play::HalfOpen])?;
    let api = bench.api.clone();
    let (answer, killed) = tokio::join!(execute(&api, &uuid), async {
        wait_until("the request to arrive", SOON, async || {
            Ok(Looking::when(bench.double.counts().requests > 0, String::new))
        })
        .await?;
        bench.cluster.process("worker-1")?.kill().await?;
        bench.cluster.restart("worker-1").await
    });
    killed?;
    let answer = answer?;
    ensure!(answer["success"] == false, "{answer:#}");
    let error = answer["error"]["message"].as_str().context("an error")?;
    ensure!(error.contains("it may have been sent"), "{error}");
    let tests = known_tests(&api).await?;
    ensure!(tests[0]["status"] == "failed" && tests[0]["last_outcome"] == "lost", "{tests:?}");
    let again = bench.execute(&uuid).await?;
    ensure!(again["success"] == true, "{again:#}");
    let requests = bench.double.counts().requests;
    ensure!(requests == 2, "the lost one is not sent again: {requests}");
    ensure!(known_tests(&api).await?.len() == 2);
    bench.cluster.finish().await
}
