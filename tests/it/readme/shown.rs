//! Commands that a document shows, and what it shows that they print.

use anyhow::{Result, ensure};
use regex::Regex;

/// A command with the lines below it.
#[derive(Debug)]
pub(super) struct Step<'a> {
    pub(super) command: &'a str,
    pub(super) output: Vec<&'a str>,
}

/// All of a text, in order.
pub(super) fn steps(text: &str) -> Vec<Step<'_>> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    let mut is_console = false;
    // Blocks may stand inside a list.
    for line in text.lines().map(str::trim_start) {
        if line.starts_with("```") {
            is_console = line == "```console";
        } else if let (true, Some(typed)) = (is_console, line.strip_prefix("$ ")) {
            let command = typed.split_once(" #").map_or(typed, |(command, _)| command).trim();
            steps.push(Step { command, output: Vec::new() });
        } else if let (true, Some(step)) = (is_console, steps.last_mut()) {
            step.output.push(line);
        }
    }
    steps
}

/// What in a line differs from time to time.
fn pattern(line: &str) -> Result<Regex> {
    let mut pattern = regex::escape(line.trim());
    for (shown, any) in [
        (r"\d{4}\\-\d\d\\-\d\dT[0-9:.\\]+Z", r"\S+"),
        (r"took \d+ ms", r"took \d+ ms"),
        (r"in \d+\\.\d s", r"in \d+\.\d s"),
        (r"\d+ deliveries wait", r"\d+ (deliveries|delivery) waits?"),
        (r"… deliveries wait, none is dropped", r".* (none is|it is not) dropped"),
        (r"\s*…\s*", ".*"),
        (r"\s+", r"\s+"),
    ] {
        pattern = Regex::new(shown)?.replace_all(&pattern, regex::NoExpand(any)).into_owned();
    }
    Ok(Regex::new(&format!("^{pattern}$"))?)
}

/// Whether the lines that are shown were printed, in this order; `…` stands for what is left out.
pub(super) fn same(command: &str, shown: &[&str], printed: &str) -> Result<()> {
    let mut rest = printed.lines();
    for line in shown.iter().filter(|line| !matches!(line.trim(), "" | "…")) {
        let pattern = pattern(line)?;
        let found = rest.any(|printed| pattern.is_match(printed.trim()));
        ensure!(found, "{command} printed no line like {line:?}:\n{printed}");
    }
    Ok(())
}
