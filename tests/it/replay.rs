//! A replay of very many: the command line and the server die in the middle of it, twice, and in
//! the end each delivery was sent once more.

use anyhow::{Context, Result, ensure};
use postrider_github_double::{Counts, Double, Options};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use std::time::Duration;

use crate::harness::{
    Cluster, Load, Looking, Mode, Plan, Process, SOON, event, hook_webhook, run, setting,
    wait_until,
};

/// Deliveries that a replay looks at in one statement.
const CHUNK: usize = 2_000;
/// The process whose API is used: the last of the intakes.
const SERVER: &str = "ingest-2";

/// The replay under test.
struct Replay {
    cluster: Cluster,
    double: Double,
    /// All deliveries, in the order in which they are replayed.
    ids: Vec<String>,
    webhook: String,
    patience: Duration,
}

impl Replay {
    /// So many deliveries, all delivered.
    async fn prepare(deliveries: usize, patience: Duration) -> Result<Self> {
        let double = Double::start(Options::default()).await?;
        let cluster = Plan::new(Mode::Distributed).start().await?;
        let api = cluster.api()?;
        let hook = hook_webhook(&double.base_url(), "all", "billing");
        let webhook = api.create_webhook(&hook).await?;
        let load = Load::of(deliveries)?;
        let accepted = load.send(&cluster.intakes(), |number| event(number, "billing")).await?;
        let mut ids: Vec<String> = accepted.into_iter().flat_map(|one| one.deliveries).collect();
        ids.sort();
        ensure!(ids.len() == deliveries, "{} of {deliveries}", ids.len());
        let replay = Self { cluster, double, ids, webhook, patience };
        replay.at_rest().await?;
        replay.double.reset();
        Ok(replay)
    }

    async fn at_rest(&self) -> Result<()> {
        let api = self.cluster.api()?;
        wait_until("all deliveries to be final", self.patience, async || {
            match api.unfinished().await {
                Ok(None) => Ok(Looking::Found(())),
                Ok(Some(open)) => Ok(Looking::NotYet(open)),
                Err(error) => Ok(Looking::NotYet(format!("{error:#}"))),
            }
        })
        .await
    }

    /// Runs a command until it comes to delivery `at`, which somebody else has locked, then kills
    /// it and the server that worked for it; the act's id, and how many it had changed by then.
    async fn killed(&mut self, args: &[&str], at: usize) -> Result<(String, usize)> {
        let url = self.cluster.services()?.database.clone();
        let mut locker = PgConnection::connect(url.as_str()).await?;
        let mut lock = locker.begin().await?;
        let lock_one = format!("select 1 from deliveries where id = '{}' for update", self.ids[at]);
        sqlx::raw_sql(AssertSqlSafe(lock_one)).execute(&mut *lock).await?;
        let settings = vec![setting("URL", self.cluster.api()?.base())];
        let name = format!("replay-{at}");
        let mut command = Process::spawn(&name, args, settings, None, self.cluster.dir())?;
        let before_it = at / CHUNK * CHUNK;
        let mut conn = PgConnection::connect(url.as_str()).await?;
        wait_until("the replay to come to the lock", self.patience, async || {
            ensure!(command.exit_status()?.is_none(), "it ended: {}", command.errors());
            let done = done(&mut conn).await?;
            Ok(Looking::when(done == before_it, || format!("{done} of {before_it}")))
        })
        .await?;
        command.kill().await?;
        self.cluster.process(SERVER)?.kill().await?;
        lock.rollback().await?;
        let output = command.output();
        let id = output.lines().find_map(|line| line.strip_prefix("id "));
        let id = id.with_context(|| format!("no id was told: {output:?}"))?.to_owned();
        self.cluster.restart(SERVER).await?;
        Ok((id, done(&mut conn).await?))
    }

    /// Runs a command to its end; what it prints.
    async fn finished(&self, args: &[&str]) -> Result<String> {
        let settings = [setting("URL", self.cluster.api()?.base())];
        let output = run(args, &settings, "").await?;
        ensure!(output.status.success(), "{output:?}");
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// How many deliveries the only act has changed.
async fn done(conn: &mut PgConnection) -> Result<usize> {
    let row =
        sqlx::query("select sum(done)::bigint as done from bulk_acts").fetch_one(conn).await?;
    Ok(usize::try_from(row.try_get::<Option<i64>, _>("done")?.unwrap_or_default())?)
}

async fn killed_twice_each_is_sent_once(deliveries: usize, patience: Duration) -> Result<()> {
    let mut replay = Box::pin(Replay::prepare(deliveries, patience)).await?;
    let webhook = replay.webhook.clone();
    let begin = ["deliveries", "replay", "--webhook", &webhook, "--yes"];
    let (id, first) = replay.killed(&begin, deliveries * 6 / 10).await?;
    let resume = ["deliveries", "replay", "--resume", &id];
    let (again, second) = replay.killed(&resume, deliveries * 9 / 10).await?;
    ensure!(again == id, "{again} goes on with {id}");
    ensure!(0 < first && first < second && second < deliveries, "{first}, {second}");
    let told = replay.finished(&resume).await?;
    ensure!(told.contains(&format!("{deliveries} deliveries are sent again")), "{told}");
    replay.at_rest().await?;
    let Counts { accepted, distinct, duplicates, .. } = replay.double.counts();
    let all = u64::try_from(deliveries)?;
    ensure!((accepted, distinct, duplicates) == (all, all, 0), "{:?}", replay.double.counts());
    let told: Value = serde_json::from_str(
        &replay.finished(&["deliveries", "replay", "--resume", &id, "--json"]).await?,
    )?;
    ensure!(told["deliveries"] == 0 && told["finished"] == true, "{told}");
    replay.cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_killed_twice_sends_each_once() -> Result<()> {
    Box::pin(killed_twice_each_is_sent_once(5_000, 2 * SOON)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: cargo nextest run --workspace --test it --run-ignored only -E 'test(a_hundred_thousand)'"]
async fn a_replay_of_a_hundred_thousand_killed_twice_sends_each_once() -> Result<()> {
    Box::pin(killed_twice_each_is_sent_once(100_000, 20 * SOON)).await
}
