//! The workflows in `deploy/github`: what they name exists, and their scripts run.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use postrider_testkit::broker::{ScriptedBroker, row};
use regex::Regex;
use serde_json::Value;

use crate::harness::{EVENT_NAME, webhook};

fn text(name: &str) -> Result<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path: PathBuf = root.join("deploy/github").join(name);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

fn workflow(name: &str) -> Result<Value> {
    serde_norway::from_str(&text(name)?).with_context(|| name.to_owned())
}

/// The steps of all jobs.
fn steps(workflow: &Value) -> Vec<&Value> {
    let jobs = workflow["jobs"].as_object().into_iter().flat_map(|jobs| jobs.values());
    jobs.filter_map(|job| job["steps"].as_array()).flatten().collect()
}

#[test]
fn the_providers_workflow_takes_what_the_webhook_sends() -> Result<()> {
    let workflow = workflow("contract-test-provider.yml")?;
    let types = &workflow["on"]["repository_dispatch"]["types"];
    let hook = webhook("https://api.github.com", "acme/billing", "billing", "githubToken");
    let body = &hook["request"]["body"];
    ensure!(*types == serde_json::json!([body["event_type"]]), "{types}");
    ensure!(body["event_type"] == EVENT_NAME, "{body}");

    let sent = body["client_payload"].as_object().context("a payload")?;
    let text = text("contract-test-provider.yml")?;
    let used = Regex::new(r"github\.event\.client_payload\.([a-z_]+)")?;
    let names: Vec<&str> =
        used.captures_iter(&text).filter_map(|found| Some(found.get(1)?.as_str())).collect();
    for name in &names {
        ensure!(sent.contains_key(*name), "the webhook doesn't send {name}");
    }
    for name in ["pact_url", "sha", "branch", "delivery_id"] {
        ensure!(names.contains(&name), "{name} is sent and not used");
    }
    let run_name = workflow["run-name"].as_str().context("a run-name")?;
    ensure!(run_name.contains("client_payload.delivery_id"), "{run_name}");
    ensure!(text.contains("client_payload.sha || github.sha"), "an empty sha means the head");
    Ok(())
}

#[test]
fn no_script_holds_an_expression() -> Result<()> {
    for name in ["contract-test-provider.yml", "contract-freshness.yml"] {
        let workflow = workflow(name)?;
        let scripts: Vec<&str> =
            steps(&workflow).iter().filter_map(|step| step["run"].as_str()).collect();
        ensure!(!scripts.is_empty(), "{name} has no script");
        for script in scripts {
            ensure!(!script.contains("${{"), "{name} puts values into a script's text: {script}");
        }
        ensure!(workflow["permissions"].is_object(), "{name} takes what permissions it is given");
        let jobs = workflow["jobs"].as_object().context("jobs")?;
        ensure!(jobs.values().all(|job| job["timeout-minutes"].is_u64()), "{name} may hang");
    }
    Ok(())
}

/// Runs the script of the freshness workflow as a runner would, with a `docker` that runs our
/// program in place of the image.
async fn run_freshness(
    broker: &ScriptedBroker,
    dir: &Path,
    change: &[(&str, &str)],
) -> Result<Output> {
    let workflow = workflow("contract-freshness.yml")?;
    let steps = steps(&workflow);
    let step = steps.first().context("a step")?;
    let script = step["run"].as_str().context("a script")?;
    let docker = dir.join("docker");
    let program = env!("CARGO_BIN_EXE_postrider");
    fs::write(
        &docker,
        format!(
            "#!/bin/sh\nwhile [ \"$1\" != the-image ]; do shift; done\nshift\nexec {program} \"$@\"\n"
        ),
    )?;
    fs::set_permissions(&docker, fs::Permissions::from_mode(0o755))?;
    let mut command = Command::new("timeout");
    command
        .args(["60", "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script])
        .env_clear();
    for (name, value) in step["env"].as_object().context("variables")? {
        command.env(name, value.as_str().context("a text")?);
    }
    command
        .env("PATH", format!("{}:/usr/bin:/bin", dir.display()))
        .env("POSTRIDER_IMAGE", "the-image")
        .env("PACT_BROKER_BASE_URL", broker.url())
        .env("PACT_BROKER_TOKEN", "a-token")
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", dir.join("summary"))
        .env("GITHUB_OUTPUT", dir.join("output"))
        .envs(change.iter().copied())
        .current_dir(dir);
    Ok(tokio::task::spawn_blocking(move || command.output()).await??)
}

#[tokio::test]
async fn the_freshness_workflow_checks() -> Result<()> {
    let broker = ScriptedBroker::start().await?;
    broker.ask_for("a-token");
    let ago = |hours| Timestamp::now() - SignedDuration::from_hours(hours);
    broker.set("checkout", "billing", &[row("1", ago(3), Some((true, ago(2))))]);
    let dir = tempfile::tempdir()?;
    let output = run_freshness(&broker, dir.path(), &[]).await?;
    ensure!(output.status.success(), "{output:?}");
    let told = String::from_utf8(output.stdout)?;
    ensure!(told.starts_with("::notice title=Contract verified::checkout -> billing"), "{told}");
    let summary = fs::read_to_string(dir.path().join("summary"))?;
    ensure!(summary.contains("| checkout | billing | fresh |"), "{summary}");

    let verified = row("1", ago(500), Some((true, ago(400))));
    broker.set("checkout", "billing", &[row("2", ago(300), None), verified]);
    let output = run_freshness(&broker, dir.path(), &[]).await?;
    ensure!(output.status.code() == Some(1), "{output:?}");
    let outputs = fs::read_to_string(dir.path().join("output"))?;
    ensure!(outputs.contains("result=stale\n"), "{outputs}");

    // A name is data, whatever it holds.
    let evil = "x\"; touch stolen; $(touch stolen) `touch stolen`";
    let output = run_freshness(&broker, dir.path(), &[("CONSUMER", evil)]).await?;
    ensure!(output.status.code() == Some(2), "an unknown name: {output:?}");
    ensure!(!dir.path().join("stolen").exists(), "the name was run");
    Ok(())
}
