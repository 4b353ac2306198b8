//! What `/metrics` shows in each role, to the taste of Prometheus's own tool, and alerts on it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use postrider_github_double::{Double, Options, Play};
use regex::Regex;

use crate::harness::{
    Cluster, Looking, Mode, Plan, SOON, event, hook_webhook, in_ninety_days,
    taken_for_a_token_that_ends, wait_until, webhook,
};

/// Metrics by the role that knows them, each with a value in this test.
const OF_INGEST: &[&str] = &[
    "events_received_total",
    "events_duplicate_total",
    "intake_requests_total",
    "database_oldest_step_seconds",
    "build_info",
];
const OF_WORKER: &[&str] = &[
    "deliveries_total",
    "attempts_total",
    "deliveries_finished_total",
    "claims_in_flight",
    "delivery_attempt_duration_seconds_bucket",
    "delivery_end_to_end_seconds_bucket",
    "github_ratelimit_remaining",
    "build_info",
];
const OF_MONITOR: &[&str] = &[
    "oldest_pending_age_seconds",
    "lane_state",
    "lane_backlog",
    "webhook_info",
    "monitor_active",
    "quiet_day",
    "consecutive_failures",
    "last_success_timestamp_seconds",
    "incidents_open",
    "credential_expiry_timestamp_seconds",
    "build_info",
];

