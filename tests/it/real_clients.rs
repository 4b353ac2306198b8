//! The command-line clients of Pact Broker as they are published, driving postrider with nothing
//! but another base URL.
//!
//! They come from npm, into a directory below `target/` that is kept: `@pact-foundation/pact-cli`
//! 18 is the Rust client, 16 the Ruby client with its own Ruby. Without npm, or with
//! `POSTRIDER_TEST_OFFLINE=1`, these tests say that they did not run; that an installation fails
//! is a failure.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use postrider_github_double::{Double, Options};
use serde_json::Value;

use crate::harness::{Api, Looking, Mode, Plan, say, wait_until};

/// Longest time for fetching a client, Ruby and all.
const INSTALLED_WITHIN: Duration = Duration::from_mins(4);
/// Longest time for one command of a client.
const ANSWERS_WITHIN: Duration = Duration::from_mins(1);
/// A token of the role `operate`.
const TOKEN: &str = "token-of-a-real-client";
/// An event that the created webhooks want.
const EVENT: &str = "--contract-requiring-verification-published";

/// A published client.
struct Client {
    program: PathBuf,
    home: tempfile::TempDir,
}

/// How it proves who it is.
#[derive(Clone, Copy, Debug)]
enum Credential {
    Basic,
    Bearer,
}

impl Credential {
    fn args(self) -> Vec<&'static str> {
        match self {
            Self::Basic => vec!["--broker-username", "anybody", "--broker-password", TOKEN],
            Self::Bearer => vec!["--broker-token", TOKEN],
        }
    }
}

impl Client {
    /// The client of this version; `None`, and said so, when it can't be had here.
    async fn of(version: &str) -> Result<Option<Self>> {
        let package = format!("@pact-foundation/pact-cli@{version}");
        let Some(place) = installed(version, &[&package]).await? else { return Ok(None) };
        let program = place.join("node_modules/.bin/pact-broker");
        Ok(Some(Self { program, home: tempfile::tempdir()? }))
    }

    /// Runs one of its commands against `base`.
    async fn run(&self, base: &str, credential: Credential, args: &[&str]) -> Result<Output> {
        let mut command = Command::new(&self.program);
        command.args(args).args(["--broker-base-url", base]).args(credential.args());
        // Neither its settings nor ours reach it.
        command.env_clear().env("HOME", self.home.path());
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
        ended(&mut command, self.home.path(), ANSWERS_WITHIN).await
    }

    /// Runs a command that has to succeed, and returns what it printed.
    async fn must(&self, base: &str, credential: Credential, args: &[&str]) -> Result<String> {
        let output = self.run(base, credential, args).await?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        ensure!(output.status.success(), "{args:?} with {credential:?}: {text}");
        Ok(text)
    }
}

#[expect(clippy::disallowed_methods, reason = "whoever runs the tests says whether they may fetch")]
fn is_offline() -> bool {
    std::env::var("POSTRIDER_TEST_OFFLINE").is_ok_and(|value| value == "1")
}

/// Where packages of npm are, fetched when they are not there; `None`, and said so, when they
/// can't be had here.
pub(crate) async fn installed(name: &str, packages: &[&str]) -> Result<Option<PathBuf>> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/real-clients").join(name);
    if !place.join("node_modules").exists() {
        let has_npm = Command::new("npm").arg("--version").output().is_ok();
        if is_offline() || !has_npm {
            let why = if has_npm { "POSTRIDER_TEST_OFFLINE is set" } else { "there is no npm" };
            say(&format!("not run: what needs {}, {why}", packages.join(", ")));
            return Ok(None);
        }
        install(packages, &place).await?;
    }
    Ok(Some(place))
}

