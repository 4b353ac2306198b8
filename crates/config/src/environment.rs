//! The edge: the one place where the environment and the settings file are read.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use url::Url;

use crate::client::{self, ClientSettings};
use crate::contexts::Contexts;
use crate::problem::Problems;
use crate::reader::{Flags, Sources};
use crate::settings::Settings;

/// Read when no other file is named and it exists.
const DEFAULT_FILE: &str = "postrider.toml";
/// A settings file or a secret's file that is larger than this is a mistake.
const MAX_FILE: u64 = 1024 * 1024;

/// What the process was given, as values.
#[derive(Debug)]
pub struct Input {
    /// Environment variables.
    pub env: BTreeMap<String, String>,
    file: Option<(PathBuf, String)>,
}

/// The settings file can't be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {source}", path.display())]
pub struct Unreadable {
    /// Where it was looked for.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
}

impl Unreadable {
    /// What to do about it.
    pub const FIX: &str = "name a readable settings file with --config";
}

impl Input {
    /// Reads the environment and the settings file.
    pub fn read(config: Option<&Path>) -> Result<Self, Unreadable> {
        let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        let env = std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))).collect();
        Ok(Self { env, file: settings_file(config)? })
    }

    /// The same, with values for variables that are not set and whose setting stands in no file.
    #[must_use]
    pub fn with_defaults(&self, defaults: &[(&str, &str)]) -> Self {
        let mut env = self.env.clone();
        let text = self.file.as_ref().map_or("", |(_, text)| text.as_str());
        let file: toml::Table = text.parse().unwrap_or_default();
        for (name, value) in defaults {
            let key = name.trim_start_matches("POSTRIDER_").to_lowercase();
            if !file.contains_key(&key) {
                env.entry((*name).to_owned()).or_insert_with(|| (*value).to_owned());
            }
        }
        Self { env, file: self.file.clone() }
    }

    /// Everything that a role needs.
    pub fn settings(&self, flags: &Flags) -> Result<Settings, Problems> {
        Settings::resolve(&self.sources(flags))
    }

    /// What a command needs to reach a running postrider.
    pub fn client(&self, flags: &Flags) -> Result<ClientSettings, Problems> {
        let context = match Contexts::read(&self.env)
            .and_then(|all| all.map_or(Ok(None), |contexts| contexts.current()))
        {
            Ok(context) => context,
            Err(error) => return Err(Problems::of_contexts(&error)),
        };
        ClientSettings::resolve(&self.sources(flags), context.as_ref())
    }

    /// Where a role answers for its health: as given, else where one with these settings does.
    pub fn admin_url(&self, given: Option<&str>) -> Result<Url, Problems> {
        client::admin_url(given, &self.sources(&Flags::new()))
    }

    fn sources<'a>(&'a self, flags: &'a Flags) -> Sources<'a> {
        let file = self.file.as_ref().map(|(path, text)| (path.as_path(), text.as_str()));
        Sources { env: &self.env, file, flags, read: &read_text }
    }
}

fn settings_file(config: Option<&Path>) -> Result<Option<(PathBuf, String)>, Unreadable> {
    let path = config.unwrap_or(Path::new(DEFAULT_FILE));
    match read_text(path) {
        Ok(text) => Ok(Some((path.to_owned(), text))),
        Err(error) if config.is_none() && error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Unreadable { path: path.to_owned(), source }),
    }
}

/// Reads a text file of at most 1 MiB.
pub fn read_text(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > MAX_FILE {
        return Err(io::Error::other("the file is larger than 1 MiB"));
    }
    fs::read_to_string(path)
}
