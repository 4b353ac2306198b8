//! CPU time per process, from `/proc/<pid>/stat`.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::Context;

use crate::system::System;

/// Linux counts in hundredths of a second (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// CPU time used so far, by name.
#[derive(Debug)]
pub(crate) struct Reading(BTreeMap<String, Duration>);

impl Reading {
    /// Our processes by role; Postgres and `RabbitMQ` as all processes of their names; this
    /// program itself as `load_and_target`.
    pub(crate) fn of(system: &System) -> anyhow::Result<Self> {
        let mut times = BTreeMap::new();
        for (role, pid) in system.processes() {
            *times.entry(role).or_default() += time_of(pid).context("a process is gone")?;
        }
        *times.entry("load_and_target".to_owned()).or_default() +=
            time_of(std::process::id()).unwrap_or_default();
        if system.is_distributed() {
            for (command, name) in [("postgres", "postgres"), ("beam.smp", "rabbitmq")] {
                times.insert(name.to_owned(), time_of_all(command)?);
            }
        }
        Ok(Self(times))
    }

    /// What was used since an earlier reading.
    pub(crate) fn since(self, earlier: &Self) -> BTreeMap<String, Duration> {
        let before = |name: &str| earlier.0.get(name).copied().unwrap_or_default();
        self.0
            .into_iter()
            .map(|(name, time)| {
                let used = time.saturating_sub(before(&name));
                (name, used)
            })
            .collect()
    }
}

fn time_of_all(command: &str) -> anyhow::Result<Duration> {
    let mut sum = Duration::ZERO;
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        if comm.trim() == command {
            sum += time_of(pid).unwrap_or_default();
        }
    }
    Ok(sum)
}

/// User and system time of a process, and of its children that have ended.
fn time_of(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command may hold blanks; what follows its closing parenthesis does not.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks: u32 = (11..=14).filter_map(|index| fields.get(index)?.parse::<u32>().ok()).sum();
    Some(TICK * ticks)
}
