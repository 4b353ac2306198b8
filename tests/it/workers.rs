//! What a worker's worst moments cost: it vanishes in the middle of a claim, it reaches the queue
//! but not the store, a clock ran ahead before it came.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use postrider_github_double::{Double, Options};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgPool;
use url::Url;

use crate::harness::{
    Cluster, Load, Looking, Mode, Moment, Plan, Proxy, SOON, Services, Silence, event, say,
    settled, wait_until, webhook,
};

/// Until a lane is worked again: the lease of the one that vanished, and what the database waits
/// before it lets go of what a lost client has locked, with much to spare.
const WORKED_AGAIN_WITHIN: Duration = Duration::from_secs(30);

async fn address(url: &Url, port: u16) -> Result<std::net::SocketAddr> {
    let at = (url.host_str().context("a host")?, url.port().unwrap_or(port));
    tokio::net::lookup_host(at).await?.next().context("an address")
}

/// The same database by another way; encrypted, no line could tell statements apart.
fn through(database: &Url, line: std::net::SocketAddr) -> Result<String> {
    let mut through = database.clone();
    through.set_ip_host(line.ip()).ok().context("a host")?;
    through.set_port(Some(line.port())).ok().context("a port")?;
    through.set_query(Some("sslmode=disable"));
    Ok(through.into())
}

pub(crate) async fn with_webhook(plan: Plan, double: &Double) -> Result<Cluster> {
    let cluster = Box::pin(plan.start()).await?;
    let api = cluster.api()?;
    api.set_secret("githubToken", "test-token").await?;
    let hook = webhook(&double.base_url(), "acme/billing", "billing", "githubToken");
    api.create_webhook(&hook).await?;
    Ok(cluster)
}

/// Its locks stay with the database, for nobody closes its connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_vanishes_inside_its_claim() -> Result<()> {
    let services = Services::shared().await?;
    let database = services.database.clone();
    let at = address(&database, 5432).await?;
    let lines = [Silence::start(at).await?, Silence::start(at).await?];
    let double = Double::start(Options::default()).await?;
    let mut plan = Plan::new(Mode::Distributed)
        .set("GITHUB_HOSTS", double.addr())
        .set("LANE_RATE", "20/s")
        .on(services);
    for (number, line) in (1..).zip(&lines) {
        let url = through(&database, line.address())?;
        plan = plan.set_for(&format!("worker-{number}"), "DATABASE_URL", url);
    }
    let mut cluster = with_webhook(plan, &double).await?;
    let load = Load::of(400)?;
    let accepted = load.send(&cluster.intakes(), |number| event(number, "billing")).await?;
    double.wait_for(20, SOON).await?;
    for line in &lines {
        line.at("insert into limit_minutes as m", Moment::After, 1);
    }
    let met = wait_until("a leader to fall silent in its claim", SOON, async || {
        let met = lines.iter().position(|line| line.silenced() > 0);
        Ok(Looking::from_option(met))
    })
    .await?;
    // Whoever takes over is spared.
    for line in &lines {
        line.at("insert into limit_minutes as m", Moment::After, 0);
    }
    let vanished = format!("worker-{}", met + 1);
    cluster.process(&vanished)?.signal(crate::harness::Signal::KILL)?;
    let at_kill = double.counts().accepted;
    wait_until("the lane to be worked again", WORKED_AGAIN_WITHIN, async || {
        let accepted = double.counts().accepted;
        Ok(Looking::when(accepted > at_kill + 20, || format!("{accepted} accepted")))
    })
    .await?;
    let figures = Box::pin(settled(&cluster.api()?, &double, &accepted, SOON)).await?;
    say(&format!("{figures:?} after {vanished} vanished"));
    ensure!(figures.duplicates <= 1, "one request at a time: {figures:?}");
    Ok(())
}

/// It once acknowledged whatever it could not claim, so that nobody else heard of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_without_its_store_leaves_messages_to_others() -> Result<()> {
    let services = Services::shared().await?;
    let database = services.database.clone();
    let line = Proxy::start(address(&database, 5432).await?).await?;
    let double = Double::start(Options::default()).await?;
    let plan = Plan::new(Mode::Distributed)
        .set("SWEEP_AFTER", "10m")
        .set_for("worker-1", "DATABASE_URL", through(&database, line.address())?)
        .on(services);
    let cluster = with_webhook(plan, &double).await?;
    line.cut();
    let load = Load::of(200)?.over(Duration::from_secs(4));
    let accepted = load.send(&cluster.intakes(), |number| event(number, "billing")).await?;
    let figures = Box::pin(settled(&cluster.api()?, &double, &accepted, SOON)).await?;
    ensure!(figures.duplicates == 0, "{figures:?}");
    let given_back = cluster.lines("messages.given_back");
    ensure!(given_back.len() == 1, "given back once: {given_back:?}");
    line.restore();
    wait_until("messages to be taken again", SOON, async || {
        Ok(Looking::when(!cluster.lines("messages.taken_again").is_empty(), String::new))
    })
    .await?;
    cluster.finish().await
}

/// Its leases and claims would be valid for an hour.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_ran_ahead_keeps_no_lane() -> Result<()> {
    let double = Double::start(Options::default()).await?;
    let plan = Plan::new(Mode::Distributed)
        .workers(1)
        .set("GITHUB_HOSTS", double.addr())
        .set("LANE_RATE", "20/s");
    let mut cluster = with_webhook(plan, &double).await?;
    cluster.process("worker-1")?.kill().await?;
    let load = Load::of(5)?;
    let accepted = load.send(&cluster.intakes(), |number| event(number, "billing")).await?;
    let pool = PgPool::connect(cluster.services()?.database.as_str()).await?;
    for statement in [
        "update limits set owner = gen_random_uuid(), epoch = epoch + 1, \
         lease_until = now() + interval '1 hour' where limited",
        "update deliveries set status = 'sending', claim_no = 1, attempt = 1, claim_epoch = 7, \
         claimed_by = (select id from workers limit 1), claimed_until = now() + interval '1 hour', \
         next_at = now() + interval '1 hour' \
         where id = (select id from deliveries where status = 'waiting' limit 1)",
    ] {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&pool).await?;
    }
    pool.close().await;
    cluster.restart("worker-1").await?;
    // Four of them at once; the one that is claimed until then blocks its limit, as it must,
    // until the janitor finds that it ends too far ahead.
    let figures = Box::pin(settled(&cluster.api()?, &double, &accepted, SOON)).await?;
    ensure!(figures.deliveries == 5, "{figures:?}");
    cluster.finish().await
}
