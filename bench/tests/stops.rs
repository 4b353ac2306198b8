//! The benchmark measures, and takes everything that it started with it when it is interrupted:
//! servers, roles, files.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// For two servers to start on a busy machine and for a small run.
const SOON: Duration = Duration::from_mins(3);

/// Killed when dropped, whatever became of the test.
struct Bench(Child);

impl Drop for Bench {
    fn drop(&mut self) {
        drop(self.0.kill().and_then(|()| self.0.wait()));
    }
}

fn children_of(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let words: Vec<String> = lists.collect();
    words.iter().flat_map(|list| list.split_whitespace()).filter_map(|w| w.parse().ok()).collect()
}

fn descendants(root: u32) -> BTreeSet<u32> {
    let (mut found, mut next) = (BTreeSet::new(), vec![root]);
    while let Some(pid) = next.pop() {
        let children = children_of(pid);
        next.extend(&children);
        found.extend(children);
    }
    found
}

/// Running, not only waiting to be noticed by its parent.
fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// Where the benchmark puts its files; the user that Postgres runs as has to get through.
fn directory() -> Result<TempDir> {
    let dir = tempfile::tempdir()?;
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
    Ok(dir)
}

fn is_empty(dir: &Path) -> Result<bool> {
    Ok(fs::read_dir(dir)?.next().is_none())
}

fn start(files: &Path) -> Result<Bench> {
    let child = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(["bare", "--events", "500", "--rounds", "100"])
        .env("TMPDIR", files)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    Ok(Bench(child))
}

#[test]
fn an_interrupt_leaves_nothing_behind() -> Result<()> {
    let files = directory()?;
    let mut bench = start(files.path())?;
    let pid = bench.0.id();
    let lines = BufReader::new(bench.0.stderr.take().context("standard error")?).lines();
    let mut told = Vec::new();
    for line in lines.map_while(Result::ok) {
        told.push(line);
        if told.iter().any(|line| line.contains("round 1: ")) {
            break;
        }
    }
    let first =
        told.iter().find(|line| line.contains("round 1: ")).with_context(|| told.join("\n"))?;
    ensure!(first.contains("µs a delivery"), "{first}");
    let started = descendants(pid);
    ensure!(started.len() > 5, "servers run: {started:?}");
    ensure!(!is_empty(files.path())?, "they have a directory");

    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("a process id")?;
    kill_process(pid, Signal::INT)?;
    let status = bench.0.wait()?;
    ensure!(status.code() == Some(130), "{status}");
    let deadline = Instant::now() + SOON;
    while started.iter().any(|pid| is_alive(*pid)) {
        let left: Vec<&u32> = started.iter().filter(|pid| is_alive(**pid)).collect();
        ensure!(Instant::now() < deadline, "still there: {left:?}");
        std::thread::yield_now();
    }
    ensure!(is_empty(files.path())?, "its directory is gone");
    Ok(())
}
