//! A secret whose value is an installation token of a GitHub App: minted when it is needed, shared,
//! renewed, minted anew once when it is refused; what can't be minted costs no delivery.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use postrider_github_double::{App, AppKeys, Double, Entry, Kind, Options, Play};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{
    Api, Canaries, Cluster, Looking, Mode, Plan, SOON, event, in_both_modes, run, setting,
    wait_until, webhook,
};

const MINT: &str = "POST /app/installations/7/access_tokens";
/// Where a token is asked for.
const MINT_PATH: &str = "/app/installations/7/access_tokens";
const REPO: &str = "acme/billing";

/// A cluster whose webhook uses an app that the double knows.
struct Rig {
    cluster: Cluster,
    api: Api,
    double: Double,
    keys: AppKeys,
    dir: TempDir,
}

impl Rig {
    /// The app is set by the command line, with these further arguments.
    async fn start(mode: Mode, further: &[&str], app: impl FnOnce(&mut App)) -> Result<Self> {
        let keys = AppKeys::generate().context("keys")?;
        let double = Double::start(Options::default()).await?;
        let mut known = App::new(12, keys.clone(), 7, "acme");
        app(&mut known);
        double.install_app(known);
        let plan = Plan::new(mode)
            .set("GITHUB_HOSTS", double.addr())
            .set("LANE_RATE", "200/s")
            .set("CLAIM_MARGIN", "10s");
        let cluster = plan.start().await?;
        let api = cluster.api()?;
        let dir = tempfile::tempdir()?;
        let rig = Self { cluster, api, double, keys, dir };
        rig.set_app(further).await?;
        let hook = webhook(&rig.double.base_url(), REPO, "billing", "app");
        rig.api.create_webhook(&hook).await?;
        Ok(rig)
    }