pub(crate) fn promtool(args: &[&str], input: &str) -> Result<()> {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/prometheus");
    let mut child = Command::new("promtool")
        .args(args)
        .current_dir(deploy)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("this test needs promtool (Debian package prometheus): run it with tests/run")?;
    child.stdin.take().context("an input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    ensure!(output.status.success(), "promtool {args:?}: {told}\n{input}");
    Ok(())
}

/// The sum over a metric's lines, with labels or without.
fn value(text: &str, name: &str) -> Option<f64> {
    let name = format!("postrider_{name}");
    let rests = text.lines().filter_map(|line| line.strip_prefix(&name));
    let values = rests.filter(|rest| rest.starts_with(['{', ' ']));
    let values: Vec<f64> =
        values.filter_map(|rest| rest.rsplit(' ').next()?.parse().ok()).collect();
    (!values.is_empty()).then(|| values.iter().sum())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded() -> Result<()> {
    Box::pin(every_role_shows_what_it_knows(Mode::Embedded)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn distributed() -> Result<()> {
    Box::pin(every_role_shows_what_it_knows(Mode::Distributed)).await
}

async fn every_role_shows_what_it_knows(mode: Mode) -> Result<()> {
    let double = Double::start(Options::default()).await?;
    let ends = in_ninety_days();
    double.script_repeating("acme/billing", vec![taken_for_a_token_that_ends(ends)])?;
    double.script_repeating("broken", vec![Play::status(500)])?;
    let cluster = Plan::new(mode).workers(1).start().await?;
    let api = cluster.api()?;
    api.set_secret("githubToken", "test-token").await?;
    let base = double.base_url();
    api.create_webhook(&webhook(&base, "acme/billing", "billing", "githubToken")).await?;
    api.create_webhook(&hook_webhook(&base, "broken", "billing")).await?;
    api.publish(&event(1, "billing")).await?;
    let roles: &[(&str, &[&[&str]])] = match mode {
        Mode::Embedded => &[("serve", &[OF_INGEST, OF_WORKER, OF_MONITOR])],
        Mode::Distributed => &[
            ("ingest-2", &[OF_INGEST, &["queue_depth", "queue_up", "database_connections"]]),
            ("worker-1", &[OF_WORKER]),
            ("monitor", &[OF_MONITOR]),
        ],
    };
    for (process, known) in roles {
        let known: Vec<&str> = known.concat();
        let text = until_shown(&cluster, process, &known).await?;
        promtool(&["check", "metrics"], &text)?;
        check_values(&text, ends)?;
        is_told(&text)?;
        // Zeros of other roles would be taken for their figures.
        let lacks = |name: &str| !text.contains(&format!("# TYPE postrider_{name} "));
        if process.starts_with("worker") || process.starts_with("monitor") {
            ensure!(lacks("events_received_total"), "{process} takes no events in: {text}");
        }
        if process.starts_with("ingest") || process.starts_with("monitor") {
            ensure!(lacks("delivery_end_to_end_seconds"), "{process} delivers nothing: {text}");
        }
    }
    cluster.finish().await
}

async fn until_shown(cluster: &Cluster, process: &str, known: &[&str]) -> Result<String> {
    let what = format!("{process} to show what it knows");
    wait_until(&what, SOON, async || {
        let text = cluster.admin(process)?.get("/metrics").await?.text;
        let missing: Vec<_> = known.iter().filter(|name| value(&text, name).is_none()).collect();
        let so_far = format!("missing {missing:?}");
        let is_counted = value(&text, "deliveries_total").is_none_or(|count| count >= 2.0);
        let is_all = missing.is_empty() && is_counted;
        Ok(if is_all { Looking::Found(text) } else { Looking::NotYet(so_far) })
    })
    .await
}

/// Values that this test made, wherever they are shown.
fn check_values(text: &str, ends: Timestamp) -> Result<()> {
    let is = |name: &str, wanted: f64| {
        let found = value(text, name);
        let near = found.is_none_or(|found| (found - wanted).abs() < 0.5);
        ensure!(near, "{name} is {found:?}, not {wanted}");
        Ok(())
    };
    is("github_ratelimit_remaining", 4870.0)?;
    is("credential_expiry_timestamp_seconds", ends.as_duration().as_secs_f64().floor())?;
    if value(text, "credential_expiry_timestamp_seconds").is_some() {
        ensure!(text.contains(r#"{credential="githubToken"}"#), "{text}");
    }
    if value(text, "deliveries_total").is_some() {
        let zero = r#"postrider_deliveries_total{outcome="credential"} 0"#;
        ensure!(text.contains(zero), "outcomes that did not happen are shown: {text}");
    }
    if value(text, "incidents_open").is_some() {
        ensure!(text.contains(r#"postrider_incidents_open{kind="lane_held"} 0"#), "{text}");
    }
    Ok(())
}

/// Metrics of docs/metrics.md: type and labels by name.
fn table() -> Result<BTreeMap<String, (String, BTreeSet<String>)>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    let page = fs::read_to_string(page)?;
    let quoted = Regex::new("`([^`]+)`")?;
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        ensure!(cells.len() == 7, "five columns: {line}");
        let name = cells[1].trim_matches('`').to_owned();
        let labels = quoted.captures_iter(cells[3]).map(|label| label[1].to_owned()).collect();
        Ok((name, (cells[2].to_owned(), labels)))
    };
    rows.map(row).collect()
}

/// Whatever is shown stands in the table, with its type and its labels.
fn is_told(text: &str) -> Result<()> {
    let table = table()?;
    let label = Regex::new(r#"([a-z_]+)="(?:[^"\\]|\\.)*""#)?;
    for line in text.lines() {
        if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (name, kind) = typed.split_once(' ').context("a type")?;
            let told = table.get(name).map(|(kind, _)| kind.as_str());
            ensure!(told == Some(kind), "docs/metrics.md says {told:?} of {typed}");
        } else if !line.starts_with('#') {
            let (name, rest) = line.split_at(line.find(['{', ' ']).context("a value")?);
            let ending =
                ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let of_histogram = ending.filter(|name| table.contains_key(*name));
            let (_, labels) = table.get(of_histogram.unwrap_or(name)).context("a row")?;
            let mut shown: BTreeSet<String> =
                label.captures_iter(rest).map(|found| found[1].to_owned()).collect();
            if of_histogram.is_some() {
                shown.remove("le");
            }
            ensure!(shown == *labels, "docs/metrics.md says {labels:?} of {line}");
        }
    }
    Ok(())
}

/// The table has each name that the program has, and no other.
#[test]
fn the_table_of_metrics_is_whole() -> Result<()> {
    let names = Path::new(env!("CARGO_MANIFEST_DIR")).join("../telemetry/src/names.rs");
    let names = fs::read_to_string(names)?;
    let metric = Regex::new(r#""((?:postrider|process)_[a-z_]+)""#)?;
    let known: BTreeSet<String> =
        metric.captures_iter(&names).map(|found| found[1].to_owned()).collect();
    let told: BTreeSet<String> = table()?.into_keys().collect();
    let missing: Vec<_> = known.symmetric_difference(&told).collect();
    ensure!(missing.is_empty() && known.len() > 30, "on one side only: {missing:?}");
    Ok(())
}

#[test]
fn the_alert_rules_hold() -> Result<()> {
    promtool(&["check", "rules", "alerts.yml"], "")?;
    promtool(&["test", "rules", "alerts.test.yml"], "")
}
