//! The manuals' commands, run in the order in which they stand there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use postrider_github_double::{App, AppKeys, Double, Options};
use regex::Regex;
use serde_json::json;
use tempfile::TempDir;

use super::brokers::Brokers;
use super::shown::{Step, same, steps};
use super::{BROKER, read, section};
use crate::harness::{
    Cluster, Looking, Mode, Plan, SOON, event, run, run_with, wait_until, webhook,
};

/// Pages that show commands of the program; all of them are run here.
const MANUALS: [&str; 4] = ["api", "github", "migrate", "operate"];
/// Commands of another kind, and who runs them.
const OTHERS: [(&str, &str); 14] = [
    ("sqlite3 ", "backup::embedded"),
    ("cp /var/lib/postrider/", "backup::embedded"),
    ("pg_dump ", "backup::distributed"),
    ("pg_restore ", "backup::distributed"),
    ("tests/run", "that is what runs this"),
    ("export ", "what tests/run does by itself"),
    ("cargo ", "tests/run, or the option is looked up below"),
    ("deploy/", "deploy::*, or as root in deploy/try-package.sh"),
    ("docker ", "nobody: there is no container here; the files are checked by deploy::*"),
    ("kubectl ", "nobody: there is no cluster here; the files are checked by deploy::*"),
    ("--from-file=", "the line before it"),
    ("apt-get ", "deploy/try-package.sh, in a tree of its own"),
    ("systemctl ", "deploy/try-package.sh"),
    ("POSTRIDER_BINARY=", "deploy/try-package.sh takes what it makes"),
];
/// Named in prose as commands, without what they need.
const NAMES: [&[&str]; 4] = [&["connect"], &["reconcile"], &["doctor"], &["deliveries", "replay"]];
const TOKEN: &str = "test-token";
const REPO: &str = "acme/billing";

/// Somebody who reads a manual beside a running postrider.
struct Reader {
    double: Double,
    brokers: Brokers,
    cluster: Cluster,
    dir: TempDir,
    /// What stands for the manual's words in capitals, files and addresses.
    words: BTreeMap<String, String>,
}

impl Reader {
    async fn start() -> Result<Self> {
        let double = Double::start(Options::default().with_tokens([TOKEN, "new-token"])).await?;
        let brokers = Brokers::start().await?;
        let plan = Plan::new(Mode::Embedded).set("GITHUB_HOSTS", double.addr());
        let cluster = plan.set("LANE_RATE", "200/s").start().await?;
        let dir = tempfile::tempdir()?;
        let mut words = BTreeMap::new();
        for (name, content) in [("token.txt", TOKEN), ("new-token.txt", "new-token")] {
            let file = dir.path().join(name);
            fs::write(&file, content)?;
            words.insert(name.to_owned(), file.display().to_string());
        }
        Ok(Self { double, brokers, cluster, dir, words })
    }

    /// Makes a webhook that dispatches to GitHub with a token.
    async fn with_webhook(&mut self) -> Result<()> {
        let api = self.cluster.api()?;
        api.set_secret("githubToken", TOKEN).await?;
        let hook = webhook(&self.double.base_url(), REPO, "billing", "githubToken");
        let uuid = api.create_webhook(&hook).await?;
        self.stands_for("UUID", &uuid);
        Ok(())
    }

    fn stands_for(&mut self, word: &str, value: &str) {
        self.words.insert(word.to_owned(), value.to_owned());
    }

    /// The command's words as they are here.
    fn args(&self, command: &str) -> Vec<String> {
        let here = |word: String| self.words.get(&word).cloned().unwrap_or(word);
        self.brokers
            .args(&unquoted(command))
            .into_iter()
            .map(here)
            .map(|word| quoted_blank(&word))
            .collect()
    }

    /// Where postrider is, and the broker that is asked.
    fn variables(&self) -> Result<[(String, String); 2]> {
        let broker = self.brokers.matrix.url().to_owned();
        let here = self.cluster.api()?.base().to_owned();
        Ok([("POSTRIDER_URL".to_owned(), here), ("PACT_BROKER_BASE_URL".to_owned(), broker)])
    }