    async fn set_app(&self, further: &[&str]) -> Result<()> {
        let file = self.dir.path().join("app.pem");
        fs::write(&file, &self.keys.private_pem)?;
        let file = file.to_str().context("a path")?;
        let base = self.double.base_url();
        let args = ["secrets", "set", "app", "--github-app", "--app-id", "12"];
        let more = ["--private-key-file", file, "--api-url", &base];
        let settings = [setting("URL", self.api.base())];
        let output = run(&[&args, &more[..], further].concat(), &settings, "").await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Publishes the event of this number and returns its delivery's id.
    async fn publish(&self, number: usize) -> Result<String> {
        let answer = self.api.publish(&event(number, "billing")).await?;
        Ok(answer["deliveries"][0]["id"].as_str().context("a delivery")?.to_owned())
    }

    async fn until_status(&self, id: &str, status: &str) -> Result<Value> {
        wait_until(&format!("the delivery to be {status}"), SOON, async || {
            let shown = self.api.delivery(id).await?;
            Ok(if shown["status"] == status {
                Looking::Found(shown)
            } else {
                Looking::NotYet(shown.to_string())
            })
        })
        .await
    }

    async fn until_lane(&self, state: &str) -> Result<()> {
        wait_until(&format!("the lane to be {state}"), SOON, async || {
            let lane = self.api.lane("/app").await?.unwrap_or_default();
            Ok(Looking::when(lane["state"] == state, || lane.to_string()))
        })
        .await
    }

    /// What the app asked as itself.
    fn asked(&self) -> Vec<Entry> {
        self.double.journal().into_iter().filter(|entry| entry.kind == Kind::App).collect()
    }

    fn dispatches(&self) -> Vec<Entry> {
        self.double.journal().into_iter().filter(|entry| entry.kind == Kind::Dispatch).collect()
    }

    async fn finish(self) -> Result<()> {
        self.cluster.finish().await
    }
}

fn outcomes(shown: &Value) -> Vec<String> {
    let attempts = shown["attempts"].as_array().cloned().unwrap_or_default();
    attempts.iter().map(|one| one["outcome"].as_str().unwrap_or_default().to_owned()).collect()
}

/// One token for all deliveries of a worker, good for what the webhook does and nothing else.
async fn delivers_by_a_minted_token(mode: Mode) -> Result<()> {
    let rig = Rig::start(mode, &[], |_| {}).await?;
    let mut ids = Vec::new();
    for number in 0..20 {
        ids.push(rig.publish(number).await?);
    }
    for id in &ids {
        let shown = rig.until_status(id, "delivered").await?;
        ensure!(outcomes(&shown) == ["accepted"], "{shown}");
    }
    let workers = if mode == Mode::Distributed { 2 } else { 1 };
    let minted = rig.double.minted().len();
    ensure!((1..=workers).contains(&minted), "{minted} tokens were minted");
    ensure!(rig.double.counts().unauthorized == 0, "{:?}", rig.double.counts());
    for asked in rig.asked() {
        let path = asked.path.as_str();
        let is_known = ["/repos/acme/billing/installation", MINT_PATH].contains(&path);
        ensure!(is_known && matches!(asked.status, Some(200 | 201)), "{asked:?}");
        if path == MINT_PATH {
            let body: Value = serde_json::from_str(asked.body.as_deref().unwrap_or_default())?;
            ensure!(body == json!({"permissions": {"contents": "write"}}), "{body}");
        }
    }
    let listed = rig.api.get("/api/v1/secrets").await?.ok()?;
    let secret = &listed["secrets"][0];
    ensure!(secret["kind"] == "github_app" && secret["github_app"]["app_id"] == "12", "{listed}");
    let settings = [setting("URL", rig.api.base())];
    let output = run(&["secrets", "list"], &settings, "").await?;
    let told = String::from_utf8(output.stdout)?;
    ensure!(told.contains("github_app"), "{told}");
    rig.finish().await
}

/// A token is replaced before its end: none is refused.
async fn renews(mode: Mode) -> Result<()> {
    // Fresh for two seconds: a token is renewed five minutes before its end.
    let rig = Rig::start(mode, &["--installation-id", "7"], |app| {
        app.lives = Duration::from_secs(302);
    })
    .await?;
    let mut number = 0;
    wait_until("a token to be renewed", SOON, async || {
        number += 1;
        let id = rig.publish(number).await?;
        rig.until_status(&id, "delivered").await?;
        let minted = rig.double.minted().len();
        Ok(Looking::when(minted >= 4, || format!("{minted} tokens were minted")))
    })
    .await?;
    ensure!(rig.double.counts().unauthorized == 0, "{:?}", rig.double.counts());
    let of_owner = rig.asked().iter().filter(|entry| entry.path != MINT_PATH).count();
    ensure!(of_owner == 0, "the installation was given, and was asked for {of_owner} times");
    rig.finish().await
}

/// The first refusal mints anew and the delivery arrives; when that is refused too, the lane is
/// held, and goes on when a token is taken again.
async fn refused_on_use(mode: Mode) -> Result<()> {
    let rig = Rig::start(mode, &["--owner", "acme"], |_| {}).await?;
    let first = rig.publish(1).await?;
    rig.until_status(&first, "delivered").await?;
    rig.double.revoke_minted();
    // Each worker has a token of its own, so that more than one may be refused.
    for number in 2..6 {
        let id = rig.publish(number).await?;
        let shown = rig.until_status(&id, "delivered").await?;
        let outcomes = outcomes(&shown);
        let (last, refused) = outcomes.split_last().context("an attempt")?;
        let is_fine = last == "accepted" && refused.iter().all(|one| one == "credential");
        ensure!(is_fine && refused.len() <= 2, "{shown}");
    }
    ensure!(rig.double.counts().unauthorized >= 1, "{:?}", rig.double.counts());
    let lane = rig.api.lane("/app").await?.context("the lane")?;
    ensure!(lane["state"] == "open", "{lane}");
    let refused = || vec![Play::Recorded("bad-credentials-401")];
    rig.double.script_repeating(REPO, refused())?;
    rig.double.script_repeating(&format!("GET /repos/{REPO}"), refused())?;
    let before = rig.dispatches().len();
    let id = rig.publish(6).await?;
    rig.until_status(&id, "held").await?;
    rig.until_lane("held").await?;
    let met = rig.dispatches().len() - before;
    ensure!((2..=4).contains(&met), "{met} dispatches met a refusal");
    rig.double.clear_script(REPO);
    rig.double.clear_script(&format!("GET /repos/{REPO}"));
    rig.until_status(&id, "delivered").await?;
    rig.finish().await
}

/// What can't be minted holds the lane: nothing is sent, nothing fails.
async fn suspended(mode: Mode) -> Result<()> {
    let rig = Rig::start(mode, &[], |app| app.suspended = true).await?;
    let id = rig.publish(1).await?;
    let shown = rig.until_status(&id, "held").await?;
    ensure!(outcomes(&shown).iter().all(|one| one == "credential"), "{shown}");
    let said = shown["attempts"][0]["response"]["error"].as_str().unwrap_or_default();
    ensure!(said.contains("suspended"), "{shown}");
    rig.until_lane("held").await?;
    ensure!(rig.dispatches().is_empty(), "{:?}", rig.dispatches());
    rig.double.change_app(|app| app.suspended = false);
    rig.until_status(&id, "delivered").await?;
    rig.finish().await
}

/// An outage of what mints is an outage for what waits, and no more.
async fn github_away(mode: Mode) -> Result<()> {
    let rig = Rig::start(mode, &["--installation-id", "7"], |_| {}).await?;
    rig.double.script(MINT, vec![Play::status(503), Play::status(500)])?;
    let id = rig.publish(1).await?;
    let shown = rig.until_status(&id, "delivered").await?;
    let outcomes = outcomes(&shown);
    let (last, before) = outcomes.split_last().context("an attempt")?;
    let is_fine = last == "accepted" && before.iter().all(|one| one == "server_error");
    ensure!(is_fine && !before.is_empty(), "{shown}");
    ensure!(shown["attempts"][0]["status_code"].is_null(), "nothing was sent: {shown}");
    ensure!(rig.dispatches().len() == 1, "{:?}", rig.dispatches());
    let lane = rig.api.lane("/app").await?.context("the lane")?;
    ensure!(lane["state"] == "open", "{lane}");
    rig.finish().await
}

in_both_modes! {
    delivers: delivers_by_a_minted_token;
    renews: renews;
    refused_on_use: refused_on_use;
    suspended: suspended;
    github_away: github_away;
}

/// 422: what the installation lacks is named, and other webhooks of the secret go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_permission_is_named_and_is_one_webhook_s() -> Result<()> {
    let rig = Rig::start(Mode::Embedded, &[], |app| {
        app.permissions.remove("actions");
    })
    .await?;
    let mut workflow = webhook(&rig.double.base_url(), REPO, "runs", "app");
    let path = "repos/acme/billing/actions/workflows/verify.yml/dispatches";
    workflow["request"]["url"] = format!("{}/{path}", rig.double.base_url()).into();
    workflow["request"]["body"] = json!({"ref": "main"});
    rig.api.create_webhook(&workflow).await?;
    let answer = rig.api.publish(&event(1, "runs")).await?;
    let id = answer["deliveries"][0]["id"].as_str().context("a delivery")?;
    let shown = rig.until_status(id, "failed").await?;
    ensure!(outcomes(&shown) == ["permission", "permission"], "{shown}");
    let said = shown["attempts"][0]["response"]["error"].as_str().unwrap_or_default();
    ensure!(said.contains("lacks actions: write"), "{said}");
    let other = rig.publish(2).await?;
    rig.until_status(&other, "delivered").await?;
    rig.finish().await
}

