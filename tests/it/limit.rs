//! A limit is never exceeded, over all workers and across a crash, and is used well.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use postrider_github_double::{Double, Entry, Options};

use crate::harness::{
    Cluster, Load, Looking, Mode, Plan, SOON, event, say, settled, wait_until, webhook,
};

/// GitHub's shape, scaled down: so many requests in any such time.
const REQUESTS: u32 = 180;
const WINDOW: Duration = Duration::from_secs(6);
/// For requests that arrive closer together than they were sent (rule MARGIN): a twentieth of the
/// window, and what timers are late.
const MARGIN: Duration = Duration::from_millis(305);
/// What a leader has claimed for the next second, and the request under way.
const CLAIMED_AHEAD: usize = 31;
const WAITING: usize = 2_000;
/// All of it at the full rate takes 67 s.
const WITHIN: Duration = Duration::from_secs(150);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_workers_share_a_limit_and_lose_their_leader() -> Result<()> {
    let double = Double::start(Options::default().with_rate(REQUESTS, WINDOW, true)).await?;
    let plan = Plan::new(Mode::Distributed)
        .workers(4)
        .set("GITHUB_HOSTS", double.addr())
        .set("LANE_RATE", format!("{REQUESTS}/{}s", WINDOW.as_secs()));
    let mut cluster = Box::pin(plan.start()).await?;
    let api = cluster.api()?;
    api.set_secret("githubToken", "test-token").await?;
    let hook = webhook(&double.base_url(), "acme/billing", "billing", "githubToken");
    api.create_webhook(&hook).await?;

    let load = Load::of(WAITING)?;
    let accepted = load.send(&cluster.intakes(), |number| event(number, "billing")).await?;
    double.wait_for(500, SOON).await?;
    let leader = leader(&mut cluster)?;
    cluster.process(&leader)?.kill().await?;
    let at_kill = double.counts().accepted;
    wait_until("another worker to lead the lane", SOON, async || {
        let accepted = double.counts().accepted;
        Ok(Looking::when(accepted > at_kill + 20, || format!("{accepted} accepted")))
    })
    .await?;
    cluster.restart(&leader).await?;

    let figures = Box::pin(settled(&api, &double, &accepted, WITHIN)).await?;
    ensure!(figures.duplicates <= 1, "a lane of one request at a time: {figures:?}");
    ensure!(figures.marked <= CLAIMED_AHEAD, "claimed for the next second: {figures:?}");
    let counts = double.counts();
    ensure!(!double.banned() && counts.violations == 0, "the limit was exceeded: {counts:?}");
    ensure!(double.in_flight_peak() <= 2, "{} at one time", double.in_flight_peak());
    let used = share_used(&double.accepted())?;
    say(&format!("{:.1} % of the allowed rate used", used * 100.0));
    // 95 % where nothing else runs, as in the simulation; a send that a busy machine makes a
    // millisecond late is not made up for.
    ensure!(used >= 0.90, "only {:.1} % of the allowed rate was used", used * 100.0);
    cluster.finish().await
}

/// The worker that led the lane last.
fn leader(cluster: &mut Cluster) -> Result<String> {
    let led = cluster.processes().iter().filter_map(|process| {
        let lines = process.lines("lane.led");
        let last = lines.last()?["timestamp"].as_str()?.to_owned();
        Some((last, process.name().to_owned()))
    });
    Ok(led.max().context("a worker that leads the lane")?.1)
}

/// Requests that were made of those that its pace allows between the first and the last,
/// without the gap in which the lane changed its leader.
fn share_used(journal: &[Entry]) -> Result<f64> {
    let (first, last) = (journal.first().context("entries")?, journal.last().context("entries")?);
    let gaps = journal.windows(2).map(|pair| pair[1].at.saturating_sub(pair[0].at));
    let change = gaps.max().context("a gap")?;
    ensure!(change < Duration::from_secs(15), "the change of leader took {change:?}");
    let time = last.at.saturating_sub(first.at).saturating_sub(change);
    let apart = (WINDOW + MARGIN).as_secs_f64() / f64::from(REQUESTS);
    let allowed = time.as_secs_f64() / apart;
    Ok(f64::from(u32::try_from(journal.len() - 2)?) / allowed)
}
