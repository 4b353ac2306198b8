//! `webhooks test`: one request now, and what came of it.

use anyhow::{Context, Result, ensure};
use postrider_github_double::{Double, Options};
use serde_json::{Value, json};

use crate::harness::{Canaries, Mode, Plan, run, setting, webhook};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_tells_what_came_of_it() -> Result<()> {
    let mut canaries = Canaries::new();
    // The one that the double takes.
    let token = "test-token";
    canaries.add("the token", token);
    let double = Double::start(Options::default()).await?;
    let cluster = Plan::new(Mode::Embedded).start().await?;
    let api = cluster.api()?;
    api.set_secret("githubToken", token).await?;
    let works = webhook(&double.base_url(), "acme/billing", "billing", "githubToken");
    let works = api.create_webhook(&works).await?;
    let mut refused = webhook(&double.base_url(), "acme/billing", "billing", "githubToken");
    refused["request"]["body"] = json!({ "no": "event type" });
    let refused = api.create_webhook(&refused).await?;
    let settings = [setting("URL", api.base())];
    let mut test = async |args: &[&str], code: i32| -> Result<(String, String)> {
        let output = run(&[&["webhooks", "test"], args].concat(), &settings, "").await?;
        canaries.look("standard output", &output.stdout)?;
        let (out, err) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
        ensure!(output.status.code() == Some(code), "{args:?}: {}\n{out}\n{err}", output.status);
        Ok((out, err))
    };
    let (out, _) = test(&[&works], 0).await?;
    ensure!(out.contains("204") && out.contains("the target took it"), "{out}");
    ensure!(double.accepted().len() == 1, "one request reached the target");
    let (out, _) = test(&[&refused], 1).await?;
    ensure!(out.contains("422") && out.contains("did not take it"), "{out}");
    let (out, _) = test(&[&works, "--output", "json"], 0).await?;
    let outcome: Value = serde_json::from_str(&out)?;
    ensure!(outcome["success"] == true && outcome["logs"].is_string(), "{outcome}");
    let (_, err) = test(&["0123456789abcdef"], 1).await?;
    ensure!(err.contains("not found"), "{err}");
    test(&["too-short"], 2).await.context("a uuid that can't be")?;
    let away = [setting("URL", "http://127.0.0.1:9")];
    let output = run(&["webhooks", "test", &works], &away, "").await?;
    ensure!(output.status.code() == Some(3), "{output:?}");
    cluster.finish().await
}
