//! The budgets and rules of the house style.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use regex::Regex;

use super::none;
use super::source::{Findings, Function, sources};

const LONGEST_FUNCTION: usize = 60;
const LONGEST_FILE: usize = 450;
const MEDIAN_FUNCTION_BELOW: usize = 10;

/// Files and functions that are longer. Each is to be cut; none may come back.
const STILL_LONGER: &[&str] = &[
    "crates/http-server/src/openapi/refusals.rs: broker_refusals",
    "crates/sim/src/calls.rs: execute",
    "crates/sim/tests/stores/side.rs",
    "crates/web/tests/http/webhooks.rs: no_mutation_is_a_server_error",
    "crates/worker/src/lib.rs: start",
];

#[test]
fn functions_and_files_are_short() -> Result<()> {
    let mut longer = BTreeMap::new();
    let mut lengths = Vec::new();
    for source in sources()? {
        let lines = source.text.lines().count();
        if lines > LONGEST_FILE {
            longer.insert(source.name(), lines);
        }
        for function in Findings::of(&source).functions {
            let Function { name, lines, .. } = &function;
            if *lines > LONGEST_FUNCTION {
                longer.insert(format!("{}: {name}", source.name()), *lines);
            }
            if !function.is_of_tests {
                lengths.push(*lines);
            }
        }
    }
    let new = longer.iter().filter(|(name, _)| !STILL_LONGER.contains(&name.as_str()));
    none(
        "too long",
        &new.map(|(name, lines)| format!("{name} has {lines} lines")).collect::<Vec<_>>(),
    )?;
    let short = STILL_LONGER.iter().filter(|name| !longer.contains_key(**name));
    none(
        "short now: strike from STILL_LONGER",
        &short.map(ToString::to_string).collect::<Vec<_>>(),
    )?;
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    ensure!(median < MEDIAN_FUNCTION_BELOW, "the median function has {median} lines");
    Ok(())
}

/// What a process is given comes in by the settings, where it is named, checked and shown.
#[test]
fn settings_alone_read_the_environment() -> Result<()> {
    let reading = Regex::new(r"\benv::(vars?|vars?_os|set_var|remove_var)\b")?;
    let mut faults = Vec::new();
    let mut found = 0;
    for source in sources()?.iter().filter(|source| source.name().starts_with("crates/")) {
        let lines = source.text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let reads = lines.filter(|line| reading.is_match(line)).count();
        if source.is_of("config") {
            found += reads;
        } else if reads > 0 && !source.is_test() {
            faults.push(source.name());
        }
    }
    none("reads the environment", &faults)?;
    ensure!(found == 1, "the environment is read in {found} places");
    Ok(())
}

#[test]
fn nothing_is_left_to_do_and_nothing_unwrapped() -> Result<()> {
    let mut faults = Vec::new();
    for source in sources()? {
        let findings = Findings::of(&source);
        for line in &findings.unwraps {
            faults.push(format!("{}:{line}: unwrap()", source.name()));
        }
        let unfinished = ["todo", "unimplemented", "dbg"];
        for name in findings.macros.iter().filter(|name| unfinished.contains(&name.as_str())) {
            faults.push(format!("{}: {name}!", source.name()));
        }
        for line in &findings.globs {
            faults.push(format!("{}:{line}: re-exports everything", source.name()));
        }
        let vague = ["utils", "util", "common", "helpers", "types", "misc"];
        for name in findings.modules.iter().filter(|name| vague.contains(&name.as_str())) {
            faults.push(format!("{}: a module named {name}", source.name()));
        }
        let names_itself = source.name().ends_with("/tests.rs");
        if !names_itself && !source.text.starts_with("//!") {
            faults.push(format!("{}: does not begin by saying what it is", source.name()));
        }
    }
    none("not in the house style", &faults)
}

#[test]
fn sql_is_in_the_store_alone() -> Result<()> {
    let sql = Regex::new(
        r"(?is)\b(select\s.+\sfrom\s|insert\s+into\s|update\s+\w+\s+set\s|delete\s+from\s|(create|alter|drop)\s+(table|index)\s)",
    )?;
    let mut faults = Vec::new();
    for source in
        sources()?.iter().filter(|source| !source.is_of("store") && !source.is_of("bench"))
    {
        let literals = Findings::of(source).literals;
        for literal in literals.iter().filter(|literal| sql.is_match(literal)) {
            faults.push(format!("{}: {literal:?}", source.name()));
        }
    }
    none("SQL outside the store", &faults)
}

/// Elsewhere a connection would be waited for, and given back, without a deadline.
#[test]
fn steps_alone_take_connections() -> Result<()> {
    let taking = Regex::new(r"\bPgPool|\bpool\b|\.(try_)?acquire\(|\.return_to_pool\(")?;
    let mut faults = Vec::new();
    let mut found = 0;
    for source in sources()?.iter().filter(|source| !source.is_test()) {
        let name = source.name();
        if !name.contains("/hot/postgres/") {
            continue;
        }
        let lines = source.text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let taken: Vec<_> = lines.filter(|line| taking.is_match(line)).collect();
        if name.ends_with("/step.rs") {
            found += taken.len();
        } else {
            faults.extend(taken.iter().map(|line| format!("{name}: {}", line.trim())));
        }
    }
    none("takes a connection past the steps", &faults)?;
    ensure!(found > 5, "step.rs is not where connections are taken any more");
    Ok(())
}
