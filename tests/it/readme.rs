//! The README's commands, run as a new user would, with the files that it shows.

mod brokers;
mod manuals;
mod shown;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use postrider_github_double::{Double, Options};
use regex::Regex;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{
    Cluster, Looking, Mode, Plan, Process, SOON, Setting, Signal, run, setting, wait_until,
};
use brokers::Brokers;
use shown::{Step, same, steps};

const TASKS: &str = "## Three tasks";
const FIRST: &str = "## The first five minutes";
const HOUR: &str = "## Your broker";
const EARNEST: &str = "## In earnest";
const TESTS: &str = "## Tests";
/// An id in the README, for whichever there is.
const ID: &str = "01a2015a";
/// The broker's address in the README, and where it is told that postrider is.
const BROKER: &str = "https://broker.example";
const PUBLIC: &str = "https://postrider.example";

fn read(path: &str) -> Result<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join(path)).with_context(|| path.to_owned())
}

/// The text of one section.
fn section<'a>(readme: &'a str, heading: &str) -> Result<&'a str> {
    let (_, rest) = readme.split_once(heading).with_context(|| heading.to_owned())?;
    Ok(rest.split_once("\n## ").map_or(rest, |(text, _)| text))
}

/// The first block of a language.
fn block<'a>(text: &'a str, language: &str) -> Result<&'a str> {
    let fence = format!("```{language}\n");
    let (_, rest) = text.split_once(fence.as_str()).context(fence)?;
    rest.split_once("```").map(|(block, _)| block).context("an end of the block")
}

/// Lines that a reader types, without the comments behind them.
fn commands(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("$ "))
        .map(|line| line.split_once(" #").map_or(line, |(command, _)| command).trim())
        .collect()
}

