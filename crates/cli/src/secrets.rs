//! `postrider secrets`. A value is never an argument: arguments are seen by every user of the
//! machine and kept by the shell.

mod drain;
mod list;
mod probe;
mod rotate;
mod value;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use postrider_api::{CredentialList, GithubAppSecret, SecretSet, SecretValue};
use postrider_config::read_text;
use postrider_domain::secret_warnings;
use reqwest::Method;
use secrecy::ExposeSecret as _;

use super::{Api, Body};
use crate::follow::WaitArgs;
use crate::pages::read_all;
use crate::{Connection, Exit, Failure, Format, Out, OutputArgs, complain, printable};
use value::{Source, name, value};

/// What to do with secrets.
#[derive(Debug, Subcommand)]
pub enum SecretsCommand {
    /// Set a value, read from standard input unless told otherwise
    #[command(
        after_help = "Example:\n  gh auth token | postrider secrets set githubToken\n\nNewlines and blanks at the end are stripped. Lanes that waited for the value open.\n\nTokens of a GitHub App, made and renewed as they are needed:\n  postrider secrets set githubApp --github-app --app-id 12345 --private-key-file app.pem"
    )]
    Set(SetArgs),
    /// List secrets: who uses them, whose they are, when they end; never their values
    #[command(after_help = "Example:\n  postrider secrets list")]
    List(list::ListArgs),
    /// Delete a secret; what uses it waits from then on
    #[command(
        after_help = "Example:\n  postrider secrets delete githubToken --yes\n\nWithout --yes it says what would stop."
    )]
    Delete(DeleteArgs),
    /// Try a value by reads of all repositories that webhooks dispatch to with it
    #[command(
        after_help = "Example:\n  postrider secrets probe githubToken\n\nNothing is changed anywhere. Exit codes: 0 it may write to all of them, 1 not to all or\nthere are none, 3 something could not be asked, 4 it is refused, 5 rate limited."
    )]
    Probe(probe::ProbeArgs),
    /// Put a new value in the place of an old one, after it was tried
    #[command(
        after_help = "Example:\n  postrider secrets rotate githubToken --from-file new-token.txt --reason 'it expires'\n\nSets the new value beside the old one, compares their owners, reads all repositories that\nwebhooks dispatch to with it, and only then lets it take the place; watches what waited drain,\nand says whether the old value is refused. Interrupted at any point, the same command goes on."
    )]
    Rotate(rotate::RotateArgs),
}

/// Which secret, and where its value is.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// Name, used in webhooks as ${user.NAME}
    #[arg(value_parser = name)]
    name: String,
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    app: AppArgs,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connection: Connection,
}

/// A GitHub App whose tokens are the value.
#[derive(Debug, Args)]
struct AppArgs {
    /// The value is an installation token of a GitHub App, made when a request needs one
    #[arg(
        long,
        requires_all = ["app_id", "private_key_file"],
        conflicts_with_all = ["from_file", "from_env"]
    )]
    github_app: bool,
    /// The app's id or client id
    #[arg(long, value_name = "ID", requires = "github_app")]
    app_id: Option<String>,
    /// The app's private key: the PEM file that GitHub gave
    #[arg(long, value_name = "FILE", requires = "github_app")]
    private_key_file: Option<PathBuf>,
    /// The installation to use; without it, that of the owner
    #[arg(long, value_name = "ID", requires = "github_app", conflicts_with = "owner")]
    installation_id: Option<u64>,
    /// The organization or user that installed the app; without it, the repository's owner
    #[arg(long, value_name = "NAME", requires = "github_app")]
    owner: Option<String>,
    /// Give each repository a token of its own
    #[arg(long, requires = "github_app")]
    per_repository: bool,
    /// Where the API of GitHub Enterprise is; without it, that of github.com
    #[arg(long, value_name = "URL", requires = "github_app")]
    api_url: Option<String>,
}

