//! Where a secret's value is read from: never from an argument.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, stdin};
use std::path::PathBuf;

use clap::Args;
use postrider_config::read_text;
use postrider_domain::{InvalidSecret, secret_value};
use secrecy::SecretString;

use crate::{Failure, typed};

/// Where the value is; on standard input unless told otherwise.
#[derive(Debug, Clone, Args)]
pub(super) struct Source {
    /// Read the value from this file
    #[arg(long, value_name = "FILE", conflicts_with = "from_env")]
    from_file: Option<PathBuf>,
    /// Read the value from this environment variable
    #[arg(long, value_name = "VAR")]
    from_env: Option<String>,
}

impl Source {
    /// Whether somebody would have to type it.
    pub(super) fn is_terminal(&self) -> bool {
        self.from_file.is_none() && self.from_env.is_none() && stdin().is_terminal()
    }
}

/// The value, without the newlines and blanks at its end; refused when no request could carry it.
pub(super) fn value(
    name: &str,
    source: &Source,
    env: &BTreeMap<String, String>,
) -> Result<SecretString, Failure> {
    usable(name, &text(source, env)?)
}

/// The value, unless there is none where it was to be read.
pub(super) fn value_if_any(
    name: &str,
    source: &Source,
    env: &BTreeMap<String, String>,
) -> Result<Option<SecretString>, Failure> {
    if source.is_terminal() {
        return Ok(None);
    }
    let text = text(source, env)?;
    if text.trim().is_empty() { Ok(None) } else { usable(name, &text).map(Some) }
}

fn text(source: &Source, env: &BTreeMap<String, String>) -> Result<String, Failure> {
    match (&source.from_file, &source.from_env) {
        (Some(path), _) => read_text(path)
            .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display()))),
        (None, Some(variable)) => env
            .get(variable)
            .cloned()
            .ok_or_else(|| Failure::usage(format!("the environment has no {variable}"))),
        (None, None) => from_stdin(),
    }
}

fn usable(name: &str, text: &str) -> Result<SecretString, Failure> {
    let refused = |error: InvalidSecret| {
        let fix = match error {
            InvalidSecret::Empty => {
                format!("to have no value, use `postrider secrets delete {name}`")
            }
            InvalidSecret::ControlCharacter { .. } => {
                "give the value alone, in one line".to_owned()
            }
        };
        Failure::usage(error.to_string()).fix(fix)
    };
    secret_value(text).map(SecretString::from).map_err(refused)
}

fn from_stdin() -> Result<String, Failure> {
    if stdin().is_terminal() { typed::hidden("the value") } else { typed::piped() }
}

/// `[A-Za-z0-9_-]{1,64}`, what stands in `${user.NAME}`.
pub(super) fn name(text: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if (1..=64).contains(&text.len()) && text.bytes().all(fits) {
        Ok(text.to_owned())
    } else {
        Err("a name has 1 to 64 letters, digits, underscores or hyphens".to_owned())
    }
}
