//! Tests in lanes: held, paused, with a limit and a backlog.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use postrider_github_double::{Options, Play};
use serde_json::Value;

use super::{Bench, SLACK, execute, hook, known_tests};
use crate::harness::{Looking, Mode, Plan, SOON, event, wait_until, webhook};

/// A refused test is proof like any other: the lane is held, and the next test is told at once.
pub(super) async fn a_dead_token(mode: Mode) -> Result<()> {
    // Far longer than anything here may take.
    let plan = Plan::new(mode).set("EXECUTE_WAIT", "10m").set("PROBE_INTERVAL", "10m");
    let bench = Bench::start(plan, Options::default().with_tokens(["alive"])).await?;
    let (api, base) = (&bench.api, bench.double.base_url());
    api.set_secret("githubToken", "dead").await?;
    let uuid = api.create_webhook(&webhook(&base, "acme/a", "a", "githubToken")).await?;
    let first = bench.execute(&uuid).await?;
    ensure!(first["success"] == false && first["response"]["status"] == 401, "{first:#}");
    let lane = api.lane("/githubToken").await?.context("the lane")?;
    ensure!(lane["state"] == "held" && lane["cause"] == "credential", "{lane}");
    let logs = first["logs"].as_str().context("logs")?;
    ensure!(logs.contains("is held since"), "{logs}");

    let began = Instant::now();
    let second = bench.execute(&uuid).await?;
    ensure!(began.elapsed() < SLACK, "{:?}", began.elapsed());
    ensure!(second["success"] == false && second.get("request").is_none(), "{second:#}");
    let error = second["error"]["message"].as_str().context("an error")?;
    ensure!(error.contains("held") && error.contains("refused the credential"), "{error}");
    ensure!(bench.double.counts().dispatches == 1, "{:?}", bench.double.counts());
    ensure!(known_tests(api).await?.len() == 1, "nothing was written");

    api.set_secret("githubToken", "alive").await?;
    let third = bench.execute(&uuid).await?;
    ensure!(third["success"] == true && third["response"]["status"] == 204, "{third:#}");
    bench.cluster.finish().await
}

/// Requests a second, in the double's window and in the lane's limit.
const RATE: u32 = 15;
const WINDOW: Duration = Duration::from_secs(4);
const BACKLOG: usize = 200;

/// The test goes before what waits, and the limit is kept.
pub(super) async fn a_backlog(mode: Mode) -> Result<()> {
    let window = RATE * u32::try_from(WINDOW.as_secs())?;
    let plan = Plan::new(mode).set("LANE_RATE", format!("{window}/{}s", WINDOW.as_secs()));
    let options = Options::default().with_rate(window, WINDOW, true);
    let bench = Bench::start(plan, options).await?;
    let api = &bench.api;
    api.set_secret("githubToken", "test-token").await?;
    let hook = webhook(&bench.double.base_url(), "acme/a", "a", "githubToken");
    let uuid = api.create_webhook(&hook).await?;
    let events: Vec<Value> = (0..BACKLOG).map(|number| event(number, "a")).collect();
    api.with_json("POST", "/events", &Value::from(events)).await?.ok()?;
    bench.double.wait_for(10, SOON).await?;

    let before = bench.double.counts().accepted;
    let answer = bench.execute(&uuid).await?;
    ensure!(answer["success"] == true, "{answer:#}");
    let id = known_tests(api).await?[0]["id"].as_str().context("an id")?.to_owned();
    let journal = bench.double.accepted();
    let place = journal.iter().position(|entry| entry.delivery_id.as_deref() == Some(&id));
    let place = u64::try_from(place.context("the test arrived")?)?;
    let waited = place.saturating_sub(before);
    // What was claimed already when it came: at most what leaves within a second.
    ensure!(waited <= u64::from(RATE) * 2, "{waited} went before it");
    bench.double.wait_for(u64::try_from(BACKLOG)? + 1, SOON).await?;
    let counts = bench.double.counts();
    ensure!(counts.violations == 0 && !bench.double.banned(), "{counts:?}");
    bench.cluster.finish().await
}

/// How long a test waits in a paused lane.
const WAIT: Duration = Duration::from_secs(15);
/// When its client hangs up.
const HANGS_UP_AFTER: Duration = Duration::from_secs(2);

/// A pause is kept: a test that nobody waits for is withdrawn, the others are told at the end.
pub(super) async fn a_client_that_hangs_up(mode: Mode) -> Result<()> {
    let plan = Plan::new(mode).set("EXECUTE_WAIT", format!("{}s", WAIT.as_secs()));
    let bench = Bench::start(plan, Options::default()).await?;
    let api = &bench.api;
    api.set_secret("sigToken", "value-of-the-token").await?;
    let uuid = api.create_webhook(&hook(&bench, "exec")).await?;
    let headers = vec![("retry-after".to_owned(), "600".to_owned())];
    bench
        .double
        .script("exec", vec![Play::Status { status: 429, headers, body: String::new() }])?;
    let limited = bench.execute(&uuid).await?;
    ensure!(limited["success"] == false && limited["response"]["status"] == 429, "{limited:#}");

    let began = Instant::now();
    let call = api.call("POST", &format!("/webhooks/{uuid}/execute"))?;
    let cut_off = api.send(call.timeout(HANGS_UP_AFTER)).await;
    ensure!(cut_off.is_err(), "{cut_off:?}");
    wait_until("the test to be withdrawn", SOON, async || {
        let tests = known_tests(api).await?;
        let newest = tests.first().cloned().unwrap_or_default();
        Ok(Looking::when(newest["last_outcome"] == "withdrawn", || newest.to_string()))
    })
    .await?;
    ensure!(began.elapsed() < WAIT, "it was withdrawn because nobody waited");

    let began = Instant::now();
    let told = execute(api, &uuid).await?;
    ensure!(began.elapsed() >= WAIT && began.elapsed() < WAIT + SLACK, "{:?}", began.elapsed());
    let error = told["error"]["message"].as_str().context("an error")?;
    ensure!(error.contains("is paused until"), "{error}");
    ensure!(bench.double.counts().requests == 1, "the pause is kept");
    bench.cluster.finish().await
}
