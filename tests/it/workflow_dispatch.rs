//! A webhook that starts a workflow by name: GitHub answers with the run where it is asked to, and
//! the attempt says which it was.

use anyhow::{Context, Result, ensure};
use postrider_github_double::{Double, Options};
use serde_json::{Value, json};

use crate::harness::{Api, Looking, Mode, Plan, SOON, event, run, setting, wait_until, webhook};

const REPO: &str = "acme/billing";

async fn delivered(api: &Api, hook: &Value, provider: &str) -> Result<Value> {
    api.create_webhook(hook).await?;
    let answer = api.publish(&event(1, provider)).await?;
    let id = answer["deliveries"][0]["id"].as_str().context("a delivery")?.to_owned();
    wait_until("the delivery to arrive", SOON, async || {
        let shown = api.delivery(&id).await?;
        Ok(if shown["status"] == "delivered" {
            Looking::Found(shown)
        } else {
            Looking::NotYet(shown.to_string())
        })
    })
    .await
}

async fn both_answers(mode: Mode) -> Result<()> {
    let double = Double::start(Options::default().with_tokens(["a-token"])).await?;
    let cluster = Plan::new(mode).set("GITHUB_HOSTS", double.addr()).start().await?;
    let api = cluster.api()?;
    api.set_secret("githubToken", "a-token").await?;
    let base = double.base_url();
    let hook = |provider: &str, asks: bool| {
        let mut hook = webhook(&base, REPO, provider, "githubToken");
        let path = format!("repos/{REPO}/actions/workflows/verify.yml/dispatches");
        hook["request"]["url"] = format!("{base}/{path}").into();
        let inputs = json!({"delivery_id": "${postrider.deliveryId}"});
        hook["request"]["body"] = json!({"ref": "main", "inputs": inputs});
        if asks {
            hook["request"]["body"]["return_run_details"] = true.into();
        }
        hook
    };
    let silent = delivered(&api, &hook("silent", false), "silent").await?;
    let attempt = &silent["attempts"][0];
    ensure!(attempt["status_code"] == 204 && attempt.get("run").is_none(), "{silent}");
    let told = delivered(&api, &hook("told", true), "told").await?;
    let attempt = &told["attempts"][0];
    ensure!(attempt["status_code"] == 200 && attempt["outcome"] == "accepted", "{told}");
    let id = attempt["run"]["id"].as_u64().context("the run's id")?;
    let url = format!("https://github.com/{REPO}/actions/runs/{id}");
    ensure!(attempt["run"]["url"] == url.as_str(), "{told}");
    ensure!(attempt["response"].get("run").is_none(), "{told}");
    let settings = [setting("URL", api.base())];
    let delivery = told["id"].as_str().context("an id")?;
    let output = run(&["deliveries", "show", delivery], &settings, "").await?;
    let shown = String::from_utf8(output.stdout)?;
    ensure!(shown.contains(&format!(", started run {id}: {url}")), "{shown}");
    // A test keeps the whole answer, and the run beside it.
    let hook = told["webhook_uuid"].as_str().context("a webhook")?;
    let call = api.call("POST", &format!("/webhooks/{hook}/execute"))?;
    let tested = api.send(call).await?.ok()?;
    ensure!(tested["success"] == true, "{tested}");
    ensure!(double.accepted().len() == 3, "{:?}", double.counts());
    cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded() -> Result<()> {
    Box::pin(both_answers(Mode::Embedded)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn distributed() -> Result<()> {
    Box::pin(both_answers(Mode::Distributed)).await
}
