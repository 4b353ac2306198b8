//! What is given to a process, and what comes of it.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::problem::Problems;
use crate::reader::{Flags, Sources};
use crate::settings::Settings;

/// 32 bytes in base64.
pub(super) const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

#[derive(Default, Clone)]
pub(super) struct Given {
    pub(super) env: BTreeMap<String, String>,
    pub(super) file: Option<String>,
    pub(super) flags: Flags,
}

pub(super) fn env(pairs: &[(&str, &str)]) -> Given {
    let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Given { env: pairs.collect(), ..Given::default() }
}

pub(super) fn file(text: &str) -> Given {
    Given { file: Some(text.to_owned()), ..Given::default() }
}

fn read(path: &Path) -> io::Result<String> {
    match path.to_str() {
        Some("/secret/key") => Ok(format!("{KEY}\n")),
        Some("/secret/marked") => Ok(format!("\u{feff}{KEY}\r\n")),
        Some("/secret/blank") => Ok("\n".to_owned()),
        Some("/secret/token") => Ok("from-file\r\n".to_owned()),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

impl Given {
    pub(super) fn sources(&self) -> Sources<'_> {
        let file = self.file.as_deref().map(|text| (Path::new("postrider.toml"), text));
        Sources { env: &self.env, file, flags: &self.flags, read: &read }
    }

    pub(super) fn settings(&self) -> Settings {
        Settings::resolve(&self.sources()).unwrap_or_else(|problems| panic!("{problems:#?}"))
    }

    pub(super) fn problems(&self) -> Vec<String> {
        Settings::resolve(&self.sources())
            .err()
            .map(|problems| lines(&problems))
            .unwrap_or_default()
    }
}

pub(super) fn lines(problems: &Problems) -> Vec<String> {
    problems.lines().collect()
}

pub(super) fn shown(settings: &Settings, name: &str) -> (Option<String>, String) {
    let shown = settings.effective.iter().find(|shown| shown.name == name).unwrap();
    (shown.value.clone(), shown.origin.to_string())
}
