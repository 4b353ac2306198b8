//! What so many nodes carry, computed from measured costs: the tables of `docs/scale.md`, where
//! the model is explained. A test holds the document against them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Nodes of the table.
const NODES: [u32; 3] = [1, 10, 100];
/// Processors of a node that runs one ingest and one worker.
const PROCESSORS: f64 = 2.0;
/// Planned use of a processor: beyond, queues grow faster than load (M/M/1: 2.3 services wait).
const USE: f64 = 0.7;
/// Connections of one process to Postgres: 10 for steps, 3 for what people ask.
const CONNECTIONS: u32 = 13;
/// Attempts that one worker has under way.
const PERMITS: f64 = 1_024.0;
/// Requests a minute that a lane at GitHub sends.
const GITHUB_PER_MINUTE: f64 = 75.0;

/// Measured costs, as `bench/costs.toml` has them. Times are CPU time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Costs {
    /// When and on what.
    measured: String,
    /// Microseconds a delivery in a long burst, by part.
    ingest_us: f64,
    worker_us: f64,
    postgres_us: f64,
    rabbitmq_us: f64,
    /// Bytes of write-ahead log a delivery.
    wal_bytes: f64,
    /// Microseconds a second of all parts together with nothing to do.
    idle_us: f64,
    /// Microseconds of all parts for a delivery that shares no statement with another.
    alone_us: f64,
    /// Milliseconds of a statement's round trip: what comes within it shares the next one.
    round_trip_ms: f64,
}

/// Everything that the document shows.
pub(crate) fn tables(costs: &Costs) -> String {
    [nodes(costs), rates(costs), permits(), lanes()].join("\n")
}

/// Reads costs.
pub(crate) fn read(path: &Path) -> Result<Costs> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    toml::from_str(&text).with_context(|| path.display().to_string())
}

impl Costs {
    fn burst_us(&self) -> f64 {
        self.ingest_us + self.worker_us + self.postgres_us + self.rabbitmq_us
    }

    /// Deliveries a second of so many nodes.
    fn nodes_per_second(&self, nodes: u32) -> f64 {
        f64::from(nodes) * PROCESSORS * USE / seconds(self.ingest_us + self.worker_us)
    }

    /// Microseconds a delivery at a rate of single events: what a delivery costs in a burst, its
    /// share of what a statement costs however many share it, its share of the idle parts.
    fn at_rate_us(&self, per_second: f64) -> f64 {
        let shared_by = (per_second * self.round_trip_ms / 1e3).max(1.0);
        let alone = (self.alone_us - self.burst_us()).max(0.0);
        self.burst_us() + alone / shared_by + self.idle_us / per_second
    }
}

fn nodes(costs: &Costs) -> String {
    let rows = NODES.map(|nodes| {
        let rate = costs.nodes_per_second(nodes);
        format!(
            "| {nodes} | {} | {:.1} | {:.0} | {:.1} | {} |\n",
            thousands(rate),
            rate * seconds(costs.postgres_us) / USE,
            rate * costs.wal_bytes / 1e6,
            rate * seconds(costs.rabbitmq_us) / USE,
            nodes * 2 * CONNECTIONS,
        )
    });
    let head = "| nodes | deliveries/s | Postgres, processors | WAL, MB/s | RabbitMQ, processors | connections |\n|---|---|---|---|---|---|\n";
    head.to_owned() + &rows.concat()
}

fn rates(costs: &Costs) -> String {
    let rows = [1.0, 10.0, 100.0, 500.0, 1_000.0, 5_000.0].map(|rate| {
        let us = costs.at_rate_us(rate);
        format!("| {rate:.0} | {us:.0} | {:.1} |\n", rate * us / 1e4)
    });
    let head = "| single events a second | CPU µs a delivery, all parts | % of one processor |\n|---|---|---|\n";
    head.to_owned() + &rows.concat()
}

