//! Commands that wait for what they asked for, settings that are tried out, and a secret that is
//! typed.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver as Pieces, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use postrider_github_double::{Double, Options, Play};
use postrider_testkit::broker::ScriptedBroker;
use serde_json::Value;

use crate::harness::{
    Api, Cluster, Looking, Mode, Plan, SOON, Setting, event, run, setting, wait_until, webhook,
};

const OLD: &str = "the-old-token-of-the-robot";
const NEW: &str = "the-new-token-of-the-robot";
const REPOSITORY: &str = "acme/a";

/// One webhook at GitHub, whose double takes this token.
struct Bench {
    cluster: Cluster,
    api: Api,
    double: Double,
    settings: Vec<Setting>,
}

impl Bench {
    async fn start(taken: &str) -> Result<Self> {
        let double = Double::start(Options::default().with_tokens([taken])).await?;
        let plan = Plan::new(Mode::Embedded).set("GITHUB_HOSTS", double.addr());
        let cluster = plan.set("LANE_RATE", "200/s").start().await?;
        let api = cluster.api()?;
        api.set_secret("githubToken", OLD).await?;
        api.create_webhook(&webhook(&double.base_url(), REPOSITORY, "a", "githubToken")).await?;
        let settings = vec![setting("URL", api.base())];
        Ok(Self { cluster, api, double, settings })
    }

    async fn expect(&self, code: i32, args: &[&str], input: &str) -> Result<String> {
        let output = run(args, &self.settings, input).await?;
        let told = String::from_utf8([output.stdout, output.stderr].concat())?;
        ensure!(output.status.code() == Some(code), "{args:?}: {}: {told}", output.status);
        Ok(told)
    }

    /// The delivery of one more event, when it has come to this.
    async fn until(&self, number: usize, status: &str) -> Result<String> {
        let accepted = self.api.publish(&event(number, "a")).await?;
        let id = accepted["deliveries"][0]["id"].as_str().context("a delivery")?.to_owned();
        wait_until(status, SOON, async || {
            let now = self.api.delivery(&id).await?;
            Ok(Looking::when(now["status"] == status, || now.to_string()))
        })
        .await?;
        Ok(id)
    }
}

/// `--wait` ends with what became of it: 0, or 1 where it failed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_is_followed_to_its_end() -> Result<()> {
    let bench = Bench::start(OLD).await?;
    let id = bench.until(1, "delivered").await?;
    let part = id.get(..30).context("an id")?;
    let replay = ["deliveries", "replay", part, "--yes", "--wait", "--timeout", "60s"];
    let told = bench.expect(0, &replay, "").await?;
    ensure!(told.contains("1 delivery is sent again"), "{told}");
    ensure!(told.contains("delivered 1, failed 0"), "{told}");
    ensure!(bench.double.accepted().len() == 2, "it was sent again");
    let refusal =
        Play::Status { status: 422, headers: Vec::new(), body: "{\"message\":\"no\"}".to_owned() };
    bench.double.script(REPOSITORY, vec![refusal])?;
    let told = bench.expect(1, &replay, "").await?;
    ensure!(told.contains("delivered 0, failed 1"), "{told}");
    let told = bench.expect(0, &["deliveries", "show", part], "").await?;
    for word in
        ["attempt 1: accepted 204", "attempt 3: invalid 422", "failed; send it again", "< 422"]
    {
        ensure!(told.contains(word), "{word}: {told}");
    }
    ensure!(told.contains("> POST ") && !told.contains(OLD), "{told}");
    bench.expect(2, &["deliveries", "replay", part, "--wait"], "").await?;
    bench.cluster.finish().await
}

/// What waited for a value is out when the command ends; a value that is refused is a no.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_value_is_followed_until_nothing_waits() -> Result<()> {
    let bench = Bench::start(NEW).await?;
    let id = bench.until(1, "held").await?;
    let set = ["secrets", "set", "githubToken", "--wait", "--timeout", "60s"];
    // What is under way does not wait, and may come to wait again.
    let slow = Play::Delay(Duration::from_secs(1), Box::new(Play::Check));
    bench.double.script(REPOSITORY, vec![slow])?;
    let told = bench.expect(1, &set, "a-token-that-is-wrong").await?;
    ensure!(told.contains("the value is refused"), "{told}");
    let shown = bench.expect(0, &["lanes", "list"], "").await?;
    ensure!(shown.contains("when released") && !shown.contains("0s"), "{shown}");
    let told = bench.expect(0, &set, NEW).await?;
    ensure!(told.contains("nothing waits for it"), "{told}");
    ensure!(!told.contains(NEW), "{told}");
    ensure!(bench.api.delivery(&id).await?["status"] == "delivered", "{told}");
    bench.cluster.finish().await
}

