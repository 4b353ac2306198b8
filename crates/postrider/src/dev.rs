//! `postrider serve --dev`: everything that the first five minutes need, on this machine alone. A
//! stand-in for GitHub runs beside the roles, and a webhook that dispatches to it is there.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use postrider_cli::Failure;
use postrider_config::{Flags, Input, Mode, Settings};
use postrider_domain::example_webhook;
use postrider_github_double::{Double, Options};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::demo::say::print_line;
use crate::demo::seed;
use crate::roles;

const REPOSITORY: &str = "acme/billing";
const PROVIDER: &str = "billing";
/// The example webhook. It is made again only where it is missing or points elsewhere.
const WEBHOOK: &str = "example-webhook-of-dev";
const SECRET: &str = "githubToken";
/// What the stand-in accepts: it stands in no other place, so it is no secret.
const TOKEN: &str = "token-of-the-stand-in";
/// The stand-in's own port, so that webhooks still point to it after a restart.
const GITHUB_PORT: u16 = 9395;
/// Nothing at the start may take longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// All roles in one process, for trying things out.
pub(crate) async fn serve(input: &Input, flags: &Flags) -> anyhow::Result<ExitCode> {
    let github = stand_in().await?;
    let settings = settings(input, flags, &github)?;
    let url = github.base_url();
    let ended = roles::serve(settings, async |listen| {
        let at = listen.map_or_else(String::new, |at| format!("http://{at}"));
        register(&at, &url).await.context("registering the example webhook")?;
        tell(&at, &url);
        Ok(())
    })
    .await;
    github.stop().await;
    ended
}

/// On its own port, else on a free one.
async fn stand_in() -> anyhow::Result<Double> {
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let options = |port| Options { listen: at(port), ..Options::default() }.with_tokens([TOKEN]);
    match Double::start(options(GITHUB_PORT)).await {
        Ok(github) => Ok(github),
        Err(_) => Double::start(options(0)).await.context("starting the stand-in for GitHub"),
    }
}

/// What was set stays; what was not is set as trying things out needs it.
fn settings(input: &Input, flags: &Flags, github: &Double) -> anyhow::Result<Settings> {
    let hosts = format!("api.github.com api.*.ghe.com {}", github.addr());
    let given = input.with_defaults(&[
        ("POSTRIDER_WEBHOOK_SCHEME_WHITELIST", "https http"),
        ("POSTRIDER_WEBHOOK_ALLOW_NETWORKS", "127.0.0.0/8 ::1/128"),
        ("POSTRIDER_GITHUB_HOSTS", &hosts),
        ("POSTRIDER_ALLOWED_HOSTS", "host.docker.internal host.containers.internal"),
        ("POSTRIDER_LOG_FORMAT", "text"),
    ]);
    let settings = given.settings(flags)?;
    let refused = |what: &str, fix: &str| Err(Failure::usage(what).fix(fix).into());
    if let Mode::Distributed { .. } = settings.mode {
        let fix = "unset POSTRIDER_DATABASE_URL and POSTRIDER_AMQP_URL, or leave --dev out";
        return refused("`serve --dev` runs in embedded mode alone", fix);
    }
    let is_here = |address: SocketAddr| IpAddr::is_loopback(&address.ip().to_canonical());
    if !is_here(settings.listen.listen) || !is_here(settings.listen.admin) {
        let fix = "listen on 127.0.0.1, or leave --dev out";
        return refused("`serve --dev` listens on this machine alone", fix);
    }
    if settings.access.tokens.as_ref().is_some_and(|tokens| !tokens.is_empty()) {
        let fix = "unset POSTRIDER_API_TOKENS, or leave --dev out";
        return refused("`serve --dev` goes without tokens", fix);
    }
    Ok(settings)
}

/// The secret and the webhook, unless they are there.
async fn register(at: &str, github: &str) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
    let path = format!("{at}/webhooks/{WEBHOOK}");
    let known = client.get(&path).send().await?;
    if known.status().is_success() {
        let webhook: Value = serde_json::from_str(&known.text().await?)?;
        let url = webhook["request"]["url"].as_str().unwrap_or_default();
        if url.starts_with(&format!("{github}/")) {
            return Ok(());
        }
    } else if known.status() != StatusCode::NOT_FOUND {
        bail!("postrider answered {}", known.status());
    }
    let secrets = client.get(format!("{at}/api/v1/secrets")).send().await?;
    let secrets: Value = serde_json::from_str(&secrets.text().await?)?;
    let has = |secret: &Value| secret["name"] == SECRET;
    if !secrets["secrets"].as_array().is_some_and(|all| all.iter().any(has)) {
        put(&client, &format!("{at}/api/v1/secrets/{SECRET}"), &json!({"value": TOKEN})).await?;
    }
    put(&client, &path, &example_webhook(github, REPOSITORY, PROVIDER, SECRET)).await
}

async fn put(client: &reqwest::Client, path: &str, body: &Value) -> anyhow::Result<()> {
    let answer = client.put(path).json(body).send().await?;
    let status = answer.status();
    if !status.is_success() {
        bail!("postrider answered {status}: {}", answer.text().await?);
    }
    Ok(())
}

fn tell(at: &str, github: &str) {
    let url = if at == "http://127.0.0.1:9393" { String::new() } else { format!(" --url {at}") };
    let event = seed::event(1, PROVIDER);
    print_line(&format!("postrider   {at}  (targets over http and on this machine are allowed)"));
    print_line(&format!("GitHub      {github}  (a stand-in on this machine)"));
    print_line(&format!("webhook     {WEBHOOK}: tells {REPOSITORY} of contracts to verify"));
    print_line("");
    print_line("Next, in another terminal:");
    print_line(&format!("  echo '{event}' | postrider events publish --wait{url}"));
    print_line(&format!("  postrider deliveries list{url}"));
    print_line(&format!("  postrider deliveries tail{url}"));
}
