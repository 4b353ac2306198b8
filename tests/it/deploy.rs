//! The deployment files, so that they can't rot: what they set are settings, what they start are
//! commands, what they probe answers, what they name is there. The processes of the compose files
//! are really run, with the environment that is written there.

mod compose;
mod image;
mod kubernetes;
mod packages;
mod processes;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Setting, run, setting};

/// Version of the program, and so of its image.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Connections of a process that are kept unless `POSTRIDER_DB_CONNECTIONS` says otherwise.
const DB_CONNECTIONS: u64 = 10;
/// Those that it has besides, for what people ask.
const PEOPLE_CONNECTIONS: u64 = 3;
/// Seconds that a stop may take beyond `POSTRIDER_SHUTDOWN_GRACE`, when the database hangs:
/// leases 2, outcomes and copies 3 times 10, connections and last log lines 10.
const BEYOND_GRACE: u64 = 42;
/// Settings that must be given by file.
const SECRETS: &[&str] = &["DATABASE_URL", "AMQP_URL", "MASTER_KEY", "API_TOKENS", "TOKEN"];

/// A path in the repository.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

fn read(name: &str) -> Result<String> {
    fs::read_to_string(path(name)).with_context(|| name.to_owned())
}

/// The documents of a YAML file, with merges (`<<`) carried out.
fn documents(name: &str) -> Result<Vec<Value>> {
    let text = read(name)?;
    let documents = serde_norway::Deserializer::from_str(&text).map(|document| {
        let mut value = serde_norway::Value::deserialize(document)?;
        value.apply_merge()?;
        Ok(serde_json::to_value(value)?)
    });
    documents.collect::<Result<_>>().with_context(|| name.to_owned())
}

/// The one document of a YAML file.
fn document(name: &str) -> Result<Value> {
    let mut all = documents(name)?;
    ensure!(all.len() == 1, "{name} is one document");
    all.pop().context("a document")
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().with_context(|| format!("a text, not {value}"))
}

/// The texts of a list; none of what is no list.
fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Names and values of a map; none of what is no map.
fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

fn seconds(value: &Value) -> Result<u64> {
    let text = text(value)?.strip_suffix('s').context("seconds")?;
    Ok(text.parse()?)
}

/// Keys and tokens as `deploy/make-secrets.sh` makes them.
struct Secrets(TempDir);

impl Secrets {
    fn make() -> Result<Self> {
        let secrets = Self(tempfile::tempdir()?);
        let made = secrets.script()?;
        ensure!(made.status.success(), "{made:?}");
        Ok(secrets)
    }

    fn script(&self) -> Result<std::process::Output> {
        Ok(Command::new(path("deploy/make-secrets.sh")).arg(self.dir()).output()?)
    }

    fn dir(&self) -> PathBuf {
        self.0.path().join("secrets")
    }

    /// The file that a container sees as `mounted`.
    fn file(&self, mounted: &str) -> PathBuf {
        let name = mounted.rsplit('/').next().unwrap_or(mounted);
        self.dir().join(format!("{name}.txt"))
    }

    fn value(&self, name: &str) -> Result<String> {
        Ok(fs::read_to_string(self.file(name))?.trim_end().to_owned())
    }

    /// Replaces a value, once it is known where the tests' services are.
    fn replace(&self, name: &str, value: &str) -> Result<()> {
        fs::remove_file(self.file(name))?;
        Ok(fs::write(self.file(name), value)?)
    }
}

/// One process as a deployment file starts it.
#[derive(Debug, Clone)]
struct Start {
    name: String,
    args: Vec<String>,
    env: BTreeMap<String, String>,
    /// The files that it is given, by their paths in the container.
    files: Vec<String>,
}

impl Start {
    fn args(&self) -> Vec<&str> {
        self.args.iter().map(String::as_str).collect()
    }

    /// Whether it calls a running postrider rather than being one.
    fn is_client(&self) -> bool {
        self.env.contains_key("POSTRIDER_URL")
    }