/// What `config check --connect` says of these settings beside those of a cluster.
async fn tried(settings: &[Setting], more: &[Setting], code: i32) -> Result<String> {
    let all = [settings, more].concat();
    let output = run(&["config", "check", "--connect"], &all, "").await?;
    let told = String::from_utf8([output.stdout, output.stderr].concat())?;
    ensure!(output.status.code() == Some(code), "{}: {told}", output.status);
    Ok(told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_are_tried_out() -> Result<()> {
    let broker = ScriptedBroker::start().await?;
    let at = |url: &str| setting("PACT_BROKER_BASE_URL", url);
    let cluster = Plan::new(Mode::Distributed).start().await?;
    let told = tried(cluster.settings(), &[at(broker.url())], 0).await?;
    for line in [
        "store: reachable, ",
        "encrypted, up to date",
        "queue: reachable, not encrypted",
        "broker default: reachable, not encrypted",
    ] {
        ensure!(told.contains(line), "{line}: {told}");
    }
    let told = tried(cluster.settings(), &[at("http://127.0.0.1:9")], 3).await?;
    ensure!(told.contains("store: reachable") && told.contains("broker default: "), "{told}");
    broker.trouble(Some((401, None, "{}")));
    tried(cluster.settings(), &[at(broker.url())], 4).await?;
    let away = setting("AMQP_URL", "amqp://127.0.0.1:9");
    let told = tried(cluster.settings(), &[away], 3).await?;
    ensure!(told.contains("store: reachable"), "{told}");
    cluster.finish().await?;
    let told = tried(&[], &[], 0).await?;
    ensure!(told.contains("is made at the first start"), "{told}");
    Ok(())
}

/// Reads up to a word; what was shown so far.
fn shown_until(pieces: &Pieces<Vec<u8>>, shown: &mut String, word: &str) -> Result<()> {
    while !shown.contains(word) {
        let piece = pieces.recv_timeout(SOON);
        let piece = piece.with_context(|| format!("waiting for {word:?}: {shown}"))?;
        shown.push_str(&String::from_utf8_lossy(&piece));
    }
    Ok(())
}

/// Types at a terminal once that is asked for; what it shows in the end, and how the command
/// ended.
fn typed(args: &str, url: &str, asked: &str, typed: &str) -> Result<(String, Option<i32>)> {
    let command = format!("{} {args}; echo ended", env!("CARGO_BIN_EXE_postrider"));
    let mut terminal = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .env_clear()
        .envs([("POSTRIDER_URL", url), ("PATH", "/usr/bin:/bin"), ("TERM", "dumb")])
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("script, of the package bsdutils")?;
    let mut output = terminal.stdout.take().context("its output")?;
    let (sender, pieces) = channel();
    let reader = thread::spawn(move || {
        let mut piece = [0; 1024];
        while let Ok(length @ 1..) = output.read(&mut piece) {
            if sender.send(piece[..length].to_vec()).is_err() {
                break;
            }
        }
    });
    let mut shown = String::new();
    let mut input = terminal.stdin.take().context("its input")?;
    shown_until(&pieces, &mut shown, asked)?;
    input.write_all(typed.as_bytes())?;
    input.flush()?;
    shown_until(&pieces, &mut shown, "ended")?;
    drop(input);
    let ended = terminal.wait()?;
    reader.join().ok();
    Ok((shown, ended.code()))
}

/// A secret that is typed shows nowhere, and Ctrl-C in the middle of it changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_is_typed_is_not_shown() -> Result<()> {
    let cluster = Plan::new(Mode::Embedded).start().await?;
    let api = cluster.api()?;
    let url = api.base().to_owned();
    let known = async || -> Result<Value> { api.get("/api/v1/secrets").await?.ok() };
    let set = "secrets set typedToken";
    for (text, is_set) in [(format!("{NEW}\u{3}"), false), (format!("{NEW}\n"), true)] {
        let url = url.clone();
        let asked = "it is not shown";
        let shown = tokio::task::spawn_blocking(move || typed(set, &url, asked, &text)).await??.0;
        ensure!(!shown.contains(NEW), "the secret is shown: {shown}");
        ensure!(shown.contains("set typedToken (revision 1)") == is_set, "{shown}");
        let has = known().await?["secrets"].as_array().context("secrets")?.len() == 1;
        ensure!(has == is_set, "{shown}");
    }
    cluster.finish().await
}

/// What waits for a webhook goes with it, so a person is asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_is_deleted_once_somebody_means_it() -> Result<()> {
    let cluster = Plan::new(Mode::Embedded).start().await?;
    let api = cluster.api()?;
    let hook = webhook("https://api.github.com", "acme/billing", "billing", "githubToken");
    let made = api.with_json("POST", "/webhooks", &hook).await?.ok()?;
    let path = format!("/webhooks/{}", made["uuid"].as_str().context("a uuid")?);
    let delete = format!("webhooks delete {}", made["uuid"].as_str().context("a uuid")?);
    for (answer, said, status) in [("n\n", "nothing was deleted", 200), ("y\n", "deleted ", 404)] {
        let (url, delete) = (api.base().to_owned(), delete.clone());
        let typing = move || typed(&delete, &url, "[y/N]", answer);
        let shown = tokio::task::spawn_blocking(typing).await??.0;
        ensure!(shown.contains(said), "{shown}");
        ensure!(api.get(&path).await?.status == status, "{shown}");
    }
    cluster.finish().await
}
