//! The first five minutes, and what is watched live, with the real program.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use postrider_github_double::{Double, Options};
use serde_json::Value;

use crate::harness::{
    Looking, Mode, Plan, Process, Proxy, SOON, Signal, event, run, setting, wait_until, webhook,
};

/// Runs what was printed, in so far as it is a command of ours.
async fn printed(line: &str) -> Result<(i32, String)> {
    let (input, command) = match line.trim().strip_prefix("echo '") {
        Some(rest) => rest.split_once("' | ").context("what is published")?,
        None => ("", line.trim()),
    };
    let args: Vec<&str> = command.split(' ').skip(1).collect();
    let output = run(&args, &[], input).await?;
    let code = output.status.code().context("an exit code")?;
    let told = String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?;
    Ok((code, told))
}

async fn dev(dir: &Path) -> Result<(Process, Vec<String>)> {
    let settings = vec![
        setting("LISTEN", "127.0.0.1:0"),
        setting("ADMIN_LISTEN", "127.0.0.1:0"),
        setting("DATA_DIR", dir.join("data").display()),
        setting("LOG_FORMAT", "json"),
        setting("POLL_INTERVAL", "200ms"),
    ];
    let mut process = Process::spawn("dev", &["serve", "--dev"], settings, None, dir)?;
    process.ready().await?;
    let tail = wait_until("what to do next", SOON, async || {
        let output = process.output();
        Ok(Looking::when(output.contains("postrider deliveries tail"), || output))
    });
    tail.await?;
    let output = process.output();
    let (_, next) = output.split_once("Next, in another terminal:").context("what comes next")?;
    let commands = next.lines().filter(|line| line.contains("postrider ")).map(str::to_owned);
    Ok((process, commands.collect()))
}

/// What `serve --dev` prints works as printed, and again after a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_five_minutes() -> Result<()> {
    let dir = tempfile::tempdir()?;
    for _ in 0..2 {
        let (mut process, commands) = dev(dir.path()).await?;
        let [publish, list, _tail] = commands.as_slice() else {
            anyhow::bail!("three commands: {commands:?}")
        };
        let (code, told) = printed(publish).await?;
        ensure!(code == 0 && told.contains("delivered 1, failed 0"), "{code}: {told}");
        let (code, told) = printed(list).await?;
        ensure!(code == 0 && told.contains("delivered"), "{code}: {told}");
        let (code, told) = printed(&publish.replace("\"billing\"", "\"orders\"")).await?;
        ensure!(
            code == 0 && told.contains("provider.name is \"billing\", not \"orders\""),
            "{told}"
        );
        process.terminate(SOON).await?;
    }
    for (name, value) in [
        ("LISTEN", "0.0.0.0:0"),
        ("API_TOKENS", "operate:0123456789abcdef0123"),
        ("DATABASE_URL", "postgres://127.0.0.1/x"),
    ] {
        let output = run(&["serve", "--dev"], &[setting(name, value)], "").await?;
        ensure!(output.status.code() == Some(2), "{name}: {output:?}");
    }
    Ok(())
}

/// Lines of a command's output that are JSON.
fn told(process: &Process) -> Vec<Value> {
    let output = process.output();
    output.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

async fn told_of(process: &Process, version: &str) -> Result<()> {
    let what = format!("{version} to be told");
    wait_until(&what, SOON, async || {
        let is_there = told(process).iter().any(|row| row["consumer"] == version);
        Ok(Looking::when(is_there, || process.output()))
    })
    .await
}

/// What happens is told, also what happened while the line was cut; Ctrl-C is a good end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_are_followed_over_a_cut_line() -> Result<()> {
    let double = Double::start(Options::default()).await?;
    let cluster = Plan::new(Mode::Embedded).start().await?;
    let api = cluster.api()?;
    api.set_secret("githubToken", "test-token").await?;
    let hook = webhook(&double.base_url(), "acme/billing", "billing", "githubToken");
    api.create_webhook(&hook).await?;
    let address = api.base().trim_start_matches("http://").trim_end_matches('/').parse()?;
    let proxy = Proxy::start(address).await?;
    let url = vec![setting("URL", format!("http://{}", proxy.address()))];
    let args = ["deliveries", "tail", "-o", "json", "--status", "delivered"];
    let mut tail = Process::spawn("tail", &args, url, None, cluster.dir())?;
    let of = |consumer: &str| {
        let mut event = event(1, "billing");
        event["consumer"]["name"] = consumer.into();
        event
    };
    // It may not listen yet: until it does, what happens is not told.
    wait_until("a delivery to be told", SOON, async || {
        api.publish(&of("first")).await?;
        Ok(Looking::when(!told(&tail).is_empty(), || tail.output() + &tail.errors()))
    })
    .await?;
    proxy.cut();
    api.publish(&of("meanwhile")).await?;
    wait_until("the delivery", SOON, async || {
        let delivered = api.deliveries("status=delivered&consumer=meanwhile").await?.len();
        Ok(Looking::when(delivered == 1, || format!("{delivered}")))
    })
    .await?;
    proxy.restore();
    told_of(&tail, "meanwhile").await?;
    api.publish(&of("after")).await?;
    told_of(&tail, "after").await?;
    ensure!(told(&tail).iter().all(|row| row["status"] == "delivered"), "{}", tail.output());
    ensure!(!tail.errors().contains("were not told"), "{}", tail.errors());
    tail.signal(Signal::INT)?;
    let ended = tail.ended(SOON).await?;
    ensure!(ended.code() == Some(0), "{ended}");
    drop(tail);
    cluster.finish().await
}
