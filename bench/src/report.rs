//! Medians and ranges of what was measured, as tables and as a document.

use std::collections::{BTreeMap, BTreeSet};

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::args::Format;
use crate::machine::Machine;
use crate::rounds::{Contended, Measured};
use crate::sample::{Latency, Sample};

/// Above this share of others a run says little.
const DISTURBED: f64 = 0.08;
/// All parts that any contender has.
const PARTS: [&str; 5] = ["serve", "ingest", "worker", "postgres", "rabbitmq"];

/// Everything, for a file.
#[derive(Debug, Serialize)]
pub(crate) struct Report<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) rounds: u32,
    pub(crate) scenarios: Vec<Summary<'a>>,
}

/// A scenario: what each contender came to, and every run.
#[derive(Debug, Serialize)]
pub(crate) struct Summary<'a> {
    #[serde(flatten)]
    measured: &'a Measured,
    summaries: BTreeMap<&'a str, Figures>,
}

/// What a contender came to.
#[derive(Debug, Serialize)]
struct Figures {
    per_second: Spread,
    cpu_us_total: Spread,
    cpu_us: BTreeMap<String, Spread>,
    wal_bytes: Spread,
    peak_mib: BTreeMap<String, Spread>,
    ready_ms: BTreeMap<String, Spread>,
    latency_ms: BTreeMap<&'static str, Spread>,
    /// CPU time by that of the first contender, each round's by the same round's.
    cpu_ratio: Spread,
    latency_ratio: BTreeMap<&'static str, Spread>,
    /// Runs that were disturbed.
    disturbed: u32,
}

/// Median and range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    /// Of nothing, all are 0.
    fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or_default();
        let last = values.len().saturating_sub(1);
        let median = f64::midpoint(at(last / 2), at(last.div_ceil(2)));
        Self { median, min: at(0), max: at(last) }
    }

    fn show(self, digits: usize) -> String {
        let Self { median, min, max } = self;
        if format!("{min:.digits$}") == format!("{max:.digits$}") {
            format!("{median:.digits$}")
        } else {
            format!("{median:.digits$} ({min:.digits$}–{max:.digits$})")
        }
    }
}

impl<'a> Summary<'a> {
    pub(crate) fn of(measured: &'a Measured) -> Self {
        let first = measured.contenders.first();
        let summaries = measured.contenders.iter().map(|contended| {
            let figures = Figures::of(contended, first.unwrap_or(contended));
            (contended.name.as_str(), figures)
        });
        Self { measured, summaries: summaries.collect() }
    }

    /// As a table.
    pub(crate) fn table(&self, format: Format) -> String {
        let first = self.measured.contenders.first();
        let reference = first.map_or("", |contended| contended.name.as_str());
        let parts = self.parts();
        let has_latency = self.summaries.values().any(|figures| !figures.latency_ms.is_empty());
        let mut table = Table::new();
        table.set_content_arrangement(comfy_table::ContentArrangement::Disabled);
        table.load_style(match format {
            Format::Table => presets::NOTHING,
            Format::Markdown => presets::ASCII_MARKDOWN,
        });
        let mut head = vec![String::new(), "/s".to_owned(), "CPU µs".to_owned()];
        head.push(format!("× {reference}"));
        if has_latency {
            head.extend(["p50 ms", "p99 ms", "p99.9 ms", "p50 ×", "p99 ×"].map(str::to_owned));
        }
        head.extend(parts.iter().cloned());
        head.push("peak MiB".to_owned());
        table.set_header(head);
        for contended in &self.measured.contenders {
            if let Some(figures) = self.summaries.get(contended.name.as_str()) {
                table.add_row(figures.row(&contended.name, &parts, has_latency));
            }
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let Measured { scenario, about, .. } = self.measured;
        format!("{scenario}: {about}\n\n{table}\n\n{}\n", self.ready())
    }

    /// In the order in which a delivery meets them.
    fn parts(&self) -> Vec<String> {
        let has = |part: &&str| self.summaries.values().any(|f| f.cpu_us.contains_key(*part));
        PARTS.into_iter().filter(has).map(str::to_owned).collect()
    }

    /// Contenders' processes and how long they took to be ready.
    fn ready(&self) -> String {
        let contenders = self.measured.contenders.iter().filter_map(|contended| {
            let figures = self.summaries.get(contended.name.as_str())?;
            let roles = figures.ready_ms.iter();
            let roles = roles.map(|(role, ready)| format!("{role} {:.0}", ready.median));
            Some(format!("{}: {}", contended.name, roles.collect::<Vec<String>>().join(", ")))
        });
        format!("ready after ms: {}", contenders.collect::<Vec<String>>().join("; "))
    }
}

impl Figures {
    fn of(contended: &Contended, first: &Contended) -> Self {
        let samples = &contended.samples;
        let pairs = || samples.iter().zip(&first.samples);
        let latency = |which: fn(&Latency) -> f64| {
            Spread::of(samples.iter().filter_map(|sample| sample.latency_ms.as_ref().map(which)))
        };
        let latency_ratio = |which: fn(&Latency) -> f64| {
            Spread::of(pairs().filter_map(|(own, first)| {
                Some(which(own.latency_ms.as_ref()?) / which(first.latency_ms.as_ref()?))
            }))
        };
        let has_latency = samples.iter().any(|sample| sample.latency_ms.is_some());
        let percentiles = LATENCIES.into_iter().filter(|_| has_latency);
        let disturbed = samples.iter().filter(|sample| sample.others_share > DISTURBED).count();
        Self {
            per_second: Spread::of(samples.iter().map(|sample| sample.per_second)),
            cpu_us_total: Spread::of(samples.iter().map(|sample| sample.cpu_us_total)),
            cpu_us: by_name(samples, |sample| &sample.cpu_us),
            wal_bytes: Spread::of(samples.iter().map(|sample| sample.wal_bytes)),
            peak_mib: by_name(samples, |sample| &sample.peak_mib),
            ready_ms: by_name(samples, |sample| &sample.ready_ms),
            latency_ms: percentiles.clone().map(|(name, which)| (name, latency(which))).collect(),
            cpu_ratio: Spread::of(
                pairs().map(|(own, first)| own.cpu_us_total / first.cpu_us_total),
            ),
            latency_ratio: percentiles.map(|(name, which)| (name, latency_ratio(which))).collect(),
            disturbed: u32::try_from(disturbed).unwrap_or(u32::MAX),
        }
    }

