//! SIGTERM under load: each process ends with 0 within its grace, and nothing is doubled.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{Cell, EVENTS, plan};
use crate::harness::{Mode, SOON};

/// How long the load goes on.
const LOAD: Duration = Duration::from_secs(8);
/// The grace of the plans (`POSTRIDER_SHUTDOWN_GRACE`) and what comes after it.
const GRACE: Duration = Duration::from_secs(14);

async fn rolling(mode: Mode, processes: &[&str]) -> Result<()> {
    let cell = Box::pin(Cell::start(plan(mode))).await?;
    Box::pin(cell.under_load(LOAD, 0, async |cluster, double| {
        for (turn, name) in processes.iter().enumerate() {
            let so_many = EVENTS * (turn + 1) / (processes.len() + 2);
            double.wait_for(u64::try_from(so_many)?, SOON).await?;
            cluster.process(name)?.terminate(GRACE).await?;
            cluster.restart(name).await?;
        }
        let late = cluster.lines("shutdown.grace_used_up");
        ensure!(late.is_empty(), "{late:?}");
        Ok(())
    }))
    .await
    .map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn distributed_restarted_one_by_one() -> Result<()> {
    Box::pin(rolling(Mode::Distributed, &["worker-1", "ingest-1", "worker-2", "ingest-2"])).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_restarted_twice() -> Result<()> {
    Box::pin(rolling(Mode::Embedded, &["serve", "serve"])).await
}
