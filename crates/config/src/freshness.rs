//! When a pair is late: thresholds, quiet days, `[[pair]]` tables of the settings file.

use std::time::Duration;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use postrider_domain::suggestions::hint;
use postrider_domain::{FreshnessRules, PairRule, QuietDays, parse_days};
use toml::Table;

use crate::declaration::{EVERYBODY, INGEST_AND_MONITOR, Setting};
use crate::parse;
use crate::reader::{Reader, Reported};
use crate::section::settings;
use crate::tables::{self, Faults, TableDeclaration, TableKey, field, some_name};
use crate::value::{Raw, Wrong};

/// A threshold that is shorter is a mistake, but tests need not wait.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_hours(24 * 3650);

settings! {
    /// When a pair is late.
    struct FreshnessSettings {
        /// How long a verification may be owed before its pair is late; `auto` learns it from how
        /// long each provider takes, and is 24 h until it can.
        max_age: Option<Duration> =
            Setting::new("FRESHNESS", "auto, or a duration up to 3650d", max_age)
                .of(INGEST_AND_MONITOR)
                .example("36h")
                .default("auto"),
        /// Where quiet days begin and end, by its name in the IANA database.
        zone: TimeZone =
            Setting::new("TIMEZONE", "name of a time zone", zone)
                .of(EVERYBODY)
                .example("Europe/Berlin")
                .default("UTC"),
        /// Days that don't count as age; `none` when every day does. `check` knows none unless it is
        /// set.
        days: Vec<Weekday> =
            Setting::new("QUIET_DAYS", "days of the week, separated by spaces, or none", days)
                .of(EVERYBODY)
                .example("fri sat")
                .default("sat sun"),
    }
}

const BROKER: TableKey =
    TableKey::new("broker", "The broker that knows the pair; without it every one", "\"default\"");
const CONSUMER: TableKey = TableKey::new("consumer", "Name of the consumer", "\"NAME\"");
const PROVIDER: TableKey = TableKey::new("provider", "Name of the provider", "\"NAME\"");
const MAX_AGE: TableKey =
    TableKey::new("max_age", "As `POSTRIDER_FRESHNESS`, of this pair", "\"2h\"");
const CRITICAL: TableKey = TableKey::new("critical", "Whether its incidents are critical", "true");

/// `[[pair]]`.
pub(crate) const TABLE: TableDeclaration = TableDeclaration {
    name: "pair",
    meaning: "What is different for one consumer and one provider.",
    keys: &[BROKER, CONSUMER, PROVIDER, MAX_AGE, CRITICAL],
};

/// Reads all of it; `is_watched` says whether publications become events by themselves.
pub(crate) fn read(reader: &mut Reader<'_>, is_watched: bool) -> Result<FreshnessRules, Reported> {
    let settings = FreshnessSettings::read(reader);
    let problems = reader.problems.len();
    let pairs = tables::read(reader, &TABLE, |_, table, faults| pair(table, faults));
    if reader.problems.len() > problems {
        return Err(Reported);
    }
    let FreshnessSettings { max_age, zone, days } = settings?;
    let quiet = QuietDays::new(days, zone);
    Ok(FreshnessRules { max_age, quiet, pairs, is_watched })
}

/// `auto` is none: it is learned.
fn max_age(raw: &Raw) -> Result<Option<Duration>, Wrong> {
    if raw.text() == "auto" { Ok(None) } else { age(raw).map(Some) }
}

fn age(raw: &Raw) -> Result<Duration, Wrong> {
    parse::duration(SHORTEST, LONGEST)(raw)
}

fn zone(raw: &Raw) -> Result<TimeZone, Wrong> {
    time_zone(&raw.text())
        .map_err(|what| Wrong::new(what, "write a name such as UTC or Europe/Berlin"))
}

/// A time zone by its name in the IANA database; the error names those that are like it.
pub fn time_zone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text.trim()).map_err(|_| {
        let known: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
        let hint = hint(text, known.iter().map(String::as_str));
        format!("{text:?} is no time zone{hint}")
    })
}

/// An empty variable is one that is not set: `none` says that there are none.
fn days(raw: &Raw) -> Result<Vec<Weekday>, Wrong> {
    parse_days(&raw.items().join(" "))
        .map_err(|error| Wrong::new(error.to_string(), "write days such as sat sun, or none"))
}

fn pair(table: &Table, faults: &mut Faults) -> Option<PairRule> {
    let broker = field(table, BROKER, faults, some_name);
    let consumer = tables::name(table, CONSUMER, faults);
    let provider = tables::name(table, PROVIDER, faults);
    let max_age = field(table, MAX_AGE, faults, age);
    let critical = field(table, CRITICAL, faults, truth).unwrap_or_default();
    faults.is_empty().then_some(())?;
    Some(PairRule { broker, consumer: consumer?, provider: provider?, max_age, critical })
}

fn truth(raw: &Raw) -> Result<bool, Wrong> {
    let text = raw.text();
    text.parse().map_err(|_| Wrong::new(format!("{text:?} is neither"), "write true or false"))
}
