//! Finds each setting's value: flag, environment, file, default; and remembers where it was.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use toml::{Table, Value};

use crate::declaration::{
    Declaration, Defaulted, Names, Optional, PREFIX, Setting, Unparsed, Unset,
};
use crate::problem::{Problem, nearest};
use crate::value::{Origin, Raw, Wrong, raw_of, starred, without_newline};

/// Variables of the test bench share our prefix and are none of our settings.
const TEST_PREFIX: &str = "POSTRIDER_TEST_";

/// Values of command-line flags by what they set: the end of a variable's name, for a secret with
/// `_FILE`.
pub type Flags = BTreeMap<String, String>;

/// Where values come from. The environment is a map, so that resolving is a pure function.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// Environment variables.
    pub env: &'a BTreeMap<String, String>,
    /// Path and text of the settings file.
    pub file: Option<(&'a Path, &'a str)>,
    /// Values of command-line flags by what they set (`LISTEN`, `TOKEN_FILE`).
    pub flags: &'a Flags,
    /// Reads the files that `<NAME>_FILE` settings name.
    pub read: &'a dyn Fn(&Path) -> io::Result<String>,
}

/// There is no value because something is wrong, and the reader has the problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reported;

/// A setting in force.
#[derive(Debug, Clone)]
pub struct Effective {
    /// The variable that was read, or would be.
    pub name: String,
    /// Its value, starred where secret; `None` when not set.
    pub value: Option<String>,
    /// Where it came from.
    pub origin: Origin,
    /// What is said of it.
    pub declaration: Declaration,
}

/// A value as it was found.
#[derive(Debug, Clone)]
struct Found {
    raw: Raw,
    origin: Origin,
    /// The variable that stands for it where settings are shown.
    name: String,
}

/// A setting of other programs as it was given.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    /// What was written, or the default.
    pub(crate) raw: Option<Raw>,
    origin: Origin,
    name: String,
}

impl Given {
    /// What was written, or the default.
    pub(crate) fn text(&self) -> Option<String> {
        self.raw.as_ref().map(Raw::text)
    }

    /// What it means; `None` when it is not set.
    pub(crate) fn parse<T>(
        &self,
        reader: &mut Reader<'_>,
        parse: impl Fn(&Raw) -> Result<T, Wrong>,
    ) -> Result<Option<T>, Reported> {
        let parsed = self.raw.as_ref().map(parse).transpose();
        parsed.map_err(|wrong| reader.given_problem(self, wrong))
    }
}

/// What can stand behind the `=` of a declaration.
pub(crate) trait Readable {
    /// What the field holds.
    type Value;

    /// What is said of it.
    fn declaration(&mut self) -> &mut Declaration;

    /// Reads it.
    fn read(self, reader: &mut Reader<'_>) -> Result<Self::Value, Reported>;
}

impl<T> Readable for Defaulted<T> {
    type Value = T;

    fn declaration(&mut self) -> &mut Declaration {
        &mut self.0.declaration
    }

    fn read(self, reader: &mut Reader<'_>) -> Result<T, Reported> {
        let Self(Setting { declaration, parse }, default) = self;
        let found = reader.find(&declaration).unwrap_or_else(|| Found {
            raw: Raw::Text(default.to_owned()),
            origin: Origin::Default,
            name: declaration.variable(),
        });
        reader.show(declaration, Some(&found));
        reader.parsed(&found, parse)
    }
}

impl<T> Readable for Optional<T> {
    type Value = Option<T>;

    fn declaration(&mut self) -> &mut Declaration {
        &mut self.0.declaration
    }

    fn read(self, reader: &mut Reader<'_>) -> Result<Option<T>, Reported> {
        let Self(Setting { declaration, parse }) = self;
        let problems = reader.problems.len();
        let found = reader.find(&declaration);
        reader.show(declaration, found.as_ref());
        match found {
            Some(found) => reader.parsed(&found, parse).map(Some),
            None if reader.problems.len() == problems => Ok(None),
            None => Err(Reported),
        }
    }
}

impl Readable for Unparsed {
    type Value = Given;

    fn declaration(&mut self) -> &mut Declaration {
        &mut self.0
    }

