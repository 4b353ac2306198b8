//! What a broker is owed, case by case: the program against a stand-in that keeps the broker's own
//! rule. The cases are those that a naive reading gets wrong, measured at Pact Broker 2.120.

mod cases;

use std::process::Output;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use postrider_testkit::broker::{Model, ScriptedBroker};
use serde_json::Value;

use crate::harness::run_with;
use cases::{Case, ENVIRONMENTS, MAIN_HEADS, RESULTS_AND_LINES, ago, start};

async fn check(broker: &ScriptedBroker, args: &[&str]) -> Result<Output> {
    let variables = [("PACT_BROKER_BASE_URL".to_owned(), broker.url().to_owned())];
    let all = [&["check", "verification", "-o", "json"], args].concat();
    run_with(&all, &variables, "").await
}

const PAIR: [&str; 4] = ["--consumer", "C", "--provider", "P"];

fn list(found: &Value, key: &str, words: impl Fn(&Value) -> String) -> Result<Vec<String>> {
    let mut list: Vec<String> =
        found[key].as_array().context("a list")?.iter().map(words).collect();
    list.sort();
    Ok(list)
}

fn text(of: &Value, key: &str) -> String {
    of[key].as_str().unwrap_or_default().to_owned()
}

fn because(of: &Value) -> String {
    let roles = of["because"].as_array().into_iter().flatten();
    roles.filter_map(Value::as_str).collect::<Vec<_>>().join("+")
}

fn owing(debt: &Value) -> String {
    let blocks = if debt["blocking"] == true { "!" } else { "" };
    format!("{} {} {}{blocks}", text(debt, "provider_version"), because(debt), text(debt, "due"))
}

async fn run_case(case: &Case) -> Result<()> {
    let broker = ScriptedBroker::start().await?;
    broker.model(|model| {
        start(model);
        (case.set_up)(model);
    });
    let output = check(&broker, &[&PAIR[..], case.args].concat()).await?;
    let report: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let found = &report["pairs"][0];
    ensure!(found["state"] == case.state, "{found:#}");
    ensure!(output.status.code() == Some(case.exit), "{}: {found:#}", output.status);
    ensure!(list(found, "owes", owing)? == case.owes, "{found:#}");
    let failing = |one: &Value| format!("{} {}", text(one, "provider_version"), because(one));
    ensure!(list(found, "failed", failing)? == case.failed, "{found:#}");
    let held = |one: &Value| {
        format!("{} {}", text(one, "consumer_version"), text(one, "provider_version"))
    };
    ensure!(list(found, "holds_back", held)? == case.holds_back, "{found:#}");
    ensure!(found["basis"] == "broker", "{found:#}");
    Ok(())
}

async fn run_cases(cases: &[Case]) -> Result<()> {
    for case in cases {
        run_case(case).await.with_context(|| case.name.to_owned())?;
    }
    Ok(())
}

#[tokio::test]
async fn the_head_of_main() -> Result<()> {
    run_cases(&MAIN_HEADS).await
}

#[tokio::test]
async fn what_is_deployed_and_released() -> Result<()> {
    run_cases(&ENVIRONMENTS).await
}

#[tokio::test]
async fn results_and_lines() -> Result<()> {
    run_cases(&RESULTS_AND_LINES).await
}

/// An application may be its own provider.
#[tokio::test]
async fn an_application_that_calls_itself() -> Result<()> {
    let broker = ScriptedBroker::start().await?;
    broker.model(|model| {
        model.main_branch("C", Some("main"), ago(900)).build_on("C", "c1", "main", ago(72));
        model.publish("C", "c1", "C", "own", ago(72)).verify("C", "c1", "C", "c1", true, ago(71));
    });
    let pair = ["--consumer", "C", "--provider", "C"];
    ensure!(check(&broker, &pair).await?.status.code() == Some(0), "its head verified it");
    broker.model(|model| {
        model.build_on("C", "c2", "main", ago(48));
        model.publish("C", "c2", "C", "new", ago(48));
    });
    ensure!(check(&broker, &pair).await?.status.code() == Some(1), "its head did not");
    Ok(())
}

