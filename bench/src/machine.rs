//! Where and when something was measured.

use std::fs;
use std::path::Path;
use std::process::Command;

use jiff::Timestamp;
use serde::Serialize;

/// The machine, the day and the programs.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) at: String,
    pub(crate) cpu: String,
    pub(crate) processors: usize,
    pub(crate) memory_gib: u64,
    pub(crate) kernel: String,
    pub(crate) programs: Vec<Program>,
}

/// A program that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) version: String,
    pub(crate) bytes: u64,
}

impl Machine {
    pub(crate) fn look(programs: &[(&'static str, &Path)]) -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let kib: u64 =
            field(&meminfo, "MemTotal").split(' ').next().unwrap_or("0").parse().unwrap_or(0);
        Self {
            at: format!("{:.0}", Timestamp::now()),
            cpu: field(&cpuinfo, "model name"),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: kib >> 20,
            kernel: kernel.trim().to_owned(),
            programs: programs.iter().map(|(name, path)| program(name, path)).collect(),
        }
    }

    /// One line.
    pub(crate) fn line(&self) -> String {
        let programs = self.programs.iter().map(|program| {
            let Program { name, version, bytes } = program;
            format!("{name}: {version}, {} MB", bytes / 1_000_000)
        });
        let programs: Vec<String> = programs.collect();
        let Self { at, cpu, processors, memory_gib, kernel, .. } = self;
        format!(
            "{at}, {processors} × {cpu}, {memory_gib} GiB, Linux {kernel}; {}",
            programs.join("; ")
        )
    }
}

fn field(text: &str, name: &str) -> String {
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim());
    value.unwrap_or("?").to_owned()
}

fn program(name: &'static str, path: &Path) -> Program {
    let output = Command::new(path).arg("--version").output();
    let version = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let bytes = fs::metadata(path).map_or(0, |metadata| metadata.len());
    Program { name, version: version.unwrap_or_default(), bytes }
}
