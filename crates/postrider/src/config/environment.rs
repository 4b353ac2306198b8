//! The edge: the one place where the environment and the settings file are read.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use url::Url;

use super::client::{self, ClientSettings};
use super::problem::Problems;
use super::reader::Sources;
use super::settings::Settings;
use crate::cli::Failure;

/// Read when no other file is named and it exists.
const DEFAULT_FILE: &str = "postrider.toml";
/// A settings file or a secret's file that is larger than this is a mistake.
const MAX_FILE: u64 = 1024 * 1024;

/// What the process was given, as values.
#[derive(Debug)]
pub(crate) struct Input {
    /// Environment variables.
    pub(crate) env: BTreeMap<String, String>,
    file: Option<(PathBuf, String)>,
}

impl Input {
    /// Reads the environment and the settings file.
    pub(crate) fn read(config: Option<&Path>) -> Result<Self, Failure> {
        let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        let env = std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))).collect();
        Ok(Self { env, file: settings_file(config)? })
    }

    /// Everything that a role needs.
    pub(crate) fn settings(
        &self,
        flags: &BTreeMap<&'static str, String>,
    ) -> Result<Settings, Problems> {
        Settings::resolve(&self.sources(flags))
    }

    /// What a command needs to reach a running postrider.
    pub(crate) fn client(
        &self,
        flags: &BTreeMap<&'static str, String>,
    ) -> Result<ClientSettings, Problems> {
        ClientSettings::resolve(&self.sources(flags))
    }

    /// Where a role answers for its health: as given, else where one with these settings does.
    pub(crate) fn admin_url(&self, given: Option<&str>) -> Result<Url, Problems> {
        client::admin_url(given, &self.sources(&BTreeMap::new()))
    }

    fn sources<'a>(&'a self, flags: &'a BTreeMap<&'static str, String>) -> Sources<'a> {
        let file = self.file.as_ref().map(|(path, text)| (path.as_path(), text.as_str()));
        Sources { env: &self.env, file, flags, read: &read_text }
    }
}

fn settings_file(config: Option<&Path>) -> Result<Option<(PathBuf, String)>, Failure> {
    let path = config.unwrap_or(Path::new(DEFAULT_FILE));
    match read_text(path) {
        Ok(text) => Ok(Some((path.to_owned(), text))),
        Err(error) if config.is_none() && error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::usage(format!("cannot read {}: {error}", path.display()))
            .fix("name a readable settings file with --config")),
    }
}

/// Reads a text file of bounded size.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > MAX_FILE {
        return Err(io::Error::other("the file is larger than 1 MiB"));
    }
    fs::read_to_string(path)
}