/// A pair that publishes and builds every ten minutes and has been dead for two days: its newest
/// contract and head are minutes old, its debt is not. One result ends it.
#[tokio::test]
async fn a_newer_contract_or_build_does_not_end_a_debt() -> Result<()> {
    let broker = ScriptedBroker::start().await?;
    let minutes = |minutes: i64| Timestamp::now() - SignedDuration::from_mins(minutes);
    let move_on = |model: &mut Model, round: i64, at: Timestamp| {
        let (consumer, provider) = (format!("c-{round}"), format!("p-{round}"));
        model.build_on("C", &consumer, "main", at).publish("C", &consumer, "P", &consumer, at);
        model.build_on("P", &provider, "main", at + SignedDuration::from_mins(5));
    };
    broker.model(|model| {
        start(model);
        for round in 0..288 {
            move_on(model, round, minutes((288 - round) * 10));
        }
    });
    let found = async || -> Result<Value> {
        let output = check(&broker, &PAIR).await?;
        let report: Value = serde_json::from_slice(&output.stdout)?;
        Ok(report["pairs"][0].clone())
    };
    let dead = found().await?;
    ensure!(dead["state"] == "stale", "{dead:#}");
    let since: Timestamp = text(&dead["owes"][0], "since").parse()?;
    ensure!((ago(49)..ago(47)).contains(&since), "{dead:#}");
    ensure!(dead["owes"][0]["consumer_version"] == "c-287", "{dead:#}");

    broker.model(|model| {
        model.verify("P", "p-287", "C", "c-287", true, minutes(1));
        model.build_on("P", "p-288", "main", minutes(0));
    });
    let alive = found().await?;
    ensure!(alive["state"] == "owing", "the debt is of the new build: {alive:#}");
    let since: Timestamp = text(&alive["owes"][0], "since").parse()?;
    ensure!(since >= minutes(5), "{alive:#}");
    Ok(())
}

/// Asked as `can-i-deploy` asks, the answers are the same.
#[tokio::test]
async fn with_an_environment_it_agrees_with_can_i_deploy() -> Result<()> {
    for case in MAIN_HEADS.iter().chain(&ENVIRONMENTS) {
        let broker = ScriptedBroker::start().await?;
        let can_i_deploy = broker.model(|model| -> Result<bool> {
            start(model);
            (case.set_up)(model);
            model.environment("prod");
            let of_main = |(_, version, _): &(String, String, String)| version != "f1";
            let newest = model.contracts().into_iter().rfind(of_main);
            let (consumer, version, _) = newest.context("a contract")?;
            Ok(model.can_i_deploy(&consumer, &version, "prod"))
        })?;
        // The main head alone, as can-i-deploy is asked of one version.
        let args = ["--branch", "main", "--to-environment", "prod", "--max-age", "1s"];
        let output = check(&broker, &[&PAIR[..], &args].concat()).await?;
        let says = output.status.code() == Some(0);
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(says == can_i_deploy, "{}: can-i-deploy {can_i_deploy}: {told}", case.name);
    }
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_judged() -> Result<()> {
    let broker = ScriptedBroker::start().await?;
    broker.model(|model| {
        start(model);
        model.environment("production").integration("C", "Q", ago(1));
        model.main_branch("Q", Some("main"), ago(90)).build_on("Q", "q1", "main", ago(80));
    });
    let told = |output: &Output, code: i32, words: &str| {
        let text = [&output.stdout[..], &output.stderr[..]].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        ensure!(output.status.code() == Some(code), "{}: {text}", output.status);
        ensure!(text.contains(words), "{words:?} is not told: {text}");
        Ok(())
    };
    let environment = [&PAIR[..], &["--to-environment", "prod"]].concat();
    told(&check(&broker, &environment).await?, 2, "did you mean production?")?;
    let never = ["--consumer", "C", "--provider", "Q"];
    told(&check(&broker, &never).await?, 1, "no contract between them")?;
    // Young, but never verified by anybody.
    broker.model(|model| {
        model.build_on("C", "c2", "main", ago(0)).publish("C", "c2", "Q", "q", ago(0));
        model.publish("C", "c2", "P", "one", ago(0));
    });
    told(&check(&broker, &never).await?, 1, "\"unverified\"")?;

    // One pair is in trouble: the others are judged.
    broker.answer_of("[pacticipant]=Q", Some((500, "")));
    let output = check(&broker, &["--all-pairs"]).await?;
    told(&output, 3, "cannot reach the broker")?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let pairs = report["pairs"].as_array().context("pairs")?;
    let states: Vec<String> = pairs.iter().map(|pair| text(pair, "state")).collect();
    ensure!(states.contains(&"fresh".to_owned()), "{states:?}");
    ensure!(states.contains(&"unreachable".to_owned()), "{states:?}");
    Ok(())
}
