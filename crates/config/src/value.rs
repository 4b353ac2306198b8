//! A value as it was written: where it came from, how it reads, how it may be shown.

use std::fmt;
use std::path::PathBuf;

use toml::Value;
use url::Url;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A command-line flag.
    Flag(String),
    /// This environment variable.
    Environment(String),
    /// This key of the settings file.
    File(PathBuf, String),
    /// Nobody set it.
    Default,
}

impl Origin {
    /// The name under which the value was given.
    pub(crate) fn given_as(&self, variable: &str) -> String {
        match self {
            Self::Flag(ending) => flag_name(ending),
            Self::Environment(name) | Self::File(_, name) => name.clone(),
            Self::Default => variable.to_owned(),
        }
    }

    /// What kind of place it is, for a problem's line.
    pub(crate) fn kind(&self) -> String {
        match self {
            Self::Flag(_) => "flag".to_owned(),
            Self::Environment(_) => "environment".to_owned(),
            Self::File(path, _) => path.display().to_string(),
            Self::Default => "default".to_owned(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(ending) => write!(f, "flag {}", flag_name(ending)),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::File(path, key) => write!(f, "{} {key}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// The flag that sets this (`TOKEN_FILE`).
pub(crate) fn flag_name(ending: &str) -> String {
    format!("--{}", ending.to_lowercase().replace('_', "-"))
}

/// A value as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Raw {
    /// A text or a number.
    Text(String),
    /// A TOML array.
    List(Vec<String>),
}

impl Raw {
    /// As one text.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.trim().to_owned(),
            Self::List(items) => items.join(" "),
        }
    }

    /// As a list: an array's elements, or a text split at spaces and commas.
    pub(crate) fn items(&self) -> Vec<String> {
        match self {
            Self::Text(text) => text
                .split(|c: char| c.is_whitespace() || c == ',')
                .filter(|item| !item.is_empty())
                .map(str::to_owned)
                .collect(),
            Self::List(items) => items.clone(),
        }
    }
}

/// Why a value won't do, and what would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// What is wrong; never a secret's value.
    pub(crate) what: String,
    /// What to write instead.
    pub(crate) fix: String,
}

impl Wrong {
    /// Both halves.
    pub(crate) fn new(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), fix: fix.into() }
    }
}

/// How a value may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// As it is.
    Plain,
    /// As stars.
    Stars,
    /// A URL whose password is starred.
    UrlStars,
}

/// One trailing line break is what an editor or `echo` adds.
pub fn without_newline(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

/// A TOML value as it would be written in a variable.
pub(crate) fn raw_of(value: &Value) -> Option<Raw> {
    match value {
        Value::Array(items) => items.iter().map(scalar).collect::<Option<Vec<_>>>().map(Raw::List),
        Value::String(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_)
        | Value::Table(_) => scalar(value).map(Raw::Text),
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(truth) => Some(truth.to_string()),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
    }
}

pub(crate) fn starred(value: &str, show: Show) -> String {
    match show {
        Show::Plain => value.to_owned(),
        Show::Stars => "***".to_owned(),
        Show::UrlStars => starred_url(value).unwrap_or_else(|| "***".to_owned()),
    }
}

/// The URL without password and query; `None` when it can't be taken apart.
fn starred_url(value: &str) -> Option<String> {
    let mut url = Url::parse(value).ok()?;
    url.host_str()?;
    if url.password().is_some() {
        url.set_password(Some("***")).ok()?;
    }
    url.set_query(None);
    url.set_fragment(None);
    Some(url.to_string())
}
