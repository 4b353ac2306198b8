//! Fields of `[[…]]` tables of the settings file.

use toml::{Table, Value};

use crate::problem::nearest;
use crate::reader::Reader;
use crate::value::{Raw, Wrong, raw_of};

/// A table that the settings file may hold any number of.
#[derive(Debug, Clone, Copy)]
pub struct TableDeclaration {
    /// Its name: it is written under `[[name]]`.
    pub name: &'static str,
    /// What it is for.
    pub meaning: &'static str,
    /// Its keys.
    pub keys: &'static [TableKey],
}

/// A key of such a table.
#[derive(Debug, Clone, Copy)]
pub struct TableKey {
    /// As it is written.
    pub name: &'static str,
    /// What it decides.
    pub meaning: &'static str,
    /// A value that could be written, in TOML.
    pub example: &'static str,
}

impl TableKey {
    pub(crate) const fn new(
        name: &'static str,
        meaning: &'static str,
        example: &'static str,
    ) -> Self {
        Self { name, meaning, example }
    }
}

/// What is wrong with a table, by key.
pub(crate) type Faults = Vec<(String, Wrong)>;

/// Reads all tables of a name; what is wrong with them is reported to the reader.
pub(crate) fn read<T>(
    reader: &mut Reader<'_>,
    declaration: &TableDeclaration,
    mut read: impl FnMut(&mut Reader<'_>, &Table, &mut Faults) -> Option<T>,
) -> Vec<T> {
    let TableDeclaration { name, .. } = declaration;
    let tables = reader.tables(name);
    let mut all = Vec::new();
    for (index, table) in tables.iter().enumerate() {
        let mut faults = Vec::new();
        refuse_unknown(table, declaration, &mut faults);
        all.extend(read(reader, table, &mut faults));
        for (key, Wrong { what, fix }) in faults {
            reader.file_key_problem(&format!("{name} {}: {key}", index + 1), &what, &fix);
        }
    }
    all
}

/// Refuses keys that the table does not have.
fn refuse_unknown(table: &Table, declaration: &TableDeclaration, faults: &mut Faults) {
    let TableDeclaration { name, keys, .. } = declaration;
    let known = || keys.iter().map(|key| key.name);
    for key in table.keys().filter(|key| !known().any(|known| known == key.as_str())) {
        let fix = nearest(key, known()).map_or_else(
            || format!("use {}", known().collect::<Vec<_>>().join(", ")),
            |near| format!("did you mean {near}?"),
        );
        faults.push((key.clone(), Wrong::new(format!("is not a setting of a {name}"), fix)));
    }
}

/// A field, if it is there and can be read.
pub(crate) fn field<T>(
    table: &Table,
    key: TableKey,
    faults: &mut Faults,
    parse: impl Fn(&Raw) -> Result<T, Wrong>,
) -> Option<T> {
    let value: &Value = table.get(key.name)?;
    let parsed = raw_of(value)
        .ok_or_else(|| Wrong::new("is a table", "write a text or a number"))
        .and_then(|raw| parse(&raw));
    parsed.map_err(|error| faults.push((key.name.to_owned(), error))).ok()
}

/// A name that has to be there: not empty, at most 255 bytes.
pub(crate) fn name(table: &Table, key: TableKey, faults: &mut Faults) -> Option<String> {
    require(table, key, faults);
    field(table, key, faults, some_name)
}

/// Says that a key that has to be there is missing.
pub(crate) fn require(table: &Table, key: TableKey, faults: &mut Faults) {
    let TableKey { name, example, .. } = key;
    if !table.contains_key(name) {
        let wrong = Wrong::new("is missing", format!("write {name} = {example}"));
        faults.push((name.to_owned(), wrong));
    }
}

/// A name of 1 to 255 bytes.
pub(crate) fn some_name(raw: &Raw) -> Result<String, Wrong> {
    match raw.text() {
        text if (1..=255).contains(&text.len()) => Ok(text),
        _ => Err(Wrong::new("is no name", "write a name of 1 to 255 bytes")),
    }
}
