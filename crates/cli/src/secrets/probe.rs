//! `postrider secrets probe`: whether a value is taken, seen by reads.

use std::time::Duration;

use clap::Args;
use postrider_api::{Credential, CredentialList, ProbeRequest, SecretProbe};
use postrider_domain::{CredentialKind, ProbeVerdict, WhichValue, parse_duration};
use reqwest::Method;
use tokio::time::Instant;

use super::value::name;
use crate::one_of::one_of;
use crate::pages::read_all;
use crate::{Api, Body, Connection, Exit, Failure, Format, Out, OutputArgs, cell_of, printable};

/// The pause between two looks at a probe.
const PAUSE: Duration = Duration::from_millis(500);

/// Which value of which secret.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// Name of the secret
    #[arg(value_parser = name)]
    name: String,
    /// Which value: current, pending, previous
    #[arg(long, value_name = "VALUE", default_value = "current", value_parser = one_of(WhichValue::ALL, WhichValue::as_str))]
    which: WhichValue,
    /// How long a worker may take
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = parse_duration)]
    wait: Duration,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    pub(super) connection: Connection,
}

/// Carries it out.
pub(super) async fn run(api: &Api, args: &ProbeArgs, out: &mut Out) -> Result<Exit, Failure> {
    // One that there is not is told by the answer to the question.
    credential(api, &args.name).await?.as_ref().map_or(Ok(()), no_app)?;
    let probe = ask(api, &args.name, args.which, args.wait).await?;
    match args.output.format() {
        Format::Json => out.json(&probe),
        Format::Table => print(&probe, out),
    }
    Ok(exit(probe.verdict))
}

/// What is known of a credential, if there is one of this name.
pub(super) async fn credential(api: &Api, name: &str) -> Result<Option<Credential>, Failure> {
    let all = read_all::<CredentialList>(api, "credentials").await?;
    Ok(all.into_iter().find(|one| one.name == name))
}

/// Only values can be tried and take each other's place.
///
/// # Errors
/// It is a GitHub App.
pub(super) fn no_app(credential: &Credential) -> Result<(), Failure> {
    if credential.kind != CredentialKind::GithubApp {
        return Ok(());
    }
    let name = &credential.name;
    Err(Failure::usage(format!("{name} is a GitHub App: its tokens are renewed by themselves"))
        .fix(format!("for another app or key, use `postrider secrets set {name} --github-app`")))
}

/// Asks for a probe and waits for what it finds.
///
/// # Errors
/// There is no such value, or no worker made the probe in time.
pub(super) async fn ask(
    api: &Api,
    name: &str,
    which: WhichValue,
    wait: Duration,
) -> Result<SecretProbe, Failure> {
    let path = ["api", "v1", "secrets", name, "probe"];
    let asked: SecretProbe = api.post(&path, &ProbeRequest { which: Some(which) }).await?;
    let (until, query) = (Instant::now() + wait, [("which", which.as_str().to_owned())]);
    loop {
        let probe: SecretProbe = api.get(&path, &query).await?;
        if probe.no >= asked.no && probe.finished_at.is_some() {
            return Ok(probe);
        }
        if Instant::now() >= until {
            let message = format!("no worker has tried {name} within {wait:?}");
            return Err(Failure::new(Exit::Unreachable, message)
                .fix("start one with `postrider worker`, or give it longer with --wait"));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What a finding means to the caller.
pub(super) fn exit(verdict: Option<ProbeVerdict>) -> Exit {
    match verdict {
        Some(ProbeVerdict::Ok) => Exit::Fine,
        Some(ProbeVerdict::Insufficient | ProbeVerdict::Nothing) => Exit::No,
        Some(ProbeVerdict::Refused) => Exit::Credential,
        Some(ProbeVerdict::Limited) => Exit::RateLimited,
        Some(ProbeVerdict::Unknown) | None => Exit::Unreachable,
    }
}

/// One sentence on what was found.
pub(super) fn sentence(verdict: Option<ProbeVerdict>) -> &'static str {
    verdict.unwrap_or(ProbeVerdict::Unknown).meaning()
}

/// For people.
pub(super) fn print(probe: &SecretProbe, out: &mut Out) {
    let (name, which) = (&probe.name.0, probe.which.as_str());
    out.line(format_args!("{name}, {which} value: {}", sentence(probe.verdict)));
    let Some(found) = &probe.found else { return };
    let scopes = found.scopes.as_ref().map(|scopes| scopes.join(" "));
    let facts = [
        ("owner", cell_of(found.owner.as_ref())),
        ("scopes", cell_of(scopes)),
        ("expires", cell_of(found.expires_at)),
    ];
    for (key, value) in facts {
        out.line(format_args!("{key:<8} {}", printable(&value)));
    }
    let rows = found.repositories.iter().map(|repository| {
        vec![
            repository.url.clone(),
            repository.access.as_str().to_owned(),
            cell_of(repository.status_code),
            repository.webhooks.len().to_string(),
        ]
    });
    if !found.repositories.is_empty() {
        out.table(&["repository", "access", "status", "webhooks"], rows.collect(), "");
    }
    for one in &found.not_probed {
        out.line(format_args!("webhook {} was not tried: {}", one.webhook_uuid, one.why));
    }
}

/// Takes a value that is pending away again.
pub(super) async fn drop_pending(api: &Api, name: &str) -> Result<(), Failure> {
    api.send(Method::DELETE, &["api", "v1", "secrets", name, "pending"], Body::None).await
}
