//! What `/metrics` shows in each role, to the taste of Prometheus's own tool, and alerts on it.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use postrider_github_double::{Double, Options, Play};

use crate::harness::{
    Cluster, Looking, Mode, Plan, SOON, event, hook_webhook, wait_until, webhook,
};

/// Metrics by the role that knows them, each with a value in this test.
const OF_INGEST: &[&str] = &["events_received_total", "events_duplicate_total", "build_info"];
const OF_WORKER: &[&str] = &[
    "deliveries_total",
    "delivery_attempt_duration_seconds_bucket",
    "delivery_end_to_end_seconds_bucket",
    "github_ratelimit_remaining",
    "build_info",
];
const OF_MONITOR: &[&str] = &[
    "oldest_pending_age_seconds",
    "lane_state",
    "lane_backlog",
    "consecutive_failures",
    "last_success_timestamp_seconds",
    "incidents_open",
    "credential_expiry_timestamp_seconds",
    "build_info",
];

fn promtool(args: &[&str], input: &str) -> Result<()> {
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
    let expiring = Play::Recorded("dispatch-204-fine-grained-expiring");
    double.script_repeating("acme/billing", vec![expiring])?;
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
            ("ingest-2", &[OF_INGEST, &["queue_depth"]]),
            ("worker-1", &[OF_WORKER]),
            ("monitor", &[OF_MONITOR]),
        ],
    };
    for (process, known) in roles {
        let known: Vec<&str> = known.concat();
        let text = until_shown(&cluster, process, &known).await?;
        promtool(&["check", "metrics"], &text)?;
        check_values(&text)?;
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
fn check_values(text: &str) -> Result<()> {
    let is = |name: &str, wanted: f64| {
        let found = value(text, name);
        let near = found.is_none_or(|found| (found - wanted).abs() < 0.5);
        ensure!(near, "{name} is {found:?}, not {wanted}");
        Ok(())
    };
    is("github_ratelimit_remaining", 4870.0)?;
    // 2026-12-01 14:34:04 UTC, as the recorded answer says.
    is("credential_expiry_timestamp_seconds", 1_796_135_644.0)?;
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

#[test]
fn the_alert_rules_hold() -> Result<()> {
    promtool(&["check", "rules", "alerts.yml"], "")?;
    promtool(&["test", "rules", "alerts.test.yml"], "")
}
