//! Where a person's commands go: addresses and tokens under names, kept in the user's own folder of
//! settings, each token in a file that nobody else can read.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

const FILE: &str = "contexts.toml";
const MAX_NAME: usize = 64;

/// All of them.
#[derive(Debug, Clone)]
pub struct Contexts {
    folder: PathBuf,
    kept: Kept,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// The one in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current: Option<String>,
    #[serde(default)]
    context: BTreeMap<String, Address>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Address {
    url: Url,
}

/// One of them.
#[derive(Debug, Clone)]
pub struct Context {
    /// Its name.
    pub name: String,
    /// Where postrider is.
    pub url: Url,
    /// What it is asked with.
    pub token: Option<SecretString>,
    /// It is the one in use.
    pub is_current: bool,
}

impl Contexts {
    /// Reads them from the folder that the environment names, `XDG_CONFIG_HOME` or `.config` in
    /// `HOME`; `None` where it names none. That there is no file yet is no error.
    pub fn read(env: &BTreeMap<String, String>) -> io::Result<Option<Self>> {
        let set = |name: &str| env.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = || set("HOME").map(|home| home.join(".config"));
        let Some(config) = set("XDG_CONFIG_HOME").filter(|path| path.is_absolute()).or_else(home)
        else {
            return Ok(None);
        };
        let folder = config.join("postrider");
        let kept = match fs::read_to_string(folder.join(FILE)) {
            Ok(text) => toml::from_str(&text).map_err(io::Error::other)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Kept::default(),
            Err(error) => return Err(error),
        };
        Ok(Some(Self { folder, kept }))
    }

    /// The one in use.
    pub fn current(&self) -> io::Result<Option<Context>> {
        self.kept.current.as_deref().map_or(Ok(None), |name| self.get(name))
    }

    /// All, by name.
    pub fn all(&self) -> io::Result<Vec<Context>> {
        let names = self.kept.context.keys();
        names.filter_map(|name| self.get(name).transpose()).collect()
    }

    fn get(&self, name: &str) -> io::Result<Option<Context>> {
        let Some(Address { url }) = self.kept.context.get(name) else { return Ok(None) };
        let token = match fs::read_to_string(self.token_file(name)) {
            Ok(text) => Some(SecretString::from(text.trim_end())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let is_current = self.kept.current.as_deref() == Some(name);
        Ok(Some(Context { name: name.to_owned(), url: url.clone(), token, is_current }))
    }

    /// Keeps one, in the place of the one of that name; it is in use from now on if no other is.
    pub fn add(&mut self, name: &str, url: Url, token: Option<&SecretString>) -> io::Result<()> {
        self.kept.context.insert(name.to_owned(), Address { url });
        self.kept.current.get_or_insert_with(|| name.to_owned());
        let path = self.token_file(name);
        match token {
            Some(token) => private(&path, token.expose_secret())?,
            None => match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            },
        }
        self.write()
    }

    /// Takes one into use; `false` when there is none of that name.
    pub fn choose(&mut self, name: &str) -> io::Result<bool> {
        if !self.kept.context.contains_key(name) {
            return Ok(false);
        }
        self.kept.current = Some(name.to_owned());
        self.write()?;
        Ok(true)
    }

    fn write(&self) -> io::Result<()> {
        let text = toml::to_string(&self.kept).map_err(io::Error::other)?;
        private(&self.folder.join(FILE), &text)
    }

    fn token_file(&self, name: &str) -> PathBuf {
        self.folder.join("tokens").join(name)
    }
}

/// Whether a context can be called so: the name is one of a file, too.
pub fn is_context_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-' || b == b'.';
    (1..=MAX_NAME).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(fits)
}

/// Writes a file that its owner alone can read, whole or not at all.
fn private(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let new = path.with_extension("new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(new, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn contexts_are_kept_and_their_tokens_are_private() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().display().to_string();
        let env = BTreeMap::from([("XDG_CONFIG_HOME".to_owned(), home)]);
        let mut contexts = Contexts::read(&env).unwrap().unwrap();
        assert!(contexts.current().unwrap().is_none());
        let token = SecretString::from("hunter2");
        let url = |text: &str| text.parse::<Url>().unwrap();
        contexts.add("prod", url("https://prod.example"), Some(&token)).unwrap();
        contexts.add("here", url("http://127.0.0.1:9393"), None).unwrap();
        let mut contexts = Contexts::read(&env).unwrap().unwrap();
        let current = contexts.current().unwrap().unwrap();
        assert_eq!(current.name, "prod");
        assert_eq!(current.token.unwrap().expose_secret(), "hunter2");
        let mode = fs::metadata(contexts.token_file("prod")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(contexts.choose("here").unwrap() && !contexts.choose("nowhere").unwrap());
        assert!(contexts.current().unwrap().unwrap().token.is_none());
        contexts.add("prod", url("https://prod.example"), None).unwrap();
        assert!(contexts.all().unwrap().iter().all(|context| context.token.is_none()));
        assert!(Contexts::read(&BTreeMap::new()).unwrap().is_none());
        assert!(is_context_name("prod-1.eu") && !is_context_name("../x") && !is_context_name(""));
    }
}
