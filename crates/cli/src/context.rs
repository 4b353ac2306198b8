//! `postrider context`: names for addresses and tokens, so that they need not be said each time.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, stdin};

use clap::{Args, Subcommand};
use postrider_config::{Context, Contexts, is_context_name, read_text};
use secrecy::SecretString;
use serde_json::json;
use url::Url;

use crate::{Connection, Exit, Failure, Format, Out, OutputArgs, typed};

/// What to do with contexts.
#[derive(Debug, Subcommand)]
pub enum ContextCommand {
    /// Keep an address and its token under a name
    #[command(
        after_help = "Example:\n  postrider context add prod --url https://postrider.example --token-file token.txt\n\nWithout --token-file the token is read from standard input, and not shown as it is typed; an\nempty one is none. It is kept in a file that only you can read."
    )]
    Add(AddArgs),
    /// Take a context into use
    #[command(after_help = "Example:\n  postrider context use prod")]
    Use(UseArgs),
    /// List contexts; never their tokens
    #[command(after_help = "Example:\n  postrider context list")]
    List(ListArgs),
}

/// What to keep.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// Its name
    #[arg(value_parser = name)]
    name: String,
    #[command(flatten)]
    connection: Connection,
}

/// Which context.
#[derive(Debug, Args)]
pub struct UseArgs {
    /// Its name
    #[arg(value_parser = name)]
    name: String,
}

/// How they are written.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    output: OutputArgs,
}

/// Carries it out.
pub fn run(
    command: ContextCommand,
    env: &BTreeMap<String, String>,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let mut contexts = Contexts::read(env).map_err(|error| unusable(&error))?.ok_or_else(|| {
        Failure::usage("there is no folder for your settings").fix("set HOME or XDG_CONFIG_HOME")
    })?;
    match command {
        ContextCommand::Add(args) => {
            let url = address(&args)?;
            let token = token(&args)?;
            contexts
                .add(&args.name, url.clone(), token.as_ref())
                .map_err(|error| unusable(&error))?;
            let with = if token.is_some() { "with a token" } else { "without a token" };
            out.line(format_args!("kept {} ({url}, {with})", args.name));
            out.line(format_args!("use it: `postrider context use {}`", args.name));
        }
        ContextCommand::Use(args) => {
            if !contexts.choose(&args.name).map_err(|error| unusable(&error))? {
                return Err(Failure::new(Exit::No, format!("there is no context {}", args.name))
                    .fix("see `postrider context list`"));
            }
            out.line(format_args!("commands go to {} from now on", args.name));
        }
        ContextCommand::List(args) => {
            let all = contexts.all().map_err(|error| unusable(&error))?;
            list(&all, args.output.format(), out);
        }
    }
    Ok(Exit::Fine)
}

fn list(all: &[Context], format: Format, out: &mut Out) {
    if format == Format::Json {
        let entry = |context: &Context| {
            json!({
                "name": context.name,
                "url": context.url,
                "has_token": context.token.is_some(),
                "current": context.is_current,
            })
        };
        return out.json(&json!({"contexts": all.iter().map(entry).collect::<Vec<_>>()}));
    }
    let row = |context: &Context| {
        let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
        let url = context.url.to_string();
        vec![context.name.clone(), url, yes(context.token.is_some()), yes(context.is_current)]
    };
    out.table(&["name", "url", "token", "in use"], all.iter().map(row).collect(), "no contexts");
}

fn address(args: &AddArgs) -> Result<Url, Failure> {
    let given = args.connection.flags().get("URL").map(String::as_str).unwrap_or_default();
    let url = given.parse::<Url>().ok();
    url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host()).ok_or_else(|| {
        Failure::usage("a context needs an address")
            .fix("give it, e.g. --url https://postrider.example")
    })
}

fn token(args: &AddArgs) -> Result<Option<SecretString>, Failure> {
    let text = match args.connection.flags().get("TOKEN_FILE") {
        Some(path) => read_text(path.as_ref())
            .map_err(|error| Failure::usage(format!("cannot read {path}: {error}")))?,
        None if stdin().is_terminal() => typed::hidden("the token, if there is one")?,
        None => typed::piped()?,
    };
    let text = text.trim();
    if text.bytes().any(|byte| !(0x21..0x7f).contains(&byte)) {
        return Err(Failure::usage("the token holds blanks, line breaks or other than ASCII")
            .fix("give the token alone, without its role"));
    }
    Ok((!text.is_empty()).then(|| SecretString::from(text)))
}

fn unusable(error: &std::io::Error) -> Failure {
    Failure::usage(format!("cannot use your contexts: {error}"))
}

fn name(text: &str) -> Result<String, String> {
    if is_context_name(text) {
        Ok(text.to_owned())
    } else {
        Err("a name has 1 to 64 letters, digits, dots, underscores or hyphens".to_owned())
    }
}
