//! Finds each setting's value: flag, environment, file, default; and remembers where it was.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use toml::{Table, Value};

use super::problem::{Problem, nearest};
use super::value::{Origin, Raw, Show, Wrong, origin_kind, raw_of, starred, without_newline};

/// Prefix of our variables.
const PREFIX: &str = "POSTRIDER_";
/// Variables of the test bench share our prefix and are none of our settings.
const TEST_PREFIX: &str = "POSTRIDER_TEST_";

/// Where values come from. The environment is a map, so that resolving is a pure function.
#[derive(Clone, Copy)]
pub(crate) struct Sources<'a> {
    /// Environment variables.
    pub(crate) env: &'a BTreeMap<String, String>,
    /// Path and text of the settings file.
    pub(crate) file: Option<(&'a Path, &'a str)>,
    /// Values of command-line flags by setting (`LISTEN`).
    pub(crate) flags: &'a BTreeMap<&'static str, String>,
    /// Reads the files that `<NAME>_FILE` settings name.
    pub(crate) read: &'a dyn Fn(&Path) -> io::Result<String>,
}

/// There is no value because something is wrong, and the reader has the problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reported;

/// One setting: the end of its variable's name, and how it is treated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    /// Its variable without prefix; in lower case its TOML key.
    pub(crate) ending: &'static str,
    /// Other variables that are asked when ours is not set.
    pub(crate) fallbacks: &'static [&'static str],
    /// How it is shown; secrets may also be given by file.
    pub(crate) show: Show,
}

impl Key {
    /// A setting that anybody may see.
    pub(crate) const fn plain(ending: &'static str) -> Self {
        Self { ending, fallbacks: &[], show: Show::Plain }
    }

    /// Its variable.
    pub(crate) fn variable(self) -> String {
        format!("{PREFIX}{}", self.ending)
    }

    fn is_secret(self) -> bool {
        self.show != Show::Plain
    }
}

/// A setting in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Its variable.
    pub(crate) name: String,
    /// Its value, starred where secret; `None` when not set.
    pub(crate) value: Option<String>,
    /// Where it came from.
    pub(crate) origin: Origin,
}