impl AppArgs {
    /// The app with its key; `None`: the value is none.
    fn read(&self) -> Result<Option<GithubAppSecret>, Failure> {
        let (Some(app_id), Some(path)) = (&self.app_id, &self.private_key_file) else {
            return Ok(None);
        };
        let private_key = read_text(path)
            .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
        Ok(Some(GithubAppSecret {
            app_id: app_id.clone(),
            private_key,
            installation_id: self.installation_id,
            owner: self.owner.clone(),
            per_repository: self.per_repository,
            api_url: self.api_url.clone(),
        }))
    }
}

/// Which secret.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// Name of the secret
    #[arg(value_parser = name)]
    name: String,
    /// Do it
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Carries it out.
pub async fn run(
    command: SecretsCommand,
    connect: impl Fn(&Connection) -> anyhow::Result<Api>,
    env: &BTreeMap<String, String>,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    match command {
        SecretsCommand::Set(args) => {
            let api = connect(&args.connection)?;
            return set(&api, &args, &content(&args, env)?, out).await;
        }
        SecretsCommand::List(args) => {
            list::run(&connect(&args.connection)?, &args, out).await?;
        }
        SecretsCommand::Delete(args) => {
            return Ok(delete(&connect(&args.connection)?, &args, out).await?);
        }
        SecretsCommand::Probe(args) => {
            return Ok(probe::run(&connect(&args.connection)?, &args, out).await?);
        }
        SecretsCommand::Rotate(args) => {
            return Ok(rotate::run(&connect(&args.connection)?, &args, env, out).await?);
        }
    }
    Ok(Exit::Fine)
}

/// An app, or a value with a word about what is odd about it.
fn content(args: &SetArgs, env: &BTreeMap<String, String>) -> Result<SecretValue, Failure> {
    if let Some(app) = args.app.read()? {
        return Ok(SecretValue { value: None, github_app: Some(app) });
    }
    let value = value(&args.name, &args.source, env)?;
    for warning in secret_warnings(value.expose_secret()) {
        complain(&format!("warning: {warning}"));
    }
    Ok(SecretValue { value: Some(value.expose_secret().to_owned()), github_app: None })
}

async fn set(api: &Api, args: &SetArgs, body: &SecretValue, out: &mut Out) -> anyhow::Result<Exit> {
    let path = ["api", "v1", "secrets", args.name.as_str()];
    let body = serde_json::to_value(body)?;
    let answer: SecretSet = api.send(Method::PUT, &path, Body::Json(&body)).await?;
    match args.output.format() {
        Format::Json => out.json(&answer),
        Format::Table => {
            out.line(format_args!("set {} (revision {})", args.name, answer.rev));
            for lane in &answer.lanes_opened {
                out.line(format_args!("opened lane {lane}"));
            }
        }
    }
    if !args.wait.wait {
        return Ok(Exit::Fine);
    }
    let (exit, line) = drain::until_nothing_waits(api, &args.name, args.wait.timeout).await?;
    match args.output.format() {
        Format::Json => complain(&line),
        Format::Table => out.line(line),
    }
    Ok(exit)
}

/// What uses the secret is told first; it stops only with `--yes`.
async fn delete(api: &Api, args: &DeleteArgs, out: &mut Out) -> Result<Exit, Failure> {
    let name = args.name.as_str();
    let all = read_all::<CredentialList>(api, "credentials").await?;
    let found = all.into_iter().find(|credential| credential.name == name);
    let users = found.map(|credential| credential.used_by);
    let (webhooks, lanes) =
        users.map_or_else(Default::default, |users| (users.webhooks, users.lanes));
    for webhook in &webhooks {
        out.line(format_args!("webhook {webhook} uses it: its deliveries wait from then on"));
    }
    for lane in &lanes {
        out.line(format_args!("lane {} uses it", printable(lane)));
    }
    if !args.yes {
        let what = if webhooks.is_empty() { "nothing uses it. " } else { "" };
        out.line(format_args!("{what}nothing was done yet: add --yes to delete {name}"));
        return Ok(Exit::Fine);
    }
    let () = api.send(Method::DELETE, &["api", "v1", "secrets", name], Body::None).await?;
    out.line(format_args!("deleted {name}"));
    Ok(Exit::Fine)
}
