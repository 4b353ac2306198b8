//! The README's commands, run as a new user would, with the files that it shows.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use postrider_github_double::{Double, Options};
use postrider_testkit::broker::{ScriptedBroker, row};
use regex::{Captures, Regex};
use serde_json::{Value, json};

use crate::harness::{Mode, Plan, SOON, run, setting};
use crate::webhook_broker::{Behaviour, WebhookBroker};

const FRONT: &str = "## Two commands";
/// Its command runs in `terminal::the_first_five_minutes`.
const TRYING: &str = "## Trying it out";
const FIRST: &str = "## The first five minutes";
const HOUR: &str = "## The first hour: your broker";
const EARNEST: &str = "## In earnest";
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_five_minutes() -> Result<()> {
    let readme = read("README.md")?;
    let text = section(&readme, FIRST)?;
    let double = Double::start(Options::default()).await?;
    let dir = tempfile::tempdir()?;
    let webhook = block(text, "yaml")?.replace("https://api.github.com", &double.base_url());
    fs::write(dir.path().join("webhook.yaml"), webhook)?;
    fs::write(dir.path().join("event.json"), block(text, "json")?)?;
    let cluster = Plan::new(Mode::Embedded).start().await?;
    let url = setting("URL", cluster.api()?.base());
    let mut typed = commands(text).into_iter();
    ensure!(typed.next() == Some("postrider serve"), "it starts with the server");
    for command in typed {
        let (command, input) = match command.split_once(" < token.txt") {
            Some((command, _)) => (command, "test-token\n"),
            None => (command, ""),
        };
        let args: Vec<String> = command
            .split_whitespace()
            .skip(1)
            .map(|word| match word {
                "webhook.yaml" | "event.json" => dir.path().join(word).display().to_string(),
                other => other.to_owned(),
            })
            .collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = run(&args, std::slice::from_ref(&url), input).await?;
        ensure!(output.status.success(), "{command}: {output:?}");
    }
    double.wait_for(1, SOON).await?;
    let journal = double.accepted();
    let body: Value = serde_json::from_str(journal[0].body.as_deref().context("a body")?)?;
    let event: Value = serde_json::from_str(block(text, "json")?)?;
    let payload = &body["client_payload"];
    ensure!(payload["consumer_version_number"] == event["consumer"]["version_number"], "{body}");
    ensure!(payload["sha"] == event["provider"]["version_number"], "{body}");
    ensure!(payload["consumer_version_tags"] == "", "an empty value keeps its key: {body}");
    cluster.finish().await
}

/// A broker that knows the README's pair, verified lately; it has another webhook already.
struct Brokers {
    webhooks: WebhookBroker,
    matrix: ScriptedBroker,
}

impl Brokers {
    async fn start() -> Result<Self> {
        let theirs = json!({
            "uuid": "theirs-0123456789", "description": "theirs", "enabled": true,
            "events": [{ "name": "contract_published" }],
            "request": { "method": "POST", "url": "https://example.org/hook", "body": {} },
        });
        let behaviour = Behaviour { webhooks: vec![theirs], ..Behaviour::default() };
        let matrix = ScriptedBroker::start().await?;
        let at = Timestamp::now() - SignedDuration::from_hours(1);
        matrix.set("checkout", "billing", &[row("1.4.2", at, Some((true, at)))]);
        Ok(Self { webhooks: WebhookBroker::start(behaviour).await?, matrix })
    }

    /// The arguments of a command with the address of the stand-in that plays its part.
    fn args(&self, command: &str) -> Vec<String> {
        let reads = command.contains("--broker-base-url");
        let url = if reads { self.matrix.url() } else { self.webhooks.url() };
        command.split_whitespace().skip(1).map(|word| word.replace(BROKER, url)).collect()
    }

    /// The call that the broker makes of the registered relay, with the event's values.
    fn relayed(&self, event: &Value) -> Result<String> {
        let webhooks = self.webhooks.webhooks();
        let relay = webhooks.iter().find(|webhook| webhook["uuid"] != "theirs-0123456789");
        let url = relay.context("a relay")?["request"]["url"].as_str().context("its URL")?;
        let value = |name: &str| match name {
            "eventName" => event["event_name"].clone(),
            "consumerName" => event["consumer"]["name"].clone(),
            "consumerVersionNumber" => event["consumer"]["version_number"].clone(),
            "providerName" => event["provider"]["name"].clone(),
            "providerVersionNumber" => event["provider"]["version_number"].clone(),
            "pactUrl" => event["pact_url"].clone(),
            _ => Value::Null,
        };
        let variable = Regex::new(r"\$\{pactbroker\.([A-Za-z]+)\}")?;
        let rendered = variable.replace_all(url, |found: &Captures<'_>| {
            let text = value(&found[1]).as_str().unwrap_or_default().to_owned();
            url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>()
        });
        rendered.strip_prefix(PUBLIC).map(str::to_owned).context("the public URL")
    }
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
    for command in commands(section(&readme, HOUR)?) {
        let args = brokers.args(&command.replace("webhook.yaml", &shown.display().to_string()));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = run(&args, std::slice::from_ref(&url), "").await?;
        ensure!(output.status.success(), "{command}: {output:?}");
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
    let front = commands(section(&readme, FRONT)?);
    ensure!(front == ["cargo run --release -- demo", "tests/run"], "{front:?}");
    ensure!(
        read("tests/run")?.contains("cargo run --release"),
        "tests/run runs the demo as the README does"
    );
    ensure!(commands(section(&readme, TRYING)?) == ["postrider serve --dev"], "another command");
    let run: usize = [FRONT, TRYING, FIRST, HOUR, EARNEST]
        .iter()
        .map(|heading| section(&readme, heading).map(|text| commands(text).len()))
        .sum::<Result<usize>>()?;
    ensure!(run == commands(&readme).len(), "a command stands outside the sections that are run");
    Ok(())
}

/// Commands that the manuals name are there, with their options.
#[tokio::test]
async fn the_manuals_name_commands_that_there_are() -> Result<()> {
    // A command in backquotes or at the beginning of a line, up to its end.
    let command = Regex::new(r"(?m)(?:`|^ *)postrider ([a-z][^`\n]*)")?;
    let flag = Regex::new(r"--[a-z-]+")?;
    let mut seen = 0;
    for page in ["operate", "migrate", "github", "threats"] {
        let text = read(&format!("docs/{page}.md"))?;
        for found in command.captures_iter(&text) {
            let is_word = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase());
            let words: Vec<&str> = found[1].split(' ').take_while(is_word).take(2).collect();
            // Of prose only what the program calls so is a command.
            let Some(help) = help(&words).await? else {
                ensure!(!text.contains(&format!("`postrider {}", words[0])), "{page}: {words:?}");
                continue;
            };
            for flag in flag.find_iter(&found[1]).map(|flag| flag.as_str()) {
                ensure!(help.contains(flag), "docs/{page}.md: {words:?} has no {flag}");
            }
            seen += 1;
        }
    }
    ensure!(seen > 30, "only {seen} commands");
    Ok(())
}

/// What a command says of itself; `None` when there is none.
async fn help(words: &[&str]) -> Result<Option<String>> {
    let output = run(&[words, &["--help"]].concat(), &[], "").await?;
    Ok(if output.status.success() { Some(String::from_utf8(output.stdout)?) } else { None })
}
