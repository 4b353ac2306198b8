//! `webhooks lint`, over files and over what a running postrider has.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::harness::{Looking, Mode, Plan, SOON, event, run, setting, wait_until, webhook};

/// Rules by pointer that lint finds in a document on standard input.
async fn found(document: &Value, code: i32) -> Result<Vec<(String, String)>> {
    let args = ["webhooks", "lint", "-f", "-", "--output", "json"];
    let output = run(&args, &[], &document.to_string()).await?;
    let out = String::from_utf8(output.stdout)?;
    ensure!(output.status.code() == Some(code), "{}: {out}", output.status);
    let out: Value = serde_json::from_str(&out)?;
    let findings = out["findings"].as_array().context("findings")?;
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    Ok(findings.iter().map(|one| (text(one, "rule"), text(one, "pointer"))).collect())
}

#[tokio::test]
async fn a_file_is_linted_without_a_server() -> Result<()> {
    let clean = webhook("https://api.github.com", "acme/billing", "billing", "githubToken");
    ensure!(found(&clean, 0).await?.is_empty(), "the seed webhook is clean");
    let mut wrong = clean.clone();
    wrong["events"] = json!([{ "name": "contract_published" }]);
    wrong["request"]["method"] = json!("PUT");
    wrong["request"]["url"] =
        json!("http://u:hunter2@github.example/repos/a/b/dispatches?x=${pactbroker.consumerNam}");
    wrong["request"]["headers"]["Authorization"] = json!("Bearer hunter2hunter2");
    let many: serde_json::Map<String, Value> =
        (0..11).map(|number| (format!("k{number}"), json!(number))).collect();
    wrong["request"]["body"]["client_payload"] = Value::Object(many);
    let expected = [
        ("http", "/request/url"),
        ("method", "/request/method"),
        ("inline_secret", "/request/url"),
        ("unknown_variable", "/request/url"),
        ("inline_secret", "/request/headers/Authorization"),
        ("payload_keys", "/request/body/client_payload"),
        ("dispatch_event", "/events/0/name"),
    ];
    let expected = expected.map(|(rule, at)| (rule.to_owned(), at.to_owned())).to_vec();
    let found = found(&json!([clean, wrong]), 1).await?;
    ensure!(found == expected, "{found:#?}");
    let output = run(&["webhooks", "lint", "-f", "-"], &[], &wrong.to_string()).await?;
    let out = String::from_utf8(output.stdout)?;
    ensure!(out.contains("fix: ") && !out.contains("hunter2"), "{out}");
    Ok(())
}