    fn row(&self, name: &str, parts: &[String], has_latency: bool) -> Vec<String> {
        let mark = if self.disturbed > 0 { "*" } else { "" };
        let mut row = vec![
            format!("{name}{mark}"),
            self.per_second.show(0),
            self.cpu_us_total.show(0),
            self.cpu_ratio.show(2),
        ];
        let of = |figures: &BTreeMap<&'static str, Spread>, name, digits| {
            figures.get(name).map_or(String::new(), |spread| spread.show(digits))
        };
        if has_latency {
            row.extend(["p50", "p99", "p999"].map(|name| of(&self.latency_ms, name, 1)));
            row.extend(["p50", "p99"].map(|name| of(&self.latency_ratio, name, 2)));
        }
        for part in parts {
            let time = self.cpu_us.get(part).map(|spread| format!("{:.0}", spread.median));
            row.push(time.unwrap_or_default());
        }
        let roles = self.peak_mib.iter().filter(|(part, _)| !is_service(part));
        let peaks = roles.map(|(part, peak)| format!("{part} {:.0}", peak.median));
        row.push(peaks.collect::<Vec<String>>().join(", "));
        row
    }
}

type Which = fn(&Latency) -> f64;

const LATENCIES: [(&str, Which); 5] = [
    ("p50", |latency| latency.p50),
    ("p90", |latency| latency.p90),
    ("p99", |latency| latency.p99),
    ("p999", |latency| latency.p999),
    ("max", |latency| latency.max),
];

/// Postgres and RabbitMQ are not ours.
fn is_service(part: &str) -> bool {
    part == "postgres" || part == "rabbitmq"
}

fn by_name(
    samples: &[Sample],
    figures: impl Fn(&Sample) -> &BTreeMap<String, f64>,
) -> BTreeMap<String, Spread> {
    let names: BTreeSet<&String> =
        samples.iter().flat_map(|sample| figures(sample).keys()).collect();
    let spread = |name: &String| {
        Spread::of(samples.iter().filter_map(|sample| figures(sample).get(name).copied()))
    };
    names.into_iter().map(|name| (name.clone(), spread(name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_median_and_range() {
        let spread = Spread::of([3.0, 1.0, 2.0]);
        assert_eq!(spread, Spread { median: 2.0, min: 1.0, max: 3.0 });
        assert_eq!(spread.show(1), "2.0 (1.0–3.0)");
        assert!((Spread::of([1.0, 2.0]).median - 1.5).abs() < 1e-9);
        assert_eq!(Spread::of([4.0, 4.001]).show(1), "4.0");
        assert_eq!(Spread::of([]).show(0), "0");
    }

    fn sample(cpu: f64, p50: f64, others: f64) -> Sample {
        Sample {
            deliveries: 10,
            seconds: 1.0,
            per_second: 10.0,
            cpu_us: BTreeMap::from([("worker".to_owned(), cpu)]),
            cpu_us_total: cpu,
            wal_bytes: 0.0,
            load_and_target_us: 1.0,
            others_share: others,
            latency_ms: Some(Latency { p50, p90: p50, p99: p50, p999: p50, max: p50 }),
            peak_mib: BTreeMap::from([("worker".to_owned(), 30.0), ("postgres".to_owned(), 99.0)]),
            ready_ms: BTreeMap::new(),
        }
    }

    #[test]
    fn ratios_are_those_of_each_round() {
        let contended = |name: &str, runs: [(f64, f64); 2]| Contended {
            name: name.to_owned(),
            samples: runs.map(|(cpu, p50)| sample(cpu, p50, 0.0)).to_vec(),
        };
        let contenders = vec![
            contended("bare", [(10.0, 1.0), (20.0, 2.0)]),
            contended("new", [(5.0, 2.0), (10.0, 4.0)]),
        ];
        let mut measured = Measured { scenario: "s", about: "what", contenders };
        let summary = Summary::of(&measured);
        let ratio = summary.summaries["new"].cpu_ratio;
        assert_eq!(ratio, Spread { median: 0.5, min: 0.5, max: 0.5 });
        assert!((summary.summaries["new"].latency_ratio["p50"].median - 2.0).abs() < 1e-9);
        let table = summary.table(Format::Markdown);
        assert!(table.contains("× bare") && table.contains("worker 30"), "{table}");
        assert!(!table.contains("postgres 99") && !table.contains("new*"), "{table}");
        measured.contenders[1].samples[0].others_share = 0.5;
        assert!(Summary::of(&measured).table(Format::Table).contains("new*"));
    }
}