/// Fetches them beside their place and moves them there whole.
async fn install(packages: &[&str], place: &Path) -> Result<()> {
    let parent = place.parent().context("a directory")?;
    fs::create_dir_all(parent)?;
    let dir = tempfile::tempdir_in(parent)?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", "."]);
    npm.args(packages);
    npm.current_dir(dir.path());
    let output = ended(&mut npm, dir.path(), INSTALLED_WITHIN).await?;
    if !output.status.success() {
        bail!(
            "npm could not install {} (POSTRIDER_TEST_OFFLINE=1 leaves this test out): {}",
            packages.join(", "),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    fs::rename(dir.keep(), place)?;
    Ok(())
}

/// Runs a program to its end, or kills it.
pub(crate) async fn ended(command: &mut Command, dir: &Path, cap: Duration) -> Result<Output> {
    let (out, err) = (dir.join("client.out"), dir.join("client.err"));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(fs::File::create(&out)?)
        .stderr(fs::File::create(&err)?)
        .spawn()
        .with_context(|| format!("starting {command:?}"))?;
    let what = format!("{command:?} to end");
    let ended = wait_until(&what, cap, async || Ok(Looking::from_option(child.try_wait()?))).await;
    let Ok(status) = ended else {
        child.kill()?;
        child.wait()?;
        let said = [fs::read(out)?, fs::read(err)?].concat();
        bail!("{what}: killed after {cap:?}; it said {}", String::from_utf8_lossy(&said));
    };
    Ok(Output { status, stdout: fs::read(out)?, stderr: fs::read(err)? })
}

/// The webhooks that postrider has.
async fn stored(api: &Api) -> Result<Vec<Value>> {
    let collection = api.get("/webhooks").await?.ok()?;
    let links = collection["_links"]["pb:webhooks"].as_array().context("links")?;
    let mut webhooks = Vec::new();
    for link in links {
        let href = link["href"].as_str().context("a link")?;
        let uuid = href.rsplit('/').next().context("a uuid")?;
        webhooks.push(api.get(&format!("/webhooks/{uuid}")).await?.ok()?);
    }
    Ok(webhooks)
}

async fn described(api: &Api, description: &str) -> Result<Value> {
    let webhooks = stored(api).await?;
    let found = webhooks.iter().find(|webhook| webhook["description"] == description);
    found.cloned().with_context(|| format!("{description} among {webhooks:#?}"))
}

/// What both clients can do, in the order in which a person does it.
async fn drive(client: &Client, api: &Api, double: &Double, credential: Credential) -> Result<()> {
    let base = api.base();
    let target = format!("{}/hook/{credential:?}", double.base_url());
    let content = r#"{"delivery_id":"${postrider.deliveryId}","pact":"${pactbroker.pactUrl}"}"#;
    let request = [
        "--request=POST",
        "--header=Content-Type: application/json",
        "--data",
        content,
        "--provider=billing",
        EVENT,
    ];
    let created = format!("created with {credential:?}");
    let args = ["create-webhook", &target, "--description", &created, "--consumer=checkout"];
    client.must(base, credential, &[&args[..], &request].concat()).await?;
    let webhook = described(api, &created).await?;
    ensure!(webhook["consumer"]["name"] == "checkout", "{webhook:#}");
    ensure!(webhook["provider"]["name"] == "billing", "{webhook:#}");
    ensure!(webhook["request"]["url"] == target, "{webhook:#}");
    ensure!(webhook["request"]["headers"]["content-type"] == "application/json", "{webhook:#}");
    ensure!(webhook["events"].to_string().contains("requiring_verification"), "{webhook:#}");

    let uuid = format!("made-by-a-client-{}", format!("{credential:?}").to_lowercase());
    for description in ["new", "again"] {
        let description = format!("{description} with {credential:?}");
        let args =
            ["create-or-update-webhook", &target, "--uuid", &uuid, "--description", &description];
        client.must(base, credential, &[&args[..], &request].concat()).await?;
        ensure!(described(api, &description).await?["uuid"] == uuid, "{description}");
    }
    ensure!(described(api, &format!("new with {credential:?}")).await.is_err(), "replaced");

    let before = double.accepted().len();
    client.must(base, credential, &["test-webhook", "--uuid", &uuid]).await?;
    ensure!(double.accepted().len() == before + 1, "the test reached the target");
    Ok(())
}

/// What is refused is told by the client, and it ends with an error.
async fn refuse(client: &Client, api: &Api) -> Result<()> {
    let bad = ["create-webhook", "ftp://h/x", "--request=POST", "--provider=billing", EVENT];
    let output = client.run(api.base(), Credential::Bearer, &bad).await?;
    let told = String::from_utf8([output.stdout, output.stderr].concat())?;
    ensure!(!output.status.success() && told.contains("scheme must be"), "{told}");
    Ok(())
}

/// Drives one client with either credential.
async fn whole_way(version: &str, deletes: bool) -> Result<()> {
    let Some(client) = Client::of(version).await? else { return Ok(()) };
    let double = Double::start(Options::default()).await?;
    let plan = Plan::new(Mode::Embedded).set("API_TOKENS", format!("operate:{TOKEN}"));
    let cluster = plan.start().await?;
    let api = cluster.api()?.with_token(TOKEN);
    for credential in [Credential::Basic, Credential::Bearer] {
        drive(&client, &api, &double, credential).await?;
        if deletes {
            let uuid =
                described(&api, &format!("again with {credential:?}")).await?["uuid"].clone();
            let uuid = uuid.as_str().context("a uuid")?;
            client.must(api.base(), credential, &["delete-webhook", "--uuid", uuid]).await?;
            ensure!(described(&api, &format!("again with {credential:?}")).await.is_err());
        }
    }
    refuse(&client, &api).await?;
    cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rust_client() -> Result<()> {
    whole_way("18.1.2", true).await
}

/// It has no command that deletes a webhook.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ruby_client() -> Result<()> {
    whole_way("16.0.4", false).await
}
