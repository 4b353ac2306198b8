//! A process kills itself right after a named step and is started again.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{Cell, IN_FLIGHT, plan};
use crate::harness::{Mode, SOON};

/// At the how-many-th time of its step the process dies: in the middle of the load.
const NTH: u64 = 120;
/// How long the load goes on.
const LOAD: Duration = Duration::from_secs(4);

async fn crash(mode: Mode, process: &str, step: &str, in_flight: usize) -> Result<()> {
    let plan = plan(mode).set_for(process, "CRASH_AT", format!("{step}:{NTH}"));
    let cell = Box::pin(Cell::start(plan)).await?;
    let killed = cell.under_load(LOAD, in_flight, async |cluster, _| {
        let victim = cluster.process(process)?;
        victim.crashed(SOON).await?;
        victim.unset("CRASH_AT");
        cluster.restart(process).await
    });
    let figures = Box::pin(killed).await?;
    // What was answered and not recorded is sent again, so this is where duplicates come from.
    ensure!(step != "sent" || figures.duplicates > 0, "{figures:?}");
    Ok(())
}

macro_rules! cells {
    ($($name:ident: $mode:ident, $process:literal, $step:literal, $in_flight:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() -> Result<()> {
            Box::pin(crash(Mode::$mode, $process, $step, $in_flight)).await
        }
    )*};
}

cells! {
    distributed_committed: Distributed, "ingest-1", "committed", 0;
    distributed_published: Distributed, "ingest-1", "published", 0;
    distributed_taken: Distributed, "worker-1", "taken", IN_FLIGHT;
    distributed_claimed: Distributed, "worker-1", "claimed", IN_FLIGHT;
    distributed_settled: Distributed, "worker-1", "settled", IN_FLIGHT;
    distributed_sent: Distributed, "worker-1", "sent", IN_FLIGHT;
    distributed_recorded: Distributed, "worker-1", "recorded", IN_FLIGHT;
    embedded_committed: Embedded, "serve", "committed", IN_FLIGHT;
    embedded_claimed: Embedded, "serve", "claimed", IN_FLIGHT;
    embedded_sent: Embedded, "serve", "sent", IN_FLIGHT;
    embedded_recorded: Embedded, "serve", "recorded", IN_FLIGHT;
}
