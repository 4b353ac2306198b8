//! `[[lane]]` tables of the settings file.

use postrider_domain::{LaneRule, Rate};
use toml::Table;

use super::reader::Reader;
use super::tables::{Faults, field};
use super::value::{Wrong, raw_of};
use super::{parse, tables};

const KEYS: [&str; 6] = ["match", "name", "rate", "burst", "concurrency", "per_hour"];
/// Larger numbers in a lane table are mistakes.
const MOST: u32 = 1_000_000;

/// Reads all of them; what is wrong with them is reported to the reader.
pub(crate) fn read(reader: &mut Reader<'_>) -> Vec<LaneRule> {
    tables::read(reader, "lane", |_, table, faults| rule(table, faults))
}

fn rule(table: &Table, wrong: &mut Faults) -> Option<LaneRule> {
    tables::refuse_unknown(table, "lane", KEYS, wrong);
    let matches = matches(table, wrong);
    let name = field(table, "name", wrong, |raw| Ok(raw.text()));
    let rate: Option<Rate> = field(table, "rate", wrong, parse::rate);
    let burst = field(table, "burst", wrong, parse::number(1, MOST));
    let concurrency = field(table, "concurrency", wrong, parse::number(1, MOST));
    let per_hour = field(table, "per_hour", wrong, parse::number(1, MOST));
    wrong.is_empty().then_some(LaneRule { matches, name, rate, burst, concurrency, per_hour })
}

fn matches(table: &Table, wrong: &mut Faults) -> Vec<String> {
    let items = match table.get("match").map(raw_of) {
        Some(Some(raw)) => raw.items(),
        Some(None) | None => Vec::new(),
    };
    let usable = |item: &String| item.contains('/') || item == "*";
    if items.is_empty() || !items.iter().all(usable) {
        let what = "names no lanes";
        let fix = "write a list of HOST/CREDENTIAL, e.g. [\"api.github.com/githubToken\"]";
        wrong.push(("match".to_owned(), Wrong::new(what, fix)));
    }
    items
}