    fn read(self, reader: &mut Reader<'_>) -> Result<Given, Reported> {
        let Self(declaration) = self;
        let found = reader.find(&declaration);
        let given = match &found {
            Some(found) => Given {
                raw: Some(found.raw.clone()),
                origin: found.origin.clone(),
                name: found.name.clone(),
            },
            None => Given {
                raw: match declaration.unset {
                    Unset::Value(default) => Some(Raw::Text(default.to_owned())),
                    Unset::InWords(_) | Unset::Nothing => None,
                },
                origin: Origin::Default,
                name: declaration.variable(),
            },
        };
        reader.show(declaration, found.as_ref());
        Ok(given)
    }
}

/// Reads settings one after the other.
pub(crate) struct Reader<'a> {
    sources: Sources<'a>,
    table: Table,
    known_variables: BTreeSet<String>,
    known_keys: BTreeSet<String>,
    /// What was read, in order.
    pub(crate) effective: Vec<Effective>,
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
            effective: Vec::new(),
            problems: Vec::new(),
        };
        if let Some((path, text)) = sources.file {
            match text.parse::<Table>() {
                Ok(table) => reader.table = table,
                Err(error) => reader.problems.push(Problem::of_file(path, text, &error)),
            }
        }
        reader
    }

    /// Reads a setting of a section, with the comment of its field.
    pub(crate) fn declared<R: Readable>(
        &mut self,
        mut setting: R,
        section: &'static str,
        meaning: &'static [&'static str],
    ) -> Result<R::Value, Reported> {
        let declaration = setting.declaration();
        declaration.section = section;
        declaration.meaning = meaning;
        setting.read(self)
    }

    fn parsed<T>(
        &mut self,
        found: &Found,
        parse: impl Fn(&Raw) -> Result<T, Wrong>,
    ) -> Result<T, Reported> {
        parse(&found.raw).map_err(|wrong| {
            let setting = found.origin.given_as(&found.name);
            self.problems.push(Problem::new(setting, found.origin.kind(), wrong));
            Reported
        })
    }

    /// Reports something about a setting of ours that was already read, by the end of its name.
    pub(crate) fn problem(&mut self, ending: &str, what: &str, fix: &str) -> Reported {
        let variable = format!("{PREFIX}{ending}");
        let read = self.effective.iter().find(|read| read.name == variable);
        let origin = read.map_or(Origin::Default, |read| read.origin.clone());
        let wrong = Wrong::new(what, fix);
        self.problems.push(Problem::new(origin.given_as(&variable), origin.kind(), wrong));
        Reported
    }

    /// Reports something about a setting that was read as it was written.
    pub(crate) fn given_problem(&mut self, given: &Given, wrong: Wrong) -> Reported {
        let setting = given.origin.given_as(&given.name);
        self.problems.push(Problem::new(setting, given.origin.kind(), wrong));
        Reported
    }

    /// Reports something about a variable, however it was given.
    pub(crate) fn variable_problem(&mut self, name: &str, wrong: Wrong) {
        self.problems.push(Problem::new(name.to_owned(), "environment".to_owned(), wrong));
    }

    /// Reports something about a key of the file.
    pub(crate) fn file_key_problem(&mut self, key: &str, what: &str, fix: &str) {
        let wrong = Wrong::new(what, fix);
        self.problems.push(Problem::new(key.to_owned(), self.file_name(), wrong));
    }

    /// The text of a file that a table names, without a trailing line break.
    pub(crate) fn file_text(&self, path: &str) -> Result<String, Wrong> {
        let text = (self.sources.read)(Path::new(path)).map_err(|error| {
            let what = format!("cannot read {path:?}: {error}");
            Wrong::new(what, "name a file that this user can read")
        })?;
        Ok(without_newline(text.trim_start_matches('\u{feff}')).to_owned())
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

    /// Refuses every name that no setting asked for.
    pub(crate) fn refuse_unknown(&mut self) {
        let variables: Vec<&str> = self.known_variables.iter().map(String::as_str).collect();
        let ours = self
            .sources
            .env
            .keys()
            .filter(|name| name.starts_with(PREFIX) && !name.starts_with(TEST_PREFIX));
        let mut problems: Vec<Problem> = ours
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

    /// Where a setting of ours was given; `None` when nobody did.
    pub(crate) fn origin(&self, ending: &str) -> Option<String> {
        let name = format!("{PREFIX}{ending}");
        let shown = self.effective.iter().rev().find(|shown| shown.name == name)?;
        Some(shown.origin.clone()).filter(|origin| *origin != Origin::Default).map(|origin| {
            let given = origin.given_as(&name);
            format!("{given} ({})", origin.kind())
        })
    }

    fn show(&mut self, declaration: Declaration, found: Option<&Found>) {
        let name = found.map_or_else(|| declaration.variable(), |found| found.name.clone());
        let value = match (found, declaration.unset) {
            (Some(found), _) => Some(starred(&found.raw.text(), declaration.show)),
            (None, Unset::Value(text) | Unset::InWords(text)) => Some(text.to_owned()),
            (None, Unset::Nothing) => None,
        };
        let origin = found.map_or(Origin::Default, |found| found.origin.clone());
        self.effective.push(Effective { name, value, origin, declaration });
    }

    fn find(&mut self, declaration: &Declaration) -> Option<Found> {
        match declaration.names {
            Names::Ours { ending, .. } => {
                self.learn(declaration, ending);
                let found = self.in_flags(declaration);
                let found = found.or_else(|| self.in_environment(declaration));
                let (raw, origin) = found.or_else(|| self.in_file(declaration, ending))?;
                Some(Found { raw, origin, name: declaration.variable() })
            }
            Names::Others(names) => names.iter().find_map(|name| self.of_others(declaration, name)),
            Names::EitherCase { lower, upper } => {
                [lower, upper].iter().find_map(|name| self.of_others(declaration, name))
            }
        }
    }

    fn of_others(&mut self, declaration: &Declaration, name: &str) -> Option<Found> {
        let (raw, origin) = self.in_variable(name, declaration)?;
        Some(Found { raw, origin, name: name.to_owned() })
    }

    fn learn(&mut self, declaration: &Declaration, ending: &str) {
        let mut endings = vec![ending.to_owned()];
        if declaration.is_secret() {
            endings.push(format!("{ending}_FILE"));
        }
        for ending in endings {
            self.known_variables.insert(format!("{PREFIX}{ending}"));
            self.known_keys.insert(ending.to_lowercase());
        }
    }

    /// A secret's flag names a file.
    fn in_flags(&mut self, declaration: &Declaration) -> Option<(Raw, Origin)> {
        let name = declaration.flag_sets()?;
        let value = self.sources.flags.get(&name)?.clone();
        let origin = Origin::Flag(name);
        if declaration.is_secret() {
            self.secret_file(&value, origin)
        } else {
            Some((Raw::Text(value), origin))
        }
    }

    fn in_environment(&mut self, declaration: &Declaration) -> Option<(Raw, Origin)> {
        let mut names = vec![declaration.variable()];
        names.extend(declaration.fallbacks());
        names.into_iter().find_map(|name| self.in_variable(&name, declaration))
    }

    fn in_variable(&mut self, name: &str, declaration: &Declaration) -> Option<(Raw, Origin)> {
        let file_name = format!("{name}_FILE");
        let value = self.variable(name);
        let path = if declaration.is_secret() { self.variable(&file_name) } else { None };
        let origin = Origin::Environment(name.to_owned());
        match (value, path) {
            (Some(_), Some(_)) => self.given_twice(name, &file_name, &origin),
            (Some(value), None) => Some((Raw::Text(value), origin)),
            (None, Some(path)) => self.secret_file(&path, Origin::Environment(file_name)),
            (None, None) => None,
        }
    }

    fn in_file(&mut self, declaration: &Declaration, ending: &str) -> Option<(Raw, Origin)> {
        let name = ending.to_lowercase();
        let file_name = format!("{name}_file");
        let path = self.sources.file.map(|(path, _)| path.to_owned())?;
        let value = self.table.get(&name).cloned();
        let secret = declaration.is_secret().then(|| self.table.get(&file_name).cloned()).flatten();
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
        let wrong = Wrong::new(format!("is given together with {other}"), "keep one of the two");
        self.problems.push(Problem::new(name.to_owned(), origin.kind(), wrong));
        None
    }

    fn secret_file(&mut self, path: &str, origin: Origin) -> Option<(Raw, Origin)> {
        let text = self.file_text(path).and_then(|text| {
            // Whoever names a file wants what is in it: without it, a door would stand open.
            let nothing = || Wrong::new(format!("{path:?} is empty"), "write the value into it");
            if text.trim().is_empty() { Err(nothing()) } else { Ok(text) }
        });
        match text {
            Ok(text) => Some((Raw::Text(text), origin)),
            Err(wrong) => {
                self.problems.push(Problem::new(origin.given_as(""), origin.kind(), wrong));
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
    let fix = near.map_or_else(
        || "remove it; `postrider config show` lists all settings".to_owned(),
        |near| format!("did you mean {near}?"),
    );
    Problem::new(name.to_owned(), origin.to_owned(), Wrong::new("is not a setting", fix))
}
