//! `check verification` against a stand-in for the broker: every exit code and every format. What
//! is owed stands in `owed.rs`; here the plain question is asked, where the rule doesn't matter.

use std::fs;
use std::process::Output;

use anyhow::{Result, ensure};
use jiff::{SignedDuration, Timestamp};
use postrider_testkit::broker::{ScriptedBroker, row};
use serde_json::{Value, json};

use crate::harness::{recorded, run_with};

const TOKEN: &str = "a-token-that-nobody-may-see";

fn ago(hours: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_hours(hours)
}

/// Runs the command against the broker, with these variables beside its address and token.
async fn check(
    broker: &ScriptedBroker,
    args: &[&str],
    variables: &[(&str, String)],
) -> Result<Output> {
    let mut all = vec![
        ("PACT_BROKER_BASE_URL".to_owned(), broker.url().to_owned()),
        ("PACT_BROKER_TOKEN".to_owned(), TOKEN.to_owned()),
    ];
    all.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    let output = run_with(&[&["check", "verification"], args].concat(), &all, "").await?;
    for text in [&output.stdout, &output.stderr] {
        ensure!(!String::from_utf8_lossy(text).contains(TOKEN), "the token is shown: {output:?}");
    }
    Ok(output)
}

/// The same with `--any-result`.
async fn check_any(
    broker: &ScriptedBroker,
    args: &[&str],
    variables: &[(&str, String)],
) -> Result<Output> {
    check(broker, &[args, &["--any-result"]].concat(), variables).await
}

/// An exit code, and what has to be told on standard output or standard error.
fn expect(output: &Output, code: i32, told: &[&str]) -> Result<()> {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8_lossy(&text);
    ensure!(output.status.code() == Some(code), "{}: {text}", output.status);
    for words in told {
        ensure!(text.contains(words), "{words:?} is not told: {text}");
    }
    Ok(())
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// checkout and billing, verified so many hours ago.
async fn broker_with(hours: i64, success: bool) -> Result<ScriptedBroker> {
    let broker = ScriptedBroker::start().await?;
    let verified = Some((success, ago(hours)));
    broker.set("checkout", "billing", &[row("1.4.2", ago(100), verified)]);
    Ok(broker)
}

const PAIR: [&str; 4] = ["--consumer", "checkout", "--provider", "billing"];

fn with_pair<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&PAIR[..], more].concat()
}

#[tokio::test]
async fn fresh_stale_and_never_verified() -> Result<()> {
    let broker = broker_with(2, false).await?;
    broker.ask_for(TOKEN);
    let output = check_any(&broker, &with_pair(&["--max-age", "24h"]), &[]).await?;
    let told = ["checkout -> billing: fresh", "verified 2h 0m ago", "failure: billing p-1.4.2"];
    expect(&output, 0, &told)?;
    let output = check_any(&broker, &with_pair(&["--max-age", "3600"]), &[]).await?;
    expect(&output, 1, &["checkout -> billing: stale", "at most 1h is allowed"])?;
    let output = check_any(&broker, &with_pair(&["--success-only"]), &[]).await?;
    expect(&output, 1, &["checkout -> billing: unverified", "the newest contract was published"])?;

    broker.set("checkout", "stock", &[]);
    let output =
        check_any(&broker, &["--consumer", "checkout", "--provider", "stock"], &[]).await?;
    expect(&output, 1, &["unverified", "no contract between them"])?;
    let bearer = format!("Bearer {TOKEN}");
    let sent = broker.seen();
    ensure!(sent.iter().all(|(_, token)| token.as_ref() == Some(&bearer)), "{sent:?}");
    Ok(())
}

#[tokio::test]
async fn the_recorded_matrix() -> Result<()> {
    let broker = ScriptedBroker::start().await?;
    broker.answer_of("/matrix", Some((200, &recorded("matrix-pair")?.to_string())));
    let pair = ["--consumer", "Con Sumer", "--provider", "Pro/vider", "-o", "json"];
    let output = check_any(&broker, &[&pair[..], &["--max-age", "36500d"]].concat(), &[]).await?;
    expect(&output, 0, &[])?;
    let report: Value = serde_json::from_str(&stdout(&output))?;
    let found = &report["pairs"][0];
    let wanted = [
        ("state", json!("fresh")),
        ("success", json!(false)),
        ("verified_at", json!("2026-11-22T00:02:04Z")),
        ("provider_version", json!("p1")),
    ];
    for (key, value) in wanted {
        ensure!(found[key] == value, "{key} is {} in {report}", found[key]);
    }
    let output = check_any(&broker, &[&pair[..], &["--max-age", "1s"]].concat(), &[]).await?;
    expect(&output, 1, &["\"stale\""])?;
    let output = check_any(&broker, &[&pair[..], &["--success-only"]].concat(), &[]).await?;
    expect(&output, 1, &["\"unverified\""])
}