    /// Runs a command that has to succeed; what it printed, as if it had been the real places.
    async fn takes(&self, command: &str) -> Result<String> {
        let args = self.args(command);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = run_with(&args, &self.variables()?, TOKEN).await?;
        let (told, errors) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
        ensure!(output.status.success(), "{command}: {args:?} {}\n{told}{errors}", output.status);
        let told = told.replace(&self.double.base_url(), "https://api.github.com");
        let told = told.replace(&self.double.addr().to_string(), "api.github.com");
        let told = told.replace(self.brokers.webhooks.url(), BROKER);
        Ok(told.replace(self.brokers.matrix.url(), BROKER))
    }

    async fn shown(&self, step: &Step<'_>) -> Result<()> {
        same(step.command, &step.output, &self.takes(step.command).await?)
    }
}

/// A blank inside quotes must not end the word.
fn unquoted(command: &str) -> String {
    let quoted = |(place, part): (usize, &str)| {
        if place % 2 == 1 { part.replace(' ', "\u{1}") } else { part.to_owned() }
    };
    command.split('\'').enumerate().map(quoted).collect()
}

fn quoted_blank(word: &str) -> String {
    word.replace('\u{1}', " ")
}

/// Commands in the running text, each once.
fn inline(text: &str) -> Result<Vec<String>> {
    let command = Regex::new(r"`(postrider [a-z][^`]*)`")?;
    let mut found: Vec<String> = Vec::new();
    for one in command.captures_iter(text) {
        let one = one[1].split_whitespace().collect::<Vec<_>>().join(" ");
        if !found.contains(&one) {
            found.push(one);
        }
    }
    Ok(found)
}