/// Each repository has a token that is good for it alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_for_each_repository() -> Result<()> {
    let rig = Rig::start(Mode::Embedded, &["--per-repository"], |_| {}).await?;
    let other = webhook(&rig.double.base_url(), "acme/orders", "orders", "app");
    rig.api.create_webhook(&other).await?;
    let first = rig.publish(1).await?;
    let answer = rig.api.publish(&event(1, "orders")).await?;
    let second = answer["deliveries"][0]["id"].as_str().context("a delivery")?;
    for id in [first.as_str(), second] {
        rig.until_status(id, "delivered").await?;
    }
    ensure!(rig.double.minted().len() == 2, "{} tokens", rig.double.minted().len());
    rig.finish().await
}

/// Its tokens are renewed by themselves: no value can follow it, and none is tried.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_is_neither_rotated_nor_tried() -> Result<()> {
    let rig = Rig::start(Mode::Embedded, &[], |_| {}).await?;
    let id = rig.publish(1).await?;
    rig.until_status(&id, "delivered").await?;
    let settings = [setting("URL", rig.api.base())];
    for command in [&["secrets", "rotate", "app"][..], &["secrets", "probe", "app"]] {
        let output = run(command, &settings, "another-value\n").await?;
        let told = String::from_utf8(output.stderr)?;
        ensure!(output.status.code() == Some(2), "{command:?}: {:?} {told}", output.status);
        ensure!(told.contains("app is a GitHub App: its tokens are renewed"), "{told}");
    }
    for (method, path, body) in [
        ("PUT", "pending", json!({"value": "another-value"})),
        ("POST", "switch", json!({"force": true})),
        ("POST", "probe", json!({"which": "current"})),
        ("POST", "probe", json!({"which": "pending"})),
    ] {
        let path = format!("/api/v1/secrets/app/{path}");
        let answer = rig.api.with_json(method, &path, &body).await?;
        ensure!(answer.status == 409, "{path}: {} {}", answer.status, answer.text);
        ensure!(answer.text.contains("is a GitHub App"), "{}", answer.text);
    }
    let told = rig.api.get("/api/v1/audit?object=app").await?.ok()?;
    let entries = told["entries"].as_array().context("entries")?;
    let detail = entries[0]["detail"].as_str().unwrap_or_default();
    ensure!(entries.len() == 1 && detail.starts_with("a GitHub App, revision 1"), "{told}");
    wait_until("the delivery to be known of", SOON, async || {
        let all = rig.api.get("/api/v1/credentials").await?.ok()?;
        let app = all["credentials"][0].clone();
        ensure!(app["kind"] == "github_app" && app["name"] == "app", "{all}");
        ensure!(app["expires_at"].is_null() && app["warnings"] == json!([]), "{all}");
        Ok(Looking::when(app["last_success_at"].is_string(), || all.to_string()))
    })
    .await?;
    rig.finish().await
}