/// What stands before the first heading.
fn front(readme: &str) -> Result<&str> {
    readme.split_once("\n## ").map(|(text, _)| text).context("a heading")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_screen() -> Result<()> {
    let readme = read("README.md")?;
    let steps = steps(front(&readme)?);
    let [Step { command, output }] = steps.as_slice() else { anyhow::bail!("{steps:?}") };
    let words =
        command.strip_prefix("cargo run --release -- ").with_context(|| (*command).to_owned())?;
    ensure!(read("tests/run")?.contains("cargo run --release"), "tests/run runs it so");
    let args: Vec<&str> = words.split(' ').collect();
    ensure!(args == ["demo", "--keep"], "{args:?}");
    let dir = tempfile::tempdir()?;
    let mut demo = Process::spawn("demo", &args, Vec::new(), None, dir.path())?;
    wait_until("the tour to end", SOON, async || {
        ensure!(demo.exit_status()?.is_none(), "it ended: {}", demo.errors());
        let told = demo.output();
        Ok(Looking::when(told.contains("Running until Ctrl-C"), || told))
    })
    .await?;
    let told = demo.output();
    let github = Regex::new(r"127\.0\.0\.1:\d+/githubToken")?;
    same(command, output, &github.replace_all(&told, "api.github.com/githubToken"))?;
    demo.signal(Signal::INT)?;
    let ended = demo.ended(SOON).await?;
    ensure!(ended.code() == Some(0), "{ended}");
    Ok(())
}

/// A clone with the files that the README shows, and a stand-in for GitHub.
struct Reader {
    double: Double,
    cluster: Cluster,
    dir: TempDir,
    settings: Vec<Setting>,
}

impl Reader {
    async fn start(readme: &str, taken: &str) -> Result<Self> {
        let double = Double::start(Options::default().with_tokens([taken])).await?;
        let dir = tempfile::tempdir()?;
        let text = section(readme, FIRST)?;
        let webhook = block(text, "yaml")?.replace("https://api.github.com", &double.base_url());
        for (name, content) in [
            ("webhook.yaml", webhook.as_str()),
            ("event.json", block(text, "json")?),
            ("token.txt", "test-token\n"),
            ("new-token.txt", "new-token\n"),
        ] {
            fs::write(dir.path().join(name), content)?;
        }
        let plan = Plan::new(Mode::Embedded).set("GITHUB_HOSTS", double.addr());
        let cluster = plan.set("LANE_RATE", "200/s").start().await?;
        let settings = vec![setting("URL", cluster.api()?.base())];
        Ok(Self { double, cluster, dir, settings })
    }

    /// The words of a command, with files and ids that there are.
    async fn args(&self, command: &str) -> Result<(Vec<String>, String)> {
        let (command, input) = match command.split_once(" < ") {
            Some((command, file)) => (command, fs::read_to_string(self.dir.path().join(file))?),
            None => (command, String::new()),
        };
        let newest = self.cluster.api()?.deliveries("").await?;
        let newest = newest.first().and_then(|one| one["id"].as_str()).unwrap_or(ID);
        let file = |word: &str| self.dir.path().join(word);
        let args = command.split_whitespace().skip(1).map(|word| match word {
            ID => newest.get(..30).unwrap_or(newest).to_owned(),
            word if file(word).is_file() => file(word).display().to_string(),
            word => word.to_owned(),
        });
        Ok((args.collect(), input))
    }

    /// As it looks with GitHub in the stand-in's place.
    fn told(&self, output: &str) -> String {
        let github = output.replace(&self.double.base_url(), "https://api.github.com");
        github.replace(&self.double.addr().to_string(), "api.github.com")
    }

    async fn takes(&self, step: &Step<'_>) -> Result<()> {
        let (args, input) = self.args(step.command).await?;
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = run(&args, &self.settings, &input).await?;
        let told = String::from_utf8(output.stdout)?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {told}{errors}", step.command);
        same(step.command, &step.output, &self.told(&told))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_three_tasks() -> Result<()> {
    let readme = read("README.md")?;
    let reader = Reader::start(&readme, "new-token").await?;
    let api = reader.cluster.api()?;
    api.set_secret("githubToken", "test-token").await?;
    let file = reader.dir.path().join("webhook.yaml").display().to_string();
    let applied = run(&["webhooks", "apply", "--yes", "-f", &file], &reader.settings, "").await?;
    ensure!(applied.status.success(), "{applied:?}");
    let event: Value = serde_json::from_str(block(section(&readme, FIRST)?, "json")?)?;
    api.publish(&event).await?;
    wait_until("the incident", SOON, async || {
        let open = api.get("/api/v1/incidents?open=true").await?.ok()?;
        let is_told = open["incidents"].as_array().is_some_and(|all| !all.is_empty());
        Ok(Looking::when(is_told, || open.to_string()))
    })
    .await?;
    for step in steps(section(&readme, TASKS)?) {
        if step.command != "postrider deliveries tail" {
            reader.takes(&step).await?;
            continue;
        }
        let args = ["deliveries", "tail"];
        let dir = reader.dir.path();
        let mut tail = Process::spawn("tail", &args, reader.settings.clone(), None, dir)?;
        // It may not listen yet: until it does, what happens is not told.
        wait_until("a delivery to be told", SOON, async || {
            api.publish(&event).await?;
            let told = tail.output();
            Ok(Looking::when(told.contains("delivered"), || told + &tail.errors()))
        })
        .await?;
        same(step.command, &step.output, &reader.told(&tail.output()))?;
        tail.signal(Signal::INT)?;
        tail.ended(SOON).await?;
    }
    reader.cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_five_minutes() -> Result<()> {
    let readme = read("README.md")?;
    let text = section(&readme, FIRST)?;
    let reader = Reader::start(&readme, "test-token").await?;
    let all = steps(text);
    let mut typed = all.iter();
    // It runs in `terminal::the_first_five_minutes`.
    let dev = typed.next().context("a command")?;
    ensure!(dev.command == "postrider serve --dev", "{dev:?}");
    for step in typed {
        reader.takes(step).await?;
    }
    let journal = reader.double.accepted();
    let body: Value = serde_json::from_str(journal[0].body.as_deref().context("a body")?)?;
    let event: Value = serde_json::from_str(block(text, "json")?)?;
    let payload = &body["client_payload"];
    ensure!(payload["consumer_version_number"] == event["consumer"]["version_number"], "{body}");
    ensure!(payload["sha"] == event["provider"]["version_number"], "{body}");
    ensure!(payload["consumer_version_tags"] == "", "an empty value keeps its key: {body}");
    reader.cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_hour() -> Result<()> {
    let readme = read("README.md")?;
    let first = section(&readme, FIRST)?;
    let double = Double::start(Options::default()).await?;
    let brokers = Brokers::start().await?;
    let cluster = Plan::new(Mode::Embedded).start().await?;
    let api = cluster.api()?;
    let url = setting("URL", api.base());
    let webhook = block(first, "yaml")?;
    let dir = tempfile::tempdir()?;
    let [shown, here] = ["webhook.yaml", "here.yaml"].map(|name| dir.path().join(name));
    fs::write(&shown, webhook)?;
    fs::write(&here, webhook.replace("https://api.github.com", &double.base_url()))?;
    api.set_secret("githubToken", "test-token").await?;
    let apply = ["webhooks", "apply", "--yes", "-f", &here.display().to_string()];
    let applied = run(&apply, std::slice::from_ref(&url), "").await?;
    ensure!(applied.status.success(), "{applied:?}");
    for Step { command, output: told } in steps(section(&readme, HOUR)?) {
        let args = brokers.args(&command.replace("webhook.yaml", &shown.display().to_string()));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = run(&args, std::slice::from_ref(&url), "").await?;
        ensure!(output.status.success(), "{command}: {output:?}");
        let out = String::from_utf8(output.stdout)?.replace(brokers.webhooks.url(), BROKER);
        same(command, &told, &out)?;
    }
    let event: Value = serde_json::from_str(block(first, "json")?)?;
    let call = api.call("POST", &brokers.relayed(&event)?)?;
    api.send(call).await?.ok()?;
    double.wait_for(1, SOON).await?;
    let journal = double.accepted();
    let body: Value = serde_json::from_str(journal[0].body.as_deref().context("a body")?)?;
    let payload = &body["client_payload"];
    ensure!(payload["consumer_name"] == "checkout", "{body}");
    ensure!(payload["pact_url"] == event["pact_url"], "{body}");
    cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_earnest() -> Result<()> {
    let readme = read("README.md")?;
    // Starting the cluster runs `migrate` and the three roles.
    let cluster = Plan::new(Mode::Distributed).start().await?;
    for command in commands(section(&readme, EARNEST)?) {
        match command {
            "postrider migrate" | "postrider ingest" | "postrider worker" | "postrider monitor" => {
            }
            "postrider topology" => {
                let output = run(&["topology"], cluster.settings(), "").await?;
                ensure!(output.status.success(), "{output:?}");
                let shown = String::from_utf8(output.stdout)?;
                ensure!(shown.contains("x-queue-type=quorum"), "{shown}");
            }
            other => anyhow::bail!("nothing runs {other:?}"),
        }
    }
    cluster.finish().await
}

#[test]
fn every_command_is_run_by_a_test() -> Result<()> {
    let readme = read("README.md")?;
    ensure!(commands(section(&readme, TESTS)?) == ["tests/run"], "another command");
    let mut run = commands(front(&readme)?).len();
    for heading in [TASKS, FIRST, HOUR, EARNEST, TESTS] {
        run += commands(section(&readme, heading)?).len();
    }
    ensure!(run == commands(&readme).len(), "a command stands outside the sections that are run");
    Ok(())
}
