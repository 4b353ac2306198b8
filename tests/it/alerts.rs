//! Alerts reach their receivers once, whatever the receivers do and whichever monitor dies.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postrider_github_double::{Double, Options};
use serde_json::{Value, json};

use crate::harness::{
    Api, Cluster, Looking, Mode, Plan, Received, Receiver, Reply, SOON, event, run, setting,
    wait_until, webhook,
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A lane with something to send.
async fn lane(api: &Api, double: &Double) -> Result<()> {
    api.create_webhook(&webhook(&double.base_url(), "acme/orders", "Orders", "githubToken"))
        .await?;
    api.lane("/githubToken").await?.context("the webhook's lane")?;
    Ok(())
}

/// Its secret has no value: what waits for it holds it.
async fn hold(api: &Api) -> Result<()> {
    api.publish(&event(0, "Orders")).await?;
    Ok(())
}

/// Its secret gets a value.
async fn release(api: &Api) -> Result<()> {
    api.set_secret("githubToken", "test-token").await
}

/// What a receiver of the generic body was told of this kind, in words.
fn told(receiver: &Receiver) -> Result<Vec<String>> {
    let word = |received: &Received| -> Result<String> {
        let body = received.json()?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(format!("{} {}", text(&body["commonLabels"]["kind"]), text(&body["status"])))
    };
    receiver.received().iter().map(word).collect()
}

/// Waits until the receiver was told exactly this.
async fn is_told(receiver: &Receiver, wanted: &[&str]) -> Result<()> {
    wait_until(&format!("{wanted:?}"), SOON, async || {
        let told = told(receiver)?;
        Ok(Looking::when(told == wanted, || format!("{told:?}")))
    })
    .await
}

fn plan(mode: Mode) -> Plan {
    Plan::new(mode).set("ALERT_TIMEOUT", "1s").set("ALERT_RETRY", "200ms")
}

/// A receiver that hangs and one that is not there hold up neither each other nor a third one,
/// which is told again after its error.
async fn bad_receivers_hold_nothing_up(mode: Mode) -> Result<()> {
    let double = Double::start(Options::default()).await?;
    let slack = Receiver::start(&[Reply::Hang]).await?;
    let hook = Receiver::start(&[Reply::Status(500), Reply::Status(200)]).await?;
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let plan = plan(mode)
        .set("ALERT_SLACK_URL", format!("{}/services/hunter2", slack.url()))
        .set("ALERT_ALERTMANAGER_URL", format!("http://user:hunter2@{gone}/am"))
        .set("ALERT_WEBHOOK_URL", format!("{}/in?token=hunter2", hook.url()))
        .set("ALERT_WEBHOOK_SECRET", SECRET)
        .set("ALERT_RESEND", "300ms");
    let mut cluster = Box::pin(plan.start()).await?;
    let api = cluster.api()?;
    lane(&api, &double).await?;
    hold(&api).await?;
    is_told(&hook, &["lane_held firing"; 2]).await?;
    let received = hook.received();
    let group = |one: &Received| Ok::<_, anyhow::Error>(one.json()?["groupKey"].clone());
    ensure!(group(&received[0])? == group(&received[1])?, "the same again: {received:?}");
    ensure!(received[0].header("webhook-id") == received[1].header("webhook-id"), "{received:?}");
    signed(&received[1])?;
    release(&api).await?;
    is_told(&hook, &["lane_held firing", "lane_held firing", "lane_held resolved"]).await?;
    ensure!(hook.received()[2].header("webhook-id") != received[0].header("webhook-id"));
    wait_until("both bad receivers to have failed", SOON, async || {
        let lines = cluster.lines("alert.failed");
        let failed = |channel| lines.iter().any(|line| line["channel"] == channel);
        let all = failed("slack") && failed("alertmanager") && failed("webhook");
        Ok(Looking::when(all && !slack.received().is_empty(), || format!("{lines:?}")))
    })
    .await?;
    for process in cluster.processes() {
        ensure!(!process.output().contains("hunter2"), "{} tells a secret", process.name());
    }
    cluster.finish().await
}

/// Checked as receivers check it.
fn signed(received: &Received) -> Result<()> {
    let key = STANDARD.decode(SECRET.trim_start_matches("whsec_"))?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let (id, at) = (received.header("webhook-id"), received.header("webhook-timestamp"));
    let signature = received.header("webhook-signature");
    let tag = STANDARD.decode(signature.strip_prefix("v1,").context("version 1")?)?;
    let text = format!("{id}.{at}.{}", received.text);
    ensure!(hmac::verify(&key, text.as_bytes(), &tag).is_ok(), "{signature} of {text}");
    let age = jiff::Timestamp::now().as_second() - at.parse::<i64>()?;
    ensure!((0..=60).contains(&age), "{age} s old");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_bad_receivers_hold_nothing_up() -> Result<()> {
    bad_receivers_hold_nothing_up(Mode::Embedded).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn distributed_bad_receivers_hold_nothing_up() -> Result<()> {
    bad_receivers_hold_nothing_up(Mode::Distributed).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_asks_for_time_gets_it() -> Result<()> {
    let double = Double::start(Options::default()).await?;
    let hook = Receiver::start(&[Reply::Limited(2), Reply::Status(204)]).await?;
    let cluster = plan(Mode::Embedded).set("ALERT_WEBHOOK_URL", hook.url()).start().await?;
    let api = cluster.api()?;
    lane(&api, &double).await?;
    hold(&api).await?;
    is_told(&hook, &["lane_held firing"; 2]).await?;
    let received = hook.received();
    let waited = received[1].at.duration_since(received[0].at);
    ensure!(waited >= Duration::from_secs(2), "{waited:?}");
    cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slack_gets_one_message_for_what_happens_at_once() -> Result<()> {
    let slack = Receiver::start(&[Reply::Status(200)]).await?;
    let plan = plan(Mode::Embedded)
        .set("ALERT_SLACK_URL", slack.url())
        .set("FRESHNESS", "1h")
        .set("QUIET_DAYS", "none");
    let cluster = plan.start().await?;
    let old = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(30 * 24);
    let old_event = |number: usize| {
        let mut event = event(number, &format!("<P{number}>"));
        event["occurred_at"] = json!(old);
        event
    };
    let events: Vec<Value> = (0..15).map(old_event).collect();
    cluster.api()?.publish(&json!(events)).await?;
    let mentioned = || -> Result<(usize, usize)> {
        let received = slack.received();
        let blocks = |one: &Received| -> Result<usize> {
            Ok(one.json()?["blocks"].as_array().context("blocks")?.len())
        };
        let all: Vec<usize> = received.iter().map(blocks).collect::<Result<_>>()?;
        Ok((all.iter().sum(), all.len()))
    };
    wait_until("all incidents to be told", SOON, async || {
        let (blocks, messages) = mentioned()?;
        Ok(Looking::when(blocks == 15, || format!("{blocks} in {messages}")))
    })
    .await?;
    let (_, messages) = mentioned()?;
    ensure!(messages <= 3, "{messages} messages");
    ensure!(slack.received()[0].text.contains("&lt;P"), "{}", slack.received()[0].text);
    cluster.finish().await
}

/// Which monitor is active, by the log.
async fn active(cluster: &Cluster, monitors: &[&str]) -> Result<String> {
    wait_until("an active monitor", SOON, async || {
        let lines = cluster.lines_of("monitor.active");
        let newest = lines.iter().max_by_key(|(_, line)| line["epoch"].as_i64());
        let name = newest.map(|(name, _)| name.clone());
        Ok(Looking::from_option(name.filter(|name| monitors.contains(&name.as_str()))))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_monitors_tell_once_and_one_takes_over() -> Result<()> {
    let double = Double::start(Options::default()).await?;
    let hook = Receiver::start(&[Reply::Status(200)]).await?;
    let plan = plan(Mode::Distributed).monitors(2).set("ALERT_WEBHOOK_URL", hook.url());
    let mut cluster = Box::pin(plan.start()).await?;
    let api = cluster.api()?;
    lane(&api, &double).await?;
    hold(&api).await?;
    is_told(&hook, &["lane_held firing"]).await?;
    // Killed between the answer and its note, it would rightly be told again by the other.
    wait_until("the note of the alert", SOON, async || {
        let noted = cluster.lines_of("alert.sent").len();
        Ok(Looking::when(noted == 1, || format!("{noted} notes")))
    })
    .await?;
    let first = active(&cluster, &["monitor", "monitor-2"]).await?;
    let other = if first == "monitor" { "monitor-2" } else { "monitor" };
    cluster.process(&first)?.kill().await?;
    release(&api).await?;
    is_told(&hook, &["lane_held firing", "lane_held resolved"]).await?;
    active(&cluster, &[other]).await?;
    cluster.restart(&first).await?;
    cluster.finish().await
}

/// The active monitor dies right after an incident and its alert are committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_that_was_written_and_not_sent_is_sent_by_the_other() -> Result<()> {
    let double = Double::start(Options::default()).await?;
    let hook = Receiver::start(&[Reply::Status(200)]).await?;
    let plan = plan(Mode::Distributed)
        .monitors(2)
        .set("ALERT_WEBHOOK_URL", hook.url())
        .set("CRASH_AT", "opened:1");
    let mut cluster = Box::pin(plan.start()).await?;
    let api = cluster.api()?;
    let first = active(&cluster, &["monitor", "monitor-2"]).await?;
    lane(&api, &double).await?;
    hold(&api).await?;
    cluster.process(&first)?.crashed(SOON).await?;
    is_told(&hook, &["lane_held firing"]).await?;
    let process = cluster.process(&first)?;
    process.unset("CRASH_AT");
    cluster.restart(&first).await?;
    release(&api).await?;
    is_told(&hook, &["lane_held firing", "lane_held resolved"]).await?;
    cluster.finish().await
}

/// Which reminders a receiver of the generic body got; 0 is an opening or an end.
fn reminders(receiver: &Receiver) -> Result<Vec<u32>> {
    let of = |received: &Received| -> Result<u32> {
        let body = received.json()?;
        let number = body["commonAnnotations"]["reminder"].as_str().unwrap_or("0");
        Ok(number.parse()?)
    };
    receiver.received().iter().map(of).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stays_open_is_told_again_later_and_later() -> Result<()> {
    let double = Double::start(Options::default()).await?;
    let hook = Receiver::start(&[Reply::Status(200)]).await?;
    let slack = Receiver::start(&[Reply::Status(200)]).await?;
    let manager = Receiver::start(&[Reply::Status(200)]).await?;
    let plan = plan(Mode::Embedded)
        .set("ALERT_WEBHOOK_URL", hook.url())
        .set("ALERT_SLACK_URL", slack.url())
        .set("ALERT_ALERTMANAGER_URL", manager.url())
        .set("ALERT_REMIND", "1s");
    let cluster = plan.start().await?;
    let api = cluster.api()?;
    lane(&api, &double).await?;
    hold(&api).await?;
    is_told(&hook, &["lane_held firing"; 3]).await?;
    release(&api).await?;
    let ended = |told: &[String]| told.last().is_some_and(|last| last == "lane_held resolved");
    wait_until("the end", SOON, async || {
        let told = told(&hook)?;
        Ok(Looking::when(ended(&told), || format!("{told:?}")))
    })
    .await?;
    let (received, numbers) = (hook.received(), reminders(&hook)?);
    let (end, before) = numbers.split_last().context("the end")?;
    ensure!(*end == 0 && before.iter().copied().eq(0..u32::try_from(before.len())?), "{numbers:?}");
    for (wait, pair) in [1, 3].into_iter().zip(received.windows(2)) {
        let waited = pair[1].at.duration_since(pair[0].at);
        // Told late, the next one may seem early.
        ensure!(waited >= Duration::from_millis(wait * 600), "reminded after {waited:?}");
    }
    let group = |one: &Received| Ok::<_, anyhow::Error>(one.json()?["groupKey"].clone());
    ensure!(group(&received[0])? == group(&received[2])?, "of the same incident");
    ensure!(received[0].header("webhook-id") != received[1].header("webhook-id"), "another alert");
    wait_until("Slack to be told of the end", SOON, async || {
        let texts: Vec<String> = slack.received().into_iter().map(|one| one.text).collect();
        let has = |words: &str| texts.iter().any(|text| text.contains(words));
        let all = has("[FIRING, ") && has("[STILL OPEN for ") && has("[RESOLVED after ");
        Ok(Looking::when(all, || format!("{texts:?}")))
    })
    .await?;
    let manager = manager.received();
    ensure!(manager.iter().all(|one| !one.text.contains("\"reminder\"")), "{manager:?}");
    cluster.finish().await
}

/// The monitor dies right after a reminder is committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reminder_that_was_written_and_not_sent_is_sent_once() -> Result<()> {
    let double = Double::start(Options::default()).await?;
    let hook = Receiver::start(&[Reply::Status(200)]).await?;
    let plan = plan(Mode::Distributed)
        .set("ALERT_WEBHOOK_URL", hook.url())
        .set("ALERT_REMIND", "10s")
        .set_for("monitor", "CRASH_AT", "reminded:1");
    let mut cluster = Box::pin(plan.start()).await?;
    let api = cluster.api()?;
    lane(&api, &double).await?;
    hold(&api).await?;
    is_told(&hook, &["lane_held firing"]).await?;
    let process = cluster.process("monitor")?;
    process.crashed(SOON).await?;
    process.unset("CRASH_AT");
    cluster.restart("monitor").await?;
    is_told(&hook, &["lane_held firing"; 2]).await?;
    release(&api).await?;
    is_told(&hook, &["lane_held firing", "lane_held firing", "lane_held resolved"]).await?;
    ensure!(reminders(&hook)? == [0, 1, 0], "{:?}", reminders(&hook)?);
    cluster.finish().await
}

/// `alerts test` needs no running postrider, tells who refused, and keeps secrets to itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_alert_reaches_each_channel_or_says_why() -> Result<()> {
    let none = run(&["alerts", "test"], &[], "").await?;
    let errors = String::from_utf8_lossy(&none.stderr);
    ensure!(none.status.code() == Some(2) && errors.contains("_ALERT_SLACK_URL"), "{errors}");
    let hook = Receiver::start(&[Reply::Status(200)]).await?;
    let manager = Receiver::start(&[Reply::Status(200)]).await?;
    let slack = Receiver::start(&[Reply::Status(200), Reply::Status(200), Reply::Status(403)]);
    let slack = slack.await?;
    let settings = [
        setting("ALERT_SLACK_URL", format!("{}/services/hunter2", slack.url())),
        setting("ALERT_ALERTMANAGER_URL", manager.url()),
        setting("ALERT_WEBHOOK_URL", format!("{}/in?token=hunter2", hook.url())),
        setting("ALERT_WEBHOOK_SECRET", SECRET),
    ];
    let output = run(&["alerts", "test"], &settings, "").await?;
    let out = String::from_utf8(output.stdout)?;
    ensure!(output.status.success(), "{out}{}", String::from_utf8_lossy(&output.stderr));
    for channel in ["slack", "alertmanager", "webhook"] {
        ensure!(out.contains(&format!("{channel}: took the test alert")), "{out}");
    }
    is_told(&hook, &["test firing", "test resolved"]).await?;
    signed(&hook.received()[0])?;
    let posted = manager.received()[0].json()?;
    ensure!(posted[0]["labels"]["alertname"] == "PostriderTest", "{posted}");
    let output = run(&["alerts", "test", "-o", "json"], &settings, "").await?;
    ensure!(output.status.code() == Some(1), "{}", output.status);
    let told: Value = serde_json::from_slice(&output.stdout)?;
    let refused = &told["channels"][0];
    ensure!(refused["channel"] == "slack" && refused["taken"] == false, "{told}");
    ensure!(refused["error"].as_str().is_some_and(|error| error.contains("403")), "{told}");
    ensure!(!told.to_string().contains("hunter2"), "{told}");
    Ok(())
}
