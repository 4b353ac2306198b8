//! When a pair is late: thresholds, quiet days, `[[pair]]` tables of the settings file.

use std::time::Duration;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use postrider_domain::{FreshnessRules, PairRule, QuietDays, parse_days};
use toml::Table;

use super::parse;
use super::reader::{Key, Reader, Reported};
use super::tables::{self, Faults, field, some_name};
use super::value::{Raw, Wrong};
use crate::cli::time_zone;

const KEYS: [&str; 5] = ["broker", "consumer", "provider", "max_age", "critical"];
/// A threshold that is shorter is a mistake, but tests need not wait.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_hours(24 * 3650);

/// Reads all of it.
pub(crate) fn read(reader: &mut Reader<'_>) -> Result<FreshnessRules, Reported> {
    let max_age = reader.get(Key::plain("FRESHNESS"), "auto", max_age);
    let zone = reader.get(Key::plain("TIMEZONE"), "UTC", zone);
    let days = reader.get(Key::plain("QUIET_DAYS"), "sat sun", days);
    let problems = reader.problems.len();
    let pairs = tables::read(reader, "pair", |_, table, faults| pair(table, faults));
    if reader.problems.len() > problems {
        return Err(Reported);
    }
    Ok(FreshnessRules { max_age: max_age?, quiet: QuietDays::new(days?, zone?), pairs })
}

/// `auto` is 24 h: what is right for a pair that little is known of.
fn max_age(raw: &Raw) -> Result<Duration, Wrong> {
    if raw.text() == "auto" { Ok(FreshnessRules::MAX_AGE) } else { age(raw) }
}

fn age(raw: &Raw) -> Result<Duration, Wrong> {
    parse::duration(SHORTEST, LONGEST)(raw)
}

fn zone(raw: &Raw) -> Result<TimeZone, Wrong> {
    time_zone(&raw.text())
        .map_err(|what| Wrong::new(what, "write a name such as UTC or Europe/Berlin"))
}

/// `none` says that there are none: an empty variable is one that is not set.
fn days(raw: &Raw) -> Result<Vec<Weekday>, Wrong> {
    let text = raw.items().join(" ");
    let text = if text == "none" { "" } else { text.as_str() };
    parse_days(text)
        .map_err(|error| Wrong::new(error.to_string(), "write days such as sat sun, or none"))
}

fn pair(table: &Table, faults: &mut Faults) -> Option<PairRule> {
    tables::refuse_unknown(table, "pair", KEYS, faults);
    let broker = field(table, "broker", faults, some_name);
    let consumer = tables::name(table, "consumer", faults);
    let provider = tables::name(table, "provider", faults);
    let max_age = field(table, "max_age", faults, age);
    let critical = field(table, "critical", faults, truth).unwrap_or_default();
    faults.is_empty().then_some(())?;
    Some(PairRule { broker, consumer: consumer?, provider: provider?, max_age, critical })
}

fn truth(raw: &Raw) -> Result<bool, Wrong> {
    let text = raw.text();
    text.parse().map_err(|_| Wrong::new(format!("{text:?} is neither"), "write true or false"))
}
