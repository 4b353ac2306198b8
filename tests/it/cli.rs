//! The command line: exit codes, refusals, and the tour.

use std::collections::BTreeSet;
use std::fs;
use std::process::Output;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sqlx::postgres::PgPool;

use postrider_github_double::{Double, Options};

use crate::harness::{
    Load, Looking, Mode, Plan, SOON, Services, Signal, event, run, setting, wait_until, webhook,
};

/// An exit code, and what has to be told on standard error.
fn check(output: &Output, code: i32, told: &[&str]) -> Result<()> {
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(code), "{}: {errors}", output.status);
    for word in told {
        ensure!(errors.contains(word), "{word} is not told: {errors}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_loses_nothing() -> Result<()> {
    let output = run(&["demo", "--json"], &[], "").await?;
    check(&output, 0, &[])?;
    let out = String::from_utf8(output.stdout)?;
    let summary: Value = serde_json::from_str(out.lines().last().context("a last line")?)?;
    ensure!(summary["events"] == 200 && summary["delivered"] == 200, "{summary}");
    ensure!(summary["lost"] == 0 && summary["duplicates"] == 0, "{summary}");
    ensure!(summary["held_peak"].as_u64().is_some_and(|held| held >= 100), "{summary}");
    ensure!(summary["seconds"].as_f64().is_some_and(|seconds| seconds < 10.0), "{summary}");
    Ok(())
}

#[tokio::test]
async fn config_check_tells_all_problems_at_once() -> Result<()> {
    check(&run(&["config", "check"], &[], "").await?, 0, &[])?;
    let wrong = [
        setting("LISTEN", "nowhere"),
        setting("WEBHOOK_TIMEOUT", "soon"),
        setting("WEBHOK_TIMEOUT", "5s"),
    ];
    let output = run(&["config", "check"], &wrong, "").await?;
    let told = ["POSTRIDER_LISTEN", "POSTRIDER_WEBHOOK_TIMEOUT", "POSTRIDER_WEBHOK_TIMEOUT"];
    check(&output, 2, &told)
}

#[tokio::test]
async fn openapi_prints_the_document_without_a_server() -> Result<()> {
    let output = run(&["openapi"], &[], "").await?;
    check(&output, 0, &[])?;
    let document: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(document["openapi"] == "3.1.0", "{document}");
    ensure!(document["paths"]["/events"]["post"].is_object(), "{document}");
    Ok(())
}

#[tokio::test]
async fn config_show_stars_secrets() -> Result<()> {
    let secret = STANDARD.encode([7; 32]);
    let settings = [
        setting("MASTER_KEY", &secret),
        setting("API_TOKENS", "operate:a-token-to-be-starred"),
        setting("DATABASE_URL", "postgres://user:pg-password@127.0.0.1/x"),
        setting("AMQP_URL", "amqp://user:mq-password@127.0.0.1"),
    ];
    let output = run(&["config", "show", "-o", "json"], &settings, "").await?;
    check(&output, 0, &[])?;
    let shown = String::from_utf8(output.stdout)?;
    for hidden in [secret.as_str(), "a-token-to-be-starred", "pg-password", "mq-password"] {
        ensure!(!shown.contains(hidden), "{hidden} is shown: {shown}");
    }
    ensure!(serde_json::from_str::<Value>(&shown).is_ok(), "{shown}");
    Ok(())
}

#[tokio::test]
async fn one_url_alone_is_refused() -> Result<()> {
    let database = [setting("DATABASE_URL", "postgres://127.0.0.1/x")];
    check(&run(&["serve"], &database, "").await?, 2, &["POSTRIDER_AMQP_URL"])?;
    let amqp = [setting("AMQP_URL", "amqp://127.0.0.1")];
    check(&run(&["serve"], &amqp, "").await?, 2, &["POSTRIDER_DATABASE_URL"])
}

#[tokio::test]
async fn single_roles_need_distributed_mode() -> Result<()> {
    for role in ["ingest", "worker", "monitor"] {
        let output = run(&[role], &[], "").await?;
        check(&output, 2, &["POSTRIDER_DATABASE_URL", "postrider serve"])
            .with_context(|| role.to_owned())?;
    }
    Ok(())
}

#[tokio::test]
async fn an_open_door_is_refused() -> Result<()> {
    let output = run(&["serve"], &[setting("LISTEN", "0.0.0.0:0")], "").await?;
    check(&output, 2, &["POSTRIDER_LISTEN", "POSTRIDER_API_TOKENS"])
}

#[tokio::test]
async fn distributed_mode_needs_a_master_key() -> Result<()> {
    let settings = [
        setting("DATABASE_URL", "postgres://127.0.0.1/x"),
        setting("AMQP_URL", "amqp://127.0.0.1"),
    ];
    check(&run(&["worker"], &settings, "").await?, 2, &["POSTRIDER_MASTER_KEY"])
}

#[tokio::test]
async fn usage_errors_exit_with_2() -> Result<()> {
    for args in [&["no-such-command"][..], &["demo", "--events", "x"], &["secrets", "set"]] {
        check(&run(args, &[], "").await?, 2, &[])?;
    }
    Ok(())
}

#[tokio::test]
async fn every_command_has_help_with_an_example() -> Result<()> {
    let commands: &[&[&str]] = &[
        &["demo"],
        &["serve"],
        &["ingest"],
        &["worker"],
        &["monitor"],
        &["migrate"],
        &["config", "check"],
        &["config", "show"],
        &["topology"],
        &["events", "publish"],
        &["webhooks", "list"],
        &["webhooks", "show"],
        &["webhooks", "apply"],
        &["webhooks", "delete"],
        &["webhooks", "test"],
        &["webhooks", "lint"],
        &["webhooks", "import"],
        &["connect"],
        &["secrets", "set"],
        &["secrets", "list"],
        &["secrets", "delete"],
        &["deliveries", "list"],
        &["deliveries", "show"],
        &["deliveries", "replay"],
        &["lanes", "list"],
        &["lanes", "hold"],
        &["lanes", "release"],
        &["incidents", "list"],
        &["alerts", "test"],
        &["completions"],
        &["version"],
        &["man"],
    ];
    for command in commands {
        let output = run(&[command, &["--help"][..]].concat(), &[], "").await?;
        check(&output, 0, &[]).with_context(|| command.join(" "))?;
        let help = String::from_utf8(output.stdout)?;
        ensure!(help.contains("Example"), "{}: {help}", command.join(" "));
    }
    Ok(())
}

#[tokio::test]
async fn completions_are_a_script_that_bash_reads() -> Result<()> {
    let output = run(&["completions", "bash"], &[], "").await?;
    check(&output, 0, &[])?;
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("postrider.bash");
    fs::write(&path, &output.stdout)?;
    let asks = "source \"$1\"; COMP_WORDS=(postrider deliv); COMP_CWORD=1; \
                _postrider postrider deliv postrider; echo \"${COMPREPLY[@]}\"";
    let mut bash = std::process::Command::new("bash");
    let completed = bash.args(["--norc", "-c", asks, "bash"]).arg(&path).output()?;
    let completed = String::from_utf8(completed.stdout)?;
    ensure!(completed.trim() == "deliveries", "{completed}");
    check(&run(&["completions", "cmd.exe"], &[], "").await?, 2, &["bash"])
}

#[tokio::test]
async fn every_command_has_a_manual_page() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let pages = dir.path().join("man1");
    let to = pages.to_str().context("UTF-8")?;
    check(&run(&["man", to], &[], "").await?, 0, &[])?;
    for name in ["postrider", "postrider-deliveries-replay", "postrider-check-verification"] {
        let page = fs::read_to_string(pages.join(format!("{name}.1")))?;
        ensure!(page.contains(".SH SYNOPSIS") && page.contains("Example"), "{name}: {page}");
    }
    fs::write(dir.path().join("file"), "")?;
    let file = dir.path().join("file").join("below");
    check(&run(&["man", file.to_str().context("UTF-8")?], &[], "").await?, 2, &["folder"])
}

