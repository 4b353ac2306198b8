//! What a delivery computes must not become more by accident: instructions under callgrind, held
//! against `bench/instructions.toml`. Counts don't depend on who else uses the machine, but on
//! the compiler and its options, so there is a tolerance.
//!
//! Without valgrind these tests fail: a guard that is away guards nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The fewer and the more iterations; the difference is without the start of the program.
const COUNTS: [u64; 2] = [16, 80];
/// Below this share of what is recorded the record is out of date and guards too little.
const AT_LEAST: f64 = 0.7;
const AT_MOST: f64 = 1.15;

/// Instructions of the whole program.
fn collected(case: &str, count: u64) -> Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--"])
        .args([env!("CARGO_BIN_EXE_instructions"), case, &count.to_string()])
        // Hashing differs from run to run otherwise in how the allocator places things.
        .env_clear()
        .output()
        .context("valgrind is needed: apt-get install valgrind")?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{case}: {text}");
    let line = text.lines().find_map(|line| line.split_once("Collected : "));
    let (_, number) = line.with_context(|| format!("no count in {text}"))?;
    Ok(number.trim().parse()?)
}

fn each(case: &str) -> Result<u32> {
    let [few, many] = COUNTS;
    let difference = collected(case, many)?.checked_sub(collected(case, few)?).context("fewer")?;
    Ok(u32::try_from(difference / (many - few))?)
}

fn recorded() -> Result<BTreeMap<String, u32>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.toml");
    Ok(toml::from_str(&std::fs::read_to_string(path)?)?)
}

fn guard(case: &str) -> Result<()> {
    let recorded = *recorded()?.get(case).with_context(|| format!("{case} is not recorded"))?;
    let now = each(case)?;
    let ratio = f64::from(now) / f64::from(recorded);
    ensure!(ratio <= AT_MOST, "{case} takes {now} instructions, {ratio:.2} times the recorded");
    ensure!(
        ratio >= AT_LEAST,
        "{case} takes {now} instructions, {ratio:.2} times the recorded: write `{case} = {now}` \
         into bench/instructions.toml, so that the gain is kept"
    );
    Ok(())
}

#[test]
fn render() -> Result<()> {
    guard("render")
}

#[test]
fn match_100_webhooks() -> Result<()> {
    guard("match")
}

#[test]
fn classify() -> Result<()> {
    guard("classify")
}

#[test]
fn decode() -> Result<()> {
    guard("decode")
}

#[test]
fn describe() -> Result<()> {
    guard("describe")
}

#[test]
fn redact() -> Result<()> {
    guard("redact")
}

#[test]
fn a_case_that_is_unknown_is_no_case() {
    assert!(collected("nonsense", 1).is_err());
}

#[test]
fn every_record_has_its_case() -> Result<()> {
    let cases = ["classify", "decode", "describe", "match", "redact", "render"];
    ensure!(recorded()?.keys().eq(cases), "{:?}", recorded()?);
    Ok(())
}
