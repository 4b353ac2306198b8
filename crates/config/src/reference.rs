//! What is said of all settings: for the command line, and as `docs/settings.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::LazyLock;

use crate::command::CommandSettings;
use crate::declaration::Declaration;
use crate::reader::{Reader, Sources};
use crate::settings::Settings;
use crate::tables::TableDeclaration;
use crate::{brokers, freshness, lanes};

/// Tables that the settings file may hold any number of.
const TABLES: [TableDeclaration; 3] = [lanes::TABLE, freshness::TABLE, brokers::TABLE];

const HEAD: &str = "\
# Settings

Each setting can be given as a flag where one is named, else as an environment variable, else in
`postrider.toml` (or the file that `--config` names), else its default counts. In the file its key is
the variable's name without `POSTRIDER_`, in lower case; variables of other programs have no key.

* Durations: `250ms`, `15s`, `5m`, `24h`, `30d`; a bare number is seconds.
* A secret can also be given by a file: `<NAME>_FILE` names it, in the settings file `<name>_file`.
* Lists can be TOML arrays in the file.
* An empty variable is one that is not set.
* A name that no setting has is refused, with the nearest one that there is.

`postrider config show` shows what is in force and where it came from, `postrider config show
--explain` says all of this page for each, and `postrider config check` names everything that is
wrong. This page is made of the declarations in `crates/config/src/`.
";

/// What is said of each setting, in the order in which they are shown.
pub fn declarations() -> &'static [Declaration] {
    static ALL: LazyLock<Vec<Declaration>> = LazyLock::new(collect);
    &ALL
}

fn collect() -> Vec<Declaration> {
    let nothing = BTreeMap::new();
    let flags = BTreeMap::new();
    let read = |_: &Path| Err(io::ErrorKind::NotFound.into());
    let mut reader = Reader::new(Sources { env: &nothing, file: None, flags: &flags, read: &read });
    // Without values there is nothing that could be wrong, and it is not values that are wanted.
    Settings::read(&mut reader).ok();
    CommandSettings::read(&mut reader).ok();
    reader.effective.into_iter().map(|effective| effective.declaration).collect()
}

/// Tables that the settings file may hold any number of.
pub fn tables() -> &'static [TableDeclaration] {
    &TABLES
}

/// All of it as the page `docs/settings.md`.
pub fn reference() -> String {
    let mut page = HEAD.to_owned();
    let mut section = "";
    for declaration in declarations() {
        if declaration.section() != section {
            section = declaration.section();
            write!(page, "\n## {section}\n").ok();
        }
        write!(page, "\n{}", entry(declaration)).ok();
    }
    page.push_str("\n## Tables of the settings file\n");
    for table in TABLES {
        write!(page, "\n{}", table_entry(&table)).ok();
    }
    page
}

fn entry(declaration: &Declaration) -> String {
    let mut entry = format!("### `{}`\n\n{}\n\n", declaration.variable(), declaration.meaning());
    for (name, text) in declaration.facts() {
        writeln!(entry, "* {name}: {text}").ok();
    }
    entry
}

fn table_entry(table: &TableDeclaration) -> String {
    let TableDeclaration { name, meaning, keys } = table;
    let mut entry =
        format!("### `[[{name}]]`\n\n{meaning}\n\n| key | meaning | example |\n|---|---|---|\n");
    for key in *keys {
        writeln!(entry, "| `{}` | {} | `{}` |", key.name, key.meaning, key.example).ok();
    }
    entry
}
