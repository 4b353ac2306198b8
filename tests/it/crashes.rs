//! The crash matrix: processes die at each named step, services die, links fail, all under load;
//! whatever is accepted arrives, and arrives once unless it was in flight.

mod faults;
mod steps;
mod stops;

use std::time::Duration;

use anyhow::{Result, ensure};
use postrider_github_double::{Double, Options};

use crate::harness::{Cluster, Load, Mode, Plan, Settled, event, say, settled, webhook};

/// Events of one cell; 23 cells make more than 20,000.
const EVENTS: usize = 900;
/// Requests that one process may have in flight (`POSTRIDER_WORKER_CONCURRENCY` of the plans).
const IN_FLIGHT: usize = 64;
/// Longest wait for everything to be delivered after the fault is over.
const AT_REST_WITHIN: Duration = Duration::from_secs(90);

/// A cluster with the seed webhook, and the double it sends to.
struct Cell {
    cluster: Cluster,
    double: Double,
}

impl Cell {
    async fn start(plan: Plan) -> Result<Self> {
        // Requests take a while, so that some are in flight whenever something happens.
        let latency = Some(Duration::from_millis(15));
        let double = Double::start(Options { latency, ..Options::default() }).await?;
        let cluster = plan.start().await?;
        let api = cluster.api()?;
        api.set_secret("githubToken", "test-token").await?;
        let hook = webhook(&double.base_url(), "acme/billing", "billing", "githubToken");
        api.create_webhook(&hook).await?;
        Ok(Self { cluster, double })
    }

    /// Sends events over `time` while `fault` happens, then checks that all is well and that at
    /// most `in_flight` deliveries are marked as possible duplicates.
    async fn under_load(
        mut self,
        time: Duration,
        in_flight: usize,
        fault: impl AsyncFnOnce(&mut Cluster, &Double) -> Result<()>,
    ) -> Result<Settled> {
        let intakes = self.cluster.intakes();
        let load = Load::of(EVENTS)?.over(time);
        let (accepted, happened) = tokio::join!(
            load.send(&intakes, |number| event(number, "billing")),
            fault(&mut self.cluster, &self.double),
        );
        happened?;
        let accepted = accepted?;
        let api = self.cluster.api()?;
        let settled = settled(&api, &self.double, &accepted, AT_REST_WITHIN);
        let figures = Box::pin(settled).await?;
        say(&format!("{figures:?}"));
        ensure!(figures.deliveries == EVENTS, "{figures:?}");
        ensure!(figures.marked <= in_flight, "{figures:?}, at most {in_flight} in flight");
        self.cluster.finish().await?;
        Ok(figures)
    }
}

/// A cluster in a mode.
fn plan(mode: Mode) -> Plan {
    Plan::new(mode).set("WORKER_CONCURRENCY", IN_FLIGHT)
}
