//! Services die, are wiped, or can't be reached; a worker is stopped past its claims.

use std::time::Duration;

use anyhow::{Context, Result};
use postrider_github_double::Double;

use super::{Cell, EVENTS, IN_FLIGHT, plan};
use crate::harness::{Cluster, Looking, Mode, Services, Signal, wait_until};

/// How long the load of a short fault goes on.
const LOAD: Duration = Duration::from_secs(8);
/// How long a link is down.
const OUTAGE: Duration = Duration::from_secs(30);
/// Longer than a claim: time-out, margin, and the second for a paced batch.
const PAST_CLAIMS: Duration = Duration::from_secs(7);

/// Waits until an eighth of the load has arrived, so that a fault meets work in progress.
async fn in_progress(double: &Double) -> Result<()> {
    Ok(double.wait_for(u64::try_from(EVENTS / 8)?, Duration::from_mins(1)).await?)
}

/// Lets a fault last.
async fn lasting(time: Duration) -> Result<()> {
    let until = tokio::time::Instant::now() + time;
    wait_until("the fault to have lasted", time * 2, async || {
        Ok(Looking::when(tokio::time::Instant::now() >= until, String::new))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rabbitmq_killed() -> Result<()> {
    Box::pin(without_rabbitmq(false)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rabbitmq_wiped() -> Result<()> {
    Box::pin(without_rabbitmq(true)).await
}

/// RabbitMQ carries ids only: losing it doubles nothing.
async fn without_rabbitmq(wiped: bool) -> Result<()> {
    let services = Services::with_own_rabbit().await?;
    let cell = Box::pin(Cell::start(plan(Mode::Distributed).on(services))).await?;
    Box::pin(cell.under_load(LOAD, 0, async |cluster, double| {
        in_progress(double).await?;
        let rabbit = cluster.services()?.rabbit.as_mut().context("a RabbitMQ of our own")?;
        rabbit.kill()?;
        if wiped {
            rabbit.wipe()?;
        }
        lasting(Duration::from_secs(2)).await?;
        rabbit.restart().await
    }))
    .await
    .map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_killed() -> Result<()> {
    let services = Services::with_own_postgres().await?;
    let cell = Box::pin(Cell::start(plan(Mode::Distributed).on(services))).await?;
    Box::pin(cell.under_load(LOAD, 2 * IN_FLIGHT, async |cluster, double| {
        in_progress(double).await?;
        let postgres = cluster.services()?.postgres.as_mut().context("a Postgres of our own")?;
        postgres.kill()?;
        lasting(Duration::from_secs(1)).await?;
        postgres.restart().await
    }))
    .await
    .map(drop)
}

#[derive(Clone, Copy)]
enum Link {
    Postgres,
    Rabbit,
}

#[derive(Clone, Copy)]
enum Failure {
    Cut,
    HalfOpen,
}

async fn without_link(to: Link, failure: Failure) -> Result<()> {
    let services = Services::through_lines().await?;
    let cell = Box::pin(Cell::start(plan(Mode::Distributed).on(services))).await?;
    let in_flight = match to {
        Link::Postgres => 2 * IN_FLIGHT,
        Link::Rabbit => 0,
    };
    let fault = async |cluster: &mut Cluster, double: &Double| {
        in_progress(double).await?;
        let services = cluster.services()?;
        let line = match to {
            Link::Postgres => services.postgres_line.as_ref(),
            Link::Rabbit => services.rabbit_line.as_ref(),
        };
        let line = line.context("a line")?;
        match failure {
            Failure::Cut => line.cut(),
            Failure::HalfOpen => line.half_open(),
        }
        lasting(OUTAGE).await?;
        line.restore();
        Ok(())
    };
    Box::pin(cell.under_load(LOAD + OUTAGE, in_flight, fault)).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn link_to_postgres_cut() -> Result<()> {
    Box::pin(without_link(Link::Postgres, Failure::Cut)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn link_to_postgres_half_open() -> Result<()> {
    Box::pin(without_link(Link::Postgres, Failure::HalfOpen)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn link_to_rabbitmq_cut() -> Result<()> {
    Box::pin(without_link(Link::Rabbit, Failure::Cut)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn link_to_rabbitmq_half_open() -> Result<()> {
    Box::pin(without_link(Link::Rabbit, Failure::HalfOpen)).await
}

/// Slow links double nothing either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_slow() -> Result<()> {
    let services = Services::through_lines().await?;
    let cell = Box::pin(Cell::start(plan(Mode::Distributed).on(services))).await?;
    Box::pin(cell.under_load(LOAD, 0, async |cluster, double| {
        in_progress(double).await?;
        let services = cluster.services()?;
        let lines = [&services.postgres_line, &services.rabbit_line];
        for line in lines.into_iter().flatten() {
            line.delay(Duration::from_millis(30));
        }
        lasting(LOAD / 2).await?;
        for line in lines.into_iter().flatten() {
            line.restore();
        }
        Ok(())
    }))
    .await
    .map(drop)
}

/// Stopped for longer than its claims last, then woken: what it still had is not sent.
async fn stopped_and_woken(mode: Mode, process: &str) -> Result<()> {
    let cell = Box::pin(Cell::start(plan(mode))).await?;
    Box::pin(cell.under_load(LOAD, IN_FLIGHT, async |cluster, double| {
        in_progress(double).await?;
        let victim = cluster.process(process)?;
        victim.signal(Signal::STOP)?;
        lasting(PAST_CLAIMS).await?;
        victim.signal(Signal::CONT)
    }))
    .await
    .map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn distributed_worker_stopped_past_its_claims() -> Result<()> {
    Box::pin(stopped_and_woken(Mode::Distributed, "worker-1")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_stopped_past_its_claims() -> Result<()> {
    Box::pin(stopped_and_woken(Mode::Embedded, "serve")).await
}
