//! `postrider secrets`. A value is never an argument: arguments are seen by every user of the
//! machine and kept by the shell.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read, stdin};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use postrider_api::{GithubAppSecret, SecretInfo, SecretList, SecretSet, SecretValue};
use postrider_config::read_text;
use postrider_domain::{InvalidSecret, secret_value, secret_warnings};
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};

use super::{Api, Body};
use crate::{Connection, Exit, Failure, Format, Out, OutputArgs, complain};

/// Secrets larger than this are mistakes.
const MAX_VALUE: u64 = 64 * 1024;

/// What to do with secrets.
#[derive(Debug, Subcommand)]
pub enum SecretsCommand {
    /// Set a value, read from standard input unless told otherwise
    #[command(
        after_help = "Example:\n  gh auth token | postrider secrets set githubToken\n\nNewlines and blanks at the end are stripped. Lanes that waited for the value open.\n\nTokens of a GitHub App, made and renewed as they are needed:\n  postrider secrets set githubApp --github-app --app-id 12345 --private-key-file app.pem"
    )]
    Set(SetArgs),
    /// List secrets, never their values
    #[command(after_help = "Example:\n  postrider secrets list")]
    List(ListArgs),
    /// Delete a secret; lanes that use it are held
    #[command(after_help = "Example:\n  postrider secrets delete githubToken")]
    Delete(DeleteArgs),
}

/// Which secret, and where its value is.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// Name, used in webhooks as ${user.NAME}
    #[arg(value_parser = name)]
    name: String,
    /// Read the value from this file
    #[arg(long, value_name = "FILE", conflicts_with = "from_env")]
    from_file: Option<PathBuf>,
    /// Read the value from this environment variable
    #[arg(long, value_name = "VAR")]
    from_env: Option<String>,
    #[command(flatten)]
    app: AppArgs,
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

/// How to list.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connection: Connection,
}

/// Which secret.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// Name of the secret
    #[arg(value_parser = name)]
    name: String,
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
            set(&api, &args, &content(&args, env)?, out).await?;
        }
        SecretsCommand::List(args) => {
            let answer: SecretList =
                connect(&args.connection)?.get(&["api", "v1", "secrets"], &[]).await?;
            match args.output.format() {
                Format::Json => out.json(&answer),
                Format::Table => print(&answer, out),
            }
        }
        SecretsCommand::Delete(args) => {
            let path = ["api", "v1", "secrets", args.name.as_str()];
            let () = connect(&args.connection)?.send(Method::DELETE, &path, Body::None).await?;
            out.line(format_args!("deleted {}", args.name));
        }
    }
    Ok(Exit::Fine)
}

/// An app, or a value with a word about what is odd about it.
fn content(args: &SetArgs, env: &BTreeMap<String, String>) -> Result<SecretValue, Failure> {
    if let Some(app) = args.app.read()? {
        return Ok(SecretValue { value: None, github_app: Some(app) });
    }
    let value = value(args, env)?;
    for warning in secret_warnings(value.expose_secret()) {
        complain(&format!("warning: {warning}"));
    }
    Ok(SecretValue { value: Some(value.expose_secret().to_owned()), github_app: None })
}

async fn set(api: &Api, args: &SetArgs, body: &SecretValue, out: &mut Out) -> anyhow::Result<()> {
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
    Ok(())
}

/// The value, without the newlines and blanks at its end; refused when no request could carry it.
fn value(args: &SetArgs, env: &BTreeMap<String, String>) -> Result<SecretString, Failure> {
    let text = match (&args.from_file, &args.from_env) {
        (Some(path), _) => read_text(path)
            .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?,
        (None, Some(variable)) => env
            .get(variable)
            .cloned()
            .ok_or_else(|| Failure::usage(format!("the environment has no {variable}")))?,
        (None, None) => from_stdin()?,
    };
    let refused = |error: InvalidSecret| {
        let fix = match error {
            InvalidSecret::Empty => {
                format!("to have no value, use `postrider secrets delete {}`", args.name)
            }
            InvalidSecret::ControlCharacter { .. } => {
                "give the value alone, in one line".to_owned()
            }
        };
        Failure::usage(error.to_string()).fix(fix)
    };
    secret_value(&text).map(SecretString::from).map_err(refused)
}

fn from_stdin() -> Result<String, Failure> {
    if stdin().is_terminal() {
        complain("type the value, then Enter and Ctrl-D; it is shown as you type");
    }
    let mut text = String::new();
    stdin()
        .lock()
        .take(MAX_VALUE + 1)
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format!("cannot read the value: {error}")))?;
    if text.len() as u64 > MAX_VALUE {
        return Err(Failure::usage(format!("the value is longer than {MAX_VALUE} bytes")));
    }
    Ok(text)
}

fn print(answer: &SecretList, out: &mut Out) {
    let row = |secret: &SecretInfo| {
        let kind = secret.kind.as_str().to_owned();
        let (rev, updated) = (secret.rev.to_string(), secret.updated_at.to_string());
        vec![secret.name.0.clone(), kind, rev, updated]
    };
    let rows = answer.secrets.iter().map(row).collect();
    out.table(&["name", "kind", "revision", "updated"], rows, "no secrets");
}

/// `[A-Za-z0-9_-]{1,64}`, what stands in `${user.NAME}`.
fn name(text: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if (1..=64).contains(&text.len()) && text.bytes().all(fits) {
        Ok(text.to_owned())
    } else {
        Err("a name has 1 to 64 letters, digits, underscores or hyphens".to_owned())
    }
}
