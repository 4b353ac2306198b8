//! What Linux says of the process, under the names that every Prometheus client uses.

use std::fs;

use prometheus::{Counter, GaugeVec, Registry};

use super::register::{MetricsError, gauges};
use crate::names;

/// Ticks of a second in what Linux tells of a process: `USER_HZ` of all its platforms today.
const TICKS: f64 = 100.0;

/// Figures of the process; where there is no `/proc` they are not shown.
pub(super) struct Process {
    cpu: Counter,
    memory: GaugeVec,
    descriptors: GaugeVec,
    descriptors_most: GaugeVec,
    threads: GaugeVec,
    /// Seconds since 1970.
    started: GaugeVec,
}

impl Process {
    pub(super) fn register(registry: &Registry) -> Result<Self, MetricsError> {
        let cpu = Counter::new(names::PROCESS_CPU, "CPU time that the process used.")?;
        let gauge = |name, help| gauges(registry, name, help, &[]);
        let process = Self {
            cpu,
            memory: gauge(names::PROCESS_MEMORY, "Memory of the process that is resident.")?,
            descriptors: gauge(names::PROCESS_DESCRIPTORS, "Descriptors that are open.")?,
            descriptors_most: gauge(
                names::PROCESS_DESCRIPTORS_MOST,
                "Descriptors that may be open.",
            )?,
            threads: gauge(names::PROCESS_THREADS, "Threads of the process.")?,
            started: gauge(names::PROCESS_START, "When the process was started.")?,
        };
        if stat().is_some() {
            registry.register(Box::new(process.cpu.clone()))?;
        }
        Ok(process)
    }

    /// Reads them anew.
    pub(super) fn fill(&self) {
        let Some(stat) = stat() else { return };
        let set = |gauge: &GaugeVec, value: Option<f64>| {
            if let Some(value) = value {
                gauge.with_label_values::<&str>(&[]).set(value);
            }
        };
        // Fields of proc_pid_stat(5): utime 14, stime 15, num_threads 20, starttime 22.
        if let (Some(user), Some(system)) = (field(&stat, 14), field(&stat, 15)) {
            self.cpu.reset();
            self.cpu.inc_by((user + system) / TICKS);
        }
        set(&self.threads, field(&stat, 20));
        let started = boot().zip(field(&stat, 22)).map(|(boot, ticks)| boot + ticks / TICKS);
        set(&self.started, started);
        let kilobytes = line("/proc/self/status", "VmRSS:");
        set(&self.memory, kilobytes.map(|kilobytes| kilobytes * 1024.0));
        let open = fs::read_dir("/proc/self/fd").ok().map(Iterator::count);
        // Less the one that reads the directory.
        let open = open.and_then(|open| u32::try_from(open.saturating_sub(1)).ok());
        set(&self.descriptors, open.map(f64::from));
        set(&self.descriptors_most, line("/proc/self/limits", "Max open files"));
    }
}

/// What follows the program's name, which may hold blanks and brackets.
fn stat() -> Option<String> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    stat.rsplit_once(") ").map(|(_, rest)| rest.to_owned())
}

/// A field of the line by the number that the manual gives it; the third comes first here.
fn field(stat: &str, number: usize) -> Option<f64> {
    stat.split_ascii_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

/// When the machine was started, in seconds since 1970.
fn boot() -> Option<f64> {
    line("/proc/stat", "btime ")
}

/// The number behind the beginning of a line.
fn line(path: &str, beginning: &str) -> Option<f64> {
    let text = fs::read_to_string(path).ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix(beginning))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}
