//! What is told without anything being new: the digest of a day, and that somebody watches.

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use postrider_github_double::{Double, Options, Play};

use crate::harness::{
    Api, Cluster, Looking, Mode, Plan, Receiver, Reply, SOON, event, wait_until, webhook,
};

/// Where it is about noon: no day ends during a test.
fn noon() -> Result<String> {
    let hour: i32 = Timestamp::now().strftime("%H").to_string().parse()?;
    // West of Greenwich is plus there.
    Ok(match hour - 12 {
        0 => "UTC".to_owned(),
        west => format!("Etc/GMT{west:+}"),
    })
}

fn plan(mode: Mode, slack: &Receiver) -> Result<Plan> {
    Ok(Plan::new(mode)
        .set("ALERT_SLACK_URL", slack.url())
        .set("ALERT_RETRY", "200ms")
        .set("TIMEZONE", noon()?)
        .set("QUIET_DAYS", "none"))
}

/// What Slack was told, each message by its short text.
fn told(slack: &Receiver) -> Result<Vec<String>> {
    let text = |one: crate::harness::Received| -> Result<String> {
        Ok(one.json()?["text"].as_str().context("a text")?.to_owned())
    };
    slack.received().into_iter().map(text).collect()
}

async fn is_told(slack: &Receiver, words: &str) -> Result<()> {
    wait_until(&format!("{words:?}"), SOON, async || {
        let told = told(slack)?;
        Ok(Looking::when(told.iter().any(|text| text.contains(words)), || format!("{told:?}")))
    })
    .await
}

fn digests(slack: &Receiver) -> Result<Vec<String>> {
    Ok(told(slack)?.into_iter().filter(|text| text.starts_with("*postrider* on ")).collect())
}

/// One delivery for each of these providers, whose secrets have values or not; their webhooks.
async fn deliver(api: &Api, double: &Double, to: &[(&str, bool)]) -> Result<Vec<String>> {
    let mut uuids = Vec::new();
    for (provider, has_value) in to {
        let secret = format!("token-{provider}");
        if *has_value {
            api.set_secret(&secret, "test-token").await?;
        }
        let repo = format!("acme/{provider}");
        let document = webhook(&double.base_url(), &repo, provider, &secret);
        uuids.push(api.create_webhook(&document).await?);
        api.publish(&event(1, provider)).await?;
    }
    Ok(uuids)
}

/// Until so many deliveries have each of these states.
async fn are(api: &Api, wanted: &[(&str, usize)]) -> Result<()> {
    wait_until(&format!("{wanted:?}"), SOON, async || {
        for (status, count) in wanted {
            let found = api.deliveries(&format!("status={status}")).await?.len();
            if found != *count {
                return Ok(Looking::NotYet(format!("{found} {status}")));
            }
        }
        Ok(Looking::Found(()))
    })
    .await
}

/// A failure that opened no incident is in the digest, and that is told once a day.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_is_told_once() -> Result<()> {
    let double = Double::start(Options::default()).await?;
    let slack = Receiver::start(&[Reply::Status(200)]).await?;
    let mut cluster = plan(Mode::Embedded, &slack)?.start().await?;
    let api = cluster.api()?;
    double.script_repeating("acme/picky", vec![Play::status(422)])?;
    let to = [("well", true), ("picky", true), ("valueless", false)];
    let uuids = deliver(&api, &double, &to).await?;
    are(&api, &[("delivered", 1), ("failed", 1), ("held", 1)]).await?;
    is_told(&slack, "[FIRING, critical] Lane ").await?;
    ensure!(digests(&slack)?.is_empty(), "nobody asked for one: {:?}", digests(&slack)?);

    let name = cluster.processes()[0].name().to_owned();
    again(&mut cluster, &name, Some("00:00")).await?;
    is_told(&slack, "*postrider* on ").await?;
    let digest = digests(&slack)?.remove(0);
    let wanted = "3 deliveries in 24 hours, 1 delivered, 1 failed, 1 on the way; 1 incident open";
    ensure!(digest.contains(wanted), "{digest}");
    let received = slack.received();
    let whole = received.iter().find(|one| one.text.contains("*postrider* on ")).context("it")?;
    for words in ["Failed for good", &uuids[1], "the newest invalid", "Open incidents"] {
        ensure!(whole.text.contains(words), "{words:?} is not in {}", whole.text);
    }
    ensure!(!whole.text.contains(&uuids[0]), "{}", whole.text);

    again(&mut cluster, &name, None).await?;
    cluster.api()?.set_secret("token-valueless", "test-token").await?;
    is_told(&slack, "[RESOLVED after ").await?;
    ensure!(digests(&slack)?.len() == 1, "{:?}", digests(&slack)?);
    cluster.finish().await
}

/// The process anew, with this time of its digest if it is to be another.
async fn again(cluster: &mut Cluster, name: &str, digest: Option<&str>) -> Result<()> {
    let process = cluster.process(name)?;
    process.terminate(SOON).await?;
    if let Some(digest) = digest {
        process.set("ALERT_DIGEST", digest);
    }
    cluster.restart(name).await
}

/// Slack is away at first, and the monitor that told it dies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_monitors_tell_a_quiet_day_in_one_line_once() -> Result<()> {
    let double = Double::start(Options::default()).await?;
    let slack = Receiver::start(&[Reply::Status(503), Reply::Status(200)]).await?;
    let plan = plan(Mode::Distributed, &slack)?.set("ALERT_DIGEST", "00:00").monitors(2);
    let mut cluster = Box::pin(plan.start()).await?;
    let first = wait_until("the digest", SOON, async || {
        let sent = cluster.lines_of("digest.sent");
        Ok(Looking::from_option(sent.into_iter().next().map(|(name, _)| name)))
    })
    .await?;
    let digest = digests(&slack)?;
    ensure!(digest.len() == 2 && digest[0] == digest[1], "refused once: {digest:?}");
    ensure!(digest[0].ends_with("nothing is open, owed or about to expire"), "{digest:?}");
    let only = &slack.received()[1].json()?["blocks"];
    ensure!(only.as_array().is_some_and(|blocks| blocks.len() == 1), "{only}");
    cluster.process(&first)?.kill().await?;
    let api = cluster.api()?;
    deliver(&api, &double, &[("valueless", false)]).await?;
    is_told(&slack, "[FIRING, critical] Lane ").await?;
    ensure!(digests(&slack)?.len() == 2, "{:?}", digests(&slack)?);
    cluster.restart(&first).await?;
    cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alertmanager_hears_all_the_time_that_somebody_watches() -> Result<()> {
    let manager = Receiver::start(&[Reply::Status(200)]).await?;
    let plan = Plan::new(Mode::Embedded)
        .set("ALERT_ALERTMANAGER_URL", manager.url())
        .set("ALERT_RESEND", "300ms")
        .set("ALERT_WATCHDOG", "on");
    let cluster = plan.start().await?;
    wait_until("three words of the watchdog", SOON, async || {
        let received = manager.received();
        Ok(Looking::when(received.len() >= 3, || format!("{received:?}")))
    })
    .await?;
    for received in manager.received() {
        let told = received.json()?;
        let labels = &told[0]["labels"];
        ensure!(labels["alertname"] == "PostriderWatchdog", "{told}");
        ensure!(labels["severity"] == "none", "{told}");
        let of = |key: &str| -> Result<Timestamp> {
            Ok(told[0][key].as_str().context("an instant")?.parse()?)
        };
        ensure!(of("endsAt")? > of("startsAt")?, "{told}");
    }
    cluster.finish().await
}
