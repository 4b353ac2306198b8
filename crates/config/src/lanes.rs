//! Lanes and their limits: defaults, and `[[lane]]` tables of the settings file.

use postrider_domain::{HostPatterns, LaneLimits, LaneRule, LaneRules, Rate};
use toml::Table;

use crate::declaration::Setting;
use crate::kinds::{number, rate};
use crate::parse;
use crate::reader::{Reader, Reported};
use crate::section::settings;
use crate::tables::{self, Faults, TableDeclaration, TableKey, field};
use crate::value::{Wrong, raw_of};

/// Larger numbers are mistakes.
const MOST: u32 = 10_000;
const MOST_OF_A_TABLE: u32 = 1_000_000;

settings! {
    /// Limits of lanes.
    struct LaneSettings {
        /// Hosts to which GitHub's limits apply.
        hosts: HostPatterns =
            Setting::new("GITHUB_HOSTS", "host names, * for a part, separated by spaces", parse::host_patterns)
                .example("api.github.com github.example")
                .default("api.github.com api.*.ghe.com"),
        /// Requests of a limit in a window of time. Set, it is the default of all lanes, GitHub's too.
        rate: Option<Rate> =
            rate("LANE_RATE").example("60/min").else_in_words("75/min at GitHub, else unlimited"),
        /// Requests of a limit that may leave at once.
        burst: Option<u32> = number("LANE_BURST", 1, MOST).example("3").else_in_words("1"),
        /// Requests of a limit in flight at a time.
        concurrency: Option<u32> =
            number("LANE_CONCURRENCY", 1, MOST).example("8").else_in_words("1 at GitHub, else 64"),
    }
}

const MATCH: TableKey = TableKey::new(
    "match",
    "The lanes, as HOST/CREDENTIAL; `*` stands for any part",
    "[\"api.github.com/githubToken\"]",
);
const NAME: TableKey = TableKey::new(
    "name",
    "Joins the lanes under one limit of this name; without it each keeps its own",
    "\"github\"",
);
const RATE: TableKey = TableKey::new("rate", "As `POSTRIDER_LANE_RATE`", "\"75/min\"");
const BURST: TableKey = TableKey::new("burst", "As `POSTRIDER_LANE_BURST`", "1");
const CONCURRENCY: TableKey = TableKey::new("concurrency", "As `POSTRIDER_LANE_CONCURRENCY`", "2");
const PER_HOUR: TableKey =
    TableKey::new("per_hour", "Requests in any hour, beside the rate", "450");

/// `[[lane]]`.
pub(crate) const TABLE: TableDeclaration = TableDeclaration {
    name: "lane",
    meaning: "Limits of lanes of their own. Of several tables that match the first counts.",
    keys: &[MATCH, NAME, RATE, BURST, CONCURRENCY, PER_HOUR],
};

/// Reads defaults and tables.
pub(crate) fn read(reader: &mut Reader<'_>) -> Result<LaneRules, Reported> {
    let settings = LaneSettings::read(reader);
    let overrides = tables::read(reader, &TABLE, |_, table, faults| rule(table, faults));
    let LaneSettings { hosts, rate, burst, concurrency } = settings?;
    let set = |mut limits: LaneLimits| {
        limits.rate = rate.unwrap_or(limits.rate);
        limits.burst = burst.unwrap_or(limits.burst);
        limits.concurrency = concurrency.unwrap_or(limits.concurrency);
        limits
    };
    let LaneRules { github, other, .. } = LaneRules::default();
    Ok(LaneRules { github_hosts: hosts, github: set(github), other: set(other), overrides })
}

fn rule(table: &Table, wrong: &mut Faults) -> Option<LaneRule> {
    let matches = matches(table, wrong);
    let name = field(table, NAME, wrong, |raw| Ok(raw.text()));
    let rate: Option<Rate> = field(table, RATE, wrong, parse::rate);
    let burst = field(table, BURST, wrong, parse::number(1, MOST_OF_A_TABLE));
    let concurrency = field(table, CONCURRENCY, wrong, parse::number(1, MOST_OF_A_TABLE));
    let per_hour = field(table, PER_HOUR, wrong, parse::number(1, MOST_OF_A_TABLE));
    wrong.is_empty().then_some(LaneRule { matches, name, rate, burst, concurrency, per_hour })
}

fn matches(table: &Table, wrong: &mut Faults) -> Vec<String> {
    let items = match table.get(MATCH.name).map(raw_of) {
        Some(Some(raw)) => raw.items(),
        Some(None) | None => Vec::new(),
    };
    let usable = |item: &String| item.contains('/') || item == "*";
    if items.is_empty() || !items.iter().all(usable) {
        let fix = format!("write a list of HOST/CREDENTIAL, e.g. {}", MATCH.example);
        wrong.push((MATCH.name.to_owned(), Wrong::new("names no lanes", fix)));
    }
    items
}