/// The version with the commit that it was built of, which a build without git does not know.
#[tokio::test]
async fn the_version_names_the_commit() -> Result<()> {
    let output = run(&["version", "-o", "json"], &[], "").await?;
    check(&output, 0, &[])?;
    let known: Value = serde_json::from_slice(&output.stdout)?;
    let revision = known["revision"].as_str().context("a revision")?;
    let is_commit = revision.len() >= 12 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    ensure!(revision == "unknown" || is_commit, "{known}");
    let expected = format!("postrider {} (revision {revision})\n", env!("CARGO_PKG_VERSION"));
    for words in [&["version"][..], &["--version"]] {
        let told = String::from_utf8(run(words, &[], "").await?.stdout)?;
        ensure!(told == expected, "{words:?}: {told}");
    }
    Ok(())
}

#[tokio::test]
async fn nobody_there_exits_with_3() -> Result<()> {
    let output = run(&["lanes", "list"], &[setting("URL", "http://127.0.0.1:9")], "").await?;
    check(&output, 3, &[])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_exits_with_4() -> Result<()> {
    let cluster =
        Plan::new(Mode::Embedded).set("API_TOKENS", "operate:right-token").start().await?;
    let settings = [setting("URL", cluster.api()?.base()), setting("TOKEN", "wrong-token")];
    check(&run(&["lanes", "list"], &settings, "").await?, 4, &[])?;
    let settings = [setting("URL", cluster.api()?.base()), setting("TOKEN", "right-token")];
    check(&run(&["lanes", "list"], &settings, "").await?, 0, &[])?;
    cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_per_data_dir() -> Result<()> {
    let cluster = Plan::new(Mode::Embedded).start().await?;
    let output = run(&["serve"], cluster.settings(), "").await?;
    check(&output, 2, &["another postrider"])?;
    cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_master_key_is_refused() -> Result<()> {
    let mut cluster = Plan::new(Mode::Embedded).start().await?;
    cluster.api()?.set_secret("githubToken", "x").await?;
    cluster.process("serve")?.terminate(SOON).await?;
    let other = setting("MASTER_KEY", STANDARD.encode([9; 32]));
    let settings = [cluster.settings(), &[other]].concat();
    check(&run(&["serve"], &settings, "").await?, 2, &["key"])?;
    cluster.restart("serve").await?;
    cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_master_key_is_refused_distributed() -> Result<()> {
    let cluster = Plan::new(Mode::Distributed).start().await?;
    cluster.api()?.set_secret("githubToken", "x").await?;
    let kept = cluster.settings().iter().filter(|(name, _)| name != "MASTER_KEY").cloned();
    let mut settings: Vec<_> = kept.collect();
    settings.push(setting("MASTER_KEY", STANDARD.encode([9; 32])));
    for role in ["worker", "ingest"] {
        check(&run(&[role], &settings, "").await?, 2, &["key"]).context(role)?;
    }
    cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_database_is_refused() -> Result<()> {
    let mut cluster = Plan::new(Mode::Distributed).start().await?;
    let database = cluster.services()?.database.clone();
    let pool = PgPool::connect(database.as_str()).await?;
    let newer = "INSERT INTO _sqlx_migrations SELECT 99999999999999, description, installed_on, \
                 success, checksum, execution_time FROM _sqlx_migrations LIMIT 1";
    ensure!(sqlx::query(newer).execute(&pool).await?.rows_affected() == 1, "a migration is known");
    pool.close().await;
    let settings = cluster.settings().to_vec();
    for role in ["worker", "ingest", "migrate"] {
        check(&run(&[role], &settings, "").await?, 2, &["newer"]).context(role)?;
    }
    cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topology_names_the_queues() -> Result<()> {
    let services = Services::shared().await?;
    let settings = [
        setting("DATABASE_URL", services.database_url()?),
        setting("AMQP_URL", services.amqp_url()?),
        setting("MASTER_KEY", STANDARD.encode([1; 32])),
    ];
    let output = run(&["topology"], &settings, "").await?;
    check(&output, 0, &[])?;
    let shown = String::from_utf8(output.stdout)?;
    for word in ["postrider.deliveries", "quorum", "x-delivery-limit"] {
        ensure!(shown.contains(word), "{word} is not in {shown}");
    }
    services.remove().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_signal_ends_at_once() -> Result<()> {
    let latency = Some(std::time::Duration::from_secs(20));
    let double = Double::start(Options { latency, ..Options::default() }).await?;
    let plan = Plan::new(Mode::Embedded).set("WEBHOOK_TIMEOUT", "30s").set("SHUTDOWN_GRACE", "30s");
    let mut cluster = plan.start().await?;
    let api = cluster.api()?;
    api.set_secret("githubToken", "test-token").await?;
    let hook = webhook(&double.base_url(), "acme/billing", "billing", "githubToken");
    api.create_webhook(&hook).await?;
    api.publish(&event(1, "billing")).await?;
    double.wait_for(1, SOON).await?;
    let serve = cluster.process("serve")?;
    serve.signal(Signal::TERM)?;
    wait_until("the first signal to be seen", SOON, async || {
        Ok(Looking::when(!serve.lines("stopping").is_empty(), String::new))
    })
    .await?;
    ensure!(serve.exit_status()?.is_none(), "it waits for the request in flight");
    let asked = std::time::Instant::now();
    serve.signal(Signal::TERM)?;
    let status = serve.ended(SOON).await?;
    ensure!(!status.success() && asked.elapsed().as_secs() < 5, "{status}, {:?}", asked.elapsed());
    cluster.restart("serve").await?;
    drop(double);
    cluster.process("serve")?.kill().await?;
    cluster.restart("serve").await?;
    cluster.finish().await
}

/// The commands that work on a running postrider, one after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_on_a_running_postrider() -> Result<()> {
    let double = Double::start(Options::default()).await?;
    let cluster = Plan::new(Mode::Embedded).start().await?;
    let settings = [setting("URL", cluster.api()?.base())];
    let say = async |args: &[&str], input: &str| -> Result<String> {
        let output = run(args, &settings, input).await?;
        check(&output, 0, &[]).with_context(|| args.join(" "))?;
        Ok(String::from_utf8(output.stdout)?)
    };
    say(&["secrets", "set", "githubToken"], "test-token\n").await?;
    ensure!(say(&["secrets", "list"], "").await?.contains("githubToken"), "the secret is listed");
    let file = cluster.dir().join("webhooks.json");
    let hook = webhook(&double.base_url(), "acme/billing", "billing", "githubToken");
    fs::write(&file, hook.to_string())?;
    let file = file.to_str().context("a path in UTF-8")?.to_owned();
    say(&["webhooks", "apply", "-f", &file, "--yes"], "").await?;
    let listed: Value = serde_json::from_str(&say(&["webhooks", "list", "--json"], "").await?)?;
    ensure!(listed["total"] == 1, "{listed}");
    ensure!(listed.to_string().contains("Notify acme/billing"), "{listed}");
    let lines: Vec<String> = (0..3).map(|number| event(number, "billing").to_string()).collect();
    let lines = lines.join("\n");
    say(&["events", "publish", "-f", "-"], &lines).await?;
    double.wait_for(3, SOON).await?;
    let api = cluster.api()?;
    wait_until("three deliveries", SOON, async || {
        let delivered = api.deliveries("status=delivered").await?.len();
        Ok(Looking::when(delivered == 3, || format!("{delivered}")))
    })
    .await?;
    let shown = say(&["deliveries", "list", "--json"], "").await?;
    ensure!(shown.matches("delivered").count() >= 3, "{shown}");
    let id = api.deliveries("").await?[0]["id"].as_str().context("an id")?.to_owned();
    ensure!(say(&["deliveries", "show", &id], "").await?.contains(&id), "the delivery is shown");
    let lane = api.lane("/githubToken").await?.context("a lane")?["name"].clone();
    let lane = lane.as_str().context("a name")?.to_owned();
    say(&["lanes", "hold", &lane], "").await?;
    ensure!(say(&["lanes", "list"], "").await?.contains("held"), "the lane is held");
    say(&["lanes", "release", &lane], "").await?;
    let held = say(&["lanes", "hold", &lane, "--reason", "a look", "--until", "2h"], "").await?;
    ensure!(held.contains(" until 20"), "{held}");
    let reason = api.lane("/githubToken").await?.context("a lane")?["reason"].clone();
    ensure!(reason == "a look", "{reason}");
    say(&["lanes", "hold", &lane, "--until", "1s"], "").await?;
    wait_until("the lane to open by itself", SOON, async || {
        let lane = api.lane("/githubToken").await?.context("a lane")?;
        Ok(Looking::when(lane["state"] == "open", || lane.to_string()))
    })
    .await?;
    say(&["deliveries", "replay", &id, "--yes"], "").await?;
    double.wait_for(4, SOON).await?;
    say(&["incidents", "list"], "").await?;
    say(&["secrets", "delete", "githubToken", "--yes"], "").await?;
    let refused =
        run(&["events", "publish", "-f", "-"], &settings, r#"{"event_name":"x"}"#).await?;
    check(&refused, 1, &[])?;
    cluster.finish().await
}

/// Many deliveries over the command line's paging.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_follow_their_pages() -> Result<()> {
    let double = Double::start(Options::default()).await?;
    let cluster = Plan::new(Mode::Embedded).start().await?;
    let api = cluster.api()?;
    api.set_secret("githubToken", "test-token").await?;
    let hook = webhook(&double.base_url(), "acme/billing", "billing", "githubToken");
    api.create_webhook(&hook).await?;
    let load = Load::of(1_300)?;
    load.send(&cluster.intakes(), |number| event(number, "billing")).await?;
    ensure!(api.deliveries("").await?.len() == 1_300, "all are listed over two pages");
    let settings = [setting("URL", api.base())];
    let output = run(&["deliveries", "list", "--json", "--limit", "1250"], &settings, "").await?;
    check(&output, 0, &[])?;
    let shown = String::from_utf8(output.stdout)?;
    ensure!(shown.matches("\"event_id\"").count() == 1_250, "{} rows", shown.lines().count());
    // What is cut off is told, and where to go on.
    let mut seen = BTreeSet::new();
    let mut cursor: Option<String> = None;
    for _ in 0..2 {
        let mut args = vec!["events", "list", "--limit", "3"];
        args.extend(cursor.iter().flat_map(|cursor| ["--cursor", cursor]));
        let output = run(&args, &settings, "").await?;
        let text = String::from_utf8(output.stdout)?;
        let (rows, more) = text.trim_end().rsplit_once('\n').context("a table")?;
        let next = more.strip_prefix("3 shown, more: --cursor ").context("where to go on")?;
        cursor = Some(next.to_owned());
        seen.extend(rows.lines().skip(1).map(str::to_owned));
    }
    ensure!(seen.len() == 6, "{seen:?}");
    cluster.finish().await
}
