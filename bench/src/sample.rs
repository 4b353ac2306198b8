//! What one run came to.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

/// Figures of one run. Times are per delivery where nothing else is said.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Sample {
    pub(crate) deliveries: u32,
    /// From the first call to the last arrival at the target.
    pub(crate) seconds: f64,
    pub(crate) per_second: f64,
    /// CPU time by part in microseconds.
    pub(crate) cpu_us: BTreeMap<String, f64>,
    /// Of all parts together.
    pub(crate) cpu_us_total: f64,
    /// Write-ahead log of Postgres in bytes; 0 without one.
    pub(crate) wal_bytes: f64,
    /// Of this program, which is not part of the sum.
    pub(crate) load_and_target_us: f64,
    /// Share of the machine's CPU time that was used by whoever else is on it.
    pub(crate) others_share: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latency_ms: Option<Latency>,
    /// Largest resident memory of the parts in MiB.
    pub(crate) peak_mib: BTreeMap<String, f64>,
    /// From the start of a process to its readiness.
    pub(crate) ready_ms: BTreeMap<String, f64>,
}

/// From the instant at which an event was due to its arrival at the target, in milliseconds. Of
/// all events: nothing is sampled or rounded.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

impl Latency {
    /// `None` without any.
    pub(crate) fn of(mut waits: Vec<Duration>) -> Option<Self> {
        waits.sort_unstable();
        let at = |per_mille: usize| {
            let rank = (waits.len() * per_mille).div_ceil(1_000).max(1);
            waits.get(rank - 1).map(|wait| wait.as_secs_f64() * 1e3)
        };
        Some(Self { p50: at(500)?, p90: at(900)?, p99: at(990)?, p999: at(999)?, max: at(1_000)? })
    }
}

/// Microseconds for each of so many.
pub(crate) fn micros(time: Duration, count: u32) -> f64 {
    time.as_secs_f64() * 1e6 / f64::from(count.max(1))
}

/// Bytes as MiB.
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    // Whole KiB are precise enough, and the kernel tells no more.
    u32::try_from(bytes / 1_024).map_or(f64::INFINITY, f64::from) / 1_024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_sorted_waits() {
        let waits = (1..=1_000).rev().map(Duration::from_millis).collect();
        let latency = Latency::of(waits).unwrap();
        let expected = Latency { p50: 500.0, p90: 900.0, p99: 990.0, p999: 999.0, max: 1_000.0 };
        assert_eq!(latency, expected);
        let one = Latency::of(vec![Duration::from_millis(7)]).unwrap();
        assert_eq!((one.p50, one.max), (7.0, 7.0));
        assert_eq!(Latency::of(Vec::new()), None);
    }

    #[test]
    fn units() {
        assert!((micros(Duration::from_secs(1), 1_000) - 1_000.0).abs() < 1e-9);
        assert!((mebibytes(3 << 20) - 3.0).abs() < 1e-9);
    }
}