/// Reads settings one after the other.
pub(crate) struct Reader<'a> {
    sources: Sources<'a>,
    table: Table,
    known_variables: BTreeSet<String>,
    known_keys: BTreeSet<String>,
    /// What was read, in order.
    pub(crate) shown: Vec<Shown>,
    /// What is wrong.
    pub(crate) problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    /// Parses the file.
    pub(crate) fn new(sources: Sources<'a>) -> Self {
        let mut reader = Self {
            sources,
            table: Table::new(),
            known_variables: BTreeSet::new(),
            known_keys: BTreeSet::new(),
            shown: Vec::new(),
            problems: Vec::new(),
        };
        if let Some((path, text)) = sources.file {
            match text.parse::<Table>() {
                Ok(table) => reader.table = table,
                Err(error) => reader.file_problem(path, text, &error),
            }
        }
        reader
    }

    /// The parser's message without the excerpt that it prints: the line may hold a secret.
    fn file_problem(&mut self, path: &Path, text: &str, error: &toml::de::Error) {
        let offset = error.span().map_or(0, |span| span.start);
        let line = text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
        self.problems.push(Problem {
            setting: path.display().to_string(),
            origin: format!("line {line}"),
            what: format!("is no TOML: {}", error.message()),
            fix: "write KEY = \"VALUE\" lines and [[lane]] tables".to_owned(),
        });
    }

    /// A setting that has a default, given as it would be written.
    pub(crate) fn get<T>(
        &mut self,
        key: Key,
        default: &str,
        parse: impl Fn(&Raw) -> Result<T, Wrong>,
    ) -> Result<T, Reported> {
        let (raw, origin) =
            self.find(key).unwrap_or_else(|| (Raw::Text(default.to_owned()), Origin::Default));
        self.show(key, Some(&raw), &origin);
        self.parsed(key, &raw, &origin, parse)
    }

    /// A setting without a default: `None` when not set.
    pub(crate) fn optional<T>(
        &mut self,
        key: Key,
        parse: impl Fn(&Raw) -> Result<T, Wrong>,
    ) -> Result<Option<T>, Reported> {
        let problems = self.problems.len();
        let Some((raw, origin)) = self.find(key) else {
            self.show(key, None, &Origin::Default);
            return if self.problems.len() == problems { Ok(None) } else { Err(Reported) };
        };
        self.show(key, Some(&raw), &origin);
        self.parsed(key, &raw, &origin, parse).map(Some)
    }

    fn parsed<T>(
        &mut self,
        key: Key,
        raw: &Raw,
        origin: &Origin,
        parse: impl Fn(&Raw) -> Result<T, Wrong>,
    ) -> Result<T, Reported> {
        parse(raw).map_err(|Wrong { what, fix }| {
            let setting = origin.given_as(&key.variable());
            self.problems.push(Problem { setting, origin: origin_kind(origin), what, fix });
            Reported
        })
    }

    /// Says what is in force when the setting, just read, was not set.
    pub(crate) fn describe_default(&mut self, key: Key, text: &str) {
        let variable = key.variable();
        let unset = |shown: &&mut Shown| shown.name == variable && shown.value.is_none();
        if let Some(shown) = self.shown.iter_mut().find(unset) {
            shown.value = Some(text.to_owned());
        }
    }

    /// A variable of somebody else (`RUST_LOG`), of which the first that is set counts, else
    /// the default.
    pub(crate) fn foreign(
        &mut self,
        names: &[&'static str],
        default: Option<&str>,
        show: Show,
    ) -> Option<String> {
        let set = names.iter().find_map(|name| Some((*name, self.variable(name)?)));
        let (name, value, origin) = match set {
            Some((name, value)) => (name, Some(value), Origin::Environment(name.to_owned())),
            None => (*names.first()?, default.map(str::to_owned), Origin::Default),
        };
        let shown = value.as_deref().map(|value| starred(value, show));
        self.shown.push(Shown { name: name.to_owned(), value: shown, origin });
        value
    }

    /// A secret variable of somebody else, or a file that the variable with `_FILE` names.
    pub(crate) fn foreign_secret(&mut self, names: &[&'static str]) -> Option<String> {
        let files = names.iter().map(|name| format!("{name}_FILE"));
        let file = files.into_iter().find_map(|name| Some((self.variable(&name)?, name)));
        match file {
            Some((path, name)) if names.iter().all(|name| self.variable(name).is_none()) => {
                let (raw, origin) = self.secret_file(&path, Origin::Environment(name))?;
                let value = Some(starred("", Show::Stars));
                self.shown.push(Shown { name: (*names.first()?).to_owned(), value, origin });
                Some(raw.text())
            }
            Some(_) | None => self.foreign(names, None, Show::Stars),
        }
    }

    /// Reports something about a variable of somebody else that was already read.
    pub(crate) fn foreign_problem(&mut self, names: &[&'static str], wrong: Wrong) -> Reported {
        let shown = self.shown.iter().find(|shown| names.contains(&shown.name.as_str()));
        let origin = shown.map_or(Origin::Default, |shown| shown.origin.clone());
        let name = shown.map(|shown| shown.name.clone()).unwrap_or_default();
        let setting = origin.given_as(&name);
        let Wrong { what, fix } = wrong;
        self.problems.push(Problem { setting, origin: origin_kind(&origin), what, fix });
        Reported
    }

    /// A variable of somebody else; a secret may also be given by `<NAME>_FILE`.
    pub(crate) fn foreign_setting(&mut self, name: &'static str, show: Show) -> Option<Raw> {
        let found = self.in_variable(name, Key { ending: name, fallbacks: &[], show });
        let value = found.as_ref().map(|(raw, _)| starred(&raw.text(), show));
        let origin = found.as_ref().map_or(Origin::Default, |(_, origin)| origin.clone());
        self.shown.push(Shown { name: name.to_owned(), value, origin });
        found.map(|(raw, _)| raw)
    }

    /// Reports something about such a variable.
    pub(crate) fn variable_problem(&mut self, name: &str, Wrong { what, fix }: Wrong) {
        let origin = "environment".to_owned();
        self.problems.push(Problem { setting: name.to_owned(), origin, what, fix });
    }

    /// The text of a file that a table names, without a trailing line break.
    pub(crate) fn file_text(&self, path: &str) -> Result<String, Wrong> {
        let text = (self.sources.read)(Path::new(path)).map_err(|error| {
            let what = format!("cannot read {path:?}: {error}");
            Wrong::new(what, "name a file that this user can read")
        })?;
        Ok(without_newline(&text).to_owned())
    }

    /// The `[[name]]` tables of the file.
    pub(crate) fn tables(&mut self, name: &str) -> Vec<Table> {
        self.known_keys.insert(name.to_owned());
        let found = match self.table.get(name) {
            None => return Vec::new(),
            Some(Value::Array(items)) => {
                items.iter().map(|item| item.as_table().cloned()).collect::<Option<Vec<_>>>()
            }
            Some(_) => None,
        };
        found.unwrap_or_else(|| {
            let fix = format!("write each as a table under [[{name}]]");
            self.file_key_problem(name, "is no list of tables", &fix);
            Vec::new()
        })
    }

    /// Reports something about a key of the file.
    pub(crate) fn file_key_problem(&mut self, key: &str, what: &str, fix: &str) {
        self.problems.push(Problem {
            setting: key.to_owned(),
            origin: self.file_name(),
            what: what.to_owned(),
            fix: fix.to_owned(),
        });
    }

    /// Reports something about a setting that was already read.
    pub(crate) fn setting_problem(&mut self, key: Key, what: &str, fix: &str) {
        let variable = key.variable();
        let origin = self
            .shown
            .iter()
            .find(|shown| shown.name == variable)
            .map_or(Origin::Default, |shown| shown.origin.clone());
        self.problems.push(Problem {
            setting: origin.given_as(&variable),
            origin: origin_kind(&origin),
            what: what.to_owned(),
            fix: fix.to_owned(),
        });
    }

    /// Refuses every name that no setting asked for.
    pub(crate) fn refuse_unknown(&mut self) {
        let variables: Vec<&str> = self.known_variables.iter().map(String::as_str).collect();
        let mut problems: Vec<Problem> = self
            .sources
            .env
            .keys()
            .filter(|name| name.starts_with(PREFIX) && !name.starts_with(TEST_PREFIX))
            .filter(|name| !self.known_variables.contains(*name))
            .map(|name| unknown(name, "environment", nearest(name, variables.iter().copied())))
            .collect();
        let keys: Vec<&str> = self.known_keys.iter().map(String::as_str).collect();
        let file = self.file_name();
        let unknown_keys = self.table.keys().filter(|key| !self.known_keys.contains(*key));
        problems.extend(
            unknown_keys.map(|key| unknown(key, &file, nearest(key, keys.iter().copied()))),
        );
        self.problems.append(&mut problems);
    }

    fn file_name(&self) -> String {
        self.sources.file.map_or_else(String::new, |(path, _)| path.display().to_string())
    }

    fn show(&mut self, key: Key, raw: Option<&Raw>, origin: &Origin) {
        let value = raw.map(|raw| starred(&raw.text(), key.show));
        self.shown.push(Shown { name: key.variable(), value, origin: origin.clone() });
    }

    fn find(&mut self, key: Key) -> Option<(Raw, Origin)> {
        self.learn(key);
        let flag = self.sources.flags.get(key.ending).cloned();
        if let Some(value) = flag {
            return Some((Raw::Text(value), Origin::Flag(key.ending)));
        }
        self.in_flag_file(key).or_else(|| self.in_environment(key)).or_else(|| self.in_file(key))
    }

    fn learn(&mut self, key: Key) {
        let mut endings = vec![key.ending.to_owned()];
        if key.is_secret() {
            endings.push(format!("{}_FILE", key.ending));
        }
        for ending in endings {
            self.known_variables.insert(format!("{PREFIX}{ending}"));
            self.known_keys.insert(ending.to_lowercase());
        }
    }

    /// `--token-file` is the only secret with a flag, and that flag names a file.
    fn in_flag_file(&mut self, key: Key) -> Option<(Raw, Origin)> {
        let (ending, path) = self
            .sources
            .flags
            .iter()
            .find(|(ending, _)| key.is_secret() && ending.strip_suffix("_FILE") == Some(key.ending))
            .map(|(ending, path)| (*ending, path.clone()))?;
        self.secret_file(&path, Origin::Flag(ending))
    }

    fn in_environment(&mut self, key: Key) -> Option<(Raw, Origin)> {
        let mut names = vec![key.variable()];
        names.extend(key.fallbacks.iter().map(|name| (*name).to_owned()));
        if key.ending.starts_with("WEBHOOK_") {
            names.push(format!("PACT_BROKER_{}", key.ending));
        }
        names.into_iter().find_map(|name| self.in_variable(&name, key))
    }

    fn in_variable(&mut self, name: &str, key: Key) -> Option<(Raw, Origin)> {
        let file_name = format!("{name}_FILE");
        let value = self.variable(name);
        let path = if key.is_secret() { self.variable(&file_name) } else { None };
        let origin = Origin::Environment(name.to_owned());
        match (value, path) {
            (Some(_), Some(_)) => self.given_twice(name, &file_name, &origin),
            (Some(value), None) => Some((Raw::Text(value), origin)),
            (None, Some(path)) => self.secret_file(&path, Origin::Environment(file_name)),
            (None, None) => None,
        }
    }

    fn in_file(&mut self, key: Key) -> Option<(Raw, Origin)> {
        let name = key.ending.to_lowercase();
        let file_name = format!("{name}_file");
        let path = self.sources.file.map(|(path, _)| path.to_owned())?;
        let value = self.table.get(&name).cloned();
        let secret = if key.is_secret() { self.table.get(&file_name).cloned() } else { None };
        let origin = |key: &str| Origin::File(path.clone(), key.to_owned());
        match (value, secret) {
            (Some(_), Some(_)) => self.given_twice(&name, &file_name, &origin(&name)),
            (Some(value), None) => {
                let raw = raw_of(&value).or_else(|| {
                    self.file_key_problem(&name, "is a table", "write a text, a number or a list");
                    None
                })?;
                Some((raw, origin(&name)))
            }
            (None, Some(value)) => {
                let path = value.as_str().unwrap_or_default().to_owned();
                self.secret_file(&path, origin(&file_name))
            }
            (None, None) => None,
        }
    }

    fn given_twice(&mut self, name: &str, other: &str, origin: &Origin) -> Option<(Raw, Origin)> {
        self.problems.push(Problem {
            setting: name.to_owned(),
            origin: origin_kind(origin),
            what: format!("is given together with {other}"),
            fix: "keep one of the two".to_owned(),
        });
        None
    }

    fn secret_file(&mut self, path: &str, origin: Origin) -> Option<(Raw, Origin)> {
        match (self.sources.read)(Path::new(path)) {
            Ok(text) => Some((Raw::Text(without_newline(&text).to_owned()), origin)),
            Err(error) => {
                self.problems.push(Problem {
                    setting: origin.given_as(""),
                    origin: origin_kind(&origin),
                    what: format!("cannot read {path:?}: {error}"),
                    fix: "name a file that this user can read".to_owned(),
                });
                None
            }
        }
    }

    /// A variable that is set to something: compose files pass empty ones for "not set".
    fn variable(&self, name: &str) -> Option<String> {
        self.sources.env.get(name).filter(|value| !value.trim().is_empty()).cloned()
    }
}

fn unknown(name: &str, origin: &str, near: Option<&str>) -> Problem {
    Problem {
        setting: name.to_owned(),
        origin: origin.to_owned(),
        what: "is not a setting".to_owned(),
        fix: near.map_or_else(
            || "remove it; `postrider config show` lists all settings".to_owned(),
            |near| format!("did you mean {near}?"),
        ),
    }
}