#[tokio::test]
async fn usage_and_unknown_names_are_2() -> Result<()> {
    let broker = broker_with(2, true).await?;
    let output = check(&broker, &["--consumer", "chekout", "--provider", "billing"], &[]).await?;
    expect(&output, 2, &["no pacticipant named \"chekout\"; did you mean checkout?"])?;
    for (args, told) in [
        (&[][..], "--all-pairs"),
        (&["--consumer", "checkout"], "--provider"),
        (&["--all-pairs", "--pairs-file", "x"], "cannot be used with"),
        (&["--all-pairs", "--success-only"], "--any-result"),
        (&["--all-pairs", "--any-result", "--branch", "x"], "cannot be used with"),
        (&["--all-pairs", "--to-tag", "x", "--to-environment", "y"], "cannot be used with"),
        (&["--all-pairs", "--max-age", "0"], "write e.g. 24h"),
        (&["--all-pairs", "--max-age", "soon"], "is no duration"),
        (&["--all-pairs", "--quiet-days", "saturdy"], "did you mean saturday?"),
        (&["--all-pairs", "--timezone", "Europe/Berln"], "did you mean Europe/Berlin"),
        (&["--all-pairs", "-b", "broker"], "the broker's base URL is no URL"),
        (&["--all-pairs", "-k", "x", "-u", "y"], "cannot be used with"),
        (&["--pairs-file", "/does/not/exist"], "/does/not/exist"),
    ] {
        expect(&check(&broker, args, &[]).await?, 2, &[told])?;
    }
    let nowhere = run_with(&["check", "verification", "--all-pairs"], &[], "").await?;
    expect(&nowhere, 2, &["PACT_BROKER_BASE_URL"])?;
    ensure!(broker.seen().len() == 2, "only the misspelt name was asked for: {:?}", broker.seen());

    let empty = ScriptedBroker::start().await?;
    expect(&check(&empty, &["--all-pairs"], &[]).await?, 2, &["nothing was checked"])
}

#[tokio::test]
async fn trouble_with_the_broker_is_no_answer() -> Result<()> {
    let broker = broker_with(2, true).await?;
    broker.ask_for("another token");
    expect(
        &check(&broker, &PAIR, &[]).await?,
        4,
        &["refused the credential (401), given as PACT_BROKER_TOKEN", "fix: "],
    )?;
    for (status, retry_after, code, told) in [
        (403, None, 4, "refused the credential (403)"),
        (429, Some(7), 5, "try again in 7 s"),
        (500, None, 3, "cannot reach the broker"),
        (503, Some(60), 3, "cannot reach the broker"),
        (404, None, 3, "is the address of a Pact Broker"),
    ] {
        broker.trouble(Some((status, retry_after, "")));
        expect(&check(&broker, &PAIR, &[]).await?, code, &[told])?;
        expect(&check(&broker, &["--all-pairs"], &[]).await?, code, &[told])?;
    }
    broker.trouble(Some((200, None, "<html>")));
    expect(&check(&broker, &PAIR, &[]).await?, 3, &["is this the address of a Pact Broker?"])?;
    let away = check(&broker, &with_pair(&["-b", "http://127.0.0.1:1"]), &[]).await?;
    expect(&away, 3, &["cannot reach the broker at http://127.0.0.1:1", "fix: "])
}

#[tokio::test]
async fn many_pairs() -> Result<()> {
    let broker = broker_with(2, true).await?;
    broker.set("checkout", "stock", &[row("1", ago(50), Some((true, ago(30))))]);
    broker.set("web", "checkout", &[row("9", ago(50), None)]);
    let output = check_any(&broker, &["--all-pairs"], &[]).await?;
    expect(&output, 1, &["3 pairs checked: 1 fresh, 2 not"])?;
    let text = stdout(&output);
    for words in [
        ["checkout", "billing", "fresh"],
        ["checkout", "stock", "stale"],
        ["web", "checkout", "unverified"],
    ] {
        let found = text.lines().any(|line| words.iter().all(|word| line.contains(word)));
        ensure!(found, "{words:?} is not told: {text}");
    }

    let dir = tempfile::tempdir()?;
    let file = dir.path().join("pairs.csv");
    let path = file.to_string_lossy().into_owned();
    fs::write(&file, "# what matters\ncheckout,billing\ncheckout,stock,2d\n")?;
    expect(&check_any(&broker, &["--pairs-file", &path], &[]).await?, 0, &["2 fresh"])?;
    fs::write(&file, "checkout,billing\nweb,checkout\ncheckout,stok\n")?;
    let output = check_any(&broker, &["--pairs-file", &path], &[]).await?;
    expect(&output, 2, &["\"stok\"; did you mean stock?", "unknown_name", "unverified"])?;
    fs::write(&file, "# nothing\n")?;
    expect(&check_any(&broker, &["--pairs-file", &path], &[]).await?, 2, &["nothing was checked"])?;
    fs::write(&file, "checkout\n")?;
    expect(&check_any(&broker, &["--pairs-file", &path], &[]).await?, 2, &["line 1"])
}

