//! CPU time and memory of our own processes, from `/proc`: of exactly these and their children,
//! never of everything that has the same name.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// Linux counts in hundredths of a second (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// What is watched: parts by name, each with the processes at its root.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watched(BTreeMap<String, Vec<u32>>);

/// CPU time used so far.
#[derive(Debug)]
pub(crate) struct Usage {
    parts: BTreeMap<String, Duration>,
    /// Of the whole machine.
    busy: Duration,
    /// Of this program, which sends and receives.
    own: Duration,
}

/// What was used between two readings.
#[derive(Debug)]
pub(crate) struct Used {
    pub(crate) parts: BTreeMap<String, Duration>,
    /// By this program.
    pub(crate) own: Duration,
    /// By whoever else is on the machine.
    pub(crate) others: Duration,
}

impl Watched {
    pub(crate) fn add(&mut self, name: &str, pid: u32) {
        self.0.entry(name.to_owned()).or_default().push(pid);
    }

    pub(crate) fn read(&self) -> Result<Usage> {
        let mut parts = BTreeMap::new();
        for (name, roots) in &self.0 {
            let mut sum = Duration::ZERO;
            for root in roots {
                sum += time_of(*root).with_context(|| format!("{name} is gone"))?;
                for child in descendants(*root) {
                    // A child that ended meanwhile counts in its parent.
                    sum += time_of(child).unwrap_or_default();
                }
            }
            parts.insert(name.clone(), sum);
        }
        let own = time_of(std::process::id()).unwrap_or_default();
        Ok(Usage { parts, busy: busy()?, own })
    }

    /// Largest resident memory so far in bytes, by part, of its largest process: what Postgres's
    /// processes share would count many times.
    pub(crate) fn peaks(&self) -> BTreeMap<String, u64> {
        let peak = |roots: &Vec<u32>| {
            let all = roots.iter().flat_map(|root| [vec![*root], descendants(*root)].concat());
            all.filter_map(peak_of).max()
        };
        self.0.iter().filter_map(|(name, roots)| Some((name.clone(), peak(roots)?))).collect()
    }
}

impl Usage {
    pub(crate) fn since(self, earlier: &Self) -> Used {
        let own = self.own.saturating_sub(earlier.own);
        let before = |name: &str| earlier.parts.get(name).copied().unwrap_or_default();
        let parts: BTreeMap<String, Duration> = self
            .parts
            .into_iter()
            .map(|(name, time)| {
                let used = time.saturating_sub(before(&name));
                (name, used)
            })
            .collect();
        let ours = own + parts.values().sum::<Duration>();
        let others = self.busy.saturating_sub(earlier.busy).saturating_sub(ours);
        Used { parts, own, others }
    }

    /// Of all parts together.
    pub(crate) fn total(&self) -> Duration {
        self.parts.values().sum()
    }
}

/// User and system time of a process and of its children that have ended.
fn time_of(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command may hold blanks; what follows its closing parenthesis does not.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks: u32 = (11..=14).filter_map(|index| fields.get(index)?.parse::<u32>().ok()).sum();
    Some(TICK * ticks)
}

fn peak_of(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1_024)
}

/// Children, their children, and so on.
pub(crate) fn descendants(root: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        let children = children_of(pid);
        next.extend(&children);
        found.extend(children);
    }
    found
}

fn children_of(pid: u32) -> Vec<u32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = tasks.flatten().filter_map(|task| {
        let path = task.path().join("children");
        fs::read_to_string(path).ok()
    });
    let words: Vec<String> = lists.collect();
    words.iter().flat_map(|list| list.split_whitespace()).filter_map(|w| w.parse().ok()).collect()
}

/// Time that all processors together were not idle.
fn busy() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().context("/proc/stat is empty")?;
    let ticks: Vec<u32> =
        line.split_whitespace().skip(1).map(|word| word.parse().unwrap_or(u32::MAX)).collect();
    // user nice system idle iowait irq softirq steal; guests are counted in user already.
    let busy = [0, 1, 2, 5, 6, 7].iter().filter_map(|index| ticks.get(*index)).sum::<u32>();
    Ok(TICK * busy)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn only_what_is_watched_counts_with_its_children() {
        // A shell whose child does the work, and another one that nobody watches.
        let work = "sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'; read done";
        let start = || {
            let mut shell = Command::new("sh");
            shell.args(["-c", work]).stdin(Stdio::piped()).spawn().unwrap()
        };
        let (mut watched_shell, mut other_shell) = (start(), start());
        let mut watched = Watched::default();
        watched.add("shell", watched_shell.id());
        let mut idle = Watched::default();
        idle.add("test", std::process::id());
        let before = watched.read().unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        let mut used = Duration::ZERO;
        while used < TICK * 3 && std::time::Instant::now() < deadline {
            let used_by = watched.read().unwrap().since(&before);
            used = used_by.parts["shell"];
        }
        assert!(used >= TICK * 3, "{used:?}");
        assert!(descendants(std::process::id()).contains(&watched_shell.id()));
        assert!(!watched.peaks().is_empty());
        for shell in [&mut watched_shell, &mut other_shell] {
            drop(shell.stdin.take());
            shell.wait().unwrap();
        }
        assert!(watched.read().is_err(), "a part that is gone is told");
        assert!(idle.read().unwrap().total() > Duration::ZERO);
    }
}