/// Little's law.
fn permits() -> String {
    let rows = [0.05, 0.2, 1.0, 15.0]
        .map(|answer: f64| format!("| {answer} s | {} |\n", thousands(PERMITS / answer)));
    let head = "| the target answers within | deliveries/s of one worker, at most |\n|---|---|\n";
    head.to_owned() + &rows.concat()
}

/// A lane is a server with one place and a fixed service time: M/D/1.
fn lanes() -> String {
    let service = 60.0 / GITHUB_PER_MINUTE;
    let rows = [0.5, 0.8, 0.9, 0.95].map(|used: f64| {
        let wait = used * service / (2.0 * (1.0 - used));
        let hourly = used * GITHUB_PER_MINUTE * 60.0;
        format!("| {:.0} % | {hourly:.0} | {wait:.1} s |\n", used * 100.0)
    });
    let head = "| use of a lane at 75/min | deliveries an hour | mean wait |\n|---|---|---|\n";
    let drains = [10_u32, 100, 1_000, 10_000].map(|waiting| {
        let minutes = f64::from(waiting) / GITHUB_PER_MINUTE;
        format!("| {waiting} | {} |\n", duration(minutes))
    });
    let drain = "\n| waiting in the lane | sent within |\n|---|---|\n";
    [head.to_owned(), rows.concat(), drain.to_owned(), drains.concat()].concat()
}

fn seconds(micros: f64) -> f64 {
    micros / 1e6
}

/// Two digits that say something, and groups of three.
fn thousands(number: f64) -> String {
    let magnitude = 10_f64.powf(number.max(1.0).log10().floor() - 1.0).max(1.0);
    let digits = format!("{:.0}", (number / magnitude).round() * magnitude);
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn duration(minutes: f64) -> String {
    if minutes < 1.0 {
        format!("{:.0} s", minutes * 60.0)
    } else if minutes < 120.0 {
        format!("{minutes:.0} min")
    } else {
        format!("{:.1} h", minutes / 60.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs() -> Costs {
        Costs {
            measured: String::new(),
            ingest_us: 20.0,
            worker_us: 50.0,
            postgres_us: 70.0,
            rabbitmq_us: 10.0,
            wal_bytes: 2_000.0,
            idle_us: 10_000.0,
            alone_us: 1_150.0,
            round_trip_ms: 2.0,
        }
    }

    #[test]
    fn nodes_need_services_of_their_size() {
        let table = nodes(&costs());
        assert!(table.contains("| 1 | 20,000 | 2.0 | 40 | 0.3 | 26 |"), "{table}");
        assert!(table.contains("| 100 | 2,000,000 | 200.0 | 4000 | 28.6 | 2600 |"), "{table}");
    }

    #[test]
    fn a_delivery_costs_less_the_more_share_its_statements() {
        let costs = costs();
        // Alone, and a hundredth of the idle second.
        assert!((costs.at_rate_us(100.0) - (1_150.0 + 100.0)).abs() < 1e-6);
        // Two share.
        assert!((costs.at_rate_us(1_000.0) - (150.0 + 500.0 + 10.0)).abs() < 1e-6);
        assert!(costs.at_rate_us(1e6) < 151.0);
    }

    #[test]
    fn numbers_are_readable() {
        let shown = [7.3, 20.0, 512.0, 5_120.0, 26_415.0, 2_641_509.0].map(thousands);
        assert_eq!(shown, ["7", "20", "510", "5,100", "26,000", "2,600,000"]);
        assert_eq!([0.5, 80.0, 133.3].map(duration), ["30 s", "80 min", "2.2 h"]);
    }

    #[test]
    fn the_document_shows_what_the_costs_come_to() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let costs = read(&root.join("costs.toml")).unwrap();
        let document = fs::read_to_string(root.join("../docs/scale.md")).unwrap();
        for table in tables(&costs).split("\n\n") {
            let table = table.trim();
            assert!(document.contains(table), "`bench scale` prints another table:\n{table}");
        }
        assert!(document.contains(&costs.measured), "the document names the day and the machine");
    }
}
