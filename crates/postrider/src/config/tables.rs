//! Fields of `[[…]]` tables of the settings file.

use toml::{Table, Value};

use super::problem::nearest;
use super::reader::Reader;
use super::value::{Raw, Wrong, raw_of};

/// What is wrong with a table, by key.
pub(super) type Faults = Vec<(String, Wrong)>;

/// Reads all tables of a name; what is wrong with them is reported to the reader.
pub(super) fn read<T>(
    reader: &mut Reader<'_>,
    name: &str,
    mut read: impl FnMut(&mut Reader<'_>, &Table, &mut Faults) -> Option<T>,
) -> Vec<T> {
    let tables = reader.tables(name);
    let mut all = Vec::new();
    for (index, table) in tables.iter().enumerate() {
        let mut faults = Vec::new();
        all.extend(read(reader, table, &mut faults));
        for (key, Wrong { what, fix }) in faults {
            reader.file_key_problem(&format!("{name} {}: {key}", index + 1), &what, &fix);
        }
    }
    all
}

/// Refuses keys that the table does not have.
pub(super) fn refuse_unknown<const N: usize>(
    table: &Table,
    name: &str,
    keys: [&'static str; N],
    faults: &mut Faults,
) {
    for key in table.keys().filter(|key| !keys.contains(&key.as_str())) {
        let fix = nearest(key, keys).map_or_else(
            || format!("use {}", keys.join(", ")),
            |near| format!("did you mean {near}?"),
        );
        faults.push((key.clone(), Wrong::new(format!("is not a setting of a {name}"), fix)));
    }
}

/// A field, if it is there and can be read.
pub(super) fn field<T>(
    table: &Table,
    key: &str,
    faults: &mut Faults,
    parse: impl Fn(&Raw) -> Result<T, Wrong>,
) -> Option<T> {
    let value: &Value = table.get(key)?;
    let parsed = raw_of(value)
        .ok_or_else(|| Wrong::new("is a table", "write a text or a number"))
        .and_then(|raw| parse(&raw));
    parsed.map_err(|error| faults.push((key.to_owned(), error))).ok()
}

/// A name that has to be there: not empty, at most 255 bytes.
pub(super) fn name(table: &Table, key: &str, faults: &mut Faults) -> Option<String> {
    if !table.contains_key(key) {
        faults.push((key.to_owned(), Wrong::new("is missing", format!("write {key} = \"NAME\""))));
    }
    field(table, key, faults, some_name)
}

/// A name of 1 to 255 bytes.
pub(super) fn some_name(raw: &Raw) -> Result<String, Wrong> {
    match raw.text() {
        text if (1..=255).contains(&text.len()) => Ok(text),
        _ => Err(Wrong::new("is no name", "write a name of 1 to 255 bytes")),
    }
}