/// Whether a command is only named, not written out.
fn is_name(command: &str) -> bool {
    NAMES.iter().any(|name| command.split(' ').skip(1).eq(name.iter().copied()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_to_do_when() -> Result<()> {
    let mut reader = Reader::start().await?;
    reader.with_webhook().await?;
    let api = reader.cluster.api()?;
    let delivery = api.publish(&event(1, "billing")).await?["deliveries"][0]["id"].clone();
    reader.double.wait_for(1, SOON).await?;
    // A token that died: what an incident and its lane are looked up for.
    reader.double.accept_tokens(["new-token"]);
    api.publish(&event(2, "billing")).await?;
    let incident = wait_until("the incident", SOON, async || {
        let open = api.get("/api/v1/incidents?open=true").await?.ok()?;
        Ok(Looking::from_option(open["incidents"][0]["id"].as_str().map(str::to_owned)))
    })
    .await?;
    let lane = api.lane("/githubToken").await?.context("a lane")?;
    reader.stands_for("LANE", lane["name"].as_str().context("its name")?);
    reader.stands_for("NAME", "githubToken");
    let new_token = reader.dir.path().join("new-token.txt").display().to_string();
    reader.stands_for("FILE", &new_token);
    let text = read("docs/operate.md")?;
    let mut commands: Vec<String> =
        inline(&text)?.into_iter().chain(steps(&text).iter().map(owned)).collect();
    // While there is something to acknowledge.
    commands.sort_by_key(|command| !command.contains("incidents ack"));
    let mut taken = 0;
    for command in commands {
        if is_name(&command) || command == "postrider connect --rotate-token" {
            // `connect` is written out in the way over from the broker's webhooks.
            continue;
        }
        let id = if command.contains("deliveries show") {
            delivery.as_str().context("a delivery")?
        } else {
            &incident
        };
        reader.stands_for("ID", id);
        reader.takes(&command).await?;
        taken += 1;
    }
    ensure!(taken > 15, "only {taken} commands");
    reader.cluster.finish().await
}

fn owned(step: &Step<'_>) -> String {
    step.command.to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_the_brokers_webhooks() -> Result<()> {
    let reader = Reader::start().await?;
    let mut theirs = webhook(&reader.double.base_url(), REPO, "billing", "githubToken");
    theirs["uuid"] = json!("theirs-0123456789");
    theirs["request"]["headers"]["Authorization"] = json!("Bearer theirs");
    reader.brokers.webhooks.change(|behaviour| {
        behaviour.webhooks = vec![theirs];
        behaviour.takes_http = true;
    });
    let text = read("docs/migrate.md")?;
    let all = steps(&text);
    ensure!(all.len() >= 6, "{all:?}");
    for step in &all {
        reader.shown(step).await?;
    }
    let left = reader.brokers.webhooks.webhooks();
    let on: Vec<&str> = left
        .iter()
        .filter(|webhook| webhook["enabled"] == true)
        .filter_map(|webhook| webhook["request"]["url"].as_str())
        .collect();
    ensure!(on.len() == 1 && on[0].contains("/hooks/broker"), "the relay alone is on: {on:?}");
    reader.cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_and_apps() -> Result<()> {
    let mut reader = Reader::start().await?;
    let keys = AppKeys::generate().context("keys")?;
    fs::write(reader.dir.path().join("app.pem"), &keys.private_pem)?;
    let pem = reader.dir.path().join("app.pem").display().to_string();
    reader.stands_for("app.pem", &pem);
    reader.double.install_app(App::new(12345, keys, 7, "acme"));
    reader.with_webhook().await?;
    let text = read("docs/github.md")?;
    for step in steps(section(&text, "## A GitHub App")?) {
        // GitHub stands elsewhere here.
        let command = format!("{} --api-url {}", step.command, reader.double.base_url());
        same(step.command, &step.output, &reader.takes(&command).await?)?;
    }
    for heading in ["## A token", "## When it has to be replaced"] {
        for step in steps(section(&text, heading)?) {
            reader.shown(&step).await?;
        }
    }
    reader.cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_with_curl() -> Result<()> {
    let plan = Plan::new(Mode::Embedded).set("API_TOKENS", "read:ci:a-token-of-somebody");
    let cluster = plan.start().await?;
    let base = cluster.api()?.base().trim_end_matches('/').to_owned();
    let text = read("docs/api.md")?;
    let all = steps(&text);
    ensure!(!all.is_empty(), "a command");
    for step in all {
        let command = step.command.replace("http://127.0.0.1:9393", &base);
        let output = Command::new("timeout")
            .args(["60", "sh", "-c", &command])
            .env("TOKEN", "a-token-of-somebody")
            .stdin(Stdio::null())
            .output()?;
        ensure!(output.status.success(), "{command}: {output:?}");
        same(step.command, &step.output, &String::from_utf8(output.stdout)?)?;
    }
    cluster.finish().await
}

/// Blocks of commands, in whatever way they are written.
fn typed(text: &str) -> Vec<(bool, &str)> {
    let mut language = None;
    let mut typed = Vec::new();
    for line in text.lines().map(str::trim_start) {
        match (line.strip_prefix("```"), language) {
            (Some(_), Some(_)) => language = None,
            (Some(name), None) => language = Some(name),
            (None, Some("console")) => {
                typed.extend(line.strip_prefix("$ ").map(|command| (true, command)));
            }
            (None, Some("sh")) => typed.push((false, line)),
            (None, _) => {}
        }
    }
    typed
}

#[test]
fn every_command_of_the_manuals_is_run() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut pages = vec!["deploy/README.md".to_owned(), "CONTRIBUTING.md".to_owned()];
    for file in fs::read_dir(root.join("docs"))? {
        let name = file?.file_name().into_string().ok().context("a name")?;
        pages.extend(
            Path::new(&name)
                .extension()
                .is_some_and(|is| is == "md")
                .then(|| format!("docs/{name}")),
        );
    }
    let mut seen = 0;
    for page in pages {
        let is_run_here = MANUALS.iter().any(|name| page == format!("docs/{name}.md"));
        for (is_console, command) in typed(&read(&page)?) {
            seen += 1;
            let is_ours = is_console && is_run_here;
            let has_another = OTHERS.iter().any(|(start, _)| command.starts_with(start));
            ensure!(is_ours || has_another, "{page}: nothing runs {command:?}");
        }
    }
    ensure!(seen > 25, "only {seen} commands");
    Ok(())
}

/// Commands that the manuals name are there, with their options.
#[tokio::test]
async fn the_manuals_name_commands_that_there_are() -> Result<()> {
    // A command in backquotes or at the beginning of a line, up to its end.
    let command = Regex::new(r"(?m)(?:`|^ *)postrider ([a-z][^`\n]*)")?;
    let flag = Regex::new(r"--[a-z-]+")?;
    let mut seen = 0;
    for page in ["api", "github", "migrate", "operate", "pactflow", "page", "threats"] {
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
