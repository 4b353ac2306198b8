//! A machine that runs out of descriptors blames no target for it.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use postrider_github_double::{Double, Options};
use serde_json::Value;

use crate::harness::{
    Api, Load, Looking, Mode, Plan, SOON, event, hook_webhook, say, settled, wait_until,
};

/// Enough to run, far too few to send.
const LIMIT: u32 = 128;
/// Idle connections that are opened; the listener keeps half of the descriptors for them.
const IDLE: usize = 64;
/// What is left at most when they are open, far fewer than a lane's requests need.
const LEFT: usize = 48;
const EVENTS: usize = 500;
/// Starts pause for 5 s at first, and longer while the trouble goes on.
const OVER_WITHIN: Duration = Duration::from_mins(2);

fn open_descriptors(pid: u32) -> Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

/// Opens idle connections, so that the process has few descriptors left.
async fn use_up(pid: u32, listen: SocketAddr) -> Result<Vec<TcpStream>> {
    let idle: std::io::Result<Vec<_>> = (0..IDLE).map(|_| TcpStream::connect(listen)).collect();
    wait_until("the descriptors to be used up", SOON, async || {
        let open = open_descriptors(pid)?;
        let left = (LIMIT as usize).saturating_sub(open);
        Ok(Looking::when(left <= LEFT, || format!("{open} are open")))
    })
    .await?;
    Ok(idle?)
}

async fn incident(api: &Api, is_open: bool) -> Result<Value> {
    let what = if is_open { "the incident to be open" } else { "the incident to be over" };
    wait_until(what, OVER_WITHIN, async || {
        let Ok(answer) = api.get("/api/v1/incidents?kind=local_trouble").await else {
            return Ok(Looking::NotYet("no answer".to_owned()));
        };
        let found = answer.ok()?["incidents"][0].clone();
        let is_so = !found.is_null() && found["resolved_at"].is_null() == is_open;
        Ok(if is_so { Looking::Found(found) } else { Looking::NotYet(found.to_string()) })
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_descriptors_deliveries_wait_and_none_fails() -> Result<()> {
    let latency = Some(Duration::from_secs(1));
    let double = Double::start(Options { latency, ..Options::default() }).await?;
    let plan = Plan::new(Mode::Embedded).set("WORKER_CONCURRENCY", 1_024).descriptors(LIMIT, LIMIT);
    let mut cluster = plan.start().await?;
    let api = cluster.api()?;
    api.create_webhook(&hook_webhook(&double.base_url(), "one", "billing")).await?;
    let process = cluster.process("serve")?;
    let (pid, listen) = (process.pid(), process.listen().context("an intake")?);
    let idle = use_up(pid, listen).await?;
    let load = Load::of(EVENTS)?;
    let accepted = load.send(&cluster.intakes(), |number| event(number, "billing")).await?;
    let opened = incident(&api, true).await?;
    ensure!(opened["cause"] == "local_trouble", "{opened}");
    say(&format!("{} with {} idle connections", opened["summary"], idle.len()));
    drop(idle);
    let figures = Box::pin(settled(&api, &double, &accepted, OVER_WITHIN)).await?;
    ensure!(figures.duplicates == 0 && figures.marked == 0, "{figures:?}");
    let failed: Vec<Value> = cluster
        .lines("delivery.attempted")
        .into_iter()
        .filter(|line| line["outcome"] != "accepted")
        .collect();
    ensure!(failed.is_empty(), "the target was blamed {} times: {:?}", failed.len(), failed[0]);
    ensure!(!cluster.lines("delivery.local_trouble").is_empty(), "there was no trouble");
    incident(&api, false).await?;
    cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_may_open_as_many_as_the_system_lets_it() -> Result<()> {
    let mut cluster = Plan::new(Mode::Embedded).descriptors(256, 512).start().await?;
    let limits = fs::read_to_string(format!("/proc/{}/limits", cluster.process("serve")?.pid()))?;
    let line = limits.lines().find(|line| line.starts_with("Max open files")).context("a line")?;
    let soft = line.split_whitespace().nth(3);
    ensure!(soft == Some("512"), "{line}");
    cluster.finish().await
}