/// A token stands in Authorization of requests to GitHub, and an app is what its parts make it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_use_of_an_app_is_refused() -> Result<()> {
    let rig = Rig::start(Mode::Embedded, &[], |_| {}).await?;
    let base = rig.double.base_url();
    let good = webhook(&base, REPO, "billing", "app");
    let mut elsewhere = good.clone();
    elsewhere["request"]["url"] = "http://127.0.0.2:1/repos/acme/billing/dispatches".into();
    let mut in_body = good.clone();
    in_body["request"]["body"]["client_payload"]["token"] = "${user.app}".into();
    let mut in_url = good.clone();
    in_url["request"]["url"] =
        format!("{base}/repos/acme/billing/dispatches?t=${{user.app}}").into();
    for (wrong, word) in [
        (elsewhere, "POSTRIDER_GITHUB_HOSTS"),
        (in_body, "Authorization"),
        (in_url, "Authorization"),
    ] {
        let answer = rig.api.with_json("POST", "/webhooks", &wrong).await?;
        ensure!(answer.status == 400 && answer.text.contains(word), "{}", answer.text);
    }
    // A webhook that has the secret elsewhere already keeps it from becoming an app.
    let mut early = webhook(&base, REPO, "billing", "later");
    early["request"]["headers"]["X-Token"] = "${user.later}".into();
    rig.api.create_webhook(&early).await?;
    let key = rig.keys.private_pem.as_str();
    let app = |more: Value| {
        let mut app = json!({"app_id": "12", "private_key": key, "api_url": base});
        for (name, value) in more.as_object().into_iter().flatten() {
            app[name] = value.clone();
        }
        json!({ "github_app": app })
    };
    let line = key.lines().nth(3).context("a line")?.to_owned();
    for (name, body, word) in [
        ("later", app(json!({})), "Authorization"),
        ("new", app(json!({"private_key": "no key"})), "private_key"),
        ("new", app(json!({"private_key": null})), "private_key"),
        ("new", app(json!({"app_id": key})), "app_id"),
        ("new", app(json!({"api_url": "http://127.0.0.2:1"})), "POSTRIDER_GITHUB_HOSTS"),
        ("new", app(json!({"owner": "a", "installation_id": 7})), "owner"),
        ("new", app(json!({"installation_id": "7"})), "installation_id"),
        ("new", app(json!({"pem": key})), "unknown member"),
        ("new", json!({ "github_app": key }), "object"),
        ("new", json!({"value": "v", "github_app": {"private_key": key}}), "one of both"),
    ] {
        let path = format!("/api/v1/secrets/{name}");
        let answer = rig.api.with_json("PUT", &path, &body).await?;
        ensure!(answer.status == 400 && answer.text.contains(word), "{word}: {}", answer.text);
        ensure!(!answer.text.contains(&line), "the key is told: {}", answer.text);
    }
    rig.finish().await
}

/// What GitHub sends back of a token is starred.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_comes_back_is_starred() -> Result<()> {
    let rig = Rig::start(Mode::Embedded, &[], |_| {}).await?;
    let first = rig.publish(1).await?;
    rig.until_status(&first, "delivered").await?;
    let mut canaries = Canaries::new();
    let token = rig.double.minted().pop().context("a token")?;
    canaries.add("the minted token", &token);
    let headers = vec![("x-request-id".to_owned(), token.clone())];
    let said = Play::Status { status: 500, headers, body: format!("no: {token}") };
    rig.double.script(REPO, vec![said])?;
    let second = rig.publish(2).await?;
    let shown = rig.until_status(&second, "delivered").await?;
    ensure!(shown["attempts"][0]["response"]["body"] == "no: ********", "{shown}");
    canaries.look("an answer", shown.to_string().as_bytes())?;
    ensure!(canaries.look_below(rig.cluster.dir(), &[])? > 0, "the data dir was looked at");
    rig.finish().await
}
