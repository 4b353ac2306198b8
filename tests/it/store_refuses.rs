//! A database that answers and takes nothing: readiness says so, nothing that was accepted is lost,
//! and a process ends all the same.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use postrider_github_double::{Double, Options};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection};

use crate::harness::{
    Api, Cluster, Load, Looking, Mode, Plan, SOON, Signal, event, settled, wait_until,
};
use crate::workers::with_webhook;

/// A request's time and five seconds more, and what the store gets to close its file; a machine that
/// does other work too may take twice as long. Each wait for the lock would take 30 s.
const ENDED_WITHIN: Duration = Duration::from_secs(40);

/// Makes the cluster's database read-only for all who connect from now on, or takes that back.
async fn read_only(cluster: &mut Cluster, is_read_only: bool) -> Result<()> {
    let url = cluster.services()?.database.clone();
    let name = url.path().trim_start_matches('/').to_owned();
    let mut admin = PgConnection::connect(url.as_str()).await?;
    for statement in [
        format!("alter database {name} set default_transaction_read_only = {is_read_only}"),
        "select pg_terminate_backend(pid) from pg_stat_activity \
         where datname = current_database() and pid <> pg_backend_pid()"
            .to_owned(),
    ] {
        // This session may be read-only itself, which the setting of a database does not mind.
        admin.execute("set default_transaction_read_only = off").await?;
        admin.execute(AssertSqlSafe(statement)).await?;
    }
    admin.close().await?;
    Ok(())
}

/// Waits until a process says that it is ready, or why not.
async fn readiness(admin: &Api, api: &Api, wanted: u16) -> Result<String> {
    wait_until("readiness to change", SOON, async || {
        // Somebody wants something of it all the time.
        api.with_json("POST", "/events", &event(1, "billing")).await?;
        let answer = admin.get("/readyz").await?;
        let told = format!("{} {}", answer.status, answer.text);
        let is_so = answer.status == wanted;
        Ok(if is_so { Looking::Found(told) } else { Looking::NotYet(told) })
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_database_makes_unready() -> Result<()> {
    let double = Double::start(Options::default()).await?;
    let mut cluster = with_webhook(Plan::new(Mode::Distributed), &double).await?;
    let api = cluster.api()?;
    let admin = cluster.admin("ingest-2")?;
    read_only(&mut cluster, true).await?;
    let told = readiness(&admin, &api, 503).await?;
    ensure!(told.contains("the database has refused"), "{told}");
    read_only(&mut cluster, false).await?;
    readiness(&admin, &api, 200).await?;
    let accepted = api.publish(&event(2, "billing")).await?;
    let id = accepted["deliveries"][0]["id"].as_str().context("a delivery")?;
    wait_until("what is accepted again to be delivered", SOON, async || {
        let shown = api.delivery(id).await?;
        Ok(Looking::when(shown["status"] == "delivered", || shown.to_string()))
    })
    .await?;
    cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_file_keeps_no_process_from_ending() -> Result<()> {
    let double = Double::start(Options::default()).await?;
    let mut cluster = with_webhook(Plan::new(Mode::Embedded), &double).await?;
    let load = Load::of(40)?;
    let accepted = load.send(&cluster.intakes(), |number| event(number, "billing")).await?;
    let file = cluster.dir().join("data/postrider.db");
    let mut other = SqliteConnectOptions::new().filename(file).connect().await?;
    other.execute("begin immediate").await?;

    let serve = cluster.process("serve")?;
    serve.signal(Signal::TERM)?;
    let asked = Instant::now();
    let status = serve.ended(SOON).await?;
    ensure!(status.success(), "{status}");
    ensure!(asked.elapsed() < ENDED_WITHIN, "it took {:?}", asked.elapsed());

    other.execute("rollback").await?;
    other.close().await?;
    cluster.restart("serve").await?;
    let api = cluster.api()?;
    Box::pin(settled(&api, &double, &accepted, SOON)).await?;
    cluster.finish().await
}