#[tokio::test]
async fn a_broker_in_trouble_is_not_asked_for_every_pair() -> Result<()> {
    let broker = ScriptedBroker::start().await?;
    broker.trouble(Some((500, None, "")));
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("pairs.csv");
    let lines: Vec<String> = (0..50).map(|number| format!("consumer-{number},billing")).collect();
    fs::write(&file, lines.join("\n"))?;
    let path = file.to_string_lossy().into_owned();
    let output = check(&broker, &["--pairs-file", &path, "-o", "json"], &[]).await?;
    expect(&output, 3, &["not_checked"])?;
    let asked = broker.seen().len();
    ensure!((3..10).contains(&asked), "asked {asked} times");
    let report: Value = serde_json::from_str(&stdout(&output))?;
    ensure!(report["pairs"].as_array().is_some_and(|pairs| pairs.len() == 50), "{report}");
    ensure!(report["exit_code"] == 3, "{report}");
    Ok(())
}

#[tokio::test]
async fn on_github() -> Result<()> {
    let broker = broker_with(30, true).await?;
    let evil = "web\n::set-env name=X::y, 100%";
    broker.set(evil, "billing", &[row("1", ago(3), Some((true, ago(1))))]);
    let dir = tempfile::tempdir()?;
    let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    fs::write(path("summary"), "before\n")?;
    let variables = [
        ("GITHUB_ACTIONS", "true".to_owned()),
        ("GITHUB_STEP_SUMMARY", path("summary")),
        ("GITHUB_OUTPUT", path("output")),
    ];
    let output = check_any(&broker, &["--all-pairs"], &variables).await?;
    expect(&output, 1, &["::error title=Contract not verified::checkout -> billing: stale"])?;
    let text = stdout(&output);
    let fixed = |line: &str| {
        ["::error title=", "::notice title=", "2 pairs checked: "]
            .iter()
            .any(|start| line.starts_with(start))
    };
    ensure!(text.lines().all(fixed) && text.lines().count() == 3, "{text}");
    ensure!(text.contains("100%25"), "{text}");
    let summary = fs::read_to_string(path("summary"))?;
    ensure!(summary.starts_with("before\n### Contract verification"), "{summary}");
    ensure!(summary.contains("| checkout | billing | stale | 1d 6h | 1d |"), "{summary}");
    let outputs = fs::read_to_string(path("output"))?;
    ensure!(outputs == "result=stale\nexit-code=1\nchecked=2\nfresh=1\n", "{outputs}");

    let output = check_any(&broker, &["--all-pairs", "-o", "text"], &variables).await?;
    expect(&output, 1, &["2 pairs checked"])?;
    ensure!(!stdout(&output).contains("::error"), "-o wins over GITHUB_ACTIONS");

    broker.trouble(Some((401, None, "")));
    let output = check_any(&broker, &["--all-pairs"], &variables).await?;
    expect(&output, 4, &["::error title=Contract not verified::the broker at"])?;
    let outputs = fs::read_to_string(path("output"))?;
    ensure!(
        outputs.ends_with("result=not_checked\nexit-code=4\nchecked=0\nfresh=0\n"),
        "{outputs}"
    );
    Ok(())
}

#[tokio::test]
async fn at_most_ten_annotations_of_a_kind() -> Result<()> {
    let broker = ScriptedBroker::start().await?;
    for number in 0..14 {
        let result = (number < 2).then(|| (true, ago(1)));
        broker.set(&format!("consumer-{number}"), "billing", &[row("1", ago(3), result)]);
    }
    let output = check_any(&broker, &["--all-pairs", "-o", "github"], &[]).await?;
    expect(&output, 1, &["and 3 more"])?;
    let text = stdout(&output);
    let count = |kind: &str| text.lines().filter(|line| line.starts_with(kind)).count();
    ensure!(count("::error ") == 10 && count("::notice ") == 2, "{text}");
    Ok(())
}

#[tokio::test]
async fn quiet_days_do_not_count() -> Result<()> {
    // Six quiet days a week: whatever today is, a result of a week ago is about a day old.
    let broker = broker_with(7 * 24, true).await?;
    let pair = with_pair(&["--max-age", "26h"]);
    expect(&check_any(&broker, &pair, &[]).await?, 1, &["stale"])?;
    let weekdays = ["mon", "tue", "wed", "thu", "fri", "sat"].join(",");
    let args = ["--quiet-days", &weekdays, "--timezone", "Europe/Berlin"];
    expect(&check_any(&broker, &[&pair[..], &args].concat(), &[]).await?, 0, &["fresh"])?;
    let variables = [("POSTRIDER_QUIET_DAYS", weekdays.clone())];
    expect(&check_any(&broker, &pair, &variables).await?, 0, &["fresh"])?;
    let none = [&pair[..], &["--quiet-days", ""]].concat();
    expect(&check_any(&broker, &none, &variables).await?, 1, &["stale"])
}

#[tokio::test]
async fn help_tells_the_exit_codes() -> Result<()> {
    let help = run_with(&["check", "verification", "--help"], &[], "").await?;
    let told = ["Example:", "--pairs-file pairs.csv", "1  a pair is stale, failed"];
    expect(&help, 0, &told)
}