#[tokio::test]
async fn what_is_no_webhook_is_told() -> Result<()> {
    let broken = json!({ "description": "d", "request": { "method": "POST" }, "events": [] });
    let found = found(&broken, 1).await?;
    let pointers: Vec<&str> = found.iter().map(|(_, pointer)| pointer.as_str()).collect();
    ensure!(pointers == ["/request/url", "/events"], "{found:?}");
    let output = run(&["webhooks", "lint", "-f", "-"], &[], "[]").await?;
    ensure!(output.status.code() == Some(2), "nothing was checked: {output:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_postrider_is_linted() -> Result<()> {
    let cluster = Plan::new(Mode::Embedded).start().await?;
    let api = cluster.api()?;
    let settings = [setting("URL", api.base())];
    let lint = async |code: i32| -> Result<String> {
        let output = run(&["webhooks", "lint"], &settings, "").await?;
        let out = String::from_utf8(output.stdout)?;
        ensure!(output.status.code() == Some(code), "{}: {out}", output.status);
        Ok(out)
    };
    lint(2).await?;
    let mut hook = webhook("https://127.0.0.1:1", "acme/billing", "billing", "githubToken");
    hook["request"]["body"]["client_payload"]["note"] = json!("${user.bodyToken}");
    api.create_webhook(&hook).await?;
    let out = lint(1).await?;
    for name in ["bodyToken", "githubToken"] {
        let told = format!("the secret {name} has no value");
        ensure!(out.matches(&told).count() == 1, "also behind stars: {out}");
    }
    let mut inline = webhook("https://127.0.0.1:1", "acme/stock", "stock", "bodyToken");
    inline["request"]["headers"]["Authorization"] = json!("Bearer hunter2hunter2");
    let inline = api.create_webhook(&inline).await?;
    let out = lint(1).await?;
    ensure!(out.contains("a credential is written into the webhook"), "{out}");
    ensure!(!out.contains("hunter2"), "{out}");
    api.send(api.call("DELETE", &format!("/webhooks/{inline}"))?).await?.ok()?;
    api.publish(&event(1, "billing")).await?;
    wait_until("the lane to be held", SOON, async || {
        let lane = api.lane("/githubToken").await?;
        Ok(Looking::when(lane.is_some_and(|lane| lane["cause"] == "secret_missing"), String::new))
    })
    .await?;
    let out = lint(1).await?;
    ensure!(out.contains("fix: postrider secrets set githubToken"), "{out}");
    cluster.finish().await
}

/// A header that names another secret is a change although the server stars it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_secret_behind_stars_is_a_change() -> Result<()> {
    let cluster = Plan::new(Mode::Embedded).start().await?;
    let api = cluster.api()?;
    let settings = [setting("URL", api.base())];
    let apply = async |document: &Value, more: &[&str]| -> Result<String> {
        let args = [&["webhooks", "apply", "-f", "-"], more].concat();
        let output = run(&args, &settings, &document.to_string()).await?;
        ensure!(output.status.success(), "{output:?}");
        Ok(String::from_utf8(output.stdout)?)
    };
    let mut hook = webhook("https://api.github.com", "acme/billing", "billing", "one");
    hook["request"]["headers"]["X-Api-Key"] = json!("hunter2hunter2");
    hook["request"]["url"] =
        json!("https://api.github.com/repos/acme/billing/dispatches?token=hunter3");
    apply(&hook, &["--yes"]).await?;
    let shown = run(&["webhooks", "list", "-o", "name"], &settings, "").await?;
    let uuid = String::from_utf8(shown.stdout)?.trim().to_owned();
    let stored = api.get(&format!("/webhooks/{uuid}")).await?.ok()?;
    ensure!(
        !stored.to_string().contains("hunter"),
        "what lint calls a secret is starred: {stored}"
    );
    let same = apply(&hook, &[]).await?;
    ensure!(same.contains("1 unchanged"), "{same}");
    hook["request"]["headers"]["Authorization"] = json!("Bearer ${user.another}");
    let plan = apply(&hook, &[]).await?;
    ensure!(
        plan.contains("1 to replace") && plan.contains("request.headers.authorization"),
        "{plan}"
    );
    apply(&hook, &["--yes"]).await?;
    ensure!(apply(&hook, &[]).await?.contains("1 unchanged"));
    let check = api.with_json("POST", "/api/v1/webhooks/check", &hook).await?.ok()?;
    ensure!(check["secrets"] == json!(["another"]), "{check}");
    let lacks = check["warnings"].to_string();
    ensure!(lacks.contains("the secret another has no value"), "{check}");
    api.set_secret("another", "value").await?;
    let check = api.with_json("POST", "/api/v1/webhooks/check", &hook).await?.ok()?;
    ensure!(check["warnings"] == json!([]), "{check}");
    let mut mistyped = hook.clone();
    mistyped["descripton"] = json!("d");
    mistyped["vendor"] = json!({});
    let answer = api.with_json("PUT", &format!("/webhooks/{uuid}"), &mistyped).await?.ok()?;
    let told = "/descripton is no key of a webhook and means nothing: did you mean description?";
    ensure!(answer["warnings"] == json!([told]), "{answer}");
    cluster.finish().await
}
