//! Where standard output goes, and in what shape.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, stdout};

/// Columns of a terminal that does not say how many it has.
const COLUMNS: u16 = 80;

/// How lists and documents are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Style {
    /// For people: as wide as the terminal; whole where it goes into a pipe
    #[default]
    Table,
    /// A table, whole
    Wide,
    /// What names each row, and nothing else
    Name,
    /// YAML
    Yaml,
    /// JSON
    Json,
}

/// A terminal that somebody looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terminal {
    /// Columns.
    pub(crate) width: u16,
    /// Whether states have colours: not with `NO_COLOR`, nor where the terminal has none.
    pub(crate) colours: bool,
}

impl Terminal {
    /// `None` when standard output goes elsewhere.
    pub(super) fn of_stdout(env: &BTreeMap<String, String>) -> Option<Self> {
        if !stdout().is_terminal() {
            return None;
        }
        let size = rustix::termios::tcgetwinsize(stdout()).ok().map(|size| size.ws_col);
        let is_set = |name: &str| env.get(name).is_some_and(|value| !value.is_empty());
        let is_dumb = env.get("TERM").is_some_and(|term| term == "dumb");
        Some(Self {
            width: size.filter(|columns| *columns > 0).unwrap_or(COLUMNS),
            colours: !is_set("NO_COLOR") && !is_dumb,
        })
    }
}