    /// Its environment, the image's included, with the files where they are on this machine.
    fn settings(&self, secrets: &Secrets) -> Result<Vec<Setting>> {
        let mut env = image::environment()?;
        env.extend(self.env.clone());
        let settings = env.iter().map(|(name, value)| {
            let ending = name.strip_prefix("POSTRIDER_").with_context(|| name.clone())?;
            if self.files.contains(value) {
                return Ok(setting(ending, secrets.file(value).display()));
            }
            Ok(setting(ending, value))
        });
        settings.collect()
    }

    /// Its command exists, its settings are accepted, its secrets come by file.
    async fn check(&self, secrets: &Secrets) -> Result<()> {
        let command = self.args.first().context("a command")?;
        let helped = run(&[command, "--help"], &[], "").await?;
        ensure!(helped.status.success(), "there is no {command}: {helped:?}");
        for (name, value) in &self.env {
            let ending = name.strip_prefix("POSTRIDER_").unwrap_or(name);
            ensure!(!SECRETS.contains(&ending), "{name} is given in clear");
            let given = !name.ends_with("_FILE") || self.files.contains(value);
            ensure!(given, "{name}: no file is mounted at {value}");
        }
        if !self.is_client() {
            let checked = run(&["config", "check"], &self.settings(secrets)?, "").await?;
            ensure!(checked.status.success(), "{checked:?}");
        }
        Ok(())
    }
}

/// The variables that Kubernetes makes of a service's name are no settings, and refused.
#[tokio::test]
async fn service_links_would_be_refused() -> Result<()> {
    let link = setting("INGEST_PORT", "tcp://10.0.0.1:9393");
    let checked = run(&["config", "check"], &[link], "").await?;
    ensure!(checked.status.code() == Some(2), "{checked:?}");
    Ok(())
}

/// Whether a database is reached encrypted is said wherever one is named: without a mode it is
/// whatever the server happens to offer.
#[test]
fn every_document_says_how_the_database_is_reached() -> Result<()> {
    let files = ["README.md", "deploy/make-secrets.sh", "deploy/kubernetes/secret.example.yaml"];
    for name in files {
        let lines = read_lines(name)?;
        let urls: Vec<&String> = lines.iter().filter(|line| line.contains("postgres://")).collect();
        ensure!(!urls.is_empty(), "{name} names no database");
        for url in urls {
            ensure!(url.contains("?sslmode="), "{name}: {url}");
        }
    }
    Ok(())
}

#[test]
fn secrets_are_made_once_and_for_nobody_else() -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let secrets = Secrets::make()?;
    let mode = |path: &Path| Ok::<_, std::io::Error>(fs::metadata(path)?.permissions().mode());
    ensure!(mode(&secrets.dir())? & 0o777 == 0o700, "the directory is its owner's alone");
    let key = secrets.value("master-key")?;
    let again = secrets.script()?;
    ensure!(again.status.code() == Some(1), "{again:?}");
    ensure!(secrets.value("master-key")? == key, "the key is still the same");
    let tokens = ["ingest", "read", "operate"].map(|role| secrets.value(&format!("{role}-token")));
    let [ingest, read, operate] = tokens;
    let (ingest, read, operate) = (ingest?, read?, operate?);
    let pairs = format!("ingest:{ingest}\nread:{read}\noperate:{operate}");
    ensure!(secrets.value("api-tokens")? == pairs, "the same tokens for both sides");
    ensure!(ingest.len() == 64 && ingest != read && read != operate, "tokens are random");
    for entry in fs::read_dir(secrets.dir())? {
        let path = entry?.path();
        // Read by the users inside the containers, written by nobody.
        ensure!(mode(&path)? & 0o777 == 0o444, "{}", path.display());
    }
    let ignored = read_lines(".gitignore")?.iter().any(|line| line == "/deploy/secrets");
    ensure!(ignored, "they are never committed");
    Ok(())
}

fn read_lines(name: &str) -> Result<Vec<String>> {
    Ok(read(name)?.lines().map(str::to_owned).collect())
}
