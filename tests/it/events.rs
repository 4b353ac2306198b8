//! `events list` and `events show`: what came in, how, and what came of it.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::harness::{Cluster, Mode, Plan, Receiver, event, hook_webhook, run_with};

async fn command(cluster: &Cluster, args: &[&str]) -> Result<String> {
    let variables = [("POSTRIDER_URL".to_owned(), cluster.api()?.base().to_owned())];
    let output = run_with(&[&["events"], args].concat(), &variables, "").await?;
    ensure!(output.status.success(), "{args:?}: {output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

async fn told_of_in(mode: Mode) -> Result<()> {
    let target = Receiver::start(&[]).await?;
    let cluster = Plan::new(mode).start().await?;
    let api = cluster.api()?;
    let mut webhook = hook_webhook(target.url(), "a", "billing");
    webhook["postrider"] = json!({"when": {"consumerBranches": ["main"]}});
    let uuid = api.create_webhook(&webhook).await?;
    api.publish(&event(1, "billing")).await?;
    let mut other = event(2, "billing");
    other["consumer"]["branch"] = json!("feat/x");
    let unmatched = api.publish(&other).await?["event_id"].as_str().context("an id")?.to_owned();
    api.publish(&event(3, "stock")).await?;
    let relayed = "/hooks/broker?eventName=contract_published&consumerName=web&providerName=stock";
    api.send(api.call("POST", relayed)?).await?.ok()?;
    api.with_json("POST", "/events?source=reconcile", &event(4, "stock")).await?.ok()?;
    let wrong = api.with_json("POST", "/events?source=me", &event(5, "stock")).await?;
    ensure!(wrong.status == 400, "{wrong:?}");

    let list = async |query: &str| -> Result<Vec<String>> {
        let list = api.get(&format!("/api/v1/events?{query}")).await?.ok()?;
        ensure!(list["total_is_exact"] == true, "{list}");
        let shown = list["events"].as_array().context("events")?;
        let text = |event: &Value| {
            let of = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
            format!("{} {} {}", of("source"), of("consumer_version"), event["deliveries"])
        };
        Ok(shown.iter().map(text).collect())
    };
    let all = ["reconcile 1.0.4 0", "relay  0", "api 1.0.3 0", "api 1.0.2 0", "api 1.0.1 1"];
    ensure!(list("").await? == all, "{:?}", list("").await?);
    ensure!(list("consumer=checkout&provider=billing").await? == all[3..], "by pair");
    ensure!(list("provider=stock&unmatched=true&version=1.0.3").await? == [all[2]]);
    ensure!(list("event=contract_published").await? == [all[1]]);
    ensure!(list("broker=other").await?.is_empty() && list("until=1h").await?.is_empty());
    ensure!(list("unmatched=true&since=1h").await? == all[..4]);
    let first = api.get("/api/v1/events?limit=2").await?.ok()?;
    let cursor = first["next"].as_str().context("a cursor")?;
    ensure!(list(&format!("limit=3&cursor={cursor}")).await? == all[2..]);
    ensure!(api.get("/api/v1/events?cursor=x").await?.status == 400);

    let shown = api.get(&format!("/api/v1/events/{unmatched}")).await?.ok()?;
    let why = &shown["unwanted_by"][0];
    ensure!(why["webhook_uuid"] == uuid.as_str() && shown["webhooks"] == 1, "{shown:#}");
    let expected = "postrider.when.consumerBranches does not match \"feat/x\"";
    ensure!(why["reason"] == expected, "{shown:#}");
    let text = command(&cluster, &["show", &unmatched]).await?;
    ensure!(text.contains(expected) && text.contains("led to no delivery"), "{text}");
    let text = command(&cluster, &["list", "--provider", "billing", "--version", "1.0.1"]).await?;
    ensure!(text.lines().count() == 2 && text.contains("1.0.1"), "{text}");
    let none = "/api/v1/events/00000000-0000-0000-0000-000000000000";
    ensure!(api.get(none).await?.status == 404);
    cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_in_is_told_of() -> Result<()> {
    told_of_in(Mode::Embedded).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_in_is_told_of_over_postgres() -> Result<()> {
    told_of_in(Mode::Distributed).await
}
